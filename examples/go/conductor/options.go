package conductor

/*
#include <conductor.h>
*/
import "C"

import (
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// options makes C options of the fields of a struct: MaxAttempts is "max_attempts". A zero field is
// not given.
func options(spec any) (*C.conductor_options, error) {
	opts := C.conductor_options_new()
	if opts == nil {
		return nil, ErrInternal
	}
	value := reflect.ValueOf(spec)
	for i := range value.NumField() {
		if value.Field(i).IsZero() {
			continue
		}
		for _, text := range texts(value.Field(i).Interface()) {
			if err := set(opts, OptionName(value.Type().Field(i).Name), text); err != nil {
				C.conductor_options_free(opts)
				return nil, err
			}
		}
	}
	return opts, nil
}

func set(opts *C.conductor_options, key, value string) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	var cerr *C.conductor_error
	status := C.conductor_options_set(opts, cstr(&pin, key), cstr(&pin, value), &cerr)
	return toError(status, cerr)
}

// texts writes a value as on a command line; one of a list for each item.
func texts(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case Cursor:
		return []string{string(value)}
	case []string:
		return value
	case map[string]string:
		pairs := make([]string, 0, len(value))
		for name, text := range value {
			pairs = append(pairs, name+"="+text)
		}
		return pairs
	case bool:
		return []string{strconv.FormatBool(value)}
	case int:
		return []string{strconv.Itoa(value)}
	case float64:
		return []string{strconv.FormatFloat(value, 'f', -1, 64)}
	case time.Duration:
		return []string{value.String()}
	case time.Time:
		return []string{value.UTC().Format(time.RFC3339Nano)}
	default:
		// A field of another type is a defect of this package, which a test would have found.
		panic(fmt.Sprintf("an option of type %T", value))
	}
}

// OptionName is the name of an option or a record's field in every other language: "max_attempts" for
// MaxAttempts, "parent_run_id" for ParentRunID.
func OptionName(name string) string {
	var out strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 {
			after := unicode.IsLower(runes[i-1])
			before := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if after || before {
				out.WriteByte('_')
			}
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// Options say how a root is opened. The zero value suits every program.
type Options struct {
	Config     string // the configuration, before all other places
	RunAgent   string // a working run-agent, which agents find first on their PATH
	Durability string // "disk" (default): a message survives a power cut; "process": any process's death
}

// JobSpec is one run of one agent.
type JobSpec struct {
	Project          string
	Task             string            // made of the prompt without it
	Agent            string            // "claude", "codex", "gemini", "shell", "command"
	Command          []string          // program and arguments of the agent "command"
	Prompt           string            // what to do
	PromptFile       string            // file that says what to do
	Cwd              string            // folder that the agent starts in
	ParentRunID      string            // run whose agent starts this one
	PreviousRunID    string            // run that this one goes on from
	Env              map[string]string // variables for the agent
	FirstByteTimeout time.Duration     // end a run that wrote nothing for this long
	IdleTimeout      time.Duration     // end a run whose output did not grow for this long
	TotalTimeout     time.Duration     // end a run after this long
	Grace            time.Duration     // between SIGTERM and SIGKILL
	OutputLimit      string            // most that is kept of each output stream, "256MB"
	OnOutputLimit    string            // "trim" or "stop" when an output is longer
	MaxDepth         int               // deepest nesting of runs that start runs
	MaxChildren      int               // most living runs that one agent has started
}

// TaskSpec is a task: runs of an agent until DONE stands, and Verify passes.
type TaskSpec struct {
	Project          string
	Task             string            // made of the prompt without it
	Agent            string            // "claude", "codex", "gemini", "shell", "command"
	Command          []string          // program and arguments of the agent "command"
	Prompt           string            // what to do
	PromptFile       string            // file that says what to do
	Cwd              string            // folder that the agent starts in
	ParentRunID      string            // run whose agent starts this task
	Env              map[string]string // variables for the agent
	FirstByteTimeout time.Duration     // end a run that wrote nothing for this long
	IdleTimeout      time.Duration     // end a run whose output did not grow for this long
	TotalTimeout     time.Duration     // end a run after this long
	Grace            time.Duration     // between SIGTERM and SIGKILL
	OutputLimit      string            // most that is kept of each output stream, "256MB"
	OnOutputLimit    string            // "trim" or "stop" when an output is longer
	MaxDepth         int               // deepest nesting of runs that start runs
	MaxChildren      int               // most living runs that one agent has started
	DependsOn        []string          // tasks of the project that must be ready first
	MaxAttempts      int               // most attempts
	MaxWall          time.Duration     // longest time that its attempts run, all together
	MaxTokens        int               // most tokens
	MaxCostUsd       float64           // highest cost in US dollars
	ResultGrace      time.Duration     // how long an agent that told its result may take to exit
	RestartDelay     time.Duration     // pause between two attempts
	ChildWaitTimeout time.Duration     // how long a finished task waits for its children
	Verify           string            // line for /bin/sh that says whether the work is done
	VerifyTimeout    time.Duration     // how long that may take
	OnQuestion       string            // "go_on" or "wait" while a question has no answer
	QuestionTimeout  time.Duration     // how long to wait for an answer
}

// ListOptions pick what to list: the projects; with Project its tasks; with Task too its runs.
type ListOptions struct {
	Project string
	Task    string
	Status  string // only what stands so
}

// PostOptions are what a message has besides type and text.
type PostOptions struct {
	Run    string            // run that it belongs to
	Parent []string          // messages that it answers
	Link   []string          // what it points to
	Meta   map[string]string // named texts
	Once   string            // post only where no message has this key
	Wait   time.Duration     // how long to wait for other writers
}

// ReadOptions pick messages. The zero value is all of them.
type ReadOptions struct {
	After  Cursor    // place to read from
	Tail   int       // only the last, this many
	Cursor string    // name of a kept place: as Consume does
	Type   []string  // only these types
	Run    string    // only of this run
	Since  time.Time // only posted then or later
	Until  time.Time // only posted before
	Follow bool      // go on with what comes
}

// OutputOptions pick what to read of what a run wrote.
type OutputOptions struct {
	File   string // "output" (default), "stdout", "stderr", "prompt"
	Tail   int    // only the last lines, this many
	Follow bool   // until the run is over
}

// StopOptions say how to end work.
type StopOptions struct {
	Reason string // recorded
	Force  bool   // no grace
}

// DeleteOptions say how to delete a task.
type DeleteOptions struct {
	Force bool // stop first what runs of it
}

// UsageOptions pick what to sum up. The zero value is the whole root, by project.
type UsageOptions struct {
	Project string
	Task    string
	By      string // "run", "task", "project", "agent", "day"
}

// ConfigOptions pick the configuration.
type ConfigOptions struct {
	Config string // the file; else CONDUCTOR_CONFIG of the environment, else the usual places
}

// ValidateOptions pick what to look at of this machine.
type ValidateOptions struct {
	Config      string
	Agent       string // only this one
	CheckTokens bool   // warn of each agent without a token
}

// GCOptions say what garbage collection takes. What is zero is as configured.
type GCOptions struct {
	Project         string        // only this one
	OlderThan       time.Duration // runs that ended longer ago than this
	KeepFailed      bool          // not runs that did not complete
	KeepLast        int           // not so many of the newest runs of each task
	MaxBytes        string        // the oldest, until the root holds at most this, "10GB"
	MinFree         string        // the oldest, until this much of the disk is free
	RotateBus       bool          // archive buses that are larger than BusMaxSize
	BusMaxSize      string        // "10MB"
	PruneArchives   time.Duration // archives that nobody wrote to for longer than this
	DeleteDoneTasks bool          // tasks that are done and old, and have no runs left
	Force           bool          // believe the clock although it ran ahead
}
