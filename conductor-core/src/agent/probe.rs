//! What a program says of itself: its version and its options, read out of what it prints.

use super::command::AgentCommand;
use super::kind::AgentKind;
use crate::error::{Error, ErrorKind, Result};

/// The longest version that is kept, in bytes.
const LONGEST_VERSION: usize = 100;
/// The most options that are kept.
const MOST_OPTIONS: usize = 1000;

/// What is known of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Probed {
    /// Its version; empty where it tells none.
    pub(crate) version: String,
    /// Its options, sorted; empty where it tells none.
    pub(crate) options: Vec<String>,
}

impl Probed {
    /// Reads what a program printed when it was asked for its version, and for help.
    pub(crate) fn read(version: &str, help: &str) -> Probed {
        let first = version.lines().map(str::trim).find(|line| !line.is_empty());
        let version = first.filter(|line| line.len() <= LONGEST_VERSION).unwrap_or_default();
        let mut options: Vec<String> = options(help).take(MOST_OPTIONS).collect();
        options.sort();
        options.dedup();
        Probed { version: version.to_owned(), options }
    }

    /// Refuses a program that lacks an option that it is started with. One that tells no options at all
    /// is taken as it is.
    ///
    /// # Errors
    /// `agent.too_old`, naming the options.
    pub(crate) fn check(&self, command: &AgentCommand) -> Result<()> {
        if self.options.is_empty() {
            return Ok(());
        }
        let has = |need: &&&str| self.options.iter().any(|option| option == **need);
        let lacking: Vec<&str> =
            command.kind.needs().iter().filter(|need| !has(need)).copied().collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let version = match self.version.as_str() {
            "" => String::new(),
            version => format!(" {version}"),
        };
        let program = command.program.display();
        let name = command.kind.name();
        let what = format!("{program}{version} has no option {}", lacking.join(", "));
        Err(Error::new(ErrorKind::SpawnFailed, "agent.too_old", what)
            .with_path(&command.program)
            .with_field("agent")
            .with_hint(way_out(command.kind, name)))
    }
}

fn way_out(kind: AgentKind, name: &str) -> String {
    if kind.is_rest() {
        return "it is another program of that name, or an older one: put a newer run-agent before it on \
                PATH"
            .to_owned();
    }
    format!(
        "update it, or give the command that it knows: agents.{name}.command in the configuration"
    )
}

/// The words of a text that look like long options.
fn options(help: &str) -> impl Iterator<Item = String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    help.split(move |c: char| !is_part(c))
        .filter(|word| word.len() > 2 && word.starts_with("--") && !word.starts_with("---"))
        .map(|word| word.trim_end_matches('-').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(kind: AgentKind) -> AgentCommand {
        AgentCommand::of_program(kind, kind.argv(), "/bin/x".into())
    }

    const HELP: &str = "Usage: claude [options]\n  --input-format <format>  (choices: \"text\")\n\
        -p, --print\n --output-format=stream-json\n [--tools=...] --permission-mode, ---- --\n";

    #[test]
    fn options_are_found_however_they_stand() {
        let probed = Probed::read("\n 2.1.0 (Claude Code)\nmore", HELP);
        assert_eq!(probed.version, "2.1.0 (Claude Code)");
        let all = ["--input-format", "--output-format", "--permission-mode", "--print", "--tools"];
        assert_eq!(probed.options, all);
        probed.check(&command(AgentKind::Claude)).unwrap();
        assert_eq!(Probed::read(&"x".repeat(200), "").version, "");
    }

    #[test]
    fn what_is_lacking_is_named_and_what_tells_nothing_is_taken() {
        let old = Probed::read("0.2.0", &HELP.replace("--tools", "--tool"));
        let error = old.check(&command(AgentKind::Claude)).unwrap_err();
        assert_eq!((error.code(), error.kind()), ("agent.too_old", ErrorKind::SpawnFailed));
        assert_eq!(error.to_string(), "/bin/x 0.2.0 has no option --tools");
        assert!(error.hint().contains("agents.claude.command"), "{}", error.hint());
        Probed::read("", "whatever").check(&command(AgentKind::Claude)).unwrap();
        let foreign = Probed::read("", "--root").check(&command(AgentKind::Xai)).unwrap_err();
        assert!(foreign.hint().contains("run-agent"), "{}", foreign.hint());
    }
}
