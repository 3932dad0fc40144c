//! One vocabulary in every language: docs/PARITY.md against the core's tables, the C library, Go, Python.

use conductor_core::Settings;
use conductor_core::vocabulary::{About, FIELDS, Noun, OPTIONS, OptionRow};
use conductor_tests::workspace;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

const DOCUMENT: &str = "docs/PARITY.md";

fn read(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// A name as Go writes it; `None` where Go says it in another way.
fn in_go(name: &str) -> String {
    name.split('_')
        .map(|word| match word {
            "id" => "ID".to_owned(),
            word => word[..1].to_uppercase() + &word[1..],
        })
        .collect()
}

/// All the sources of one language in a folder, tests left out.
fn sources(folder: &str, ending: &str) -> String {
    let mut text = String::new();
    let mut folders = vec![workspace().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(ending) && !name.ends_with("_test.go") {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    text
}

fn go() -> String {
    sources("examples/go/conductor", ".go")
}

/// The fields of a Go struct.
fn go_fields(source: &str, name: &str) -> BTreeSet<String> {
    let start =
        source.find(&format!("\ntype {name} struct {{")).unwrap_or_else(|| panic!("{name}"));
    let body = source[start..].lines().skip(2).take_while(|line| *line != "}");
    body.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn go_struct_of_option(noun: Noun) -> &'static str {
    match noun {
        Noun::Job => "JobSpec",
        Noun::Task => "TaskSpec",
        Noun::Open => "Options",
        Noun::List => "ListOptions",
        Noun::Post => "PostOptions",
        Noun::Read => "ReadOptions",
        Noun::Output => "OutputOptions",
        Noun::Stop => "StopOptions",
        Noun::Delete => "DeleteOptions",
        Noun::Usage => "UsageOptions",
        Noun::Config => "ConfigOptions",
        Noun::Validate => "ValidateOptions",
        Noun::Gc => "GCOptions",
    }
}

/// The Go struct that holds a field; `None` where Go gives it in another way, which the comment tells.
fn go_struct_of_field(about: About, group: &str) -> Option<&'static str> {
    match (about, group) {
        // Strings: the id is all of it.
        (About::Project, _) => None,
        // The error of a loop.
        (About::Unreadable, _) => None,
        (About::Update, _) => Some("UpdateStatus"),
        (About::Event, _) => Some("OutboxEvent"),
        (About::Delivery, _) => Some("Delivery"),
        (About::Log, _) => Some("LogLine"),
        (About::Gc, _) => Some("GCItem"),
        (About::GcPlan, _) => Some("GCPlanInfo"),
        (About::GcReport, _) => Some("GCReport"),
        (About::GcGoal, _) => Some("GCGoal"),
        (About::GcHeld, _) => Some("GCHeld"),
        (About::Run, "usage") => Some("Usage"),
        (About::Run, _) => Some("RunInfo"),
        (About::Task, "waiting") => Some("Waiting"),
        (About::Task, _) => Some("TaskInfo"),
        (About::Result, _) => Some("TaskResult"),
        (About::Stop, _) => Some("Stopped"),
        (About::Message, _) => Some("Message"),
        (About::Posted, _) => Some("Posted"),
        (About::Output, _) => Some("Output"),
        (About::Usage, "usage") => Some("Usage"),
        (About::Usage, _) => Some("UsageSum"),
        (About::UsageReport, _) => Some("UsageReport"),
        (About::BusCheck, _) => Some("BusCheck"),
        (About::BusFinding, _) => Some("BusFinding"),
        (About::Rotation, _) => Some("Rotation"),
        (About::Config, _) => Some("Config"),
        (About::ConfigValue, _) => Some("ConfigValue"),
        (About::Problem, _) => Some("Problem"),
        (About::Validation, _) => Some("Validation"),
        (About::AgentCheck, _) => Some("AgentCheck"),
        (About::Finding, _) => Some("Finding"),
        (About::Why, _) => Some("Why"),
    }
}

#[test]
fn every_option_can_be_given_in_every_language() {
    let go = go();
    for option in OPTIONS {
        // C and Python give options by name, through this.
        let set = Settings::new().set(option.name, option.example);
        set.unwrap_or_else(|e| panic!("{}: {e}", option.name));
        for noun in option.nouns {
            let name = go_struct_of_option(*noun);
            let field = in_go(option.name);
            assert!(go_fields(&go, name).contains(&field), "Go's {name} has no {field}");
        }
    }
}

#[test]
fn every_field_can_be_read_in_go() {
    let sources = go();
    for field in FIELDS {
        let (group, name) = field.name.rsplit_once('.').unwrap_or(("", field.name));
        let Some(holder) = go_struct_of_field(field.about, group) else { continue };
        let known = go_fields(&sources, holder);
        let damage = go_fields(&sources, "Damage");
        let name = if name == "ts" { "Time".to_owned() } else { in_go(name) };
        // Damage is an error of its own in Go.
        let found = known.contains(&name) || (holder == "Message" && damage.contains(&name));
        assert!(found, "Go's {holder} has no {name}");
    }
}

#[test]
fn the_document_holds_every_option_and_field() {
    let document = read(DOCUMENT);
    let by_hand = document.split("\n## Options\n").next().unwrap().trim_end();
    let expected = format!("{by_hand}\n\n{}", tables());
    if std::env::var_os("CONDUCTOR_TEST_UPDATE").is_some() {
        fs::write(workspace().join(DOCUMENT), &expected).unwrap();
        return;
    }
    assert!(
        document == expected,
        "{DOCUMENT} is not what the tables give. Update it with\n    \
         CONDUCTOR_TEST_UPDATE=1 cargo test -p conductor-tests --test parity"
    );
}

fn tables() -> String {
    let mut out = String::from(
        "## Options\n\nC's keys and Python's keywords are these names; Rust's builders have methods of \
         these names; Go's\nstruct fields and the command line's flags are made of them.\n\n\
         | Name | Value | Go | For | What it does |\n| --- | --- | --- | --- | --- |\n",
    );
    for row @ OptionRow { name, value, list, help, nouns, .. } in OPTIONS {
        let value = format!("{value:?}").to_lowercase();
        let many = if *list { ", several" } else { "" };
        let nouns: Vec<_> = nouns.iter().map(|noun| noun.as_str()).collect();
        let nouns = nouns.join(", ");
        let go = in_go(row.name);
        writeln!(out, "| `{name}` | {value}{many} | `{go}` | {nouns} | {help} |").unwrap();
    }
    out.push_str("\n## Fields\n");
    let mut last = None;
    for field in FIELDS {
        if last != Some(field.about) {
            last = Some(field.about);
            write!(out, "\n### {:?}\n\n| Name | Value | What it says |\n", field.about).unwrap();
            out.push_str("| --- | --- | --- |\n");
        }
        let value = format!("{:?}", field.value).to_lowercase();
        writeln!(out, "| `{}` | {value} | {} |", field.name, field.help).unwrap();
    }
    out
}

/// The words in back quotes in a column of the table of calls.
fn column(document: &str, index: usize) -> BTreeSet<String> {
    let table = document.split("\n## Calls\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
    let cells = rows.filter_map(|row| row.split(" | ").nth(index));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

#[test]
fn the_calls_are_those_of_the_languages() {
    let document = read(DOCUMENT);
    let symbols: BTreeSet<String> =
        read("tests/abi/symbols.txt").lines().map(str::to_owned).collect();
    assert_eq!(column(&document, 3), symbols, "the C column and the exported symbols differ");

    let go = go();
    for name in column(&document, 4).iter().filter(|name| !name.contains('.')) {
        let has = [
            format!(") {name}("),
            format!("func {name}("),
            format!("\t{name} "),
            format!("type {name} "),
        ]
        .iter()
        .any(|form| go.contains(form.as_str()));
        assert!(has, "Go has no {name}");
    }
    let python = sources("conductor-py/python/conductor", ".py");
    for name in column(&document, 5) {
        let name = name.trim_start_matches("conductor.");
        let has = [format!("def {name}("), format!("\"{name}\"")];
        assert!(has.iter().any(|form| python.contains(form.as_str())), "Python has no {name}");
    }
}

/// Groups of commands, which do nothing by themselves.
const GROUPS: [&str; 6] = ["run-agent", "bus", "config", "shell-setup", "update", "webhook"];

#[test]
fn every_command_is_in_the_table_or_is_said_not_to_be() {
    let document = read(DOCUMENT);
    let by_hand = document.split("\n## Options\n").next().unwrap();
    let told: BTreeSet<&str> = by_hand.split('`').skip(1).step_by(2).collect();
    let commands = read("docs/CLI.md");
    let commands = commands.split("\n## Commands\n").nth(1).unwrap();
    let names = commands.lines().filter_map(|line| line.strip_prefix("### "));
    // What asks a server is one thing: each of its commands is another one's over HTTP.
    let names = names.filter(|name| !name.starts_with("server "));
    let missing: Vec<_> =
        names.filter(|name| !GROUPS.contains(name) && !told.contains(name)).collect();
    assert!(missing.is_empty(), "{DOCUMENT} says nothing of the commands {missing:?}");
}

#[test]
fn the_rust_column_names_what_there_is() {
    let rust = sources("conductor-core/src", ".rs");
    for name in column(&read(DOCUMENT), 2) {
        let (holder, member) = match name.rsplit_once("::") {
            Some((holder, member)) => (Some(holder), member),
            None => (None, name.as_str()),
        };
        let known = |word: &str| {
            ["fn", "struct", "enum", "trait"].iter().any(|kind| {
                [" ", "(", "<"].iter().any(|end| rust.contains(&format!("pub {kind} {word}{end}")))
            })
        };
        // What the standard library has.
        if ["Iterator", "Drop"].contains(&name.as_str()) {
            continue;
        }
        for word in holder.into_iter().chain([member]) {
            assert!(
                known(word) || rust.contains(&format!("pub struct {word};")),
                "no {word} in Rust"
            );
        }
    }
}
