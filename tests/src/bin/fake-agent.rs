//! Does what its arguments say, up to `--`; behind that stand the arguments that the caller of the
//! fake agent gave. `conductor_tests::agents` writes the scripts that call this program.

use rustix::process::{Pid, Signal, getpid, kill_process, setsid};
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// The options that the real agents have and are started with.
const HELP: &str = "--input-format --output-format --tools --permission-mode --config --json \
    --dangerously-bypass-approvals-and-sandbox --screen-reader --approval-mode --resume";

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match act(std::env::args_os().skip(1).collect()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("fake-agent: {error}");
            ExitCode::from(70)
        }
    }
}

fn act(mut words: Vec<OsString>) -> Result<u8> {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let given: Vec<OsString> = words.drain(end..).skip(1).collect();
    if given.iter().any(|word| word == "--version") {
        println!("1.0.0 (fake)");
        return Ok(0);
    }
    if given.iter().any(|word| word == "--help") {
        println!("Usage: fake-agent [options]\n{HELP}");
        return Ok(0);
    }
    let mut words = words.into_iter();
    while let Some(step) = words.next() {
        let mut next = || words.next().ok_or_else(|| format!("{step:?} lacks an argument"));
        match step.to_str().unwrap_or_default() {
            "emit" => emit(Path::new(&next()?))?,
            "print" => line(std::io::stdout(), &next()?)?,
            "complain" => line(std::io::stderr(), &next()?)?,
            "fill" => fill(number(&next()?)?)?,
            "save-input" => {
                let mut input = Vec::new();
                std::io::stdin().read_to_end(&mut input)?;
                fs::write(next()?, input)?;
            }
            "save-arguments" => save_lines(next()?.into(), given.clone())?,
            "save-environment" => {
                let mut lines: Vec<_> = std::env::vars_os()
                    .map(|(name, value)| {
                        let mut line = name;
                        line.push("=");
                        line.push(value);
                        line
                    })
                    .collect();
                lines.sort();
                save_lines(next()?.into(), lines)?;
            }
            "touch" => drop(File::create(next()?)?),
            "touch-in" => {
                let (variable, name) = (next()?, next()?);
                let folder = std::env::var_os(&variable).ok_or("the variable is not set")?;
                File::create(Path::new(&folder).join(name))?;
            }
            "sleep" => std::thread::sleep(millis(&next()?)?),
            // Opening blocks until somebody opens the other end.
            "wait-at" => drop(File::open(next()?)?),
            "linger" => drop(again("sleep", &next()?).spawn()?),
            "daemon" => {
                let (time, path) = (next()?, next()?);
                again("leave", &time).arg(path).spawn()?.wait()?;
            }
            "leave" => leave(&next()?, next()?.into())?,
            "die" => {
                let signal = i32::try_from(number(&next()?)?)?;
                let signal = Signal::from_named_raw(signal).ok_or("no such signal")?;
                kill_process(getpid(), signal)?;
                std::thread::sleep(Duration::from_secs(60));
            }
            "exit" => return Ok(u8::try_from(number(&next()?)?)?),
            other => return Err(format!("unknown step {other:?}").into()),
        }
    }
    Ok(0)
}

/// This program once more, with one step.
fn again(step: &str, value: &OsStr) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("fake-agent").arg(step).arg(value);
    command
}

/// Leaves the session and starts a process that outlives this one; its id goes to `path`.
fn leave(time: &OsStr, path: PathBuf) -> Result<()> {
    setsid()?;
    let mut daemon = again("sleep", time);
    let child = daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = Pid::from_child(&child).as_raw_nonzero();
    let fresh = path.with_extension("new");
    fs::write(&fresh, pid.to_string())?;
    Ok(fs::rename(fresh, path)?)
}

fn emit(stream: &Path) -> Result<()> {
    let mut stdout = std::io::stdout();
    stdout.write_all(&fs::read(stream.with_extension("stdout"))?)?;
    stdout.flush()?;
    std::io::stderr().write_all(&fs::read(stream.with_extension("stderr"))?)?;
    Ok(())
}

fn line(mut out: impl std::io::Write, text: &OsStr) -> Result<()> {
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

fn fill(bytes: u64) -> Result<()> {
    let filler = std::io::repeat(b'x').take(bytes);
    let mut stdout = std::io::stdout().lock();
    std::io::copy(&mut std::io::BufReader::new(filler), &mut stdout)?;
    Ok(stdout.flush()?)
}

fn save_lines(path: PathBuf, lines: Vec<OsString>) -> Result<()> {
    let mut text = Vec::new();
    for line in lines {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    Ok(fs::write(path, text)?)
}

fn number(text: &OsStr) -> Result<u64> {
    Ok(text.to_str().ok_or("not a number")?.parse()?)
}

fn millis(text: &OsStr) -> Result<Duration> {
    number(text).map(Duration::from_millis)
}
