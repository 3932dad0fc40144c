package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"path/filepath"
	"runtime"
	"time"
)

// UpdateStatus is where the update of a server's program stands.
type UpdateStatus struct {
	State               string    `json:"state"`  // "idle", "deferred", "applying", "failed"
	Served              bool      `json:"served"` // a server lives that can carry it out; without one nothing is held back
	BinaryPath          string    `json:"binary_path,omitempty"`
	RequestedAt         time.Time `json:"requested_at,omitzero"`
	StartedAt           time.Time `json:"started_at,omitzero"`
	FinishedAt          time.Time `json:"finished_at,omitzero"`
	ActiveRunsAtRequest int64     `json:"active_runs_at_request"`
	ActiveRunsNow       int64     `json:"active_runs_now"` // the root runs that it waits for; what cannot be read counts
	ActiveRunsError     string    `json:"active_runs_error,omitempty"`
	Step                string    `json:"step,omitempty"`              // "staging", "trying", "starting", "exchanging"
	InstalledVersion    string    `json:"installed_version,omitempty"` // what the last one brought
	LastError           string    `json:"last_error,omitempty"`        // why the last one failed
	LastNote            string    `json:"last_note,omitempty"`         // how the last one ended otherwise
}

// UpdateRequest is a wish to exchange the server's program.
type UpdateRequest struct {
	Binary         string // the new program, a file on this machine
	SHA256         string // take it only with this digest, 64 hexadecimal digits
	AllowDowngrade bool   // take it even if it is older
}

// UpdateStatus tells where the update of the root's server stands. It reads only.
func (c *Conductor) UpdateStatus() (UpdateStatus, error) {
	return c.updated(func(object *C.conductor, out **C.conductor_record, cerr **C.conductor_error) C.conductor_status {
		return C.conductor_update_status(object, out, cerr)
	})
}

// StartUpdate asks the server to exchange its program as soon as no root run is active. Nothing is
// interrupted; until it is over or cancelled, new root runs are refused with [ErrUpdateInProgress], the runs
// that the agents of living ones start are not. A wish that waits is replaced.
//
// It is an [ErrConflict] where no server lives, or while one is being made. What is wrong with the file is found
// later, and told by LastError.
func (c *Conductor) StartUpdate(request UpdateRequest) (UpdateStatus, error) {
	binary, err := filepath.Abs(request.Binary)
	if err != nil {
		return UpdateStatus{}, err
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	return c.updated(func(object *C.conductor, out **C.conductor_record, cerr **C.conductor_error) C.conductor_status {
		return C.conductor_update_start(object, cstr(&pin, binary), cstr(&pin, request.SHA256),
			C.bool(request.AllowDowngrade), out, cerr)
	})
}

// CancelUpdate takes the wish back, so that new root runs start again; the reason is recorded. It is an
// [ErrConflict] while the program is being exchanged.
func (c *Conductor) CancelUpdate(reason string) (UpdateStatus, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	return c.updated(func(object *C.conductor, out **C.conductor_record, cerr **C.conductor_error) C.conductor_status {
		return C.conductor_update_cancel(object, cstr(&pin, reason), out, cerr)
	})
}

func (c *Conductor) updated(
	call func(*C.conductor, **C.conductor_record, **C.conductor_error) C.conductor_status,
) (UpdateStatus, error) {
	object, err := c.handle.use()
	if err != nil {
		return UpdateStatus{}, err
	}
	defer c.handle.done()
	var out *C.conductor_record
	var cerr *C.conductor_error
	if err := toError(call(object, &out, &cerr), cerr); err != nil {
		return UpdateStatus{}, err
	}
	return decode[UpdateStatus](out)
}
