//! From a file to a configuration that may be used.

use super::check::{check, check_exposure, check_idle_key};
use super::hcl::read as read_hcl;
use super::model::{Config, Limits};
use super::problem::{Problem, Severity};
use super::read::{Places, Reader};
use super::take::Bases;
use super::variables::{Variables, apply};
use crate::error::{Error, ErrorKind};
use crate::limits;
use crate::sys;
use crate::yaml::{self, Fault, Part, Step, Why};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The form of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Yaml,
    Hcl,
}

impl Syntax {
    /// As the older program has it: by the ending, and YAML unless it is `.hcl`.
    pub(super) fn of(path: &Path) -> Syntax {
        match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("hcl") => Syntax::Hcl,
            _ => Syntax::Yaml,
        }
    }
}

/// What was found wrong with a configuration that cannot be used; at least one of them is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected(pub(super) Vec<Problem>);

impl Rejected {
    /// Everything that was found, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Rejected> for Error {
    /// The first error. The others are counted in its hint.
    fn from(rejected: Rejected) -> Error {
        let errors: Vec<&Problem> =
            rejected.0.iter().filter(|problem| problem.severity == Severity::Error).collect();
        let Some(first) = errors.first() else {
            return Error::new(
                ErrorKind::Internal,
                "config.internal",
                "a configuration was refused",
            );
        };
        let error = first.to_error();
        match errors.len() - 1 {
            0 => error,
            more => {
                let also = format!("`run-agent validate` tells of {more} more");
                let hint = match error.specific_hint() {
                    Some(hint) => format!("{hint}; {also}"),
                    None => also,
                };
                error.with_hint(hint)
            }
        }
    }
}

/// Where a value is from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nothing was said.
    Default,
    /// The file, in this line and column if they are known.
    File(Option<yaml::Place>),
    /// A variable of the environment.
    Variable(String),
}

/// A configuration that was read and may be used.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The file; `None` where there is none.
    pub(super) path: Option<PathBuf>,
    pub(super) config: Config,
    pub(super) warnings: Vec<Problem>,
    pub(super) places: Places,
    /// The variables that were put over the file.
    pub(super) variables: Variables,
    /// What a variable of the environment said, over the file.
    pub(super) overridden: BTreeMap<Vec<Step>, String>,
}

/// Nothing is configured.
impl Default for LoadedConfig {
    fn default() -> LoadedConfig {
        LoadedConfig {
            path: None,
            config: Config::default(),
            warnings: Vec::new(),
            places: Places::Known(BTreeMap::new()),
            variables: Variables::default(),
            overridden: BTreeMap::new(),
        }
    }
}

impl LoadedConfig {
    /// The configuration of a machine without a file: what the variables say.
    ///
    /// # Errors
    /// [`Rejected`] for a variable that makes no sense.
    pub fn without_file(variables: &Variables) -> Result<LoadedConfig, Rejected> {
        let places = Places::Known(BTreeMap::new());
        finish(None, Config::default(), Vec::new(), places, variables)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Rejected`] with everything that is wrong, each with its place.
    pub fn read(path: &Path, variables: &Variables) -> Result<LoadedConfig, Rejected> {
        let refuse = |problem: Problem| Rejected(vec![problem.file(path)]);
        let read = sys::read_regular_file(path, limits::CONFIG_FILE);
        let (bytes, meta) = read.map_err(|error| refuse(unreadable(path, error)))?;
        let mut loaded = LoadedConfig::parse(&bytes, path, variables)?;
        let mode = meta.permissions().mode();
        if mode & 0o077 != 0 && loaded.config.holds_secrets() {
            let message = "it holds secrets, and others may read it";
            let hint = format!("chmod 600 {}, or use token_file", path.display());
            let problem = Problem::warning("config.readable_secrets", message).hint(hint);
            loaded.warnings.push(problem.file(path));
        }
        Ok(loaded)
    }

    /// Reads the content of a file that lies, or would lie, at `path`.
    ///
    /// # Errors
    /// [`Rejected`] with everything that is wrong, each with its place.
    pub fn parse(
        bytes: &[u8],
        path: &Path,
        variables: &Variables,
    ) -> Result<LoadedConfig, Rejected> {
        let refuse = |problem: Problem| Rejected(vec![problem.file(path)]);
        if bytes.len() as u64 > limits::CONFIG_FILE {
            return Err(refuse(too_large()));
        }
        let text = text_of(bytes).map_err(|problem| refuse(*problem))?;
        let (document, places) = match Syntax::of(path) {
            Syntax::Hcl => read_hcl(text).map_err(|problem| refuse(*problem))?,
            Syntax::Yaml => {
                let value = yaml::read(text).map_err(|fault| refuse(of_fault(fault)))?;
                (value, Places::Yaml(text.to_owned()))
            }
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        let bases = Bases { folder, home: variables.home.as_deref() };
        let mut reader = Reader::new(bases, &places);
        let config = reader.config(&document);
        check(&config, &mut reader);
        let problems: Vec<Problem> =
            reader.problems.into_iter().map(|problem| problem.file(path)).collect();
        finish(Some(path), config, problems, places, variables)
    }

    /// The file that was read.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What it says.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The variables of the environment that were put over it.
    pub(crate) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// What is doubtful in it.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Where a value that was said is from; with its place if that shall be found.
    pub(super) fn origin(&self, path: &[Step], find: bool) -> Origin {
        match self.overridden.get(path) {
            Some(name) => Origin::Variable(name.clone()),
            None if find => Origin::File(self.places.find(path, Part::Key)),
            None => Origin::File(None),
        }
    }
}

/// Reads the bounds that a task's own configuration at `path` holds under `limits`.
///
/// # Errors
/// [`Rejected`], as of the same section of a configuration.
pub(crate) fn read_limits(bytes: &[u8], path: &Path) -> Result<Limits, Rejected> {
    let refuse = |problem: Problem| Rejected(vec![problem.file(path)]);
    let text = text_of(bytes).map_err(|problem| refuse(*problem))?;
    let document = yaml::read(text).map_err(|fault| refuse(of_fault(fault)))?;
    let places = Places::Yaml(text.to_owned());
    let bases = Bases { folder: path.parent().unwrap_or(Path::new(".")), home: None };
    let mut reader = Reader::new(bases, &places);
    let limits = reader.limits(&document);
    match reader.problems.is_empty() {
        true => Ok(limits),
        false => {
            let problems = reader.problems.into_iter();
            Err(Rejected(problems.map(|problem| problem.file(path)).collect()))
        }
    }
}

/// Puts the variables over the file, and gives the result unless something is wrong.
fn finish(
    path: Option<&Path>,
    mut config: Config,
    mut problems: Vec<Problem>,
    places: Places,
    variables: &Variables,
) -> Result<LoadedConfig, Rejected> {
    let overridden = apply(&mut config, variables, &mut problems);
    let with_variables =
        [check_exposure(&config, &places), check_idle_key(&config, variables, &places)];
    problems.extend(with_variables.into_iter().flatten().map(|problem| match path {
        Some(path) => problem.file(path),
        None => problem,
    }));
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Rejected(problems));
    }
    let path = path.map(Path::to_owned);
    Ok(LoadedConfig {
        path,
        config,
        warnings: problems,
        places,
        variables: variables.clone(),
        overridden,
    })
}

/// The text of a file, without the mark that some editors begin it with.
fn text_of(bytes: &[u8]) -> Result<&str, Box<Problem>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        Box::new(
            Problem::error("config.not_utf8", "it is not UTF-8")
                .place(Some(yaml::Place::of_offset(valid, valid.len())))
                .hint("save it as UTF-8".to_owned()),
        )
    })?;
    if let Some(at) = text.find('\0') {
        let problem = Problem::error("config.nul", "it holds a NUL byte, as after a power cut");
        return Err(Box::new(problem.place(Some(yaml::Place::of_offset(text, at)))));
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn of_fault(Fault { why, place }: Fault) -> Problem {
    let (code, hint) = match &why {
        Why::Twice(_) => ("config.duplicate_key", Some("keep one of them")),
        Why::Tag => ("config.syntax", Some("leave the tag out; a text is put in quotes")),
        Why::Deep => ("config.syntax", None),
        Why::Aliases => ("config.syntax", Some("write out what is repeated")),
        Why::Key => ("config.syntax", None),
        Why::Syntax(message) => (
            "config.syntax",
            message
                .contains("cannot start any token")
                .then_some("indent with blanks, and put a text with special characters in quotes"),
        ),
    };
    let message = match &why {
        Why::Syntax(message) => format!("no YAML: {message}"),
        why => why.to_string(),
    };
    let problem = Problem::error(code, message).hint(hint.map(str::to_owned)).place(place);
    match why {
        Why::Twice(key) => problem.field(&[key.as_str().into()]),
        _ => problem,
    }
}

fn too_large() -> Problem {
    Problem::error("config.too_large", format!("it has more than {} bytes", limits::CONFIG_FILE))
}

fn unreadable(path: &Path, error: io::Error) -> Problem {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return too_large();
    }
    let error = Error::io("read the configuration", path, error);
    let mut problem = Problem::of_error(Severity::Error, &error);
    problem.code = "config.unreadable";
    if error.kind() == ErrorKind::NotFound {
        problem.message = format!("there is no configuration {}", path.display());
        problem.code = "config.not_found";
        problem.hint =
            Some("`run-agent config path` lists the places that are looked at".to_owned());
    }
    problem
}

impl From<Problem> for Rejected {
    fn from(problem: Problem) -> Rejected {
        Rejected(vec![problem])
    }
}
