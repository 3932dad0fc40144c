package conductor

import "time"

// What is known of runs and tasks. The names in JSON are those on disk and of every other language.

// RunInfo is what is known of a run. A nil number is unknown, never zero.
type RunInfo struct {
	RunID            string    `json:"run_id,omitempty"`
	ProjectID        string    `json:"project_id,omitempty"`
	TaskID           string    `json:"task_id,omitempty"`
	ParentRunID      string    `json:"parent_run_id,omitempty"`
	PreviousRunID    string    `json:"previous_run_id,omitempty"`
	Agent            string    `json:"agent,omitempty"`
	AgentVersion     string    `json:"agent_version,omitempty"`
	Status           string    `json:"status,omitempty"`  // "running", "completed", "failed", "unknown"
	Phase            string    `json:"phase,omitempty"`   // where a run that has not ended stands
	Outcome          string    `json:"outcome,omitempty"` // how it ended; empty while it lives
	ErrorSummary     string    `json:"error_summary,omitempty"`
	ErrorClass       string    `json:"error_class,omitempty"`
	StopReason       string    `json:"stop_reason,omitempty"`
	ExitCode         *int64    `json:"exit_code,omitempty"` // 128 + n for death by signal n
	Signal           *int64    `json:"signal,omitempty"`
	Pid              *int64    `json:"pid,omitempty"`
	Pgid             *int64    `json:"pgid,omitempty"`
	StartTime        time.Time `json:"start_time,omitzero"`
	EndTime          time.Time `json:"end_time,omitzero"`
	LimitReset       time.Time `json:"limit_reset,omitzero"`
	Account          string    `json:"account,omitempty"`     // whose usage limit holds for it
	WaitingFor       string    `json:"waiting_for,omitempty"` // what it waits for before it starts
	WaitingUntil     time.Time `json:"waiting_until,omitzero"`
	AgentName        string    `json:"agent_name,omitempty"`      // what work calls the agent, where that is not its kind
	ResumedSession   string    `json:"resumed_session,omitempty"` // agent's session that it was to go on with
	SleptSeconds     int64     `json:"slept_seconds,omitempty"`   // for how long the machine slept meanwhile, in seconds
	Cwd              string    `json:"cwd,omitempty"`
	Folder           string    `json:"folder,omitempty"`
	PromptPath       string    `json:"prompt_path,omitempty"`
	OutputPath       string    `json:"output_path,omitempty"`
	StdoutPath       string    `json:"stdout_path,omitempty"`
	StderrPath       string    `json:"stderr_path,omitempty"`
	Commandline      string    `json:"commandline,omitempty"`
	ProcessOwnership string    `json:"process_ownership,omitempty"`
	Attached         bool      `json:"attached,omitempty"` // whether it shares the terminal of its starter
	Alive            *bool     `json:"alive,omitempty"`    // nil where only a number of a process is known
	Version          *int64    `json:"version,omitempty"`
	Rev              *int64    `json:"rev,omitempty"`
	ProcessStart     *int64    `json:"process_start,omitempty"`
	BootID           string    `json:"boot_id,omitempty"`
	PidNs            *int64    `json:"pid_ns,omitempty"`
	KeeperPid        *int64    `json:"keeper_pid,omitempty"`
	KeeperStart      *int64    `json:"keeper_start,omitempty"`
	Series           *int64    `json:"series,omitempty"`
	StartMsg         Cursor    `json:"start_msg,omitempty"`
	StopMsg          Cursor    `json:"stop_msg,omitempty"`
	SessionID        string    `json:"session_id,omitempty"`
	Model            string    `json:"model,omitempty"`
	Parser           string    `json:"parser,omitempty"` // form of its output, where it is not the one of its kind
	Usage            Usage     `json:"usage,omitzero"`
	CostUsd          *float64  `json:"cost_usd,omitempty"`
}

// Usage is what a run cost in tokens. Nil is unknown.
type Usage struct {
	InputTokens         *int64 `json:"input_tokens,omitempty"`
	OutputTokens        *int64 `json:"output_tokens,omitempty"`
	CacheReadTokens     *int64 `json:"cache_read_tokens,omitempty"`
	CacheCreationTokens *int64 `json:"cache_creation_tokens,omitempty"`
}

// Why says why a run stands where it stands.
type Why struct {
	RunInfo
	Because  string            `json:"because"`  // what happened, in a sentence
	Evidence map[string]string `json:"evidence"` // what proves it: where it stands, and what it says
	Next     string            `json:"next"`     // what to do next
}

// TaskInfo is what is known of a task.
type TaskInfo struct {
	ProjectID    string    `json:"project_id,omitempty"`
	TaskID       string    `json:"task_id,omitempty"`
	Folder       string    `json:"folder,omitempty"`
	Status       string    `json:"status,omitempty"` // in one word
	Runs         int64     `json:"runs"`
	Done         bool      `json:"done"`
	Attempts     *int64    `json:"attempts,omitempty"`   // of its present loop
	DriverPid    *int64    `json:"driver_pid,omitempty"` // nil where nobody drives it
	BlockedBy    []string  `json:"blocked_by"`
	Waiting      Waiting   `json:"waiting,omitzero"`
	Outcome      string    `json:"outcome,omitempty"` // "done", "gave_up", "stopped"; empty while it has not ended
	Reason       string    `json:"reason,omitempty"`
	Latest       *RunInfo  `json:"latest,omitempty"`
	LastActivity time.Time `json:"last_activity,omitzero"`
}

// Waiting is what a task waits for.
type Waiting struct {
	For   string    `json:"for,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Position is the place in the line, from 1, of one that waits for a slot.
	Position int `json:"position,omitempty"`
}

// TaskResult is how a task ended.
type TaskResult struct {
	Outcome  string `json:"outcome"` // "done", "gave_up", "stopped"
	Reason   string `json:"reason,omitempty"`
	Attempts int64  `json:"attempts"`
	RunID    string `json:"run_id,omitempty"` // last attempt
}

// Stopped is what stopping did.
type Stopped struct {
	Signalled []string `json:"signalled"` // runs that were asked to end
	Killed    int64    `json:"killed"`    // processes that had to be killed
}

// Output is a piece of what a run wrote: whole lines, where lines are not longer than 64 KiB.
type Output struct {
	Text   string `json:"text"`
	Offset int64  `json:"offset"` // first byte of it in the file
}
