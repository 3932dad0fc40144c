//! What is run for an agent, found on the search path and checked before anything is made.

use super::stream::StreamKind;
use crate::error::{Error, ErrorKind, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The longest line that shows a command, in bytes.
const LONGEST_LINE: usize = 4096;

/// The agents that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AgentKind {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// `/bin/sh` with the prompt as its script; runs only when it is named.
    Shell,
    /// Any command, with the prompt on its standard input.
    Command,
}

/// How a prompt is handed over; never on a command line, where it would be cut and seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptForm {
    /// The preamble and the prompt, on standard input.
    WithPreamble,
    /// The prompt alone, as it was given: it is a script.
    Raw,
}

/// One row: what a built-in agent is.
struct Builtin {
    kind: AgentKind,
    name: &'static str,
    argv: &'static [&'static str],
    own_keys: &'static [&'static str],
}

const BUILTINS: &[Builtin] = &[
    Builtin {
        kind: AgentKind::Claude,
        name: "claude",
        argv: &[
            "claude",
            "-p",
            "--input-format",
            "text",
            "--output-format",
            "stream-json",
            "--verbose",
            "--tools",
            "default",
            "--permission-mode",
            "bypassPermissions",
        ],
        own_keys: &["ANTHROPIC_API_KEY"],
    },
    Builtin {
        kind: AgentKind::Codex,
        name: "codex",
        argv: &["codex", "exec", "--dangerously-bypass-approvals-and-sandbox", "--json", "-"],
        own_keys: &["OPENAI_API_KEY", "OPENAI_ORG_ID"],
    },
    Builtin {
        kind: AgentKind::Gemini,
        name: "gemini",
        argv: &[
            "gemini",
            "--screen-reader",
            "true",
            "--approval-mode",
            "yolo",
            "--output-format",
            "stream-json",
        ],
        own_keys: &["GEMINI_API_KEY"],
    },
    Builtin { kind: AgentKind::Shell, name: "shell", argv: &["/bin/sh", "-s"], own_keys: &[] },
    Builtin { kind: AgentKind::Command, name: "command", argv: &[], own_keys: &[] },
];

impl AgentKind {
    /// The kind that a person names, in any case.
    ///
    /// # Errors
    /// `agent.unknown` with the names that there are.
    pub fn parse(name: &str) -> Result<AgentKind> {
        BUILTINS
            .iter()
            .find(|row| name.trim().eq_ignore_ascii_case(row.name))
            .map(|row| row.kind)
            .ok_or_else(|| {
                let names: Vec<_> = BUILTINS.iter().map(|row| row.name).collect();
                Error::invalid("agent.unknown", "agent", format!("unknown agent {name:?}"))
                    .with_hint(format!("the agents are {}", names.join(", ")))
            })
    }

    fn row(self) -> &'static Builtin {
        // Every kind has a row; a test walks them.
        BUILTINS.iter().find(|row| row.kind == self).unwrap_or(&BUILTINS[0])
    }

    /// Its name in records and on command lines.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The command of a built-in agent; empty for [`AgentKind::Command`].
    pub fn argv(self) -> Vec<OsString> {
        self.row().argv.iter().map(OsString::from).collect()
    }

    /// The vendor keys that it may see in its environment.
    pub fn own_keys(self) -> &'static [&'static str] {
        self.row().own_keys
    }

    /// The stream that it prints, where that is understood.
    pub fn stream(self) -> Option<StreamKind> {
        match self {
            AgentKind::Claude => Some(StreamKind::Claude),
            AgentKind::Codex => Some(StreamKind::Codex),
            AgentKind::Gemini => Some(StreamKind::Gemini),
            AgentKind::Shell | AgentKind::Command => None,
        }
    }

    /// The coding agents among the kinds: those that need to be installed.
    pub fn installable() -> impl Iterator<Item = AgentKind> {
        [AgentKind::Claude, AgentKind::Codex, AgentKind::Gemini].into_iter()
    }
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
        let prompt = match kind {
            AgentKind::Shell => PromptForm::Raw,
            _ => PromptForm::WithPreamble,
        };
        Ok(AgentCommand { kind, program, argv, prompt, stream: kind.stream() })
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

/// Whether a regular file is executable; `None` where there is no file.
fn executable(program: &Path) -> Option<bool> {
    let meta = crate::sys::program_metadata(program)?;
    Some(meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_row() {
        for row in BUILTINS {
            assert_eq!(row.kind.name(), row.name);
            assert_eq!(AgentKind::parse(&row.name.to_uppercase()).unwrap(), row.kind);
        }
        let error = AgentKind::parse("clod").unwrap_err();
        assert_eq!(error.code(), "agent.unknown");
        assert!(error.hint().contains("claude"));
    }

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
