package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"context"
	"runtime"
)

// CancelTask marks a task as cancelled and stops it: it is not started again before ResumeTask.
func (c *Conductor) CancelTask(
	ctx context.Context, project, task, reason string, how ...StopOptions,
) (Stopped, error) {
	object, err := c.handle.use()
	if err != nil {
		return Stopped{}, err
	}
	defer c.handle.done()
	return stop(ctx, reason, how, func(
		opts *C.conductor_options, cancel *C.conductor_cancel, out **C.conductor_record,
	) error {
		var pin runtime.Pinner
		defer pin.Unpin()
		var cerr *C.conductor_error
		status := C.conductor_task_cancel(
			object, cstr(&pin, project), cstr(&pin, task), opts, cancel, out, &cerr)
		return toError(status, cerr)
	})
}

// SetBackTask takes DONE and the mark of a cancelled task away: its next start counts attempts from one.
// It starts nothing, and is ErrConflict while the task is driven or a run of it lives.
func (c *Conductor) SetBackTask(ctx context.Context, project, task string) error {
	object, err := c.handle.use()
	if err != nil {
		return err
	}
	defer c.handle.done()
	return cancelling(ctx, func(cancel *C.conductor_cancel) error {
		var pin runtime.Pinner
		defer pin.Unpin()
		var cerr *C.conductor_error
		status := C.conductor_task_set_back(object, cstr(&pin, project), cstr(&pin, task), cancel, &cerr)
		return toError(status, cerr)
	})
}

// DeleteTask deletes a task with all its runs; sums of usage keep what they used. What lives of it is
// ErrConflict, unless Force stops it first.
func (c *Conductor) DeleteTask(ctx context.Context, project, task string, how DeleteOptions) error {
	object, err := c.handle.use()
	if err != nil {
		return err
	}
	defer c.handle.done()
	opts, err := options(how)
	if err != nil {
		return err
	}
	defer C.conductor_options_free(opts)
	return cancelling(ctx, func(cancel *C.conductor_cancel) error {
		var pin runtime.Pinner
		defer pin.Unpin()
		var cerr *C.conductor_error
		status := C.conductor_task_delete(
			object, cstr(&pin, project), cstr(&pin, task), opts, cancel, &cerr)
		return toError(status, cerr)
	})
}
