//! Configurations: the examples are good, and each broken one gets the message that it deserves.

use conductor_core::{
    ConfigValue, Error, LoadedConfig, Origin, Problem, Variables, config_reference, config_schema,
};
use conductor_tests::workspace;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Set, it makes the test write down what is said now. Read it before it is committed.
const WRITE: &str = "WRITE_GOLDEN";

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
        if std::env::var_os(WRITE).is_some() {
            fs::write(&golden, &said).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != said {
            differing.push(format!("{}:\n{said}", path.display()));
        }
    }
    assert!(
        differing.is_empty(),
        "these are told otherwise than before; if better, run once with {WRITE}=1:\n{}",
        differing.join("\n")
    );
    for golden in files(&folder, &["txt"]) {
        assert!(broken.contains(&golden.with_extension("")), "{} has no file", golden.display());
    }
}

/// Keys that are taken and do nothing, each with a warning: three of the older program, and one to come.
const IDLE: [&str; 4] = [
    "defaults.timeout",
    "api.sse.poll_interval_ms",
    "api.sse.discovery_interval_ms",
    "storage.name",
];

/// What the code calls the settings of a section that it reads, where that is not the section's name.
const CALLED: [(&str, &str); 2] = [("agents", "agent"), ("diversification", "sharing")];

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !path.ends_with("config/model.rs")
            && !path.ends_with("config/tests.rs")
        {
            let source = fs::read_to_string(&path).unwrap();
            let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
            text.extend(code.chars().filter(|c| !c.is_whitespace()));
        }
    }
}

#[test]
fn each_key_is_read_somewhere_or_told_to_do_nothing() {
    let mut code = String::new();
    for package in ["conductor-core", "conductor-ffi", "conductor-py", "run-agent"] {
        sources(&workspace().join(package).join("src"), &mut code);
    }
    let mut keys = BTreeSet::new();
    collect(&serde_json::from_str(&config_schema()).unwrap(), "", &mut keys);
    let mut idle = BTreeSet::new();
    for key in keys.iter().map(|key| without_name(key)) {
        let mut steps = key.rsplit('.').filter(|step| *step != "<name>");
        let (name, section) = (steps.next().unwrap(), steps.next().unwrap());
        let called = CALLED.iter().find(|(known, _)| *known == section);
        let field = if name == "type" { "kind" } else { name };
        let read = format!("{}.{field}", called.map_or(section, |(_, called)| called));
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if !code.match_indices(&read).any(|(at, _)| ends(&code[at + read.len()..])) {
            idle.insert(key);
        }
    }
    let told: BTreeSet<String> = IDLE.iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(idle, told, "keys that nothing reads, and keys that are told to do nothing");
}

#[test]
fn the_examples_say_the_same_in_both_forms_and_name_every_key() {
    let folder = workspace().join("examples/config");
    let mut said = BTreeSet::new();
    let pairs = files(&folder, &["yaml"]);
    assert_eq!(files(&folder, &["hcl"]).len(), pairs.len(), "each example has two forms");
    for yaml in pairs {
        let hcl = yaml.with_extension("hcl");
        let load = |path: &Path| {
            let bytes = fs::read(path).unwrap();
            LoadedConfig::parse(&bytes, path, &variables())
                .unwrap_or_else(|rejected| panic!("{}", told(rejected.problems())))
        };
        let (yaml, hcl) = (load(&yaml), load(&hcl));
        assert_eq!(yaml.config(), hcl.config(), "{}", yaml.path().unwrap().display());
        let keys = |loaded: &LoadedConfig| -> Vec<(String, String)> {
            let from_file = |value: &&ConfigValue| matches!(value.origin, Origin::File(Some(_)));
            let values = loaded.values();
            let said = values.iter().filter(from_file);
            said.map(|value| (value.key.clone(), value.text.clone())).collect()
        };
        assert_eq!(keys(&yaml), keys(&hcl));
        let idle = |problem: &Problem| {
            problem.code == "config.no_effect"
                && problem.field.as_deref().is_some_and(|field| IDLE.contains(&field))
        };
        let doubtful = yaml.warnings().iter().filter(|problem| !idle(problem));
        assert_eq!(doubtful.count(), 0, "{}", told(yaml.warnings()));
        said.extend(keys(&yaml).into_iter().map(|(key, _)| key));
    }
    let mut known = BTreeSet::new();
    collect(&serde_json::from_str(&config_schema()).unwrap(), "", &mut known);
    let said: BTreeSet<String> = said.into_iter().map(|key| without_name(&key)).collect();
    let missing: Vec<&String> = known.difference(&said).collect();
    assert_eq!(missing, ["api.auth_enabled"], "keys that no example shows");
}

#[test]
fn the_reference_is_that_of_the_one_table() {
    const KEYS: &str = "## Keys\n";
    let path = workspace().join("docs/CONFIG.md");
    let document = fs::read_to_string(&path).unwrap();
    let (prose, _) = document.split_once(KEYS).unwrap();
    let expected = format!("{prose}{KEYS}{}", config_reference());
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        expected,
        "run once with WRITE_DOCS=1, which writes {}",
        path.display()
    );
}

/// `agents.claude.token` as `agents.token`.
fn without_name(key: &str) -> String {
    match key.strip_prefix("agents.").and_then(|rest| rest.split_once('.')) {
        Some((_, key)) => format!("agents.{key}"),
        None => key.to_owned(),
    }
}

/// The keys of a JSON Schema.
fn collect(schema: &Value, outer: &str, keys: &mut BTreeSet<String>) {
    for (name, below) in schema["properties"].as_object().unwrap() {
        let key = if outer.is_empty() { name.clone() } else { format!("{outer}.{name}") };
        // An entry has a name of the user's choice.
        let entry = &below["additionalProperties"];
        if entry["properties"].is_object() {
            collect(entry, &key, keys);
        } else if below["properties"].is_object() {
            collect(below, &key, keys);
        } else {
            keys.insert(key);
        }
    }
}
