// Package conductor runs AI agents as restartable tasks whose whole state is plain files below one
// root. There is no daemon.
//
// A [Conductor] is an opened root. It starts single runs ([Conductor.StartJob]) and tasks
// ([Conductor.StartTask]), reads what ran, and opens message buses ([Conductor.Bus]).
//
// Everything that waits takes a context. Its end ends the wait, never the work: runs live on without
// this process. A wait costs a goroutine, not a thread: descriptors of the C library are polled by
// Go's own netpoller. All methods may be called from several goroutines at a time, and Close may be
// called while others wait or follow: they end with [ErrClosed].
//
// The package links libconductor through pkg-config ("conductor"); with the build tag
// conductor_static it links the archive ("conductor-static").
package conductor

/*
#cgo !conductor_static pkg-config: conductor
#cgo conductor_static pkg-config: conductor-static
// Go's build cache knows flags, and not what pkg-config said: two ways to link are two packages to it.
#cgo conductor_static CFLAGS: -DCONDUCTOR_STATIC
#include <stdlib.h>
#include <conductor.h>
*/
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// cstr lends a Go string to one call, which never keeps it. The bytes are not copied: the runtime
// keeps them where they are during the call.
func cstr(pin *runtime.Pinner, s string) C.conductor_str {
	if s == "" {
		return C.conductor_str{}
	}
	data := unsafe.StringData(s)
	pin.Pin(data)
	return C.conductor_str{ptr: (*C.char)(unsafe.Pointer(data)), len: C.size_t(len(s))}
}

func gostr(s C.conductor_str) string {
	return C.GoStringN(s.ptr, C.int(s.len))
}

// bytes lends what a record holds to Go, until the record is freed.
func bytes(s C.conductor_str) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(s.ptr)), int(s.len))
}

// field reads one text of a record.
func field(record *C.conductor_record, key string) string {
	var pin runtime.Pinner
	defer pin.Unpin()
	return gostr(C.conductor_record_text(record, cstr(&pin, key)))
}

// group reads named texts.
func group(record *C.conductor_record, key string) map[string]string {
	var pin runtime.Pinner
	defer pin.Unpin()
	ckey := cstr(&pin, key)
	count := int(C.conductor_record_count(record, ckey))
	if count == 0 {
		return nil
	}
	texts := make(map[string]string, count)
	for i := range count {
		name := gostr(C.conductor_record_name(record, ckey, C.size_t(i)))
		texts[name] = field(record, key+"."+name)
	}
	return texts
}

// part reads the fields of a record, or of a group in it.
type part struct {
	record *C.conductor_record
	prefix string
}

func (p part) text(key string) string { return field(p.record, p.prefix+key) }

// count is a number that is always known.
func (p part) count(key string) int64 {
	var pin runtime.Pinner
	defer pin.Unpin()
	return int64(C.conductor_record_int(p.record, cstr(&pin, p.prefix+key), 0))
}

// moment reads a time; the zero time where it is not known.
func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return at
}
