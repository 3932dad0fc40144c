package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"context"
	"math"
	"time"
)

// OutboxEvent is an event that waits for the webhook.
type OutboxEvent struct {
	EventID     string    `json:"event_id"` // what the receiver knows it by; the same at each try
	Event       string    `json:"event"`    // "run_start", "run_stop", "task_done", "task_failed", "waiting", "budget"
	At          time.Time `json:"at,omitzero"`
	Attempts    int64     `json:"attempts"`
	NextAttempt time.Time `json:"next_attempt,omitzero"` // not tried again before
	Error       string    `json:"error,omitempty"`       // why the last try failed
	Body        string    `json:"body"`                  // what is told: one JSON object
}

// Delivery is what became of what waited for the webhook.
type Delivery struct {
	Delivered   int64     `json:"delivered"`
	Failed      int64     `json:"failed"` // tries that failed
	Left        int64     `json:"left"`
	GivenUp     int64     `json:"given_up"`        // nobody took them for days; they no longer wait
	Error       string    `json:"error,omitempty"` // why the last try failed
	NextAttempt time.Time `json:"next_attempt,omitzero"`
}

// Outbox is what waits for the webhook, the oldest first. It reads only.
func (c *Conductor) Outbox(ctx context.Context) ([]OutboxEvent, error) {
	object, err := c.handle.use()
	if err != nil {
		return nil, err
	}
	defer c.handle.done()
	var reader *C.conductor_reader
	var cerr *C.conductor_error
	if err := toError(C.conductor_outbox(object, &reader, &cerr), cerr); err != nil {
		return nil, err
	}
	return all[OutboxEvent](ctx, reader)
}

// How long a delivery takes at most whose context has no deadline.
const unlimitedDelivery = 5 * time.Second

// Deliver tells the configured webhook what is due, and what becomes due before the context's deadline, or
// within five seconds where it has none. The deadline is no error, the context's cancellation is.
//
// The library calls nobody by itself: a program that wants events told calls this at its end, or in a
// goroutine beside its work. Several processes may do so at once: each event is told by one of them.
func (c *Conductor) Deliver(ctx context.Context) (Delivery, error) {
	object, err := c.handle.use()
	if err != nil {
		return Delivery{}, err
	}
	defer c.handle.done()
	if ctx.Err() == context.Canceled {
		return Delivery{}, ctx.Err()
	}
	limit := C.int64_t(unlimitedDelivery.Milliseconds())
	if deadline, ok := ctx.Deadline(); ok {
		limit = C.int64_t(math.Ceil(max(0, time.Until(deadline).Seconds()*1000)))
	}
	// The deadline is the call's own: it is not to be cancelled by it.
	cancelled, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	unhook := context.AfterFunc(ctx, func() {
		if ctx.Err() == context.Canceled {
			stop()
		}
	})
	defer unhook()
	var out *C.conductor_record
	err = cancelling(cancelled, func(cancel *C.conductor_cancel) error {
		var cerr *C.conductor_error
		return toError(C.conductor_outbox_deliver(object, limit, cancel, &out, &cerr), cerr)
	})
	if err != nil {
		return Delivery{}, err
	}
	return decode[Delivery](out)
}
