package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"context"
	"strconv"
	"time"
)

// RunInfo is what is known of a run. A nil number is unknown, never zero.
type RunInfo struct {
	RunID            string
	ProjectID        string
	TaskID           string
	ParentRunID      string
	PreviousRunID    string
	Agent            string
	AgentVersion     string
	Status           string // "running", "completed", "failed", "unknown"
	Phase            string // where a run that has not ended stands
	Outcome          string // how it ended; empty while it lives
	ErrorSummary     string
	ErrorClass       string
	StopReason       string
	ExitCode         *int64 // 128 + n for death by signal n
	Signal           *int64
	Pid              *int64
	Pgid             *int64
	StartTime        time.Time
	EndTime          time.Time
	LimitReset       time.Time
	Account          string // account whose usage limit holds for it
	WaitingFor       string // what it waits for before it may start
	WaitingUntil     time.Time
	Cwd              string
	Folder           string
	PromptPath       string
	OutputPath       string
	StdoutPath       string
	StderrPath       string
	Commandline      string
	ProcessOwnership string
	Alive            *bool // nil where only a number of a process is known
	Version          *int64
	Rev              *int64
	ProcessStart     *int64
	BootID           string
	PidNs            *int64
	KeeperPid        *int64
	KeeperStart      *int64
	Series           *int64
	StartMsg         Cursor
	StopMsg          Cursor
	SessionID        string
	Model            string
	Parser           string // form of its output, where it is not the one of its kind
	Usage            Usage
	CostUsd          *float64
}

// Usage is what a run cost in tokens. Nil is unknown.
type Usage struct {
	InputTokens         *int64
	OutputTokens        *int64
	CacheReadTokens     *int64
	CacheCreationTokens *int64
}

// TaskInfo is what is known of a task.
type TaskInfo struct {
	ProjectID    string
	TaskID       string
	Folder       string
	Status       string // in one word
	Runs         int64
	Done         bool
	Attempts     *int64 // of its present loop
	DriverPid    *int64 // nil where nobody drives it
	BlockedBy    []string
	Waiting      Waiting
	Outcome      string // "done", "gave_up", "stopped"; empty while it has not ended
	Reason       string
	Latest       *RunInfo
	LastActivity time.Time
}

// Waiting is what a task waits for.
type Waiting struct {
	For   string
	Since time.Time
	Until time.Time
}

// TaskResult is how a task ended.
type TaskResult struct {
	Outcome  string // "done", "gave_up", "stopped"
	Reason   string
	Attempts int64
	RunID    string // last attempt
}

// Stopped is what stopping did.
type Stopped struct {
	Signalled []string // runs that were asked to end
	Killed    int64    // processes that had to be killed
}

// Output is a piece of what a run wrote: whole lines, where lines are not longer than 64 KiB.
type Output struct {
	Text   string
	Offset int64 // first byte of it in the file
}

// part reads the fields of a record, or of a group in it.
type part struct {
	record *C.conductor_record
	prefix string
}

func (p part) text(key string) string { return field(p.record, p.prefix+key) }

func (p part) number(key string) *int64 { return number(p.record, p.prefix+key) }

func (p part) moment(key string) time.Time { return moment(p.text(key)) }

func (p part) flag(key string) *bool {
	value, err := strconv.ParseBool(p.text(key))
	if err != nil {
		return nil
	}
	return &value
}

func (p part) count(key string) int64 {
	if value := p.number(key); value != nil {
		return *value
	}
	return 0
}

func (p part) decimal(key string) *float64 {
	value, err := strconv.ParseFloat(p.text(key), 64)
	if err != nil {
		return nil
	}
	return &value
}

func toRunInfo(record *C.conductor_record) RunInfo { return part{record, ""}.runInfo() }

func (p part) runInfo() RunInfo {
	return RunInfo{
		RunID: p.text("run_id"), ProjectID: p.text("project_id"), TaskID: p.text("task_id"),
		ParentRunID: p.text("parent_run_id"), PreviousRunID: p.text("previous_run_id"),
		Agent: p.text("agent"), AgentVersion: p.text("agent_version"), Status: p.text("status"),
		Phase: p.text("phase"), Outcome: p.text("outcome"), ErrorSummary: p.text("error_summary"),
		ErrorClass: p.text("error_class"), StopReason: p.text("stop_reason"),
		ExitCode: p.number("exit_code"), Signal: p.number("signal"), Pid: p.number("pid"),
		Pgid: p.number("pgid"), StartTime: p.moment("start_time"), EndTime: p.moment("end_time"),
		LimitReset: p.moment("limit_reset"), Account: p.text("account"),
		WaitingFor: p.text("waiting_for"), WaitingUntil: p.moment("waiting_until"), Cwd: p.text("cwd"), Folder: p.text("folder"),
		PromptPath: p.text("prompt_path"), OutputPath: p.text("output_path"),
		StdoutPath: p.text("stdout_path"), StderrPath: p.text("stderr_path"),
		Commandline: p.text("commandline"), ProcessOwnership: p.text("process_ownership"),
		Alive: p.flag("alive"), Version: p.number("version"), Rev: p.number("rev"),
		ProcessStart: p.number("process_start"), BootID: p.text("boot_id"), PidNs: p.number("pid_ns"),
		KeeperPid: p.number("keeper_pid"), KeeperStart: p.number("keeper_start"),
		Series: p.number("series"), StartMsg: Cursor(p.text("start_msg")),
		StopMsg: Cursor(p.text("stop_msg")), SessionID: p.text("session_id"), Model: p.text("model"), Parser: p.text("parser"),
		Usage: Usage{
			InputTokens: p.number("usage.input_tokens"), OutputTokens: p.number("usage.output_tokens"),
			CacheReadTokens:     p.number("usage.cache_read_tokens"),
			CacheCreationTokens: p.number("usage.cache_creation_tokens"),
		},
		CostUsd: p.decimal("cost_usd"),
	}
}

func toTaskInfo(record *C.conductor_record) TaskInfo {
	p := part{record, ""}
	info := TaskInfo{
		ProjectID: p.text("project_id"), TaskID: p.text("task_id"), Folder: p.text("folder"),
		Status: p.text("status"), Runs: p.count("runs"), Done: p.text("done") == "true",
		Attempts: p.number("attempts"), DriverPid: p.number("driver_pid"),
		BlockedBy: list(record, "blocked_by"),
		Waiting: Waiting{
			For: p.text("waiting.for"), Since: p.moment("waiting.since"), Until: p.moment("waiting.until"),
		},
		Outcome: p.text("outcome"), Reason: p.text("reason"), LastActivity: p.moment("last_activity"),
	}
	if p.text("latest.run_id") != "" {
		latest := part{record, "latest."}.runInfo()
		info.Latest = &latest
	}
	return info
}

func toTaskResult(record *C.conductor_record) TaskResult {
	p := part{record, ""}
	return TaskResult{
		Outcome: p.text("outcome"), Reason: p.text("reason"), Attempts: p.count("attempts"),
		RunID: p.text("run_id"),
	}
}

func toStopped(record *C.conductor_record) Stopped {
	return Stopped{Signalled: list(record, "signalled"), Killed: part{record, ""}.count("killed")}
}

func toOutput(record *C.conductor_record) Output {
	p := part{record, ""}
	return Output{Text: p.text("text"), Offset: p.count("offset")}
}

// unreadable is the error of an entry of a list that cannot be read.
func unreadable(record *C.conductor_record) error {
	p := part{record, ""}
	message := p.text("error")
	if message == "" {
		return nil
	}
	return &Error{
		Kind: ErrCorrupt, Code: p.text("error_code"), Message: message, Path: p.text("error_path"),
		Hint: "look at " + p.text("project_id") + "/" + p.text("task_id") + "/" + p.text("run_id"),
	}
}

// each gives every record of a reader to yield, and frees the reader.
func each[T any](
	ctx context.Context, reader *C.conductor_reader, ended <-chan struct{},
	yield func(T, error) bool, to func(*C.conductor_record) T,
) {
	defer C.conductor_reader_free(reader)
	var none T
	next := newReading(reader)
	defer next.close()
	for {
		record, err := next.record(ctx, ended)
		if err != nil {
			yield(none, err)
			return
		}
		if record == nil {
			return
		}
		value, damage := to(record), unreadable(record)
		C.conductor_record_free(record)
		if !yield(value, damage) {
			return
		}
	}
}

// reading is a reader that one goroutine reads from.
type reading struct {
	reader *C.conductor_reader
	waiter *waiter
}

func newReading(reader *C.conductor_reader) *reading { return &reading{reader: reader} }

func (r *reading) close() {
	if r.waiter != nil {
		r.waiter.file.Close()
	}
}

// record gives the next record, yours to free; nil at the end.
func (r *reading) record(ctx context.Context, ended <-chan struct{}) (*C.conductor_record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out *C.conductor_record
	step := func() (bool, error) {
		var cerr *C.conductor_error
		status := C.conductor_reader_next(r.reader, 0, nil, &out, &cerr)
		if status == C.CONDUCTOR_TIMEOUT {
			return false, nil
		}
		return true, toError(status, cerr)
	}
	if done, err := step(); done || err != nil {
		return out, err
	}
	if r.waiter == nil {
		waiter, err := newWaiter(int(C.conductor_reader_fd(r.reader)))
		if err != nil {
			return nil, err
		}
		r.waiter = waiter
	}
	r.waiter.file.SetReadDeadline(time.Time{})
	err := r.waiter.wait(ctx, ended, step)
	return out, err
}
