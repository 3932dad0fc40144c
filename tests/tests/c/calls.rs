//! No function of the header is forgotten in the C tests: each is seen succeeding, and is given NULL in
//! every place where a pointer or a text is wanted. (That what they call is run, the compiler sees: a
//! function that nothing calls is an error there.)

use conductor_tests::workspace;
use std::collections::BTreeMap;
use std::fs;

/// A function of the header: what it gives, and its parameters.
#[derive(Debug)]
struct Declared {
    gives: String,
    parameters: Vec<String>,
}

/// A call in a test: what stands right before it and right behind it, and its arguments.
#[derive(Debug)]
struct Call {
    before: String,
    after: String,
    arguments: Vec<String>,
}

/// The declarations of the header, as another test keeps them, one a line.
fn declared() -> BTreeMap<String, Declared> {
    let folder = workspace().join("tests/abi/declarations");
    let newest = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let text = fs::read_to_string(newest).unwrap();
    let functions = text.lines().filter_map(|line| {
        let (head, parameters) = line.strip_suffix(");")?.split_once('(')?;
        let at = head.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')? + 1;
        let parameters = parameters.split(", ").filter(|parameter| *parameter != "void");
        let parameters = parameters.map(str::to_owned).collect();
        Some((head[at..].to_owned(), Declared { gives: head[..at].trim().to_owned(), parameters }))
    });
    functions.collect()
}

/// Every call of a function of the library in a source without comments.
fn calls(source: &str, functions: &BTreeMap<String, Declared>) -> BTreeMap<String, Vec<Call>> {
    let mut found = BTreeMap::<String, Vec<Call>>::new();
    for (at, _) in source.match_indices("conductor_") {
        let name_end = source[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let Some(open) = name_end.map(|length| at + length) else { continue };
        let name = &source[at..open];
        if !functions.contains_key(name) || !source[open..].starts_with('(') {
            continue;
        }
        let (arguments, end) = arguments(&source[open + 1..]);
        let (before, after) = (&source[..at], &source[open + 1 + end..]);
        found.entry(name.to_owned()).or_default().push(Call {
            before: before[before.len().saturating_sub(3)..].to_owned(),
            after: after.chars().take(18).collect(),
            arguments,
        });
    }
    found
}

/// The arguments of a call, and where its last parenthesis ends.
fn arguments(text: &str) -> (Vec<String>, usize) {
    let (mut found, mut start, mut depth, mut quoted, mut escaped) =
        (Vec::new(), 0, 0, false, false);
    for (at, c) in text.char_indices() {
        let skip = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted && !skip => escaped = true,
            '"' if !skip => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                let argument = text[start..at].trim();
                found.extend(Some(argument.to_owned()).filter(|argument| !argument.is_empty()));
                start = at + 1;
                if c == ')' {
                    return (found, start);
                }
            }
            _ => {}
        }
    }
    panic!("a call without an end: {text:.60}");
}

fn without_comments(source: &str) -> String {
    let mut parts = source.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once("*/").map_or("", |(_, code)| code))
}

/// Whether a call asks for success: `DO(...)`, or a comparison.
fn succeeds(call: &Call, gives: &str) -> bool {
    match gives {
        "conductor_status" => {
            call.before.ends_with("DO(") || call.after.starts_with(" == CONDUCTOR_OK")
        }
        _ => !call.arguments.iter().any(|argument| is_null(argument)),
    }
}

fn is_null(argument: &str) -> bool {
    // A text of no bytes is an empty one, wherever it lies.
    argument == "NULL" || argument.starts_with("bytes(NULL, ") && argument != "bytes(NULL, 0)"
}

#[test]
fn every_function_is_called_and_given_null_in_every_place() {
    let functions = declared();
    assert!(functions.len() > 70, "{functions:?}");
    let folder = fs::read_dir(workspace().join("tests/c")).unwrap();
    let sources = folder.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let calls = calls(&without_comments(&sources.collect::<String>()), &functions);
    let mut missing = Vec::new();
    for (name, Declared { gives, parameters }) in &functions {
        let calls = calls.get(name).map(Vec::as_slice).unwrap_or_default();
        if !calls.iter().any(|call| succeeds(call, gives)) {
            missing.push(format!("{name}: no call that is to succeed"));
        }
        for (place, parameter) in parameters.iter().enumerate() {
            let wants = parameter.contains('*') || parameter.starts_with("conductor_str ");
            let mut given = calls.iter().filter_map(|call| call.arguments.get(place));
            if wants && !given.any(|argument| is_null(argument)) {
                missing.push(format!("{name}: no call with NULL as {parameter:?}"));
            }
        }
    }
    assert!(missing.is_empty(), "add calls to tests/c: {missing:#?}");
}
