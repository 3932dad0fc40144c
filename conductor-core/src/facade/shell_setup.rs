//! Aliases in a shell's settings, so that agents that a person calls by name are wrapped.

mod block;

use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::fsx::{change_user_file, read_user_text};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The agents that get an alias.
const AGENTS: [&str; 3] = ["claude", "codex", "gemini"];

/// A shell whose settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shell {
    /// bash, and any other shell with aliases as POSIX has them.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// All of them.
    pub const ALL: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        }
    }

    /// The shell that a person names, or a path to it, as in `SHELL`.
    ///
    /// # Errors
    /// `shell.unknown`.
    pub fn parse(name: &str) -> Result<Shell> {
        let base = Path::new(name.trim()).file_name().and_then(|base| base.to_str());
        let base = base.unwrap_or_default();
        Shell::ALL.into_iter().find(|shell| shell.name() == base).ok_or_else(|| {
            Error::invalid("shell.unknown", "shell", format!("unknown shell {name:?}"))
                .with_hint("bash, zsh and fish are known; for another one name its settings")
        })
    }
}

/// What surrounds a process and can tell the shell and its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShellSources {
    /// The shell, named by the caller.
    pub shell: Option<Shell>,
    /// The file of its settings, named by the caller.
    pub rc_file: Option<PathBuf>,
    /// `SHELL`.
    pub variable: Option<String>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `ZDOTDIR`.
    pub zsh_folder: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub config_folder: Option<PathBuf>,
}

impl ShellSources {
    /// What this process's environment says, and what the caller names.
    pub fn of_this_process(shell: Option<Shell>, rc_file: Option<PathBuf>) -> ShellSources {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = |name: &str| var(name).map(PathBuf::from);
        ShellSources {
            shell,
            rc_file,
            variable: var("SHELL").and_then(|shell: OsString| shell.into_string().ok()),
            home: path("HOME"),
            zsh_folder: path("ZDOTDIR"),
            config_folder: path("XDG_CONFIG_HOME"),
        }
    }

    fn shell(&self) -> Result<Shell> {
        match (self.shell, &self.variable, &self.rc_file) {
            (Some(shell), ..) => Ok(shell),
            // Its place tells.
            (None, _, Some(path)) if path.extension().is_some_and(|end| end == "fish") => {
                Ok(Shell::Fish)
            }
            (None, Some(variable), None) => Shell::parse(variable),
            // Both of the others take the same lines.
            (None, _, Some(_)) => Ok(Shell::Bash),
            (None, None, None) => {
                Err(Error::invalid("shell.missing", "shell", "no shell is named")
                    .with_hint("name it with --shell, or its settings with --rc-file"))
            }
        }
    }

    fn rc_file(&self, shell: Shell) -> Result<PathBuf> {
        let missing = || {
            Error::invalid(
                "shell.no_home",
                "rc_file",
                "there is no home folder to find settings in",
            )
            .with_hint("set HOME, or name the file with --rc-file")
        };
        if let Some(path) = &self.rc_file {
            return match path.strip_prefix("~") {
                Ok(rest) => Ok(self.home.as_ref().ok_or_else(missing)?.join(rest)),
                Err(_) => std::path::absolute(path)
                    .map_err(|e| Error::io("find", path, e).with_field("rc_file")),
            };
        }
        let home = || self.home.clone().ok_or_else(missing);
        Ok(match shell {
            Shell::Bash => home()?.join(".bashrc"),
            Shell::Zsh => self.zsh_folder.clone().map_or_else(home, Ok)?.join(".zshrc"),
            Shell::Fish => {
                let folder = match &self.config_folder {
                    Some(folder) => folder.clone(),
                    None => home()?.join(".config"),
                };
                folder.join("fish/config.fish")
            }
        })
    }
}

/// The aliases of one file of settings: made, looked at, taken away.
///
/// They stand in a block between two marks, which are those of the older program too. Only the block is
/// ever changed; the file is replaced as a whole, keeps its rights, and a link to it stays a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellSetup {
    shell: Shell,
    rc_file: PathBuf,
    run_agent: String,
}

impl ShellSetup {
    /// The settings that `sources` tell, and the program that the aliases call: a name on `PATH`, or a
    /// path.
    ///
    /// # Errors
    /// `shell.unknown`, `shell.missing`, `shell.no_home`, and `shell.program` for a program that would
    /// have to be quoted.
    pub fn new(sources: &ShellSources, run_agent: &str) -> Result<ShellSetup> {
        let shell = sources.shell()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./+@%:,".contains(c);
        if run_agent.is_empty() || run_agent.starts_with('-') || !run_agent.chars().all(plain) {
            let what = format!("the program {run_agent:?} cannot stand in an alias");
            return Err(Error::invalid("shell.program", "run_agent_bin", what)
                .with_hint("a name or path of letters, digits and _-./+@%:, is wanted"));
        }
        Ok(ShellSetup { shell, rc_file: sources.rc_file(shell)?, run_agent: run_agent.to_owned() })
    }

    /// The shell.
    pub fn shell(&self) -> Shell {
        self.shell
    }

    /// The file of its settings.
    pub fn rc_file(&self) -> &Path {
        &self.rc_file
    }

    /// The block that [`install`](ShellSetup::install) puts there.
    pub fn block(&self) -> String {
        block::text(self.shell, &self.run_agent, &AGENTS)
    }

    /// Whether the aliases stand there already, as they would be put there. Reads only.
    ///
    /// # Errors
    /// `shell.block_damaged`, and what keeps the file from being read.
    pub fn is_installed(&self) -> Result<bool> {
        let before = read_user_text(&self.rc_file)?.unwrap_or_default();
        let after = block::put(&before, &self.block()).map_err(|why| self.damaged(why))?;
        Ok(after == before)
    }

    /// Whether any block of ours stands there. Reads only.
    ///
    /// # Errors
    /// As [`is_installed`](ShellSetup::is_installed).
    pub fn has_block(&self) -> Result<bool> {
        let before = read_user_text(&self.rc_file)?.unwrap_or_default();
        let after = block::take(&before).map_err(|why| self.damaged(why))?;
        Ok(after != before)
    }

    /// Puts the aliases there, in place of an earlier block; whether anything changed.
    ///
    /// # Errors
    /// `shell.block_damaged` where a mark has lost its other; `file.not_plain`, `file.read_only`,
    /// `file.hard_linked`; nothing is changed then.
    pub fn install(&self, wait: impl Into<Wait>) -> Result<bool> {
        change_user_file(&self.rc_file, &wait.into(), |before| {
            let after = block::put(before.unwrap_or_default(), &self.block());
            after.map(Some).map_err(|why| self.damaged(why))
        })
    }

    /// Takes the aliases away; whether there were any.
    ///
    /// # Errors
    /// As [`install`](ShellSetup::install).
    pub fn uninstall(&self, wait: impl Into<Wait>) -> Result<bool> {
        change_user_file(&self.rc_file, &wait.into(), |before| {
            let Some(before) = before else { return Ok(None) };
            block::take(before).map(Some).map_err(|why| self.damaged(why))
        })
    }

    fn damaged(&self, why: &str) -> Error {
        let what = format!("{}: {why}", self.rc_file.display());
        Error::new(crate::ErrorKind::Corrupt, "shell.block_damaged", what)
            .with_path(&self.rc_file)
            .with_hint("take the lines of the block and its marks out by hand; nothing was changed")
    }
}
