package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"context"
	"iter"
	"runtime"
)

// Conductor is an opened root.
type Conductor struct {
	handle *handle[*C.conductor]
}

// Open opens a root, which need not exist yet. The empty root is the one that the environment names:
// CONDUCTOR_ROOT, inside an agent the root of its task, else ~/run-agent. Opening changes nothing.
func Open(root string) (*Conductor, error) { return OpenWith(root, Options{}) }

// OpenWith opens a root with options.
func OpenWith(root string, how Options) (*Conductor, error) {
	opts, err := options(how)
	if err != nil {
		return nil, err
	}
	defer C.conductor_options_free(opts)
	var pin runtime.Pinner
	defer pin.Unpin()
	var out *C.conductor
	var cerr *C.conductor_error
	if err := toError(C.conductor_open(cstr(&pin, root), opts, &out, &cerr), cerr); err != nil {
		return nil, err
	}
	return &Conductor{newHandle(out, func(c *C.conductor) { C.conductor_free(c) })}, nil
}

// Close lets go of the root. What runs goes on, and what was opened from it stays open.
func (c *Conductor) Close() error {
	c.handle.close()
	return nil
}

// Root is the path of the root; empty once it is closed.
func (c *Conductor) Root() string {
	object, err := c.handle.use()
	if err != nil {
		return ""
	}
	defer c.handle.done()
	return gostr(C.conductor_root(object))
}

// StartJob starts one run. It returns when the agent runs and its record is on disk.
func (c *Conductor) StartJob(ctx context.Context, spec JobSpec) (*Run, error) {
	var out *C.conductor_run
	err := c.start(ctx, spec, func(object *C.conductor, opts *C.conductor_options, cancel *C.conductor_cancel) error {
		var cerr *C.conductor_error
		return toError(C.conductor_job_start(object, opts, cancel, &out, &cerr), cerr)
	})
	if err != nil {
		return nil, err
	}
	return newRun(out)
}

// StartTask starts a task, goes on with one that is unfinished, or attaches to one that another process
// drives. The next attempt is started by whoever is inside Wait or Follow of the task.
func (c *Conductor) StartTask(ctx context.Context, spec TaskSpec) (*Task, error) {
	return c.startTask(ctx, spec, false)
}

// ResumeTask starts a task that is done or gave up once more, as a continuation.
func (c *Conductor) ResumeTask(ctx context.Context, spec TaskSpec) (*Task, error) {
	return c.startTask(ctx, spec, true)
}

func (c *Conductor) startTask(ctx context.Context, spec TaskSpec, resume bool) (*Task, error) {
	var out *C.conductor_task
	err := c.start(ctx, spec, func(object *C.conductor, opts *C.conductor_options, cancel *C.conductor_cancel) error {
		var cerr *C.conductor_error
		if resume {
			return toError(C.conductor_task_resume(object, opts, cancel, &out, &cerr), cerr)
		}
		return toError(C.conductor_task_start(object, opts, cancel, &out, &cerr), cerr)
	})
	if err != nil {
		return nil, err
	}
	return newTask(out), nil
}

func (c *Conductor) start(
	ctx context.Context, spec any,
	call func(*C.conductor, *C.conductor_options, *C.conductor_cancel) error,
) error {
	object, err := c.handle.use()
	if err != nil {
		return err
	}
	defer c.handle.done()
	opts, err := options(spec)
	if err != nil {
		return err
	}
	defer C.conductor_options_free(opts)
	return cancelling(ctx, func(cancel *C.conductor_cancel) error { return call(object, opts, cancel) })
}

// Run is a run that exists, whoever started it; the newest of the task where run is empty.
func (c *Conductor) Run(project, task, run string) (*Run, error) {
	object, err := c.handle.use()
	if err != nil {
		return nil, err
	}
	defer c.handle.done()
	var pin runtime.Pinner
	defer pin.Unpin()
	var out *C.conductor_run
	var cerr *C.conductor_error
	status := C.conductor_run_open(object, cstr(&pin, project), cstr(&pin, task), cstr(&pin, run), &out, &cerr)
	if err := toError(status, cerr); err != nil {
		return nil, err
	}
	return newRun(out)
}

// Task is a task that exists, to be looked at, waited for and stopped. It never drives.
func (c *Conductor) Task(project, task string) (*Task, error) {
	return c.openTask(project, task, false)
}

// AttachTask is a task that was started before, to be driven as it was asked for then.
func (c *Conductor) AttachTask(project, task string) (*Task, error) {
	return c.openTask(project, task, true)
}

func (c *Conductor) openTask(project, task string, drive bool) (*Task, error) {
	object, err := c.handle.use()
	if err != nil {
		return nil, err
	}
	defer c.handle.done()
	var pin runtime.Pinner
	defer pin.Unpin()
	var out *C.conductor_task
	var cerr *C.conductor_error
	var status C.conductor_status
	if drive {
		status = C.conductor_task_attach(object, cstr(&pin, project), cstr(&pin, task), &out, &cerr)
	} else {
		status = C.conductor_task_open(object, cstr(&pin, project), cstr(&pin, task), &out, &cerr)
	}
	if err := toError(status, cerr); err != nil {
		return nil, err
	}
	return newTask(out), nil
}

// Bus is the bus of a project; with a task, of that task.
func (c *Conductor) Bus(project, task string) (*Bus, error) {
	object, err := c.handle.use()
	if err != nil {
		return nil, err
	}
	defer c.handle.done()
	var pin runtime.Pinner
	defer pin.Unpin()
	var out *C.conductor_bus
	var cerr *C.conductor_error
	status := C.conductor_bus_open(object, cstr(&pin, project), cstr(&pin, task), &out, &cerr)
	if err := toError(status, cerr); err != nil {
		return nil, err
	}
	return &Bus{newHandle(out, func(b *C.conductor_bus) { C.conductor_bus_free(b) })}, nil
}

// Projects are the ids of the projects.
func (c *Conductor) Projects(ctx context.Context) ([]string, error) {
	var ids []string
	for project, err := range listed[struct {
		ID string `json:"project_id"`
	}](ctx, c, ListOptions{}) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, project.ID)
	}
	return ids, nil
}

// Tasks are the tasks of a project. One that cannot be read is an error, and the loop goes on.
func (c *Conductor) Tasks(ctx context.Context, how ListOptions) iter.Seq2[TaskInfo, error] {
	how.Task = ""
	return listed[TaskInfo](ctx, c, how)
}

// Runs are the runs of a task. One that cannot be read is an error, and the loop goes on.
func (c *Conductor) Runs(ctx context.Context, how ListOptions) iter.Seq2[RunInfo, error] {
	return listed[RunInfo](ctx, c, how)
}

func listed[T any](ctx context.Context, c *Conductor, how ListOptions) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		reader, err := c.read(how, func(object *C.conductor, opts *C.conductor_options, out **C.conductor_reader) error {
			var cerr *C.conductor_error
			return toError(C.conductor_list(object, opts, out, &cerr), cerr)
		})
		if err != nil {
			yield(none, err)
			return
		}
		each(ctx, reader, nil, yield)
	}
}

func (c *Conductor) read(
	how any, open func(*C.conductor, *C.conductor_options, **C.conductor_reader) error,
) (*C.conductor_reader, error) {
	object, err := c.handle.use()
	if err != nil {
		return nil, err
	}
	defer c.handle.done()
	opts, err := options(how)
	if err != nil {
		return nil, err
	}
	defer C.conductor_options_free(opts)
	var reader *C.conductor_reader
	err = open(object, opts, &reader)
	return reader, err
}

// Reconcile writes down the ends of runs that nobody saw ending, once in all, and gives their records.
func (c *Conductor) Reconcile(ctx context.Context) ([]RunInfo, error) {
	object, err := c.handle.use()
	if err != nil {
		return nil, err
	}
	defer c.handle.done()
	var reader *C.conductor_reader
	err = cancelling(ctx, func(cancel *C.conductor_cancel) error {
		var cerr *C.conductor_error
		return toError(C.conductor_reconcile(object, cancel, &reader, &cerr), cerr)
	})
	if err != nil {
		return nil, err
	}
	return all[RunInfo](ctx, reader)
}
