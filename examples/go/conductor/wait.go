package conductor

/*
#include <stdlib.h>
#include <conductor.h>
*/
import "C"

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
)

// handle is a C object that is freed once nobody uses it any more, whoever closes it first.
type handle[P any] struct {
	mutex  sync.Mutex
	object P
	users  int
	closed bool
	free   func(P)
	ended  chan struct{} // closed by close
}

func newHandle[P any](object P, free func(P)) *handle[P] {
	return &handle[P]{object: object, free: free, ended: make(chan struct{})}
}

// use gives the object and keeps it from being freed until done is called.
func (h *handle[P]) use() (object P, err error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.closed {
		return object, ErrClosed
	}
	h.users++
	return h.object, nil
}

func (h *handle[P]) done() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.users--
	h.freeUnused()
}

// close ends all waits on the object; it is freed when the last of them is gone.
func (h *handle[P]) close() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if !h.closed {
		h.closed = true
		close(h.ended)
		h.freeUnused()
	}
}

func (h *handle[P]) freeUnused() {
	if h.closed && h.users == 0 && h.free != nil {
		h.free(h.object)
		h.free = nil
	}
}

// cancelling runs call with a switch that is set when the context ends. The call blocks a thread: it is
// for what takes moments, as starting and posting.
func cancelling(ctx context.Context, call func(cancel *C.conductor_cancel) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() == nil {
		return call(nil)
	}
	cancel := C.conductor_cancel_new()
	if cancel == nil {
		return ErrInternal
	}
	running := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		C.conductor_cancel_set(cancel)
		close(running)
	})
	err := call(cancel)
	if !stop() {
		<-running
	}
	C.conductor_cancel_free(cancel)
	if ctx.Err() != nil && (err == context.Canceled || err == context.DeadlineExceeded) {
		return ctx.Err()
	}
	return err
}

// poll steps until step is done, parked on the netpoller between two steps: no thread waits.
func poll(ctx context.Context, ended <-chan struct{}, fd C.int32_t, step func() (bool, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// One look before anything is set up: often there is an answer already.
	if done, err := step(); done || err != nil {
		return err
	}
	waiter, err := newWaiter(int(fd))
	if err != nil {
		return err
	}
	defer waiter.file.Close()
	return waiter.wait(ctx, ended, step)
}

// waiter is a copy of a descriptor of the library, known to the netpoller.
type waiter struct {
	file *os.File
	conn syscall.RawConn
}

func newWaiter(fd int) (*waiter, error) {
	own, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	// Only a descriptor that does not block is given to the netpoller.
	if err := syscall.SetNonblock(int(own), true); err != nil {
		syscall.Close(int(own))
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(own, "conductor")
	conn, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &waiter{file, conn}, nil
}

func (w *waiter) wait(ctx context.Context, ended <-chan struct{}, step func() (bool, error)) error {
	wake := func() { w.file.SetReadDeadline(time.Unix(1, 0)) }
	stop := context.AfterFunc(ctx, wake)
	defer stop()
	watching := make(chan struct{})
	defer close(watching)
	if ended != nil {
		go func() {
			select {
			case <-ended:
				wake()
			case <-watching:
			}
		}()
	}
	var failure error
	err := w.conn.Read(func(uintptr) bool {
		select {
		case <-ended:
			failure = ErrClosed
			return true
		default:
		}
		done, err := step()
		failure = err
		return done || err != nil
	})
	switch {
	case failure != nil:
		return failure
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	select {
	case <-ended:
		return ErrClosed
	default:
		return err
	}
}
