package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"context"
	"errors"
	"runtime"
)

// Error says what went wrong, where, and the way out.
//
// Its kind is one of the sentinels below: errors.Is(err, conductor.ErrNotFound). Details are had by
// errors.As with a *Error.
type Error struct {
	Kind      error  // one of the sentinels
	Code      string // stable dotted word, as "bus.not_written"
	Message   string // one line
	Hint      string // the way out, for a person
	Path      string // file or folder that it is about
	Field     string // argument or key that it is about
	Cause     string // what the system said
	Retryable bool   // the same call may succeed later
}

func (e *Error) Error() string {
	if e.Cause != "" {
		return e.Message + ": " + e.Cause
	}
	return e.Message
}

// Unwrap gives the kind.
func (e *Error) Unwrap() error { return e.Kind }

// The kinds of errors: what the caller should do.
var (
	ErrInvalidInput     = errors.New("invalid input")
	ErrNotFound         = errors.New("not found")
	ErrAlreadyExists    = errors.New("already exists")
	ErrConflict         = errors.New("conflict")
	ErrBusy             = errors.New("busy")
	ErrExpired          = errors.New("expired")
	ErrCorrupt          = errors.New("corrupt")
	ErrTooNew           = errors.New("too new")
	ErrPermissionDenied = errors.New("permission denied")
	ErrStorageFull      = errors.New("storage full")
	ErrIO               = errors.New("io")
	ErrSpawnFailed      = errors.New("spawn failed")
	ErrUpdateRefused    = errors.New("update refused")
	ErrUpdateInProgress = errors.New("update in progress")
	ErrUnsupported      = errors.New("unsupported")
	ErrInternal         = errors.New("internal")
)

// Answers of this package itself.
var (
	// ErrClosed: the object was closed, perhaps while somebody waited on it.
	ErrClosed = errors.New("conductor: closed")
	// ErrGap: messages are missing on the bus. A *Damage says which.
	ErrGap = errors.New("messages are missing")
	// ErrForeign: somebody wrote into the file of the bus without the form of a message.
	ErrForeign = errors.New("text that is no message")
	// ErrReplaced: the file of the bus was replaced by another one.
	ErrReplaced = errors.New("the bus was replaced")
)

// Timeout and cancel of a wait are answers, and in Go the context's own errors.
var kinds = map[C.conductor_status]error{
	C.CONDUCTOR_INVALID_INPUT:      ErrInvalidInput,
	C.CONDUCTOR_NOT_FOUND:          ErrNotFound,
	C.CONDUCTOR_ALREADY_EXISTS:     ErrAlreadyExists,
	C.CONDUCTOR_CONFLICT:           ErrConflict,
	C.CONDUCTOR_BUSY:               ErrBusy,
	C.CONDUCTOR_TIMEOUT:            context.DeadlineExceeded,
	C.CONDUCTOR_CANCELLED:          context.Canceled,
	C.CONDUCTOR_EXPIRED:            ErrExpired,
	C.CONDUCTOR_CORRUPT:            ErrCorrupt,
	C.CONDUCTOR_TOO_NEW:            ErrTooNew,
	C.CONDUCTOR_PERMISSION_DENIED:  ErrPermissionDenied,
	C.CONDUCTOR_STORAGE_FULL:       ErrStorageFull,
	C.CONDUCTOR_IO:                 ErrIO,
	C.CONDUCTOR_SPAWN_FAILED:       ErrSpawnFailed,
	C.CONDUCTOR_UPDATE_REFUSED:     ErrUpdateRefused,
	C.CONDUCTOR_UPDATE_IN_PROGRESS: ErrUpdateInProgress,
	C.CONDUCTOR_UNSUPPORTED:        ErrUnsupported,
	C.CONDUCTOR_INTERNAL:           ErrInternal,
}

// toError makes an error of a status and frees the C object.
func toError(status C.conductor_status, cerr *C.conductor_error) error {
	if status == C.CONDUCTOR_OK {
		return nil
	}
	kind, known := kinds[status]
	if !known {
		kind = ErrInternal
	}
	if cerr == nil {
		return kind
	}
	defer C.conductor_error_free(cerr)
	var pin runtime.Pinner
	defer pin.Unpin()
	text := func(key string) string { return gostr(C.conductor_error_text(cerr, cstr(&pin, key))) }
	return &Error{
		Kind: kind, Code: text("code"), Message: text("message"), Hint: text("hint"),
		Path: text("path"), Field: text("field"), Cause: text("cause"),
		Retryable: text("retryable") == "true",
	}
}
