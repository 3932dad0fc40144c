//! Whether this machine is ready: configuration, root, agents and their tokens. Starts nothing, changes
//! nothing.

use super::conductor::Conductor;
use super::preview::Preview;
use crate::agent::AgentCommand;
use crate::config::{ConfigSources, ConfigUse, LoadedConfig, Problem, Severity};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{Layout, RootOrigin, RootSources, resolve_root};
use crate::supervise::known_version;
use crate::sys::{self, RealOs};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to look at.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Validate {
    /// Only this agent, by its name in the configuration or of a built-in one.
    pub agent: Option<String>,
    /// An agent without a token is a warning, also where its program can log in by itself.
    pub check_tokens: bool,
}

impl Validate {
    /// Only this agent.
    #[must_use]
    pub fn agent(mut self, agent: Option<String>) -> Validate {
        self.agent = agent;
        self
    }

    /// Whether an agent without a token is a warning.
    #[must_use]
    pub fn check_tokens(mut self, check: bool) -> Validate {
        self.check_tokens = check;
        self
    }
}

/// What was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Validation {
    /// The configuration that is used; `None` where there is none.
    pub config: Option<PathBuf>,
    /// Whether the configuration can be used.
    pub config_ok: bool,
    /// The root, and what named it.
    pub root: Option<(PathBuf, RootOrigin)>,
    /// Each agent that was looked at.
    pub agents: Vec<AgentCheck>,
    /// Everything that is wrong or doubtful.
    pub problems: Vec<Problem>,
    /// The services that agents and the webhook call.
    pub services: Vec<Service>,
}

/// What was found of one agent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AgentCheck {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// The program that it runs, if it was found.
    pub program: Option<PathBuf>,
    /// The version that this very program told when it was first started in the root; `None` where that is
    /// not known.
    pub version: Option<String>,
    /// Where its token is from, for a person.
    pub token: String,
    /// How bad the worst of its problems is.
    pub worst: Option<Severity>,
}

/// A service that is called over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Service {
    /// Who calls it: an agent's name, or `webhook`.
    pub caller: String,
    /// Its scheme and host, with the port where it is said. Whatever else the address holds is left out.
    pub origin: String,
}

#[cfg(feature = "http")]
impl Service {
    /// Calls it, in TLS where its address says so, within `limit` and until the wait is over. What it
    /// answers, whatever that is: something that speaks HTTP lives there.
    ///
    /// # Errors
    /// Why there is no answer, in a few words.
    pub fn call(
        &self,
        limit: std::time::Duration,
        wait: impl Into<crate::Wait>,
    ) -> std::result::Result<String, String> {
        let answer = crate::http::Client::new().head(&self.origin, limit, &wait.into())?;
        Ok(format!("answers {} {}", answer.status, answer.reason).trim_end().to_owned())
    }
}

impl Conductor {
    /// Looks at whether this machine is ready to start work.
    pub fn validate(config: &ConfigSources, root: &RootSources, wish: &Validate) -> Validation {
        let mut found = Validation {
            config: None,
            config_ok: true,
            root: None,
            agents: Vec::new(),
            problems: Vec::new(),
            services: Vec::new(),
        };
        found.look_at_places(config);
        let loaded = match Conductor::load_config(config) {
            Ok(loaded) => loaded,
            Err(rejected) => {
                found.config_ok = false;
                found.problems.extend(rejected.problems().iter().cloned());
                LoadedConfig::default()
            }
        };
        found.problems.extend(loaded.warnings().iter().cloned());
        let mut root = root.clone();
        root.configured.clone_from(&loaded.config().storage.runs_dir);
        found.look_at_root(&root);
        if found.config_ok {
            found.look_at_agents(&loaded, wish);
        }
        found
    }
}

impl Validation {
    fn tell(&mut self, severity: Severity, error: &Error) {
        self.problems.push(Problem::of_error(severity, error));
    }

    fn look_at_places(&mut self, sources: &ConfigSources) {
        for place in Conductor::config_places(sources) {
            let what = match place.usage {
                ConfigUse::Used => {
                    self.config = Some(place.path);
                    continue;
                }
                ConfigUse::Missing | ConfigUse::Shadowed => continue,
                ConfigUse::Ignored => "is not used: a folder must not say which commands are run",
            };
            let path = &place.path;
            let error = Error::new(
                ErrorKind::InvalidInput,
                "config.ignored",
                format!("{} {what}", path.display()),
            );
            let hint = format!("name it with --config {}, or move it", path.display());
            self.tell(Severity::Warning, &error.with_path(path).with_hint(hint));
        }
    }

    fn look_at_root(&mut self, sources: &RootSources) {
        let resolved = resolve_root(sources, Path::is_dir);
        match resolved.and_then(|(root, origin)| check_root(&root).map(|()| (root, origin))) {
            Ok((root, origin)) => {
                let version = std::path::absolute(&root)
                    .map_err(|e| Error::io("find the root", &root, e))
                    .and_then(|path| Layout::open(Arc::new(RealOs), path)?.check_writable());
                match version {
                    Ok(()) => self.root = Some((root, origin)),
                    Err(error) => self.tell(Severity::Error, &error),
                }
            }
            Err(error) => self.tell(Severity::Error, &error),
        }
    }

    fn look_at_agents(&mut self, loaded: &LoadedConfig, wish: &Validate) {
        let config = loaded.config();
        let names: Vec<String> = match &wish.agent {
            Some(name) => vec![name.clone()],
            None => config.agents.keys().cloned().collect(),
        };
        let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let default = config.defaults.agent.as_deref().and_then(|name| config.find_agent(name));
        for name in names {
            let needed = wish.agent.is_some() || default.is_some_and(|(known, _)| known == name);
            self.look_at_agent(loaded, &name, needed, wish.check_tokens, &environment);
        }
        if let Some(url) = &config.webhook.url {
            self.services.extend(Service::of("webhook", url.reveal()));
        }
    }

    fn look_at_agent(
        &mut self,
        loaded: &LoadedConfig,
        name: &str,
        needed: bool,
        check_tokens: bool,
        environment: &[(OsString, OsString)],
    ) {
        let before = self.problems.len();
        let preview = match Preview::of(loaded, name, environment) {
            Ok(preview) => preview,
            Err(error) => return self.tell(Severity::Error, &error),
        };
        let version = preview.command.as_ref().and_then(|command| self.version_of(command));
        let program = match preview.program {
            Ok(program) => program,
            Err(error) => {
                let severity = if needed { Severity::Error } else { Severity::Warning };
                self.tell(severity, &error.with_field(format!("agents.{name}")));
                None
            }
        };
        let token = match preview.token {
            Ok(Some(token)) => token,
            Ok(None) => {
                let severity = (check_tokens && preview.variable.is_some()) || preview.is_rest;
                if severity {
                    let error = no_token(name, preview.variable.as_deref());
                    self.tell(Severity::Warning, &error);
                }
                "none".to_owned()
            }
            Err(error) => {
                self.tell(Severity::Error, &error.with_field(format!("agents.{name}.token_file")));
                "cannot be read".to_owned()
            }
        };
        self.services.extend(preview.address.and_then(|url| Service::of(name, &url)));
        let worst = self.problems[before..].iter().map(|problem| problem.severity).max();
        let kind = preview.kind;
        let name = name.to_owned();
        self.agents.push(AgentCheck { name, kind, program, version, token, worst });
    }

    /// The version of an agent's program, where the root has it from an earlier start. What cannot be read
    /// there is asked for again by the next start.
    fn version_of(&self, command: &AgentCommand) -> Option<String> {
        let (root, _) = self.root.as_ref()?;
        let layout = Layout::new(Arc::new(RealOs), std::path::absolute(root).ok()?);
        let version = known_version(&layout, command).ok()??;
        Some(version).filter(|version| !version.is_empty())
    }

    /// How bad the worst problem is.
    pub fn worst(&self) -> Option<Severity> {
        self.problems.iter().map(|problem| problem.severity).max()
    }
}

fn no_token(name: &str, variable: Option<&str>) -> Error {
    let error = Error::new(
        ErrorKind::NotFound,
        "config.no_token",
        format!("the agent {name:?} has no token"),
    );
    let own = crate::config::token_variable(name);
    let hint = match variable {
        Some(variable) => format!("set {own} or {variable}, or name a token_file"),
        None => format!("set {own}, or name a token_file"),
    };
    error.with_field(format!("agents.{name}")).with_hint(hint)
}

impl Service {
    /// The service behind an address: nothing of it but scheme, host and port is kept.
    fn of(caller: &str, url: &str) -> Option<Service> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit('@').next().filter(|host| !host.is_empty())?;
        let origin = format!("{}://{host}", scheme.to_ascii_lowercase());
        Some(Service { caller: caller.to_owned(), origin })
    }
}

/// A root is a folder that we may write, or one that we may make.
fn check_root(root: &Path) -> Result<()> {
    let root = std::path::absolute(root).map_err(|e| Error::io("find the root", root, e))?;
    let refuse = |kind, code, what: String, hint: &str| {
        Err(Error::new(kind, code, what).with_path(&root).with_field("root").with_hint(hint))
    };
    // The nearest thing that is there decides whether what is missing can be made.
    for folder in root.ancestors() {
        match sys::program_metadata(folder) {
            None => {}
            Some(meta) if !meta.is_dir() => {
                let what = format!("{} is not a folder", folder.display());
                let hint = "name a folder with --root";
                return refuse(ErrorKind::InvalidInput, "root.not_a_folder", what, hint);
            }
            Some(_) => match sys::may_write(folder) {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    let what = format!("{} may not be written", folder.display());
                    let hint = "fix its rights, or name another root";
                    return refuse(ErrorKind::PermissionDenied, "root.not_writable", what, hint);
                }
                Err(error) => return Err(Error::io("look at", folder, error)),
            },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_keeps_nothing_that_could_be_a_secret() {
        let origin = |url: &str| Service::of("x", url).map(|service| service.origin);
        assert_eq!(origin("HTTPS://u:p@h:8/x?k=s").as_deref(), Some("https://h:8"));
        assert_eq!(origin("http://[::1]:9#f").as_deref(), Some("http://[::1]:9"));
        assert_eq!(origin("nothing"), None);
        assert_eq!(origin("http://"), None);
    }

    #[test]
    fn a_root_can_be_used_or_made() {
        let dir = tempfile::tempdir().unwrap();
        check_root(dir.path()).unwrap();
        check_root(&dir.path().join("a/b")).unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(check_root(&file).unwrap_err().code(), "root.not_a_folder");
        assert_eq!(check_root(&file.join("x")).unwrap_err().code(), "root.not_a_folder");
    }
}
