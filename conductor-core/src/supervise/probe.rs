//! Asking an agent's program for its version and its options, once for each program.
//!
//! It is asked under a keeper, as everything that is started: it cannot be left behind, its time is
//! limited, and the host sees no child. What it said is kept below `.conductor/probes`, and holds as
//! long as the program's file has the same time and size.

use super::engine::Engine;
use super::kept::{Kept, not_started};
use crate::agent::{AgentCommand, Probed, without_secrets};
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::fsx::{FileLock, Folder};
use crate::layout::Layout;
use crate::limits;
use crate::sys::{KeeperEnd, KeeperLimits, KeeperReason, LockKind};
use crate::time::Timestamp;
use crate::yaml::{Mapping, Value, parse_mapping};
use sha2::{Digest as _, Sha256};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// What is known of a program, in its folder.
const KNOWN: &str = "program.yaml";
const LOCK: &str = ".lock";
const RECORD: &str = ".keeper";
const STDOUT: &str = "stdout.txt";
const STDERR: &str = "stderr.txt";
/// How long a program may take to answer.
const ANSWER: Duration = Duration::from_secs(15);
/// How long it is remembered that it did not.
const SILENCE: Duration = Duration::from_secs(3600);
/// How much a program may say of itself, in bytes; one that says more is ended.
const LONGEST_ANSWER: u64 = 1 << 20;

impl Engine {
    /// What the program of `command` says of itself; checked against what it is started with.
    ///
    /// # Errors
    /// `agent.too_old`; what keeps it from being asked. A program that does not answer is taken as it
    /// is, with nothing known of it.
    pub(crate) fn probe(&self, command: &AgentCommand, wait: &Wait) -> Result<Probed> {
        if command.kind.help().is_empty() {
            return Ok(Probed::default());
        }
        let program = Asked::of(command)?;
        let probed = match program.known(self.layout(), self.now())? {
            Some(probed) => probed,
            None => program.ask(self, command, wait)?,
        };
        probed.check(command).map(|()| probed)
    }
}

/// The version of the program of `command`, where an earlier start in the root asked this very program.
/// Starts nothing.
pub(crate) fn known_version(root: &Layout, command: &AgentCommand) -> Result<Option<String>> {
    if command.kind.help().is_empty() {
        return Ok(None);
    }
    let known = Asked::of(command)?.known(root, root.os().now())?;
    Ok(known.map(|probed| probed.version))
}

/// A program's file as it stands now, and where what it said is kept.
struct Asked {
    folder: String,
    program: String,
    time: i64,
    nanos: i64,
    size: u64,
}

impl Asked {
    fn of(command: &AgentCommand) -> Result<Asked> {
        let program = &command.program;
        let meta = std::fs::metadata(program)
            .map_err(|e| Error::io("look at the program", program, e).with_field("agent"))?;
        let mut hash = Sha256::new();
        hash.update(command.kind.name());
        hash.update([0]);
        hash.update(program.as_os_str().as_bytes());
        let hash = hash.finalize();
        let digits: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Asked {
            folder: format!("{}-{digits}", command.kind.name()),
            program: program.to_string_lossy().into_owned(),
            time: meta.mtime(),
            nanos: meta.mtime_nsec(),
            size: meta.len(),
        })
    }

    /// What stands on disk of this very file.
    fn known(&self, root: &Layout, now: Timestamp) -> Result<Option<Probed>> {
        let conductor = match root.conductor() {
            Err(error) if error.code() == "root.not_found" => return Ok(None),
            conductor => conductor?,
        };
        let path = Path::new(crate::layout::PROBES).join(&self.folder);
        let Some(conductor) = conductor else { return Ok(None) };
        match conductor.folder_if_exists(path)? {
            Some(folder) => self.read(&folder, now),
            None => Ok(None),
        }
    }

    fn read(&self, folder: &Folder, now: Timestamp) -> Result<Option<Probed>> {
        let Some(bytes) = folder.read_if_exists(KNOWN, limits::YAML_FILE)? else { return Ok(None) };
        // What cannot be read is asked for again.
        let Ok(map) = parse_mapping(&bytes, &folder.join(KNOWN)) else { return Ok(None) };
        let is = |key: &str, value: String| map.get_text(key).as_deref() == Some(value.as_str());
        let same = is("program", self.program.clone())
            && is("modified", self.modified())
            && is("size", self.size.to_string());
        // A machine that was busy just then is no property of the program.
        let is_over = |until: String| until.parse().is_ok_and(|until: Timestamp| until <= now);
        if !same || map.get_text("silent_until").is_some_and(is_over) {
            return Ok(None);
        }
        let options = map.get("options").and_then(Value::as_text_list).unwrap_or_default();
        Ok(Some(Probed { version: map.get_text("version").unwrap_or_default(), options }))
    }

    fn modified(&self) -> String {
        format!("{}.{:09}", self.time, self.nanos)
    }

    fn write(
        &self,
        folder: &Folder,
        probed: &Probed,
        silent_until: Option<Timestamp>,
    ) -> Result<()> {
        let mut map = Mapping::new();
        map.insert("program", Value::from(self.program.as_str()));
        map.insert("modified", Value::from(self.modified().as_str()));
        map.insert("size", Value::from(self.size.to_string().as_str()));
        map.insert("version", Value::from(probed.version.as_str()));
        if let Some(until) = silent_until {
            map.insert("silent_until", Value::timestamp(until));
        }
        map.insert("options", Value::list(probed.options.iter().map(String::as_str)));
        folder.replace_relaxed(KNOWN, map.to_yaml().as_bytes())
    }

    fn ask(&self, engine: &Engine, command: &AgentCommand, wait: &Wait) -> Result<Probed> {
        let folder = engine.layout().ensure_probes()?.ensure_folder(&self.folder)?;
        let lock = folder.lock(LOCK, LockKind::Exclusive, wait)?;
        // Somebody else may have asked meanwhile.
        if let Some(probed) = self.read(&folder, engine.now())? {
            return Ok(probed);
        }
        let (lock, version) = answer(engine, &folder, lock, command, &["--version"], wait)?;
        let (lock, help) = answer(engine, &folder, lock, command, command.kind.help(), wait)?;
        let silent = version.is_none() || help.is_none();
        let text = |said: Option<String>| said.unwrap_or_default();
        let probed = Probed::read(&text(version), &text(help));
        self.write(&folder, &probed, silent.then(|| engine.now().plus(SILENCE)))?;
        for name in [RECORD, STDOUT, STDERR] {
            folder.remove_file(name)?;
        }
        drop(lock);
        Ok(probed)
    }
}

/// What the program prints when it is started with these arguments; an empty text where it fails, and
/// `None` where it does not come to an end by itself.
fn answer(
    engine: &Engine,
    folder: &Folder,
    lock: FileLock,
    command: &AgentCommand,
    args: &[&str],
    wait: &Wait,
) -> Result<(FileLock, Option<String>)> {
    for name in [RECORD, STDOUT, STDERR] {
        folder.remove_file(name)?;
    }
    let argv: Vec<OsString> =
        command.argv.iter().take(1).cloned().chain(args.iter().map(OsString::from)).collect();
    let env = without_secrets(engine.inherited_environment());
    let kept = Kept {
        folder,
        run: "probe",
        stdin: None,
        memory: None,
        stdout: STDOUT,
        stderr: STDERR,
        record: RECORD,
        lock: &lock,
        slot: None,
        task_slot: None,
        note: None,
        cwd: folder.path(),
        program: command.program.as_os_str(),
        argv: &argv,
        env: &env,
        limits: KeeperLimits {
            total: Some(ANSWER),
            output: Some(LONGEST_ANSWER),
            stop_on_output: true,
            grace: Duration::from_millis(200),
            ..KeeperLimits::default()
        },
    };
    let mut keeper = kept.start(engine)?;
    // The keeper holds the lock from here; it is ours again when nothing of the program is left.
    // Closing our copy does not give it back; unlocking it would.
    drop(lock.passed_on());
    keeper.born().map_err(not_started)?;
    keeper.send_release().map_err(not_started)?;
    let started = keeper.answer();
    let lock = folder.lock(LOCK, LockKind::Exclusive, wait)?;
    let record = super::evidence::read_keeper_record(folder, RECORD)?;
    let silent = record.as_ref().is_none_or(|record| record.reason == Some(KeeperReason::Total));
    let ended = record.and_then(|record| record.ended);
    let text = |name: &str| match folder.read_if_exists(OsStr::new(name), LONGEST_ANSWER) {
        // More than anybody says of himself.
        Err(error) if error.code() == "file.too_large" => Ok(String::new()),
        bytes => bytes.map(|b| String::from_utf8_lossy(&b.unwrap_or_default()).into_owned()),
    };
    let said = match (started, ended) {
        (Ok(Ok(())), Some(KeeperEnd::Code(0))) => match text(STDOUT)? {
            said if said.trim().is_empty() => text(STDERR)?,
            said => said,
        },
        _ => String::new(),
    };
    Ok((lock, Some(said).filter(|_| !silent)))
}
