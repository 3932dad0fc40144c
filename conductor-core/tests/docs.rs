//! The documents of the project say what the code does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

use conductor_core::bus::{Bus, BusOptions, Event, ReadOptions, Scope};
use conductor_core::fsx::Folder;
use conductor_core::sys::RealOs;
use conductor_core::vocabulary::{About, FIELDS};
use conductor_core::{KINDS, Wait};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod support;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn document(name: &str) -> String {
    fs::read_to_string(project().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The part of a document under a heading, up to the next heading of the same level.
fn section(document: &str, heading: &str) -> String {
    let start = document.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading}"));
    let text = &document[start + heading.len() + 2..];
    let level = heading.split(' ').next().unwrap();
    let end = text.find(&format!("\n{level} ")).unwrap_or(text.len());
    text[..end].to_owned()
}

/// The first cells of a part's tables, where they hold one word in back quotes.
fn named_rows(text: &str) -> BTreeSet<String> {
    let cell =
        |line: &str| line.strip_prefix("| `")?.split_once("` |").map(|(word, _)| word.into());
    text.lines().filter_map(cell).collect()
}

#[test]
fn the_kinds_are_those_of_the_code() {
    let mut table = String::new();
    for row in KINDS {
        let again = if row.retryable { "yes" } else { "no" };
        writeln!(
            table,
            "| `{:?}` | `{}` | {} | {} | {} | `conductor.{}` | `{}` | {again} | {} |",
            row.kind,
            row.name,
            row.c_status,
            row.exit_code,
            row.http_status,
            row.python_class,
            row.python_base,
            row.advice
        )
        .unwrap();
    }
    let kinds = section(&document("docs/ERRORS.md"), "## Kinds");
    assert!(kinds.contains(&table), "docs/ERRORS.md should hold these rows:\n{table}");
    assert_eq!(named_rows(&kinds).len(), KINDS.len(), "a row too many in docs/ERRORS.md");
}

/// Texts of the form `word.word` that are no error codes.
const NO_CODES: &[&str] = &[
    // Names of files.
    "gc.yaml",
    "index.html",
    "admission.lock",
    "cwd.txt",
    "server.lock",
    "server.token",
    "program.yaml",
    "rotation.lock",
    "root.yaml",
    "rotation.yaml",
    "stderr.txt",
    "stdout.txt",
    // A module of the Python package.
    "conductor.errors",
    // A key of the configuration, and files that hold one.
    "storage.runs_dir",
    "defaults.diversification",
    "webhook.url",
    "config.hcl",
    "config.yaml",
    "config.yml",
    // Events of an agent's stream.
    "response.completed",
    "thread.started",
    "turn.completed",
    "turn.failed",
    "turn.started",
    // Fields of a record.
    "usage.cache_creation_tokens",
    "usage.cache_read_tokens",
    "usage.input_tokens",
    "usage.output_tokens",
    "waiting.for",
    "waiting.position",
    "waiting.since",
    "waiting.until",
];

#[test]
fn the_codes_are_those_of_the_code() {
    let mut used = BTreeSet::new();
    for member in ["conductor-core", "conductor-ffi", "conductor-py", "run-agent"] {
        collect_codes(&project().join(member).join("src"), &mut used);
    }
    for no_code in NO_CODES {
        assert!(used.remove(*no_code), "{no_code} is gone: take it out of NO_CODES");
    }
    assert!(used.contains("id.invalid") && used.contains("io.other"), "the sources are not read");
    let told = named_rows(&section(&document("docs/ERRORS.md"), "## Codes"));
    let missing: Vec<_> = used.difference(&told).collect();
    let stale: Vec<_> = told.difference(&used).collect();
    assert!(missing.is_empty(), "docs/ERRORS.md does not explain {missing:?}");
    assert!(stale.is_empty(), "docs/ERRORS.md explains what no source uses: {stale:?}");
}

/// The texts of the form of a code in the sources below a folder; comments and tests left out.
fn collect_codes(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // The keeper has no errors of this kind, only numbers.
            if !path.ends_with("sys/keeper") {
                collect_codes(&path, codes);
            }
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let texts = line.split('"').skip(1).step_by(2);
            codes.extend(texts.filter(|text| is_code(text)).map(str::to_owned));
        }
    }
}

fn is_code(text: &str) -> bool {
    let word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    // Names of files look the same.
    const ENDINGS: [&str; 6] = ["gradle", "json", "md", "mod", "toml", "xml"];
    text.split_once('.')
        .is_some_and(|(noun, what)| word(noun) && word(what) && !ENDINGS.contains(&what))
}

#[test]
fn every_field_of_a_run_record_is_described() {
    let told = named_rows(&section(&document("docs/FORMAT.md"), "## run-info.yaml"));
    // These two are computed when a run is looked at and stand in no file.
    let on_disk = FIELDS.iter().filter(|f| f.about == About::Run).map(|f| f.name);
    let on_disk: BTreeSet<String> =
        on_disk.filter(|name| !["alive", "folder"].contains(name)).map(str::to_owned).collect();
    // Whom its end is told to is conductor's own affair: it stands on disk, and in no other surface.
    let on_disk: BTreeSet<String> = on_disk.into_iter().chain(["webhook".to_owned()]).collect();
    assert_eq!(told, on_disk);
}

#[test]
fn every_name_that_work_leaves_is_described() {
    let format = document("docs/FORMAT.md");
    let root = support::root();
    let spec = support::task("touch \"$JRUN_TASK_FOLDER/DONE\"").depends_on([] as [&str; 0]);
    root.conductor.tasks().start(spec, support::LONG).unwrap().wait(support::LONG).unwrap();
    let mut seen = 0;
    let mut folders = vec![root.path()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
            let given = ["shop", "fix"].contains(&name.as_str())
                || entry.path().parent().unwrap().ends_with("runs");
            let shown = match name.strip_prefix("keeper-") {
                Some(_) => "keeper-<8 hex>".to_owned(),
                None => name,
            };
            assert!(given || format.contains(&shown), "docs/FORMAT.md does not know {shown}");
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} names were looked at");
}

#[test]
fn the_record_that_the_format_shows_is_read() {
    let format = document("docs/FORMAT.md");
    let shown = section(&format, "### The golden record");
    let record =
        shown.split("```text\n").nth(1).and_then(|rest| rest.split("```\n").next()).unwrap();
    assert_eq!(record.len(), 209);
    let hex = Sha256::digest(record).iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
    assert!(shown.contains(&hex), "its SHA-256 is {hex}");

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("BUS.md"), record).unwrap();
    let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
    let scope = Scope::try_from(("p", "t")).unwrap();
    let bus = Bus::open(folder, "BUS.md", scope, BusOptions::default()).unwrap();
    let events: Vec<Event> =
        bus.read(ReadOptions::default()).unwrap().collect::<Result<_, _>>().unwrap();
    let [Event::Gap { from: 1, to: 4710 }, Event::Message(message)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(message.body, "hello\n---\n\\---\nbye");
    // And the next one goes right behind it.
    let post = conductor_core::bus::Post::new("FACT", "next");
    assert_eq!(bus.post(post, Wait::FOREVER).unwrap().seq, 4712);
}

/// Documents that others link to and that are not there yet.
const NOT_YET: &[&str] = &[];

#[test]
fn links_lead_somewhere() {
    let mut documents = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    for folder in ["docs", "docs/design"] {
        for entry in fs::read_dir(project().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                documents.push(format!("{folder}/{name}"));
            }
        }
    }
    let mut links = 0;
    for name in &documents {
        let text = document(name);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            links += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(name).parent().unwrap();
            let target =
                if file.is_empty() { PathBuf::from(name) } else { plain(&folder.join(file)) };
            if NOT_YET.iter().any(|missing| target == Path::new(missing)) {
                continue;
            }
            let path = project().join(&target);
            assert!(path.exists(), "{name} links to {link}, which does not exist");
            if !heading.is_empty() {
                let text = fs::read_to_string(&path).unwrap();
                let found = text.lines().any(|line| anchor(line).as_deref() == Some(heading));
                assert!(found, "{name} links to {link}, and there is no such heading");
            }
        }
    }
    assert!(links > 20, "only {links} links were looked at");
    for missing in NOT_YET {
        assert!(!project().join(missing).exists(), "{missing} is there: take it out of NOT_YET");
    }
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut so_far, part| {
        match part {
            std::path::Component::ParentDir => drop(so_far.pop()),
            part => so_far.push(part),
        }
        so_far
    })
}

/// How a heading is linked to.
fn anchor(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let kept = title.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.map(|c| if c == ' ' { '-' } else { c }).collect())
}

/// Whatever may come in between has a test: each that the document names is there.
#[test]
fn the_tests_of_what_may_come_in_between_are_there() {
    let document = document("docs/DURABILITY.md");
    let table = section(&document, "### The bus: what may come in between");
    let named: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_suffix("` |")?.rsplit_once('`').map(|(_, test)| test))
        .collect();
    assert!(named.len() > 30, "{named:?}");
    let mut code = String::new();
    for folder in ["tests/bus", "tests/bus_processes", "src/bus", "src/sys"] {
        let mut folders = vec![project().join("conductor-core").join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    code.push_str(&fs::read_to_string(path).unwrap());
                }
            }
        }
    }
    for test in named {
        assert!(code.contains(&format!("fn {test}()")), "there is no test {test}");
    }
}
