//! The configuration as it is kept: what was said, and nothing else.
//!
//! Every value is an `Option`: `None` is "nothing was said", and whoever uses it knows what holds then.
//! The table here is the only list of keys. The reader, the JSON Schema, the template and the list of
//! effective values walk it.

use super::given::{Given, Setting};
use super::kind::Kind;
use super::schema::{Key, Section, Settings, section};
use super::secret::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const COUNT: Kind = Kind::Count { min: 0, max: u64::MAX };
const POSITIVE: Kind = Kind::Count { min: 1, max: u64::MAX };
const ATTEMPTS: Kind = Kind::Count { min: 1, max: u32::MAX as u64 };
const PORT: Kind = Kind::Count { min: 0, max: u16::MAX as u64 };

/// The kinds of agents.
pub(super) const AGENT_TYPES: &[&str] =
    &["claude", "codex", "gemini", "perplexity", "xai", "shell", "command"];
/// What the output of an agent can be read as.
const PARSERS: &[&str] = &["text", "claude", "codex", "gemini"];
const STRATEGIES: &[&str] = &["round-robin", "weighted"];
const AUTH: &[&str] = &["token", "all", "off"];
const DURABILITIES: &[&str] = &["disk", "process"];
const ON_OUTPUT_LIMIT: &[&str] = &["trim", "stop"];
const LOG_FORMATS: &[&str] = &["auto", "human", "pairs", "json"];
const EVENTS: &[&str] = &["run_start", "run_stop", "task_done", "task_failed", "waiting", "budget"];

section! {
    /// An agent that work can name.
    Agent "agents" "the agents that work can name; each has a name of your choice" {
        kind: String = Kind::Word(AGENT_TYPES), "" "claude" "kind of agent; the entry's own name unless set";
        command: Vec<String> = Kind::Command, "" "[my-agent, --print]" "program and arguments, in place of those of its type";
        token: Secret = Kind::Secret, "" "\"sk-...\"" "token, put into the variable that the agent reads";
        token_env: String = Kind::Text, "" "OPENROUTER_API_KEY" "variable that the token is put into; that of its type unless set";
        token_file: PathBuf = Kind::Path, "" "~/.tokens/claude" "file that holds the token, readable by you alone";
        model: String = Kind::Text, "" "opus" "model that the agent is asked to use";
        base_url: String = Kind::Url, "" "http://127.0.0.1:8080/v1" "address of the service of a REST agent";
        parser: String = Kind::Word(PARSERS), "" "claude" "form of the agent's output; that of its type unless set";
        account: String = Kind::Text, "" "work" "account that its usage limit belongs to";
        env: BTreeMap<String, Secret> = Kind::Variables, "" "{LANG: C.UTF-8}" "variables for its environment";
        resume_session: bool = Kind::Flag, "false" "true" "choice to continue the agent's own session in the next attempt";
        redact: bool = Kind::Flag, "false" "true" "choice to mask known tokens in the captured output too";
    }
    named true
}

section! {
    /// How work without a named agent is shared out among several.
    Diversification "diversification" "how work that names no agent is shared out" {
        enabled: bool = Kind::Flag, "false" "true" "choice to share work out";
        strategy: String = Kind::Word(STRATEGIES), "round-robin" "weighted" "way to choose the next agent";
        agents: Vec<String> = Kind::Texts, "" "[claude, codex]" "agents to share among; all of them unless set";
        weights: Vec<u64> = Kind::Counts, "" "[3, 1]" "share of each agent, for `weighted`";
        fallback_on_failure: bool = Kind::Flag, "false" "true" "choice to try a failed job once more with another agent";
    }
}

section! {
    /// What holds for work that does not say otherwise.
    Defaults "defaults" "what holds for work that does not say otherwise" {
        agent: String = Kind::Text, "" "claude" "agent of work that names none";
        timeout: u64 = POSITIVE, "" "300" "nothing: it is taken for the sake of older files, and has no effect";
        max_concurrent_runs: u64 = COUNT, "0" "4" "most root runs at a time, over all processes; 0 is no limit";
        max_concurrent_root_tasks: u64 = COUNT, "0" "2" "most root tasks at a time; 0 is no limit";
    }
    sections {
        diversification: Diversification "how work that names no agent is shared out";
    }
}

section! {
    /// Bounds of runs and tasks.
    Limits "limits" "bounds of runs and tasks; a flag wins over TASK-CONFIG.yaml, and that over these" {
        max_attempts: u32 = ATTEMPTS, "100" "20" "most attempts of a task";
        max_wall: Duration = Kind::Duration, "" "24h" "longest time of a task, all attempts together";
        max_tokens: u64 = POSITIVE, "" "5000000" "most tokens of a task";
        max_cost_usd: f64 = Kind::Amount, "" "25.0" "highest cost of a task, in US dollars";
        max_depth: u64 = COUNT, "" "4" "deepest nesting of runs that start runs";
        max_children: u64 = COUNT, "8" "8" "most living children of a run";
        first_byte_timeout: Duration = Kind::Duration, "0s" "5m" "time after which a run that wrote nothing is ended; 0 is none";
        idle_timeout: Duration = Kind::Duration, "0s" "20m" "time after which a run whose output does not grow is ended; 0 is none";
        total_timeout: Duration = Kind::Duration, "0s" "8h" "time after which a run is ended; 0 is none";
        output_limit: u64 = Kind::Size, "1GB" "256MB" "most that is kept of each output stream; 0 is no limit";
        on_output_limit: String = Kind::Word(ON_OUTPUT_LIMIT), "trim" "stop" "answer to an output that is too long";
        grace: Duration = Kind::Duration, "10s" "30s" "time between SIGTERM and SIGKILL";
        result_grace: Duration = Kind::Duration, "60s" "2m" "time after which an agent of a task that told its result and does not exit is ended; 0 is none";
    }
}

section! {
    /// The streams of the server.
    Sse "sse" "the server's event streams" {
        poll_interval_ms: u64 = COUNT, "" "500" "nothing: the older program's pause between two looks for news; it has no effect";
        discovery_interval_ms: u64 = COUNT, "" "1000" "nothing: the older program's pause between two looks for runs; it has no effect";
        heartbeat_interval_s: u64 = COUNT, "30" "30" "pause between two signs of life, in seconds";
        max_clients_per_run: u64 = COUNT, "1000" "1000" "most clients that follow one run";
    }
}

section! {
    /// The server.
    Api "api" "the server" {
        host: String = Kind::Text, "127.0.0.1" "127.0.0.1" "address that it listens on";
        port: u16 = PORT, "14355" "14355" "port that it listens on";
        auth: String = Kind::Word(AUTH), "token" "all" "access that wants the token: every change, all, or none (loopback only)";
        auth_enabled: bool = Kind::Flag, "" "true" "older form of `auth: all`";
        api_key: Secret = Kind::Secret, "" "\"a long random text\"" "token of the server; one is made unless set";
        cors_origins: Vec<String> = Kind::Texts, "" "[http://127.0.0.1:3000]" "origins of pages that may call it";
        allowed_hosts: Vec<String> = Kind::Texts, "" "[agents.example.org]" "further names that it may be called by";
    }
    sections {
        sse: Sse "the server's event streams";
    }
}

section! {
    /// Where runs are kept.
    Storage "storage" "where runs are kept" {
        runs_dir: PathBuf = Kind::Path, "~/run-agent" "~/runs" "root folder, where neither --root nor CONDUCTOR_ROOT names one";
        extra_roots: Vec<PathBuf> = Kind::Paths, "" "[./legacy]" "further roots that the server shows";
        name: String = Kind::Text, "" "laptop" "name of the root among several machines";
    }
}

section! {
    /// The message buses.
    BusSettings "bus" "the message buses" {
        max_size: u64 = Kind::Size, "" "10MB" "size above which a bus is rotated; it is not unless set";
        durability: String = Kind::Word(DURABILITIES), "disk" "process" "accident that a posted message survives: of the disk's machine, or of a process";
    }
}

section! {
    /// Calls to a web address about what happens.
    Webhook "webhook" "calls to an address of yours about what happens" {
        url: Secret = Kind::SecretUrl, "" "https://example.org/hook" "address that is called";
        events: Vec<String> = Kind::Words(EVENTS), "" "[run_stop, task_done]" "events that are told; all unless some are named";
        secret: Secret = Kind::Secret, "" "\"shared with the receiver\"" "key that signs the calls";
        timeout: Duration = Kind::Duration, "10s" "10s" "longest time of one call";
        at_exit: Duration = Kind::Duration, "5s" "2s" "longest time that a command calls at its end; the next one goes on";
    }
}

section! {
    /// What the commands say of their own work.
    Log "log" "what the commands say of their own work, on the standard error" {
        levels: String = Kind::Text, "warn" "\"info,messagebus=debug\"" "levels: off, error, warn, info or debug for all, and others for parts";
        format: String = Kind::Word(LOG_FORMATS), "auto" "json" "form of the lines; auto is for people at a terminal, and pairs otherwise";
    }
}

section! {
    /// What garbage collection takes when its command line does not say.
    Gc "gc" "what garbage collection takes when its command line does not say" {
        older_than: Duration = Kind::Duration, "168h" "168h" "age from which a finished run may go";
        keep_failed: bool = Kind::Flag, "false" "true" "choice to keep runs that failed";
        keep_last: u64 = COUNT, "0" "3" "number of newest runs of each task to keep";
        max_bytes: u64 = Kind::Size, "" "20GB" "size that the root shall fit into, oldest runs first; 0 is no limit";
        min_free: u64 = Kind::Size, "" "5GB" "free space that shall be left on the disk; 0 is no goal";
        rotate_bus: bool = Kind::Flag, "false" "true" "choice to rotate buses that are larger than `bus.max_size`";
        prune_archives: Duration = Kind::Duration, "" "2160h" "age from which rotated buses may go";
        delete_done_tasks: bool = Kind::Flag, "false" "true" "choice to delete tasks that are done and have no runs";
    }
}

section! {
    /// The server's own update.
    Update "update" "the update of the server's own program" {
        public_key: String = Kind::Text, "" "RWQ..." "minisign key that a candidate must be signed with";
        allow_downgrade: bool = Kind::Flag, "false" "true" "choice to accept an older version";
        health_timeout: Duration = Kind::Duration, "30s" "1m" "time in which the new program must answer, else the old one returns";
    }
}

section! {
    /// The monitor of a list of tasks.
    Monitor "monitor" "the monitor of a list of tasks" {
        todo: PathBuf = Kind::Path, "TODOs.md" "TODOs.md" "list of tasks that it works through";
        interval: Duration = Kind::Duration, "30s" "1m" "pause between two passes";
        stale_after: Duration = Kind::Duration, "20m" "20m" "time without a sign of life after which a task is restarted";
        rate_limit: Duration = Kind::Duration, "2s" "2s" "pause between two starts";
    }
}

section! {
    /// Everything that a configuration file may say.
    Config "" ""
    entries {
        agents: Agent "the agents that work can name";
    }
    sections {
        defaults: Defaults "what holds for work that does not say otherwise";
        limits: Limits "bounds of runs and tasks";
        api: Api "the server";
        storage: Storage "where runs are kept";
        bus: BusSettings "the message buses";
        webhook: Webhook "calls to an address of yours";
        log: Log "what the commands say of their own work";
        gc: Gc "garbage collection";
        update: Update "the update of the server's own program";
        monitor: Monitor "the monitor of a list of tasks";
    }
}

/// Keys that are taken and do nothing: section, key, and why.
pub(super) const WITHOUT_EFFECT: &[(&str, &str, &str)] = &[
    (
        "defaults",
        "timeout",
        "the older program wants it and does not use it either; `limits` bounds the time of runs",
    ),
    ("sse", "poll_interval_ms", TOLD_OF_NEWS),
    ("sse", "discovery_interval_ms", TOLD_OF_NEWS),
];
const TOLD_OF_NEWS: &str = "the system tells the server of news; it has no pause of that kind";

/// Keys that are taken and wait for the part of conductor that will honour them, by section. Whoever
/// writes that part takes its names out.
pub(super) const NOT_YET: &[(&str, &[&str])] = &[("storage", &["name"])];

#[cfg(test)]
mod tests {
    use super::super::take::Bases;
    use super::*;
    use crate::yaml::{Value, read};
    use std::path::Path;

    fn each_key(section: &'static Section, visit: &mut impl FnMut(&'static Section, &'static Key)) {
        section.keys.iter().for_each(|key| visit(section, key));
        section.sections.iter().for_each(|below| each_key(below, visit));
    }

    fn given(key: &Key, text: &str) -> Given {
        let bases = Bases { folder: Path::new("/c"), home: Some(Path::new("/h")) };
        let Value::Map(map) = read(&format!("{}: {text}", key.name)).unwrap() else { panic!() };
        let given = key.kind.read(map.get(key.name).unwrap(), bases);
        given.unwrap_or_else(|wrong| panic!("{}: {wrong:?}", key.name)).unwrap()
    }

    /// What keeps the values of the section `name`.
    fn settings<'a>(config: &'a mut Config, name: &str) -> &'a mut dyn Settings {
        let sections = Config::SCHEMA.sections;
        match sections.iter().find(|section| section.name == name) {
            Some(section) if section.named => config.entry_mut(name, "x").unwrap(),
            Some(_) => config.section_mut(name).unwrap(),
            None => {
                let outer = sections.iter().find(|outer| outer.section(name).is_some()).unwrap();
                config.section_mut(outer.name).unwrap().section_mut(name).unwrap()
            }
        }
    }

    #[test]
    fn every_key_takes_its_example_and_its_default_and_gives_it_back() {
        let mut keys = 0;
        each_key(Config::SCHEMA, &mut |section, key| {
            let mut config = Config::default();
            for text in [key.example, key.default] {
                if text.is_empty() {
                    continue;
                }
                let given = given(key, text);
                let settings = settings(&mut config, section.name);
                assert!(settings.set(key.name, given.clone()), "{}.{}", section.name, key.name);
                assert_eq!(settings.get(key.name), Some(given));
            }
            assert!(!key.example.is_empty() && !key.help.is_empty(), "{}", key.name);
            keys += 1;
        });
        assert!(keys > 60, "only {keys} keys are walked");
    }

    #[test]
    fn keys_without_effect_are_keys() {
        let mut known = Vec::new();
        each_key(Config::SCHEMA, &mut |section, key| known.push((section.name, key.name)));
        let not_yet =
            NOT_YET.iter().flat_map(|(section, keys)| keys.iter().map(|key| (*section, *key)));
        for key in WITHOUT_EFFECT.iter().map(|(section, key, _)| (*section, *key)).chain(not_yet) {
            assert!(known.contains(&key), "{key:?} is no key");
        }
    }

    #[test]
    fn the_defaults_that_are_told_are_those_that_hold() {
        use crate::limits;
        let default = |section: &Section, name: &str| {
            let key = section.key(name).unwrap();
            given(key, key.default)
        };
        let count = |number: u64| Given::Count(number);
        assert_eq!(default(Limits::SCHEMA, "max_attempts"), count(u64::from(limits::MAX_ATTEMPTS)));
        assert_eq!(default(Limits::SCHEMA, "max_children"), count(limits::MAX_CHILDREN as u64));
        assert_eq!(default(Limits::SCHEMA, "output_limit"), count(limits::OUTPUT));
        assert_eq!(default(Limits::SCHEMA, "grace"), Given::Duration(limits::STOP_GRACE));
    }
}
