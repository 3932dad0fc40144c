package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"unsafe"
)

// Bus is the message log of a project or a task.
type Bus struct {
	handle *handle[*C.conductor_bus]
}

// Close lets go of the bus; who follows it gets ErrClosed.
func (b *Bus) Close() error {
	b.handle.close()
	return nil
}

// Post posts a message. Once it returns, the message survives what the root was opened for.
func (b *Bus) Post(ctx context.Context, kind, body string, how ...PostOptions) (Posted, error) {
	object, err := b.handle.use()
	if err != nil {
		return Posted{}, err
	}
	defer b.handle.done()
	var opts *C.conductor_options
	for _, one := range how {
		if opts, err = options(one); err != nil {
			return Posted{}, err
		}
		defer C.conductor_options_free(opts)
	}
	var out *C.conductor_record
	err = cancelling(ctx, func(cancel *C.conductor_cancel) error {
		var pin runtime.Pinner
		defer pin.Unpin()
		var cerr *C.conductor_error
		ckind, cbody := cstr(&pin, kind), cstr(&pin, body)
		return toError(C.conductor_bus_post(object, ckind, cbody, opts, cancel, &out, &cerr), cerr)
	})
	if err != nil {
		return Posted{}, err
	}
	defer C.conductor_record_free(out)
	p := part{out, ""}
	return Posted{p.text("msg_id"), p.count("seq"), Cursor(p.text("cursor"))}, nil
}

// Read gives what is on the bus, oldest first; with Follow also what comes, until the context ends.
// Damage is an error of the loop, which goes on; any other error is its last.
func (b *Bus) Read(ctx context.Context, how ReadOptions) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		object, err := b.handle.use()
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer b.handle.done()
		opts, err := options(how)
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer C.conductor_options_free(opts)
		var reader *C.conductor_reader
		var cerr *C.conductor_error
		if err := toError(C.conductor_bus_read(object, opts, &reader, &cerr), cerr); err != nil {
			yield(Message{}, err)
			return
		}
		messages(ctx, reader, b.handle.ended, yield)
	}
}

// Follow gives what comes after a place, as it comes, until the context ends.
func (b *Bus) Follow(ctx context.Context, after Cursor) iter.Seq2[Message, error] {
	return b.Read(ctx, ReadOptions{After: after, Follow: true})
}

// Rotation is what became of the rotation of a bus.
type Rotation struct {
	Result  string `json:"result"`            // "done", "empty", "older_writer"
	Archive string `json:"archive,omitempty"` // where the messages are now
}

// Rotate moves all that is on the bus into an archive beside it, which is read as before.
func (b *Bus) Rotate(ctx context.Context) (Rotation, error) {
	object, err := b.handle.use()
	if err != nil {
		return Rotation{}, err
	}
	defer b.handle.done()
	var out *C.conductor_record
	err = cancelling(ctx, func(cancel *C.conductor_cancel) error {
		var cerr *C.conductor_error
		return toError(C.conductor_bus_rotate(object, -1, cancel, &out, &cerr), cerr)
	})
	if err != nil {
		return Rotation{}, err
	}
	return decode[Rotation](out)
}

// BusCheck is what a look at every byte of a bus found.
type BusCheck struct {
	Messages int64        `json:"messages"`
	Files    int64        `json:"files"`
	Bytes    int64        `json:"bytes"`
	LastSeq  int64        `json:"last_seq"`
	Damaged  bool         `json:"damaged"` // messages are lost or hidden
	Findings []BusFinding `json:"findings"`
}

// BusFinding is something on a bus that is not as it should be.
type BusFinding struct {
	Kind   string `json:"kind"`
	Path   string `json:"path"`
	Offset int64  `json:"offset"`
	Len    int64  `json:"len"`
	Text   string `json:"text"`
	Damage bool   `json:"damage"` // messages are lost or hidden by it
}

// Check looks at every byte of the bus and its archives. It changes nothing.
func (b *Bus) Check() (BusCheck, error) {
	object, err := b.handle.use()
	if err != nil {
		return BusCheck{}, err
	}
	defer b.handle.done()
	var out *C.conductor_record
	var cerr *C.conductor_error
	if err := toError(C.conductor_bus_check(object, &out, &cerr), cerr); err != nil {
		return BusCheck{}, err
	}
	return decode[BusCheck](out)
}

// Consume reads on from a place that the root keeps under a name, and follows. After each message that
// take returns nil for, the place is moved behind it, durably: who takes the name up next, in whatever
// process, goes on there, and each message is taken at least once. The name has one consumer at a time,
// else ErrBusy. It ends with the error of take, of the context, or of the bus; damage is told to take as
// its error, with no message.
func (b *Bus) Consume(ctx context.Context, name string, take func(Message, error) error) error {
	object, err := b.handle.use()
	if err != nil {
		return err
	}
	defer b.handle.done()
	opts, err := options(ReadOptions{Cursor: name, Follow: true})
	if err != nil {
		return err
	}
	defer C.conductor_options_free(opts)
	var reader *C.conductor_reader
	var cerr *C.conductor_error
	if err := toError(C.conductor_bus_read(object, opts, &reader, &cerr), cerr); err != nil {
		return err
	}
	defer C.conductor_reader_free(reader)
	next := newReading(reader)
	defer next.close()
	for {
		batch, err := next.batch(ctx, b.handle.ended, 1)
		if err != nil || batch == nil {
			return err
		}
		var ended error
		giveAll(ctx, batch, b.handle.ended, func(m Message, err error) bool {
			var damage *Damage
			if err != nil && !errors.As(err, &damage) {
				ended = err
			} else {
				ended = take(m, err)
			}
			return ended == nil
		})
		if ended != nil {
			return ended
		}
		var cerr *C.conductor_error
		if err := toError(C.conductor_reader_commit(reader, &cerr), cerr); err != nil {
			return err
		}
	}
}

// messages gives what a reader of a bus reads, and frees the reader. The end of the context is the last
// error, so that nobody takes it for the end of the bus.
func messages(
	ctx context.Context, reader *C.conductor_reader, ended <-chan struct{},
	yield func(Message, error) bool,
) {
	defer C.conductor_reader_free(reader)
	next := newReading(reader)
	defer next.close()
	for {
		batch, err := next.batch(ctx, ended, 0)
		if err != nil {
			yield(Message{}, err)
			return
		}
		if batch == nil || !giveAll(ctx, batch, ended, yield) {
			return
		}
	}
}

// giveAll gives the messages of a batch, and frees it; false where no more are wanted.
func giveAll(
	ctx context.Context, batch *C.conductor_batch, ended <-chan struct{},
	yield func(Message, error) bool,
) bool {
	defer C.conductor_batch_free(batch)
	var count C.size_t
	first := C.conductor_batch_messages(batch, &count)
	all := unsafe.Slice(first, int(count))
	done := ctx.Done()
	for i := range all {
		select {
		case <-done:
			yield(Message{}, ctx.Err())
			return false
		case <-ended:
			yield(Message{}, ErrClosed)
			return false
		default:
		}
		if !yield(toMessage(batch, i, &all[i])) {
			return false
		}
	}
	return true
}
