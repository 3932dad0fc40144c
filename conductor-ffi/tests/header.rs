//! The committed header is what the sources and the core's tables give.
#![allow(clippy::unwrap_used, reason = "a test")]

use cbindgen::{Builder, Config};
use conductor_core::KINDS;
use std::fmt::Write as _;
use std::path::Path;

/// The source files in the order of the header.
const SOURCES: [&str; 19] = [
    "text", "version", "error", "cancel", "options", "record", "reader", "batch", "root", "config",
    "bus", "run", "task", "gc", "update", "outbox", "log", "wait", "check",
];

const MACROS: &str = r#"#ifdef __cplusplus
#define CONDUCTOR_STR(literal) (conductor_str{("" literal), sizeof(literal) - 1})
#define CONDUCTOR_STRZ(z) (conductor_str{(z), strlen(z)})
#else
#define CONDUCTOR_STR(literal) ((conductor_str){("" literal), sizeof(literal) - 1})
#define CONDUCTOR_STRZ(z) ((conductor_str){(z), strlen(z)})
#endif
"#;

/// The statuses of the table of kinds, as an anonymous C enum with the advice beside each.
fn statuses() -> String {
    let mut out =
        String::from("/* What a conductor_status says: what the caller should do. */\nenum {\n");
    let mut line = |name: &str, number: i32, advice: &str| {
        let constant = format!("CONDUCTOR_{} = {number},", name.to_uppercase());
        writeln!(out, "    {constant:<36}/* {advice} */").unwrap();
    };
    line("ok", 0, "go on");
    for row in KINDS {
        line(row.name, row.c_status, row.advice);
    }
    out + "};\n"
}

fn generate() -> String {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = Config::from_file(package.join("cbindgen.toml")).unwrap();
    config.after_includes = Some(format!(
        "\n/* The version of this header; conductor_version() is that of the library. */\n\
         #define CONDUCTOR_VERSION \"{}\"\n\n{MACROS}\n{}",
        env!("CARGO_PKG_VERSION"),
        statuses()
    ));
    let mut builder = Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(package.join(format!("src/{name}.rs")));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    let mut header = String::from_utf8(header).unwrap().replace("\n\n\n", "\n\n") + "\n";
    for name in SOURCES {
        let source = std::fs::read_to_string(package.join(format!("src/{name}.rs"))).unwrap();
        header = with_chapter(&header, &source);
    }
    header
}

/// The header with a source file's own documentation before the first of its functions.
fn with_chapter(header: &str, source: &str) -> String {
    let Some(function) = source.split("extern \"C\" fn ").nth(1).and_then(|f| f.split('(').next())
    else {
        return header.to_owned();
    };
    let lines: Vec<&str> = header.lines().collect();
    let declares = |line: &str| {
        !line.starts_with("//") && !line.starts_with(" *") && line.contains(&format!("{function}("))
    };
    let mut at = lines.iter().position(|line| declares(line)).unwrap();
    while lines[at - 1].starts_with("//") {
        at -= 1;
    }
    let docs = source.lines().map_while(|line| line.strip_prefix("//!")).collect::<Vec<_>>();
    let (title, text) = docs.split_first().unwrap();
    let mut chapter = format!("/* ----{title} ");
    chapter.push_str(&"-".repeat(100 - chapter.len()));
    for line in text {
        chapter.push_str(&format!("\n *{line}"));
    }
    chapter.push_str(" */");
    let chapter = chapter.replace(" * */", " */");
    [&lines[..at], &[chapter.as_str(), ""], &lines[at..]].concat().join("\n") + "\n"
}

#[test]
fn the_committed_header_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/conductor.h");
    let header = generate();
    if std::env::var_os("CONDUCTOR_TEST_UPDATE").is_some() {
        std::fs::write(&path, &header).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some(at) = first_difference(&committed, &header) {
        panic!(
            "include/conductor.h is not what conductor-ffi/src gives: line {at} differs.\n\
             Update it with\n    CONDUCTOR_TEST_UPDATE=1 cargo test -p conductor-ffi --test header\n\
             and look at the difference: within one CONDUCTOR_ABI_VERSION things are only added."
        );
    }
}

fn first_difference(a: &str, b: &str) -> Option<usize> {
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b).count();
    (a != b).then_some(same + 1)
}

#[test]
fn every_source_file_with_an_exported_function_is_in_the_header() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // What lies in folders is no chapter.
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        let exports = source.contains("no_mangle)]");
        assert!(
            !exports || SOURCES.contains(&name.as_str()),
            "src/{name}.rs exports functions: add \"{name}\" to SOURCES in tests/header.rs"
        );
    }
}
