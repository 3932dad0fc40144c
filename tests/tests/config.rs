//! Configurations: the examples are good, and each broken one gets the message that it deserves.

use conductor_core::{Error, LoadedConfig, Problem, Variables};
use conductor_tests::workspace;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Set, it makes the test write down what is said now. Read it before it is committed.
const BLESS: &str = "CONDUCTOR_BLESS";

fn variables() -> Variables {
    Variables::pick(Some("/home/user".into()), [])
}

/// The files of a folder with these endings, in order.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| endings.iter().any(|ending| path.extension().is_some_and(|e| e == *ending)))
        .collect();
    files.sort();
    files
}

fn told(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        writeln!(text, "{} {}", problem.severity.name(), problem.code).unwrap();
        writeln!(text, "  {}", problem.line_for_people()).unwrap();
        if let Some(hint) = &problem.hint {
            writeln!(text, "  hint: {hint}").unwrap();
        }
    }
    text
}

#[test]
fn each_broken_file_gets_its_message() {
    let folder = workspace().join("tests/fixtures/config/broken");
    let broken = files(&folder, &["yaml", "hcl"]);
    assert!(broken.len() >= 40, "only {} broken files", broken.len());
    let mut differing = Vec::new();
    for path in &broken {
        let name = path.file_name().unwrap();
        let rejected = LoadedConfig::parse(
            &fs::read(path).unwrap(),
            &Path::new("/etc").join(name),
            &variables(),
        )
        .expect_err(&format!("{} is accepted", path.display()));
        let said = told(rejected.problems());
        assert!(!said.contains("secret-text"), "{}: a secret is told:\n{said}", path.display());
        let error = Error::from(rejected);
        assert!(error.code().starts_with("config."), "{error:?}");
        assert!(!error.specific_hint().is_some_and(|hint| hint.contains("secret-text")));
        let golden = folder.join(format!("{}.txt", name.to_string_lossy()));
        if std::env::var_os(BLESS).is_some() {
            fs::write(&golden, &said).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != said {
            differing.push(format!("{}:\n{said}", path.display()));
        }
    }
    assert!(
        differing.is_empty(),
        "these are told otherwise than before; if better, run once with {BLESS}=1:\n{}",
        differing.join("\n")
    );
    for golden in files(&folder, &["txt"]) {
        assert!(broken.contains(&golden.with_extension("")), "{} has no file", golden.display());
    }
}
