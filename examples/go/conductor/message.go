package conductor

/*
#include <stdlib.h>
#include <conductor.h>

static void texts_of(const conductor_record *record, const conductor_str *keys, conductor_str *out,
                     size_t count) {
    size_t i;
    for (i = 0; i < count; i++) out[i] = conductor_record_text(record, keys[i]);
}
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

// The texts that every message may have, in the order of toMessage. In C's memory, so that no Go
// pointer is passed on.
var messageKeys = func() *[11]C.conductor_str {
	names := [11]string{
		"kind", "msg_id", "seq", "ts", "type", "project_id", "task_id", "run_id", "issue_id", "body",
		"cursor",
	}
	keys := new([11]C.conductor_str)
	for i, name := range names {
		keys[i] = C.conductor_str{ptr: C.CString(name), len: C.size_t(len(name))}
	}
	return keys
}()

func toMessage(record *C.conductor_record) (Message, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	texts := new([11]C.conductor_str)
	C.texts_of(record, (*C.conductor_str)(unsafe.Pointer(messageKeys)),
		(*C.conductor_str)(unsafe.Pointer(texts)), 11)
	if kind := gostr(texts[0]); kind != "message" {
		return Message{}, toDamage(record, kind)
	}
	// A number of an older program's message is not known.
	seq, _ := strconv.ParseInt(gostr(texts[2]), 10, 64)
	message := Message{
		MsgID: gostr(texts[1]), Seq: seq, Time: moment(gostr(texts[3])), Type: gostr(texts[4]),
		ProjectID: gostr(texts[5]), TaskID: gostr(texts[6]), RunID: gostr(texts[7]),
		IssueID: gostr(texts[8]), Body: gostr(texts[9]), Cursor: Cursor(gostr(texts[10])),
		Meta: group(record, "meta"),
	}
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
	return message, nil
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
