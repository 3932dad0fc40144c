package conductor

/*
#include <stdbool.h>
#include <conductor.h>
*/
import "C"

import (
	"context"
	"iter"
	"runtime"
	"time"
)

// GCItem is what garbage collection does with one thing, and why.
type GCItem struct {
	Action    string    `json:"action"` // "keep", "delete", "rotate"
	Kind      string    `json:"kind"`   // "run", "task", "bus", "archive", "orphan", "temporary", "trash", "lock", "entry"
	Reason    string    `json:"reason"`
	Path      string    `json:"path"`
	Bytes     int64     `json:"bytes"`
	ProjectID string    `json:"project_id,omitempty"`
	TaskID    string    `json:"task_id,omitempty"`
	RunID     string    `json:"run_id,omitempty"`
	Status    string    `json:"status,omitempty"` // of the run
	StartTime time.Time `json:"start_time,omitzero"`
	EndTime   time.Time `json:"end_time,omitzero"`  // of other things than runs, when they last changed
	Cursor    string    `json:"cursor,omitempty"`   // the one that has yet to read an archive
	Result    string    `json:"result,omitempty"`   // "done", "gone", "kept", "failed"; empty in a plan
	KeptFor   string    `json:"kept_for,omitempty"` // why it stays for now although it was to go
	Error     string    `json:"error,omitempty"`    // why it failed
}

// GCPlanInfo is a plan as a whole.
type GCPlanInfo struct {
	Plan   string       `json:"plan"` // the policy and the moment as one text, for PlanGCAgain
	Now    time.Time    `json:"now"`  // the moment that ages are counted from
	Runs   int64        `json:"runs"` // how many the root holds
	Goals  []GCGoal     `json:"goals"`
	Errors []Unreadable `json:"errors"`
}

// GCGoal tells how far a goal of a policy is reached.
type GCGoal struct {
	Goal   string   `json:"goal"` // "max_bytes", "min_free"
	Wanted int64    `json:"wanted"`
	Now    int64    `json:"now"`   // the bytes that there are, held or free
	Short  int64    `json:"short"` // the bytes that are missing once the plan is carried out
	Held   []GCHeld `json:"held"`  // what stays, most bytes first, where the goal is not reached
}

// GCHeld is what stays, and lies in the way of a goal.
type GCHeld struct {
	What   string `json:"what"`             // "runs", "buses", "archives", "tasks", "projects", "root"
	Reason string `json:"reason,omitempty"` // of runs: why they stay
	Count  int64  `json:"count"`            // of runs: how many they are
	Bytes  int64  `json:"bytes"`
}

// GCReport is what a collection did.
type GCReport struct {
	Runs     int64        `json:"runs"`
	Tasks    int64        `json:"tasks"`
	Buses    int64        `json:"buses"`
	Archives int64        `json:"archives"`
	Strays   int64        `json:"strays"`
	Freed    int64        `json:"freed"` // the bytes of all that was deleted
	Kept     int64        `json:"kept"`  // things that stay for now although they were to go
	Failed   int64        `json:"failed"`
	Goals    []GCGoal     `json:"goals"`  // once the work is over
	Errors   []Unreadable `json:"errors"` // why; of the first hundred
}

// GCPlan is what garbage collection would do. It is judged at one moment: what came after it stays.
type GCPlan struct {
	handle *handle[*C.conductor_plan]
}

// PlanGC looks at the root, as far as it must be known to judge any of it. It changes nothing on disk.
func (c *Conductor) PlanGC(ctx context.Context, how GCOptions) (*GCPlan, error) {
	opts, err := options(how)
	if err != nil {
		return nil, err
	}
	defer C.conductor_options_free(opts)
	return c.plan(ctx, func(
		object *C.conductor, cancel *C.conductor_cancel, out **C.conductor_plan, cerr **C.conductor_error,
	) C.conductor_status {
		return C.conductor_gc_plan(object, opts, -1, cancel, out, cerr)
	})
}

// PlanGCAgain makes a plan again of its text, in whatever process that was made. It takes no more than
// that one did, unless somebody took away what kept a thing.
func (c *Conductor) PlanGCAgain(ctx context.Context, plan string) (*GCPlan, error) {
	return c.plan(ctx, func(
		object *C.conductor, cancel *C.conductor_cancel, out **C.conductor_plan, cerr **C.conductor_error,
	) C.conductor_status {
		var pin runtime.Pinner
		defer pin.Unpin()
		return C.conductor_gc_plan_again(object, cstr(&pin, plan), -1, cancel, out, cerr)
	})
}

func (c *Conductor) plan(ctx context.Context, make func(
	*C.conductor, *C.conductor_cancel, **C.conductor_plan, **C.conductor_error,
) C.conductor_status) (*GCPlan, error) {
	object, err := c.handle.use()
	if err != nil {
		return nil, err
	}
	defer c.handle.done()
	var out *C.conductor_plan
	err = cancelling(ctx, func(cancel *C.conductor_cancel) error {
		var cerr *C.conductor_error
		return toError(make(object, cancel, &out, &cerr), cerr)
	})
	if err != nil {
		return nil, err
	}
	return &GCPlan{newHandle(out, func(p *C.conductor_plan) { C.conductor_plan_free(p) })}, nil
}

// Close lets go of the plan; who carries it out gets ErrClosed between two things.
func (p *GCPlan) Close() error {
	p.handle.close()
	return nil
}

// Info is the plan as a whole.
func (p *GCPlan) Info() (GCPlanInfo, error) {
	object, err := p.handle.use()
	if err != nil {
		return GCPlanInfo{}, err
	}
	defer p.handle.done()
	var out *C.conductor_record
	var cerr *C.conductor_error
	if err := toError(C.conductor_plan_info(object, &out, &cerr), cerr); err != nil {
		return GCPlanInfo{}, err
	}
	return decode[GCPlanInfo](out)
}

// Items gives everything that is judged, what goes and what stays; each thing is looked at as it is asked
// for. One that cannot be looked at is an error, and the loop goes on. It reads only.
func (p *GCPlan) Items(ctx context.Context) iter.Seq2[GCItem, error] {
	return p.items(ctx, true)
}

// Actions gives what is to be done. It looks at less than Items.
func (p *GCPlan) Actions(ctx context.Context) iter.Seq2[GCItem, error] {
	return p.items(ctx, false)
}

func (p *GCPlan) items(ctx context.Context, all bool) iter.Seq2[GCItem, error] {
	return p.read(ctx, nil, func(object *C.conductor_plan, out **C.conductor_reader) error {
		var cerr *C.conductor_error
		return toError(C.conductor_plan_items(object, C.bool(all), out, &cerr), cerr)
	})
}

// Apply carries the plan out. What is in use, lives, or changed since the plan was made stays. The report
// is that of what was done also where the context ended first.
func (p *GCPlan) Apply(ctx context.Context) (report GCReport, err error) {
	for _, failed := range p.Applying(ctx, &report) {
		if failed != nil {
			err = failed
		}
	}
	return report, err
}

// Applying carries the plan out as the loop goes: what became of each thing, as soon as that is certain.
// Leaving the loop ends the work between two things. The report, unless it is nil, is written at the end.
func (p *GCPlan) Applying(ctx context.Context, report *GCReport) iter.Seq2[GCItem, error] {
	return p.read(ctx, report, func(object *C.conductor_plan, out **C.conductor_reader) error {
		var cerr *C.conductor_error
		return toError(C.conductor_plan_apply(object, out, &cerr), cerr)
	})
}

func (p *GCPlan) read(
	ctx context.Context, report *GCReport, open func(*C.conductor_plan, **C.conductor_reader) error,
) iter.Seq2[GCItem, error] {
	return func(yield func(GCItem, error) bool) {
		object, err := p.handle.use()
		if err != nil {
			yield(GCItem{}, err)
			return
		}
		defer p.handle.done()
		var reader *C.conductor_reader
		if err := open(object, &reader); err != nil {
			yield(GCItem{}, err)
			return
		}
		defer C.conductor_reader_free(reader)
		goOn := true
		for goOn {
			goOn = next(ctx, reader, p.handle.ended, yield)
		}
		if report != nil {
			var out *C.conductor_record
			var cerr *C.conductor_error
			if toError(C.conductor_reader_report(reader, &out, &cerr), cerr) == nil {
				*report, _ = decode[GCReport](out)
			}
		}
	}
}

// next gives the next thing of a reader that works, on this goroutine's thread; false behind the last.
func next(
	ctx context.Context, reader *C.conductor_reader, ended <-chan struct{},
	yield func(GCItem, error) bool,
) bool {
	select {
	case <-ended:
		yield(GCItem{}, ErrClosed)
		return false
	default:
	}
	var record *C.conductor_record
	err := cancelling(ctx, func(cancel *C.conductor_cancel) error {
		var cerr *C.conductor_error
		return toError(C.conductor_reader_next(reader, -1, cancel, &record, &cerr), cerr)
	})
	if err != nil {
		yield(GCItem{}, err)
		return false
	}
	if record == nil {
		return false
	}
	var damage error
	// What failed has an error too, but no code: it is an item.
	if field(record, "error_code") != "" {
		damage = unreadable(record)
	}
	item, err := decode[GCItem](record)
	if damage == nil {
		damage = err
	}
	return yield(item, damage)
}
