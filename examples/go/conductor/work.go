package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"context"
	"iter"
	"strings"
)

// Run is one execution of one agent. It lives on without this process.
type Run struct {
	ID, Project, Task string
	handle            *handle[*C.conductor_run]
}

func newRun(object *C.conductor_run) (*Run, error) {
	run := &Run{handle: newHandle(object, func(r *C.conductor_run) { C.conductor_run_free(r) })}
	info, err := run.Info()
	if err != nil {
		run.Close()
		return nil, err
	}
	run.ID, run.Project, run.Task = info.RunID, info.ProjectID, info.TaskID
	return run, nil
}

// Close lets go of the run, which goes on; who waits for it gets ErrClosed.
func (r *Run) Close() error {
	r.handle.close()
	return nil
}

// Info is what is known of the run now.
func (r *Run) Info() (RunInfo, error) {
	object, err := r.handle.use()
	if err != nil {
		return RunInfo{}, err
	}
	defer r.handle.done()
	var out *C.conductor_record
	var cerr *C.conductor_error
	if err := toError(C.conductor_run_info(object, &out, &cerr), cerr); err != nil {
		return RunInfo{}, err
	}
	return decode[RunInfo](out)
}

// Why says why the run stands where it stands: the evidence, and what to do next.
func (r *Run) Why() (Why, error) {
	object, err := r.handle.use()
	if err != nil {
		return Why{}, err
	}
	defer r.handle.done()
	var out *C.conductor_record
	var cerr *C.conductor_error
	if err := toError(C.conductor_run_why(object, &out, &cerr), cerr); err != nil {
		return Why{}, err
	}
	return decode[Why](out)
}

// Wait waits for the run's end. The end of the context ends the wait, never the run.
func (r *Run) Wait(ctx context.Context) (RunInfo, error) {
	object, err := r.handle.use()
	if err != nil {
		return RunInfo{}, err
	}
	defer r.handle.done()
	var out *C.conductor_record
	err = poll(ctx, r.handle.ended, C.conductor_run_fd(object), func() (bool, error) {
		var cerr *C.conductor_error
		status := C.conductor_run_wait(object, 0, nil, &out, &cerr)
		if status == C.CONDUCTOR_TIMEOUT {
			return false, nil
		}
		return true, toError(status, cerr)
	})
	if err != nil {
		return RunInfo{}, err
	}
	return decode[RunInfo](out)
}

// Stop ends the run: SIGTERM to its whole tree, the grace, SIGKILL, until nothing is left.
func (r *Run) Stop(ctx context.Context, reason string, how ...StopOptions) (Stopped, error) {
	object, err := r.handle.use()
	if err != nil {
		return Stopped{}, err
	}
	defer r.handle.done()
	return stop(ctx, reason, how, func(
		opts *C.conductor_options, cancel *C.conductor_cancel, out **C.conductor_record,
	) error {
		var cerr *C.conductor_error
		return toError(C.conductor_run_stop(object, opts, cancel, out, &cerr), cerr)
	})
}

func stop(
	ctx context.Context, reason string, how []StopOptions,
	call func(*C.conductor_options, *C.conductor_cancel, **C.conductor_record) error,
) (Stopped, error) {
	all := StopOptions{}
	for _, one := range how {
		all = one
	}
	if reason != "" {
		all.Reason = reason
	}
	opts, err := options(all)
	if err != nil {
		return Stopped{}, err
	}
	defer C.conductor_options_free(opts)
	var out *C.conductor_record
	err = cancelling(ctx, func(cancel *C.conductor_cancel) error { return call(opts, cancel, &out) })
	if err != nil {
		return Stopped{}, err
	}
	return decode[Stopped](out)
}

// Read gives what the run wrote, piece by piece; with Follow until the run is over.
func (r *Run) Read(ctx context.Context, how OutputOptions) iter.Seq2[Output, error] {
	return func(yield func(Output, error) bool) {
		object, err := r.handle.use()
		if err != nil {
			yield(Output{}, err)
			return
		}
		defer r.handle.done()
		opts, err := options(how)
		if err != nil {
			yield(Output{}, err)
			return
		}
		defer C.conductor_options_free(opts)
		var reader *C.conductor_reader
		var cerr *C.conductor_error
		if err := toError(C.conductor_run_output(object, opts, &reader, &cerr), cerr); err != nil {
			yield(Output{}, err)
			return
		}
		each(ctx, reader, r.handle.ended, yield)
	}
}

// Output is the run's final text; what the agent printed while there is none.
func (r *Run) Output(ctx context.Context) (string, error) {
	var text strings.Builder
	for piece, err := range r.Read(ctx, OutputOptions{}) {
		if err != nil {
			return text.String(), err
		}
		text.WriteString(piece.Text)
	}
	return text.String(), nil
}

// Task is runs of an agent until DONE stands.
type Task struct {
	handle *handle[*C.conductor_task]
}

func newTask(object *C.conductor_task) *Task {
	return &Task{newHandle(object, func(t *C.conductor_task) { C.conductor_task_free(t) })}
}

// Close lets go of the task; what runs goes on, undriven unless somebody else waits.
func (t *Task) Close() error {
	t.handle.close()
	return nil
}

// Info is what is known of the task now. It drives nothing.
func (t *Task) Info() (TaskInfo, error) {
	object, err := t.handle.use()
	if err != nil {
		return TaskInfo{}, err
	}
	defer t.handle.done()
	var out *C.conductor_record
	var cerr *C.conductor_error
	if err := toError(C.conductor_task_info(object, &out, &cerr), cerr); err != nil {
		return TaskInfo{}, err
	}
	return decode[TaskInfo](out)
}

// Wait drives the task until it ends. The end of the context ends the wait, never the task.
func (t *Task) Wait(ctx context.Context) (TaskResult, error) {
	object, err := t.handle.use()
	if err != nil {
		return TaskResult{}, err
	}
	defer t.handle.done()
	var out *C.conductor_record
	err = poll(ctx, t.handle.ended, C.conductor_task_fd(object), func() (bool, error) {
		var cerr *C.conductor_error
		status := C.conductor_task_wait(object, 0, nil, &out, &cerr)
		if status == C.CONDUCTOR_TIMEOUT {
			return false, nil
		}
		return true, toError(status, cerr)
	})
	if err != nil {
		return TaskResult{}, err
	}
	return decode[TaskResult](out)
}

// Follow drives the task and gives the messages of its bus; it ends with the task, or with the error of
// the context. Damage is an error of the loop, which goes on.
func (t *Task) Follow(ctx context.Context, how ...ReadOptions) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		object, err := t.handle.use()
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer t.handle.done()
		var opts *C.conductor_options
		for _, one := range how {
			if opts, err = options(one); err != nil {
				yield(Message{}, err)
				return
			}
			defer C.conductor_options_free(opts)
		}
		var reader *C.conductor_reader
		var cerr *C.conductor_error
		if err := toError(C.conductor_task_follow(object, opts, &reader, &cerr), cerr); err != nil {
			yield(Message{}, err)
			return
		}
		messages(ctx, reader, t.handle.ended, yield)
	}
}

// Stop stops the task for good: its loop, and everything that its attempt started.
func (t *Task) Stop(ctx context.Context, reason string, how ...StopOptions) (Stopped, error) {
	object, err := t.handle.use()
	if err != nil {
		return Stopped{}, err
	}
	defer t.handle.done()
	return stop(ctx, reason, how, func(
		opts *C.conductor_options, cancel *C.conductor_cancel, out **C.conductor_record,
	) error {
		var cerr *C.conductor_error
		return toError(C.conductor_task_stop(object, opts, cancel, out, &cerr), cerr)
	})
}
