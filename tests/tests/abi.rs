//! The binary interface: symbols of the library = functions of the header = a list under version
//! control, and the library's name carries the header's number.

use conductor_tests::{artifacts, tools, workspace};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

const GOLDEN: &str = "tests/abi/symbols.txt";
/// What the header declared in each version of the interface: `1.txt` for the first.
const DECLARATIONS: &str = "tests/abi/declarations";

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// The functions that the header declares: the name before each parenthesis in a declaration.
fn declared(header: &str) -> BTreeSet<String> {
    let code = header.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.collect::<Vec<_>>().join(" ");
    let ends = code.match_indices('(').map(|(at, _)| &code[..at]);
    let names = ends.map(|before| {
        let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &before[start.map_or(0, |at| at + 1)..]
    });
    names.filter(|name| name.starts_with("conductor_")).map(str::to_owned).collect()
}

#[test]
fn the_library_exports_what_the_header_declares_and_no_more() {
    let header = fs::read_to_string(workspace().join("include/conductor.h")).unwrap();
    let declared = declared(&header);
    let golden_path = workspace().join(GOLDEN);
    if std::env::var_os("CONDUCTOR_TEST_UPDATE").is_some() {
        let list: String = declared.iter().map(|name| format!("{name}\n")).collect();
        fs::write(&golden_path, list).unwrap();
    }
    let golden = lines(&fs::read_to_string(golden_path).unwrap());
    assert_eq!(
        declared, golden,
        "include/conductor.h and {GOLDEN} differ. A function that is added: update the list with\n    \
         CONDUCTOR_TEST_UPDATE=1 cargo test -p conductor-tests --test abi\n\
         A function that is gone or changed breaks every program: raise CONDUCTOR_ABI_VERSION."
    );

    let Some(nm) = tools::find("nm") else { return };
    let library = artifacts::library("conductor-ffi", ".so");
    let output = tools::check(Command::new(nm).args(["-D", "--defined-only", "-P"]).arg(library));
    let symbols = String::from_utf8(output.stdout).unwrap();
    let exported: BTreeSet<String> =
        symbols.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert_eq!(exported, golden, "libconductor.so exports other symbols than {GOLDEN} lists");
}

/// The declarations of the header, each on a line of its own: structs with their fields, functions with
/// their arguments, constants.
fn declarations(header: &str) -> BTreeSet<String> {
    let begin = header.split("#define CONDUCTOR_ABI_VERSION").nth(1).unwrap();
    let statuses = header.split("enum {").nth(1).unwrap().split("};").next().unwrap();
    let plain = |text: &str| {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', '/', '*']));
        let words = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
        words.replace("/* ", "").replace(" */", "")
    };
    // A constant and what to do are on one line; only the constant is the interface.
    let statuses = statuses.lines().filter_map(|line| line.split(',').next());
    let statuses = statuses.map(plain).filter(|line| line.contains('='));
    let (mut found, mut depth, mut start) = (BTreeSet::new(), 0, 0);
    let code = plain(begin.split_once('\n').unwrap().1).replace("extern \"C\" { ", "");
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => {
                found.insert(code[start..=at].trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.extend(statuses);
    found
}

#[test]
fn what_one_version_declared_is_never_changed_nor_taken_away() {
    let header = fs::read_to_string(workspace().join("include/conductor.h")).unwrap();
    let number =
        header.lines().find_map(|line| line.strip_prefix("#define CONDUCTOR_ABI_VERSION "));
    let path = workspace().join(DECLARATIONS).join(format!("{}.txt", number.unwrap()));
    let declared = declarations(&header);
    assert!(declared.iter().any(|line| line.starts_with("typedef struct {")), "{declared:?}");
    let golden = lines(&fs::read_to_string(&path).unwrap_or_default());
    let gone: Vec<_> = golden.difference(&declared).collect();
    assert!(
        gone.is_empty(),
        "programs that were built with this interface break, for the header no longer declares\n{gone:#?}\n\
         Leave it as it was and add another, or raise CONDUCTOR_ABI_VERSION."
    );
    if std::env::var_os("CONDUCTOR_TEST_UPDATE").is_some() {
        let list: String = declared.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&path, list).unwrap();
        return;
    }
    let new: Vec<_> = declared.difference(&golden).collect();
    assert!(
        new.is_empty(),
        "the header declares more than {DECLARATIONS} lists: {new:#?}\nUpdate the list with\n    \
         CONDUCTOR_TEST_UPDATE=1 cargo test -p conductor-tests --test abi"
    );
}

#[test]
fn the_name_of_the_library_carries_the_number_of_the_interface() {
    let header = fs::read_to_string(workspace().join("include/conductor.h")).unwrap();
    let define =
        header.lines().find_map(|line| line.strip_prefix("#define CONDUCTOR_ABI_VERSION "));
    let name = format!("[libconductor.so.{}]", define.unwrap());
    let Some(readelf) = tools::find("readelf") else { return };
    let library = artifacts::library("conductor-ffi", ".so");
    let output = tools::check(Command::new(readelf).arg("-d").arg(library));
    let text = String::from_utf8(output.stdout).unwrap();
    let soname = text.lines().find(|line| line.contains("(SONAME)")).unwrap();
    assert!(soname.ends_with(&name), "{soname}: conductor-ffi/build.rs should set {name}");
}
