//! Who may know whom in the core: a file uses its own module and lower layers, never a higher one.

use crate::source::{PathUse, Source, read_all};
use conductor_tests::workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The modules of `conductor-core/src`, bottom up. Those of layer 0 may use each other; above it,
/// modules of one layer do not know each other.
const LAYERS: &[(&str, u8)] = &[
    ("error", 0),
    ("id", 0),
    ("time", 0),
    ("cancel", 0),
    ("boundary", 0),
    ("limits", 0),
    ("size", 0),
    ("usage", 0),
    ("nearest", 0),
    ("mask", 0),
    ("http", 1),
    ("sys", 0),
    ("fsx", 1),
    ("yaml", 1),
    ("wait", 1),
    ("layout", 2),
    ("log", 2),
    ("bus", 3),
    ("run", 3),
    ("agent", 3),
    ("config", 3),
    ("outbox", 3),
    ("update", 3),
    ("supervise", 4),
    ("task", 5),
    ("gc", 5),
    ("vocabulary", 6),
    ("facade", 7),
];

fn core() -> PathBuf {
    workspace().join("conductor-core/src")
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// The modules that `lib.rs` declares, and what it re-exports by name, with the module it is from.
fn read_lib(sources: &[Source]) -> (BTreeSet<String>, BTreeMap<String, String>) {
    let lib = sources.iter().find(|source| source.path.ends_with("src/lib.rs")).unwrap();
    let modules: BTreeSet<String> = lib.modules().into_iter().collect();
    let roots: Vec<&str> = modules.iter().map(String::as_str).collect();
    let mut names = BTreeMap::new();
    for PathUse { segments, .. } in lib.paths(&roots) {
        if let [module, .., name] = &segments[..] {
            names.insert(name.clone(), module.clone());
        }
    }
    (modules, names)
}

/// What the files of `modules` use and may not.
fn violations(sources: &[Source], modules: &BTreeSet<String>) -> Vec<String> {
    let (_, names) = read_lib(sources);
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !is_keeper(source)) {
        let Some(own) = source.module.first().filter(|own| modules.contains(*own)) else {
            continue;
        };
        let own_layer = layer(own).unwrap_or(u8::MAX);
        for PathUse { segments, line } in source.paths(&[]) {
            let Some(first) = segments.first() else { continue };
            let used = names.get(first).unwrap_or(first);
            let allowed = used == own
                || match layer(used) {
                    Some(used) => used < own_layer || (used == 0 && own_layer == 0),
                    // Not a module: a macro, or a name that the compiler will not find either.
                    None => !modules.contains(used) && used != "*",
                };
            if !allowed {
                let file = source.path.strip_prefix(workspace()).unwrap().display();
                let what = segments.join("::");
                found.push(format!("{file}:{line}: {own} uses crate::{what} ({used})"));
            }
        }
    }
    found
}

/// The keeper is a program of its own: `crate` means itself there.
fn is_keeper(source: &Source) -> bool {
    source.module.starts_with(&["sys".to_owned(), "keeper".to_owned()])
}

#[test]
fn every_module_has_a_layer() {
    let (modules, _) = read_lib(&read_all(&core()));
    assert!(modules.contains("error"), "the modules of lib.rs are not read: {modules:?}");
    for module in modules {
        assert!(
            layer(&module).is_some(),
            "conductor-core/src/lib.rs declares `{module}`, which has no layer: say in LAYERS, and in \
             docs/ARCHITECTURE.md, what it knows and what it must not know"
        );
    }
}

#[test]
fn no_module_uses_a_higher_layer() {
    let sources = read_all(&core());
    let (modules, _) = read_lib(&sources);
    let found = violations(&sources, &modules);
    assert!(
        found.is_empty(),
        "a file may use its own module and lower layers only:\n{}\nMove what is used down, or hand it \
         in as a value.",
        found.join("\n")
    );
}

#[test]
fn a_use_of_a_higher_layer_is_found() {
    let source = |module: &str, code: &str| Source {
        path: core().join(module).with_extension("rs"),
        module: vec![module.to_owned()],
        tokens: code.parse().unwrap(),
    };
    let modules = ["error", "id", "fsx", "bus", "run"].map(str::to_owned).into();
    let lib = Source {
        module: Vec::new(),
        ..source("lib", "pub mod error; pub use error::Error; pub use bus::Bus;")
    };
    let good =
        "use crate::error::Error; use crate::fsx; use crate::bus::own; fn f() -> crate::Error {}";
    assert!(violations(&[source("bus", good), lib], &modules).is_empty());
    for bad in [
        "use crate::run::Run;",
        "fn f() { crate::run::g() }",
        "use super::run::Run;",
        "use super::*;",
    ] {
        let lib = Source { module: Vec::new(), ..source("lib", "") };
        assert_eq!(violations(&[source("bus", bad), lib], &modules).len(), 1, "{bad}");
    }
}

#[test]
fn only_the_yaml_module_names_the_yaml_library() {
    for source in read_all(&core()) {
        let lines = source.lines_with("serde_yaml");
        assert!(
            lines.is_empty() || source.module.first().is_some_and(|module| module == "yaml"),
            "{}:{}: ask crate::yaml instead of serde_yaml, so that the library can be exchanged",
            source.path.display(),
            lines[0]
        );
    }
}

#[test]
fn only_the_hcl_part_of_the_configuration_names_the_hcl_library() {
    for source in read_all(&core()) {
        let uses = source.paths(&["hcl"]);
        let library = uses.iter().find(|used| used.segments.first().is_some_and(|s| s == "hcl"));
        let home = ["config".to_owned(), "hcl".to_owned()];
        assert!(
            library.is_none() || source.module == home,
            "{}: ask crate::config instead of hcl, so that the library can be exchanged",
            source.path.display()
        );
    }
}

/// What `sources` use of the core that it does not offer to every caller.
fn not_offered(sources: &[Source], names: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for PathUse { segments, line } in source.paths(&["conductor_core"]) {
            let [root, first, ..] = &segments[..] else { continue };
            if root == "conductor_core" && !names.contains_key(first) {
                found.push(format!("{}:{line}: conductor_core::{first}", source.path.display()));
            }
        }
    }
    found
}

#[test]
fn run_agent_uses_only_what_the_core_offers_to_all() {
    let (_, names) = read_lib(&read_all(&core()));
    assert!(names.contains_key("Error"), "the re-exports of lib.rs are not read: {names:?}");
    let found = not_offered(&read_all(&workspace().join("run-agent/src")), &names);
    assert!(
        found.is_empty(),
        "C, Go and Python have only what conductor-core/src/lib.rs re-exports by name; so has \
         run-agent:\n{}",
        found.join("\n")
    );
    let code = "use conductor_core::{Error, bus::Bus}; fn f() { conductor_core::sys::now() }";
    let source =
        Source { path: "main.rs".into(), module: Vec::new(), tokens: code.parse().unwrap() };
    assert_eq!(not_offered(&[source], &names).len(), 2);
}
