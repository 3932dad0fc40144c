//! The agents that are built in, as rows of a table: whatever differs between them stands there.

use super::stream::StreamKind;
use crate::error::{Error, Result};
use std::ffi::OsString;

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
    /// Perplexity's service, called over the network.
    Perplexity,
    /// xAI's service, called over the network.
    Xai,
    /// `/bin/sh` with the prompt as its script; runs only when it is named.
    Shell,
    /// Any command, with the prompt on its standard input.
    Command,
}

/// One row: what a built-in agent is.
struct Builtin {
    kind: AgentKind,
    name: &'static str,
    /// Program and arguments; of an agent that is a service, the hidden command of `run-agent`.
    argv: &'static [&'static str],
    /// The vendor keys that it may see; the first is the one that its token is put into.
    own_keys: &'static [&'static str],
    stream: Option<StreamKind>,
    /// The arguments with which it tells its options, and those that it must have.
    help: &'static [&'static str],
    needs: &'static [&'static str],
    /// How it is told to go on with a session of its own.
    resume: Resume,
    /// The service that it calls, and the variables that name another, the first that is set.
    service: Option<Service>,
}

/// Where the words stand that make an agent go on with a session.
#[derive(Clone, Copy)]
enum Resume {
    /// It cannot.
    Never,
    /// These words and the session at the end of its arguments.
    AtEnd(&'static str),
    /// These words and the session in front of the dash that stands for its prompt.
    BeforeDash(&'static str),
}

/// A service over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// Where it is.
    pub(crate) address: &'static str,
    /// The variables that name another address.
    pub(crate) variables: &'static [&'static str],
}

/// The hidden command of `run-agent` that masks what an agent prints.
pub(crate) const MASK_COMMAND: &str = "__mask";
/// The hidden command of `run-agent` that follows a process of another program.
pub(crate) const IMPORT_COMMAND: &str = "__import";
/// The hidden command of `run-agent` that calls a service.
pub(crate) const REST_COMMAND: &str = "__rest";

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
        stream: Some(StreamKind::Claude),
        help: &["--help"],
        needs: &["--input-format", "--output-format", "--tools", "--permission-mode"],
        resume: Resume::AtEnd("--resume"),
        service: Some(Service {
            address: "https://api.anthropic.com",
            variables: &["ANTHROPIC_BASE_URL"],
        }),
    },
    Builtin {
        kind: AgentKind::Codex,
        name: "codex",
        // Codex runs commands in a login shell, whose profile would take `run-agent` off the PATH.
        argv: &[
            "codex",
            "exec",
            "-c",
            "allow_login_shell=false",
            "--dangerously-bypass-approvals-and-sandbox",
            "--json",
            "-",
        ],
        own_keys: &["OPENAI_API_KEY", "OPENAI_ORG_ID"],
        stream: Some(StreamKind::Codex),
        help: &["exec", "--help"],
        needs: &["--config", "--dangerously-bypass-approvals-and-sandbox", "--json"],
        resume: Resume::BeforeDash("resume"),
        service: Some(Service {
            address: "https://api.openai.com",
            variables: &["OPENAI_BASE_URL"],
        }),
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
        stream: Some(StreamKind::Gemini),
        help: &["--help"],
        needs: &["--screen-reader", "--approval-mode", "--output-format"],
        resume: Resume::AtEnd("--resume"),
        service: Some(Service {
            address: "https://generativelanguage.googleapis.com",
            variables: &["GOOGLE_GEMINI_BASE_URL"],
        }),
    },
    Builtin {
        kind: AgentKind::Perplexity,
        name: "perplexity",
        argv: &["run-agent", REST_COMMAND, "perplexity"],
        own_keys: &["PERPLEXITY_API_KEY"],
        stream: Some(StreamKind::Rest),
        help: &[REST_COMMAND, "--help"],
        needs: &["--finish-task"],
        resume: Resume::Never,
        service: Some(Service {
            address: "https://api.perplexity.ai/chat/completions",
            variables: &["PERPLEXITY_BASE_URL"],
        }),
    },
    Builtin {
        kind: AgentKind::Xai,
        name: "xai",
        argv: &["run-agent", REST_COMMAND, "xai"],
        own_keys: &["XAI_API_KEY"],
        stream: Some(StreamKind::Rest),
        help: &[REST_COMMAND, "--help"],
        needs: &["--finish-task"],
        resume: Resume::Never,
        service: Some(Service {
            address: "https://api.x.ai",
            variables: &["XAI_API_ENDPOINT", "XAI_BASE_URL", "XAI_API_BASE"],
        }),
    },
    Builtin {
        kind: AgentKind::Shell,
        name: "shell",
        argv: &["/bin/sh", "-s"],
        own_keys: &[],
        stream: None,
        help: &[],
        needs: &[],
        resume: Resume::Never,
        service: None,
    },
    Builtin {
        kind: AgentKind::Command,
        name: "command",
        argv: &[],
        own_keys: &[],
        stream: None,
        help: &[],
        needs: &[],
        resume: Resume::Never,
        service: None,
    },
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
        self.row().stream
    }

    /// Whether it is a service over the network, called by `run-agent` itself.
    pub fn is_rest(self) -> bool {
        matches!(self, AgentKind::Perplexity | AgentKind::Xai)
    }

    /// Whether it can be asked for a model.
    pub fn takes_model(self) -> bool {
        !matches!(self, AgentKind::Shell | AgentKind::Command)
    }

    /// The arguments with which it tells its options; empty where it is not asked.
    pub(crate) fn help(self) -> &'static [&'static str] {
        self.row().help
    }

    /// The options that it must have.
    pub(crate) fn needs(self) -> &'static [&'static str] {
        self.row().needs
    }

    /// The service that it calls.
    pub(crate) fn service(self) -> Option<Service> {
        self.row().service
    }

    /// Its command, going on with a session of its own; `None` where it cannot.
    pub(crate) fn resuming(self, mut argv: Vec<OsString>, session: &str) -> Option<Vec<OsString>> {
        let (at, word) = match self.row().resume {
            Resume::Never => return None,
            Resume::AtEnd(word) => (argv.len(), word),
            Resume::BeforeDash(word) => {
                (argv.iter().rposition(|argument| argument == "-").unwrap_or(argv.len()), word)
            }
        };
        argv.splice(at..at, [word.into(), session.into()]);
        Some(argv)
    }

    /// The coding agents among the kinds: those that need to be installed.
    pub fn installable() -> impl Iterator<Item = AgentKind> {
        [AgentKind::Claude, AgentKind::Codex, AgentKind::Gemini].into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_row() {
        for row in BUILTINS {
            assert_eq!(row.kind.name(), row.name);
            assert_eq!(AgentKind::parse(&row.name.to_uppercase()).unwrap(), row.kind);
            assert_eq!(row.kind.is_rest(), row.argv.get(1) == Some(&REST_COMMAND));
        }
        let error = AgentKind::parse("clod").unwrap_err();
        assert_eq!(error.code(), "agent.unknown");
        assert!(error.hint().contains("claude"));
    }

    #[test]
    fn what_an_agent_needs_is_what_it_is_started_with() {
        for row in BUILTINS.iter().filter(|row| !row.kind.is_rest()) {
            for need in row.needs {
                let used = row.argv.contains(need) || *need == "--config";
                assert!(used, "{} does not use {need}", row.name);
            }
        }
    }

    #[test]
    fn a_session_goes_where_the_agent_takes_it() {
        let line = |kind: AgentKind| {
            let argv = kind.resuming(kind.argv(), "s-1")?;
            Some(argv.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" "))
        };
        assert!(line(AgentKind::Claude).unwrap().ends_with(" --resume s-1"));
        assert!(line(AgentKind::Codex).unwrap().ends_with(" --json resume s-1 -"));
        assert!(line(AgentKind::Gemini).unwrap().ends_with(" --resume s-1"));
        assert_eq!(line(AgentKind::Shell), None);
    }
}
