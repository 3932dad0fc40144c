//! What is run for an agent, found on the search path and checked before anything is made.

use super::kind::AgentKind;
use super::stream::StreamKind;
use crate::error::{Error, ErrorKind, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The longest line that shows a command, in bytes.
const LONGEST_LINE: usize = 4096;

/// How a prompt is handed over; never on a command line, where it would be cut and seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptForm {
    /// The preamble and the prompt, on standard input.
    WithPreamble,
    /// The prompt alone, as it was given: it is a script.
    Raw,
    /// The prompt alone: who reads it can run nothing and make no file.
    Plain,
}

/// A command ready to be started: its program exists and may be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentCommand {
    /// Which agent this is.
    pub kind: AgentKind,
    /// The program's absolute path.
    pub program: PathBuf,
    /// The arguments, the first being the program's name as it was given.
    pub argv: Vec<OsString>,
    /// How the prompt is handed over.
    pub prompt: PromptForm,
    /// The stream that it prints; `None` where it prints text.
    pub stream: Option<StreamKind>,
}

impl AgentCommand {
    /// The command of `kind`; `argv` is that of [`AgentKind::Command`] and empty for all others.
    ///
    /// A program without a slash is searched on `path`, the value of `PATH` that the agent will have.
    ///
    /// # Errors
    /// `agent.command_missing`, `agent.command_unused`, `agent.not_found`, `agent.not_executable`.
    pub fn resolve(kind: AgentKind, argv: &[OsString], path: &OsStr) -> Result<AgentCommand> {
        let argv: Vec<OsString> = match (kind, argv.is_empty()) {
            (AgentKind::Command, true) => {
                return Err(command_missing());
            }
            (AgentKind::Command, false) => {
                if argv.iter().any(|word| word.as_encoded_bytes().contains(&0)) {
                    let why = "the command holds a NUL byte, which no argument can";
                    return Err(Error::invalid("agent.command_nul", "command", why)
                        .with_hint("pass such data by a file or in the prompt"));
                }
                argv.to_vec()
            }
            (_, true) => kind.argv(),
            (_, false) => {
                return Err(Error::invalid(
                    "agent.command_unused",
                    "command",
                    format!("the agent {:?} has a command of its own", kind.name()),
                )
                .with_hint("use --agent command to run another one"));
            }
        };
        AgentCommand::of_argv(kind, argv, path)
    }

    /// A program that a person uses in a terminal: it is handed no prompt, and nobody reads what it prints.
    ///
    /// # Errors
    /// As [`resolve`](AgentCommand::resolve).
    pub fn in_terminal(argv: &[OsString], path: &OsStr) -> Result<AgentCommand> {
        let command = AgentCommand::resolve(AgentKind::Command, argv, path)?;
        Ok(AgentCommand { prompt: PromptForm::Raw, ..command })
    }

    /// The agent `kind`, run by this program with these arguments.
    ///
    /// # Errors
    /// `agent.command_missing`, `agent.not_found`, `agent.not_executable`.
    pub fn of_argv(kind: AgentKind, argv: Vec<OsString>, path: &OsStr) -> Result<AgentCommand> {
        let Some(name) = argv.first() else { return Err(command_missing()) };
        let program = find_program(kind, name, path)?;
        Ok(AgentCommand::of_program(kind, argv, program))
    }

    /// The agent `kind`, run by a program whose place is known.
    pub(crate) fn of_program(
        kind: AgentKind,
        argv: Vec<OsString>,
        program: PathBuf,
    ) -> AgentCommand {
        let prompt = match kind {
            AgentKind::Shell => PromptForm::Raw,
            kind if kind.is_rest() => PromptForm::Plain,
            _ => PromptForm::WithPreamble,
        };
        AgentCommand { kind, program, argv, prompt, stream: kind.stream() }
    }

    /// The command as a line for people: arguments joined by blanks, cut where it gets too long for
    /// anybody to read.
    pub fn line(&self) -> String {
        let words: Vec<_> = self.argv.iter().map(|word| word.to_string_lossy()).collect();
        let mut line = words.join(" ");
        if line.len() > LONGEST_LINE {
            let mut end = LONGEST_LINE;
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            line.truncate(end);
            line.push_str("...");
        }
        line
    }
}

fn command_missing() -> Error {
    Error::invalid("agent.command_missing", "command", "the agent \"command\" needs a command")
        .with_hint("name the program and its arguments, behind -- on a command line")
}

fn find_program(kind: AgentKind, name: &OsStr, path: &OsStr) -> Result<PathBuf> {
    let not_found = |what: String| {
        Error::new(ErrorKind::SpawnFailed, "agent.not_found", what)
            .with_path(name)
            .with_field("agent")
            .with_hint(format!(
                "install it, or put its folder on PATH; --agent names another one ({} is wanted here)",
                kind.name()
            ))
    };
    if name.as_encoded_bytes().contains(&b'/') {
        let program = std::path::absolute(name)
            .map_err(|e| Error::io("find the program", Path::new(name), e))?;
        return match executable(&program) {
            Some(true) => Ok(program),
            Some(false) => Err(not_executable(&program)),
            None => Err(not_found(format!("there is no program {}", program.display()))),
        };
    }
    let mut refused = None;
    for folder in std::env::split_paths(path).filter(|folder| folder.is_absolute()) {
        let program = folder.join(name);
        match executable(&program) {
            Some(true) => return Ok(program),
            Some(false) => refused = refused.or(Some(program)),
            None => {}
        }
    }
    match refused {
        Some(program) => Err(not_executable(&program)),
        None => Err(not_found(format!("the program {name:?} is not on PATH"))),
    }
}

fn not_executable(program: &Path) -> Error {
    Error::new(
        ErrorKind::SpawnFailed,
        "agent.not_executable",
        format!("{} may not be executed", program.display()),
    )
    .with_path(program)
    .with_field("agent")
    .with_hint("make it an executable file: chmod +x")
}

/// The first program of this name in the folders of `path` that may be executed.
pub(crate) fn on_path(name: &Path, path: &OsStr) -> Option<PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|program| executable(program) == Some(true))
}

/// Whether a regular file is executable; `None` where there is no file.
fn executable(program: &Path) -> Option<bool> {
    let meta = crate::sys::program_metadata(program)?;
    Some(meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_before_anything_is_made() {
        let path = OsStr::new("/usr/bin:/bin");
        let shell = AgentCommand::resolve(AgentKind::Shell, &[], path).unwrap();
        assert_eq!((shell.program, shell.prompt), ("/bin/sh".into(), PromptForm::Raw));

        let cat = AgentCommand::resolve(AgentKind::Command, &["cat".into()], path).unwrap();
        assert!(cat.program.is_absolute() && cat.program.ends_with("cat"));
        assert_eq!(cat.line(), "cat");

        let code = |kind, argv: &[OsString], path| {
            AgentCommand::resolve(kind, argv, OsStr::new(path)).unwrap_err().code()
        };
        assert_eq!(code(AgentKind::Claude, &[], "/nowhere"), "agent.not_found");
        assert_eq!(code(AgentKind::Command, &[], "/bin"), "agent.command_missing");
        assert_eq!(code(AgentKind::Shell, &["x".into()], "/bin"), "agent.command_unused");
        assert_eq!(code(AgentKind::Command, &["/etc/passwd".into()], ""), "agent.not_executable");
        assert_eq!(code(AgentKind::Command, &["/none/x".into()], ""), "agent.not_found");
    }
}
