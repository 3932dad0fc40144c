package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"context"
	"time"
)

// each gives every record of a reader to yield, and frees the reader.
func each[T any](
	ctx context.Context, reader *C.conductor_reader, ended <-chan struct{},
	yield func(T, error) bool,
) {
	defer C.conductor_reader_free(reader)
	var none T
	next := newReading(reader)
	defer next.close()
	for {
		record, err := next.record(ctx, ended)
		if err != nil {
			yield(none, err)
			return
		}
		if record == nil {
			return
		}
		damage := unreadable(record)
		value, err := decode[T](record)
		if damage == nil {
			damage = err
		}
		if !yield(value, damage) {
			return
		}
	}
}

// all reads everything that a reader gives, and frees it.
func all[T any](ctx context.Context, reader *C.conductor_reader) (values []T, err error) {
	each(ctx, reader, nil, func(value T, failed error) bool {
		if failed != nil {
			err = failed
			return false
		}
		values = append(values, value)
		return true
	})
	return values, err
}

// reading is a reader that one goroutine reads from.
type reading struct {
	reader *C.conductor_reader
	waiter *waiter
}

func newReading(reader *C.conductor_reader) *reading { return &reading{reader: reader} }

func (r *reading) close() {
	if r.waiter != nil {
		r.waiter.file.Close()
	}
}

// record gives the next record, yours to free; nil at the end.
func (r *reading) record(ctx context.Context, ended <-chan struct{}) (*C.conductor_record, error) {
	var out *C.conductor_record
	err := r.until(ctx, ended, func() (bool, error) { return r.step(&out) })
	return out, err
}

// step gives the next record that is there, without waiting, and whether there is an answer.
func (r *reading) step(out **C.conductor_record) (bool, error) {
	var cerr *C.conductor_error
	status := C.conductor_reader_next(r.reader, 0, nil, out, &cerr)
	if status == C.CONDUCTOR_TIMEOUT {
		return false, nil
	}
	return true, toError(status, cerr)
}

// batch gives messages, at most so many unless most is 0, yours to free; nil at the end.
func (r *reading) batch(
	ctx context.Context, ended <-chan struct{}, most int,
) (*C.conductor_batch, error) {
	var out *C.conductor_batch
	err := r.until(ctx, ended, func() (bool, error) {
		var cerr *C.conductor_error
		status := C.conductor_reader_batch(r.reader, C.size_t(most), 0, nil, &out, &cerr)
		if status == C.CONDUCTOR_TIMEOUT {
			return false, nil
		}
		return true, toError(status, cerr)
	})
	return out, err
}

// until steps until step is done, parked on the netpoller between two steps.
func (r *reading) until(ctx context.Context, ended <-chan struct{}, step func() (bool, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if done, err := step(); done || err != nil {
		return err
	}
	if r.waiter == nil {
		waiter, err := newWaiter(int(C.conductor_reader_fd(r.reader)))
		if err != nil {
			return err
		}
		r.waiter = waiter
	}
	r.waiter.file.SetReadDeadline(time.Time{})
	return r.waiter.wait(ctx, ended, step)
}
