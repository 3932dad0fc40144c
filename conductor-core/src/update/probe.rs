//! Trying a new program out before it takes the old one's place.

use super::install::refused;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{Poller, Processes, die_with_starter};
use crate::time::format_duration;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How soon to look again whether it has ended, where its end cannot be watched.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How soon to try again to run it, while somebody has it open to be written.
const BUSY: Duration = Duration::from_millis(5);
/// The most of its answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// Runs the program with these arguments and gives what it prints; it has to end with 0 within `limit`.
///
/// It gets no input, an environment without secrets, and a process group of its own, which is killed
/// at the end. This is one of the few places where the library starts a child of the host's own: only
/// a server, which expects it, gets here.
///
/// # Errors
/// `update.refused` with what it did instead.
pub(super) fn ask(
    program: &Path,
    shown: &Path,
    args: &[&OsStr],
    limit: Duration,
    wait: &Wait,
) -> Result<String> {
    let wrong = |why: &str| {
        let line = args.first().copied().unwrap_or_default().to_string_lossy();
        refused(shown, &format!("`{line}` {why}"))
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    die_with_starter(&mut command);
    let wait = wait.clone().at_most(limit);
    let mut child =
        spawn(&mut command, &wait).map_err(|e| wrong("cannot be run").with_source(e))?;
    let answer = listen(&mut child, &wait);
    if answer.is_err() {
        // Not reaped yet, so the number is still its group's.
        let group = rustix::process::Pid::from_child(&child);
        let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let status = child.wait().map_err(|e| wrong("cannot be waited for").with_source(e))?;
    match answer {
        Err(error) if error.kind() == ErrorKind::Timeout => {
            Err(wrong(&format!("did not end within {}", format_duration(limit))))
        }
        Err(error) => Err(error),
        Ok(_) if !status.success() => Err(wrong(&format!("ended with {status}"))),
        Ok(said) => Ok(String::from_utf8_lossy(&said).into_owned()),
    }
}

/// Starts a program that was written just now: what another thread forked meanwhile has it open to be written
/// until it executes something itself, and so long nobody can run it (ETXTBSY).
fn spawn(command: &mut Command, wait: &Wait) -> std::io::Result<Child> {
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == std::io::ErrorKind::ExecutableFileBusy
                    && wait.check().is_ok() =>
            {
                std::thread::sleep(BUSY);
            }
            spawned => return spawned,
        }
    }
}

/// Everything that it prints until it has ended. It is not reaped, so that its number stays its own.
fn listen(child: &mut Child, wait: &Wait) -> Result<Vec<u8>> {
    let failed = |e| Error::io("listen to", "/", e);
    let poller = Poller::new().map_err(failed)?;
    let mut stdout = child.stdout.take();
    if let Some(stdout) = &stdout {
        poller.add(stdout, 1).map_err(failed)?;
    }
    if let Some(cancel) = wait.cancel().and_then(crate::Cancel::fd) {
        poller.add(cancel, 2).map_err(failed)?;
    }
    let process = Processes.identify(child.id()).map_err(failed)?;
    let end =
        process.map(|process| Processes.watch(process)).transpose().map_err(failed)?.flatten();
    if let Some(end) = &end {
        poller.add(end, 3).map_err(failed)?;
    }
    let mut said = Vec::new();
    loop {
        wait.check()?;
        let lives = Processes.identify(child.id()).map_err(failed)?.is_some();
        if !lives && stdout.is_none() {
            return Ok(said);
        }
        let limit = if end.is_some() { Duration::MAX } else { LOOK_AGAIN };
        let ready =
            poller.wait(Some(wait.remaining().unwrap_or(limit).min(limit))).map_err(failed)?;
        if let (true, Some(pipe)) = (ready.has(1), &mut stdout) {
            let mut buffer = [0; 4096];
            let length = pipe.read(&mut buffer).map_err(failed)?;
            said.extend_from_slice(&buffer[..length]);
            if length == 0 || said.len() > LONGEST {
                stdout = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancel;

    const LIMIT: Duration = Duration::from_secs(60);

    fn sh(script: &str, wait: &Wait) -> Result<String> {
        ask(Path::new("/bin/sh"), Path::new("/new"), &["-c".as_ref(), script.as_ref()], LIMIT, wait)
    }

    #[test]
    fn what_it_prints_is_given_and_what_else_it_does_is_told() {
        assert_eq!(sh("echo run-agent 1.2.3", &Wait::FOREVER).unwrap(), "run-agent 1.2.3\n");
        for (script, told) in [("exit 3", "exit status: 3"), ("kill -9 $$", "signal: 9")] {
            let error = sh(script, &Wait::FOREVER).unwrap_err();
            assert_eq!(error.code(), "update.refused");
            assert!(error.to_string().contains(told), "{error}");
        }
        let error = ask(Path::new("/bin/gone"), Path::new("/new"), &[], LIMIT, &Wait::FOREVER);
        assert_eq!(error.unwrap_err().code(), "update.refused");
    }

    #[test]
    fn one_that_is_open_to_be_written_for_a_moment_is_run_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::copy("/bin/sh", &program).unwrap();
        let writer = std::fs::OpenOptions::new().append(true).open(&program).unwrap();
        let ask = |limit| {
            ask(&program, &program, &["-c".as_ref(), "echo ran".as_ref()], limit, &Wait::FOREVER)
        };
        let busy = ask(Duration::from_millis(50));
        let busy = std::error::Error::source(&busy.unwrap_err()).unwrap().to_string();
        assert!(busy.contains("Text file busy"), "{busy}");
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| ask(LIMIT));
            std::thread::sleep(20 * BUSY);
            drop(writer);
            assert_eq!(asked.join().unwrap().unwrap(), "ran\n");
        });
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let cancel = Cancel::new();
        let script = format!("sleep 1000 & echo $! > {0}.n; mv {0}.n {0}; wait", pid.display());
        let child = std::thread::scope(|scope| {
            let asked = scope.spawn(|| sh(&script, &Wait::FOREVER.or_cancelled(&cancel)));
            let pid = loop {
                match std::fs::read_to_string(&pid) {
                    Ok(text) => break text.trim().parse().unwrap(),
                    Err(_) => std::thread::yield_now(),
                }
            };
            let child = Processes.identify(pid).unwrap().unwrap();
            cancel.set();
            assert_eq!(asked.join().unwrap().unwrap_err().kind(), crate::ErrorKind::Cancelled);
            child
        });
        if let Some(end) = Processes.watch(child).unwrap() {
            let poller = Poller::new().unwrap();
            poller.add(&end, 1).unwrap();
            // A signal for another test may end one wait.
            let limit = Wait::from(LIMIT);
            while !poller.wait(limit.remaining()).unwrap().has(1) {
                limit.check().unwrap();
            }
        }
    }
}
