//! Sizes and times that bound what conductor reads, writes and waits for.

use std::time::Duration;

/// The largest body of one message that a writer accepts by default, in bytes.
pub const MESSAGE_BODY: usize = 1 << 20;
/// The largest body that the format allows, in bytes, before escaping.
pub const MESSAGE_BODY_HARD: usize = 16 << 20;
/// The largest stored body that a reader accepts, in bytes: every body escaped at the worst.
pub const MESSAGE_STORED_HARD: usize = 2 * MESSAGE_BODY_HARD;
/// The largest header of one message, in bytes.
pub const MESSAGE_HEADER: usize = 64 << 10;
/// The largest `run-info.yaml` or other small YAML file that is read, in bytes.
pub const YAML_FILE: u64 = 4 << 20;
/// The largest configuration file, in bytes.
pub const CONFIG_FILE: u64 = 64 << 10;
/// The largest file of a token, in bytes.
pub const TOKEN_FILE: u64 = 64 << 10;
/// The largest prompt, in bytes.
pub const PROMPT_SIZE: u64 = 64 << 20;
/// How long a writer waits for the lock of a bus.
pub const BUS_LOCK: Duration = Duration::from_secs(10);
/// How long a writer waits for the lock of a run's record.
pub const RECORD_LOCK: Duration = Duration::from_secs(5);
/// How long an agent's program may be asked about itself where nobody says how long to wait.
pub const PROBE: Duration = Duration::from_secs(60);
/// How long the keeper may take to start and to report the agent's identity.
pub const KEEPER_START: Duration = Duration::from_secs(10);
/// The time between the polite signal and the one that cannot be ignored.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long an agent that told its result may take to exit, unless its task says otherwise.
pub const RESULT_GRACE: Duration = Duration::from_secs(60);
/// The longest time between two looks at the truth while a notification is awaited.
pub const SAFETY_POLL: Duration = Duration::from_secs(30);
/// The same where the kernel tells of all that can happen: the end of a process, names in a folder. A
/// driver with a silent agent costs nothing then.
pub const CALM_POLL: Duration = Duration::from_secs(600);
/// Attempts of a task unless it says otherwise.
pub const MAX_ATTEMPTS: u32 = 100;
/// The pause between two attempts of a task unless it says otherwise.
pub const RESTART_DELAY: Duration = Duration::from_secs(1);
/// The longest pause between two attempts that failed, where the task's own is not longer.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause between two attempts whose service is overloaded or out of reach.
pub const LONGEST_OUTAGE_PAUSE: Duration = Duration::from_secs(300);
/// Attempts in a row that never began, after which a task gives up.
pub const MAX_REFUSALS: u32 = 20;
/// The free space below which no run is started, in bytes.
pub const MIN_FREE_SPACE: u64 = 16 << 20;
/// How long an account is left alone whose usage limit does not say when it ends: before the first
/// probe, the second, and so on; the last one counts for all further ones.
pub const PROBES: [Duration; 5] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(20 * 60),
    Duration::from_secs(40 * 60),
    Duration::from_secs(60 * 60),
];
/// The shortest hold of an account, also where its limit is said to end sooner.
pub const SHORTEST_HOLD: Duration = Duration::from_secs(60);
/// No limit of an account ends later than that; what says otherwise is not believed.
pub const LONGEST_HOLD: Duration = Duration::from_secs(32 * 86_400);
/// How long a finished task waits for its running children.
pub const CHILD_WAIT: Duration = Duration::from_secs(300);
/// How long the completion check of a task may take unless the task says otherwise.
pub const VERIFY: Duration = Duration::from_secs(600);
/// Running children of one run.
pub const MAX_CHILDREN: usize = 8;
/// Events that wait for the webhook's receiver; beyond that the oldest are given up.
pub const OUTBOX_EVENTS: usize = 4096;
/// How long the tries of an event may fail, from the first one on, before it is given up.
pub const OUTBOX_AGE: Duration = Duration::from_secs(3 * 24 * 3600);
/// How often an event is tried at least before it is given up.
pub const OUTBOX_TRIES: u32 = 10;
/// How long one call of the webhook may take unless the configuration says otherwise.
pub const WEBHOOK_CALL: Duration = Duration::from_secs(10);
/// How long a command calls the webhook at its end unless the configuration says otherwise.
pub const WEBHOOK_AT_EXIT: Duration = Duration::from_secs(5);

/// How long a new program of a server may take for each answer, before the old one returns.
pub const UPDATE_HEALTH: Duration = Duration::from_secs(30);
/// What is kept of each output stream of a run, in bytes, unless it says otherwise.
pub const OUTPUT: u64 = 1 << 30;
