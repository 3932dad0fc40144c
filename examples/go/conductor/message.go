package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"fmt"
	"runtime"
	"strconv"
	"time"
	"unsafe"
)

// Cursor is a place on a bus as text, which any program can keep and go on from, in any language.
type Cursor string

// The ends of a bus.
const (
	Start Cursor = "start" // before the oldest message that is kept
	End   Cursor = "end"   // behind the newest: only what comes
)

// Message is a message of a bus.
type Message struct {
	MsgID     string
	Seq       int64 // its number, dense from 1; 0 for a message of an older program
	Time      time.Time
	Type      string
	ProjectID string
	TaskID    string
	RunID     string
	IssueID   string
	Body      string
	Cursor    Cursor // reading from here gives what comes after it
	Parents   []Parent
	Links     []Link
	Meta      map[string]string
}

// Parent is a message that another one answers.
type Parent struct {
	MsgID string
	Kind  string
	Meta  map[string]string
}

// Link is something that a message points to.
type Link struct {
	URL   string
	Label string
	Kind  string
}

// Posted is the receipt for a message.
type Posted struct {
	MsgID  string
	Seq    int64
	Cursor Cursor
}

// Damage stands where a message should: ErrGap, ErrCorrupt, ErrForeign or ErrReplaced. It is an error
// of the loop, which goes on behind it.
type Damage struct {
	Kind     error
	Body     string // what stands there
	Path     string
	Offset   int64 // first byte of it
	Len      int64
	AfterSeq int64 // last number before it
	FromSeq  int64 // first missing number of a gap
	ToSeq    int64 // last missing number
}

func (d *Damage) Error() string { return fmt.Sprintf("bus: %v: %s", d.Kind, d.Body) }

// Unwrap gives the kind.
func (d *Damage) Unwrap() error { return d.Kind }

var damages = map[string]error{
	"gap": ErrGap, "corrupt": ErrCorrupt, "foreign": ErrForeign, "replaced": ErrReplaced,
}

// toMessage makes a message, or the damage that stands in its place, of one of a batch.
func toMessage(batch *C.conductor_batch, index int, m *C.conductor_message) (Message, error) {
	// One copy: each text is a part of it.
	all := string(bytes(m.all))
	base := uintptr(unsafe.Pointer(m.all.ptr))
	part := func(text C.conductor_str) string {
		if text.len == 0 {
			return ""
		}
		at := uintptr(unsafe.Pointer(text.ptr)) - base
		return all[at : at+uintptr(text.len)]
	}
	message := Message{
		MsgID: part(m.msg_id), Seq: int64(m.seq), Type: part(m._type), ProjectID: part(m.project_id),
		TaskID: part(m.task_id), RunID: part(m.run_id), Body: part(m.body), Cursor: Cursor(part(m.cursor)),
	}
	if m.ts_ns != 0 {
		message.Time = time.Unix(0, int64(m.ts_ns)).UTC()
	}
	if !m.has_more {
		return message, nil
	}
	var record *C.conductor_record
	var cerr *C.conductor_error
	if err := toError(C.conductor_batch_record(batch, C.size_t(index), &record, &cerr), cerr); err != nil {
		return Message{}, err
	}
	defer C.conductor_record_free(record)
	if kind := gostr(m.kind); kind != "message" {
		return Message{}, toDamage(record, kind)
	}
	addMore(&message, record)
	return message, nil
}

// addMore adds what few messages have.
func addMore(message *Message, record *C.conductor_record) {
	var pin runtime.Pinner
	defer pin.Unpin()
	message.IssueID = field(record, "issue_id")
	message.Meta = group(record, "meta")
	for i := range int(C.conductor_record_count(record, cstr(&pin, "parents"))) {
		p := part{record, "parents." + strconv.Itoa(i) + "."}
		message.Parents = append(message.Parents, Parent{
			p.text("msg_id"), p.text("kind"), group(record, p.prefix+"meta"),
		})
	}
	for i := range int(C.conductor_record_count(record, cstr(&pin, "links"))) {
		p := part{record, "links." + strconv.Itoa(i) + "."}
		message.Links = append(message.Links, Link{p.text("url"), p.text("label"), p.text("kind")})
	}
}

func toDamage(record *C.conductor_record, kind string) error {
	p := part{record, ""}
	what, known := damages[kind]
	if !known {
		what = ErrCorrupt
	}
	return &Damage{
		Kind: what, Body: p.text("body"), Path: p.text("path"), Offset: p.count("offset"),
		Len: p.count("len"), AfterSeq: p.count("after_seq"), FromSeq: p.count("from_seq"),
		ToSeq: p.count("to_seq"),
	}
}
