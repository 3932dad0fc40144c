package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"context"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"
)

// LogLine is what the library says of its own work. Secrets are masked.
type LogLine struct {
	At        time.Time      `json:"at"`
	Level     string         `json:"level"`     // "error", "warn", "info", "debug"
	Subsystem string         `json:"subsystem"` // "runner", "messagebus", "storage", "webhook"
	Event     string         `json:"event,omitempty"`
	Message   string         `json:"message,omitempty"`
	Fields    map[string]any `json:"fields"`
	Text      string         `json:"text"` // all of it as pairs on one line
}

var levels = map[string]slog.Level{
	"error": slog.LevelError, "warn": slog.LevelWarn, "info": slog.LevelInfo, "debug": slog.LevelDebug,
}

// Log gives what the library says of its own work in this process, from the loop's beginning on, until the
// context ends, whose error is the last. It is silent until somebody asks.
//
// Levels are one for all, and others for parts: "warn,runner=debug". Lines that come faster than they are
// taken are left out, and counted in a line of their own.
func Log(ctx context.Context, levels string) iter.Seq2[LogLine, error] {
	return func(yield func(LogLine, error) bool) {
		reader, err := openLog(levels)
		if err != nil {
			yield(LogLine{}, err)
			return
		}
		each(ctx, reader, nil, yield)
	}
}

func openLog(levels string) (*C.conductor_reader, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	var reader *C.conductor_reader
	var cerr *C.conductor_error
	err := toError(C.conductor_log_open(cstr(&pin, levels), &reader, &cerr), cerr)
	return reader, err
}

// LogTo passes what the library says on to a handler of slog, in a goroutine, until stop is called, which
// returns once everything that was said by then was passed on. Each record has the attributes "subsystem"
// and "event", and those that belong to it.
//
//	stop, err := conductor.LogTo(slog.Default().Handler(), "info")
func LogTo(handler slog.Handler, levels string) (stop func(), err error) {
	reader, err := openLog(levels)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		passAll(ctx, reader, handler)
	}()
	return func() { cancel(); <-ended }, nil
}

// passAll passes lines on until the context ends, and then those that wait; it frees the reader.
func passAll(ctx context.Context, reader *C.conductor_reader, handler slog.Handler) {
	defer C.conductor_reader_free(reader)
	next := newReading(reader)
	defer next.close()
	for {
		record, err := next.record(ctx, nil)
		if err != nil {
			break
		}
		pass(handler, record)
	}
	var record *C.conductor_record
	for {
		there, err := next.step(&record)
		if !there || err != nil {
			return
		}
		pass(handler, record)
	}
}

func pass(handler slog.Handler, of *C.conductor_record) {
	line, err := decode[LogLine](of)
	ctx, level := context.Background(), levels[line.Level]
	if err != nil || !handler.Enabled(ctx, level) {
		return
	}
	message := line.Message
	if message == "" {
		message = strings.ReplaceAll(line.Event, "_", " ")
	}
	record := slog.NewRecord(line.At, level, message, 0)
	record.AddAttrs(slog.String("subsystem", line.Subsystem), slog.String("event", line.Event))
	names := make([]string, 0, len(line.Fields))
	for name := range line.Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := line.Fields[name]
		// Numbers of JSON: whole ones are told as such.
		if number, ok := value.(float64); ok && number == float64(int64(number)) {
			value = int64(number)
		}
		record.AddAttrs(slog.Any(name, value))
	}
	// A handler that fails has no one to tell; slog itself does the same.
	_ = handler.Handle(ctx, record)
}
