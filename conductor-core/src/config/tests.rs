//! Promises of the whole: both forms say the same, nothing panics, nothing grows beyond its bounds.

use super::kind::Kind;
use super::load::LoadedConfig;
use super::model::{AGENT_TYPES, Config};
use super::schema::Section;
use super::variables::Variables;
use crate::yaml::{Mapping, Value};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::Path;

fn variables() -> Variables {
    Variables::pick(Some("/home/u".into()), [])
}

fn parse(text: &str, path: &str) -> Result<Config, Vec<(String, String)>> {
    match LoadedConfig::parse(text.as_bytes(), Path::new(path), &variables()) {
        Ok(loaded) => Ok(loaded.config().clone()),
        Err(rejected) => {
            let problems = rejected.problems().iter();
            let mut told: Vec<_> = problems
                .map(|problem| (problem.code.to_owned(), problem.field.clone().unwrap_or_default()))
                .collect();
            told.sort();
            Err(told)
        }
    }
}

/// Texts with everything that one of the forms gives a meaning to.
fn any_text() -> impl Strategy<Value = Value> {
    let special = prop::sample::select(vec![
        "${x}",
        "%{if x}",
        "$${x}",
        "$",
        "%",
        "\\",
        "\"",
        "'",
        "# no comment",
        "// no comment",
        "no",
        "~",
        "null",
        "1e3",
        "a: b",
        "- a",
        "\u{e4}\u{1f600}",
        "two\nlines",
        "\ttab",
        " blanks ",
        "<<E",
        "*a",
        "&a",
        "!t",
        "{}",
        "[]",
        "0x10",
        "",
    ]);
    prop_oneof![
        special.prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::Text),
        "\\PC{0,8}".prop_map(Value::Text),
    ]
}

/// Values of which most are taken by a key of this kind.
fn any_value(kind: Kind) -> BoxedStrategy<Value> {
    let words = |words: &'static [&'static str]| prop::sample::select(words).prop_map(Value::from);
    let lists = |item: BoxedStrategy<Value>| {
        prop::collection::vec(item, 0..4).prop_map(Value::List).boxed()
    };
    let durations = || words(&["0", "5s", "1h30m", "250ms", "soon"]);
    let fitting = match kind {
        Kind::Flag => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Count { .. } => prop_oneof![(0i64..70000), any::<i64>()].prop_map(Value::Int).boxed(),
        Kind::Amount => prop_oneof![
            (0i64..100).prop_map(Value::Int),
            (0u32..1000).prop_map(|number| Value::Float(f64::from(number) / 8.0)),
        ]
        .boxed(),
        Kind::Duration => durations().boxed(),
        Kind::Size => {
            prop_oneof![(0i64..5000).prop_map(Value::Int), words(&["10MB", "1.5k", "x"])].boxed()
        }
        Kind::Text | Kind::Path | Kind::Secret => any_text().boxed(),
        Kind::Word(known) => words(known).boxed(),
        Kind::Url | Kind::SecretUrl => words(&["http://x", "https://y/z?a=b#c", "z"]).boxed(),
        Kind::Texts | Kind::Paths | Kind::Command => lists(any_text().boxed()),
        Kind::Words(known) => lists(words(known).boxed()),
        Kind::Counts => lists((0i64..5).prop_map(Value::Int).boxed()),
        Kind::Variables => prop::collection::btree_map("[A-Z][A-Z_]{0,5}", any_text(), 0..3)
            .prop_map(|pairs| {
                let mut map = Mapping::new();
                pairs.into_iter().for_each(|(name, value)| map.insert(&name, value));
                Value::Map(map)
            })
            .boxed(),
    };
    let other = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any_text(),
        prop::collection::vec(any_text(), 0..2).prop_map(Value::List),
    ];
    prop_oneof![12 => fitting, 1 => other].boxed()
}

/// Some keys of a section, and some of what lies below it.
fn any_section(section: &'static Section) -> BoxedStrategy<Value> {
    let mut parts: Vec<BoxedStrategy<Option<(String, Value)>>> = Vec::new();
    let often = if section.keys.len() > 8 { 0.25 } else { 0.5 };
    for key in section.keys {
        let pair = any_value(key.kind).prop_map(|value| (key.name.to_owned(), value));
        parts.push(prop::option::weighted(often, pair).boxed());
    }
    for below in section.sections {
        let value = match below.named {
            true => any_entries(below),
            false => any_section(below),
        };
        let pair = value.prop_map(|value| (below.name.to_owned(), value));
        parts.push(prop::option::weighted(0.4, pair).boxed());
    }
    let unknown = ("(x-[a-z]{1,3}|[a-z]{3,6})", any_text());
    parts.push(prop::option::weighted(0.03, unknown).boxed());
    parts
        .prop_map(|pairs| {
            let mut map = Mapping::new();
            pairs.into_iter().flatten().for_each(|(key, value)| map.insert(&key, value));
            Value::Map(map)
        })
        .boxed()
}

fn any_entries(section: &'static Section) -> BoxedStrategy<Value> {
    let names = prop_oneof![
        prop::sample::select(AGENT_TYPES).prop_map(str::to_owned),
        "[a-z][a-z0-9_-]{0,5}",
    ];
    // The reader of the other form takes these for something else.
    let names = names.prop_filter("a section", |name| Config::SCHEMA.section(name).is_none());
    prop::collection::btree_map(names, any_section_of_entry(section), 0..4)
        .prop_map(|entries| {
            let mut map = Mapping::new();
            entries.into_iter().for_each(|(name, entry)| map.insert(&name, entry));
            Value::Map(map)
        })
        .boxed()
}

fn any_section_of_entry(section: &'static Section) -> BoxedStrategy<Value> {
    let keys: Vec<_> = section
        .keys
        .iter()
        .map(|key| {
            let pair = any_value(key.kind).prop_map(|value| (key.name.to_owned(), value));
            prop::option::weighted(0.3, pair)
        })
        .collect();
    keys.prop_map(|pairs| {
        let mut map = Mapping::new();
        pairs.into_iter().flatten().for_each(|(key, value)| map.insert(&key, value));
        Value::Map(map)
    })
    .boxed()
}

/// Writes a document as HCL; `style` chooses among the ways to say the same.
fn to_hcl(document: &Value, style: u64) -> String {
    let mut out = String::new();
    let mut style = style;
    let Value::Map(map) = document else { return out };
    for (key, value) in map.iter() {
        match (key, value) {
            ("agents", Value::Map(agents)) => {
                for (name, agent) in agents.iter() {
                    let Value::Map(body) = agent else { continue };
                    let typed = body.get("type").is_some() || AGENT_TYPES.contains(&name);
                    let head = match next(&mut style, 4) {
                        0 => format!("agents \"{name}\""),
                        1 => format!("agents {{\n{name}"),
                        // Such a name by itself is a key of the user's own.
                        2 if typed && !name.starts_with("x-") => name.to_owned(),
                        _ => format!("agent \"{name}\""),
                    };
                    block(&mut out, &head, body, &mut style);
                    if head.starts_with("agents {") {
                        out.push_str("}\n");
                    }
                }
            }
            (key, Value::Map(body)) => block(&mut out, key, body, &mut style),
            (key, value) => pair(&mut out, key, value, &mut style),
        }
    }
    out
}

fn next(style: &mut u64, ways: u64) -> u64 {
    let way = *style % ways;
    *style = style.rotate_right(7) ^ 0x5bd1;
    way
}

/// A block, or two that come together.
fn block(out: &mut String, head: &str, body: &Mapping, style: &mut u64) {
    let split = match next(style, 3) {
        0 => body.len() / 2,
        _ => body.len(),
    };
    writeln!(out, "{head} {{").unwrap();
    for (index, (key, value)) in body.iter().enumerate() {
        if index == split && split > 0 {
            let close = if head.starts_with("agents {") { "}\n}\n" } else { "}\n" };
            out.push_str(close);
            writeln!(out, "{head} {{").unwrap();
        }
        pair(out, key, value, style);
    }
    out.push_str("}\n");
}

fn pair(out: &mut String, key: &str, value: &Value, style: &mut u64) {
    match value {
        Value::Map(body) if next(style, 2) == 0 => block(out, key, body, style),
        value => writeln!(out, "{key} = {} # why", literal(value)).unwrap(),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Text(text) => quoted(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("[{}]", items.join(",\n"))
        }
        Value::Map(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(key, value)| format!("{key} = {}", literal(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        // With its point, so that it stays what it is.
        Value::Float(number) => format!("{number:?}"),
        other => other.as_text().unwrap(),
    }
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let text = text.replace("${", "$${").replace("%{", "%%{").replace('\t', "\\t");
    format!("\"{text}\"")
}

proptest! {
    #[test]
    fn both_forms_say_the_same(document in any_section(Config::SCHEMA), style in any::<u64>()) {
        let Value::Map(map) = &document else { panic!() };
        let yaml = map.to_yaml();
        let hcl = to_hcl(&document, style);
        let (from_yaml, from_hcl) = (parse(&yaml, "/c/a.yaml"), parse(&hcl, "/c/a.hcl"));
        prop_assert_eq!(from_yaml, from_hcl, "\n{}\n---\n{}", yaml, hcl);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for path in ["/c/a.yaml", "/c/a.hcl"] {
            let _ = LoadedConfig::parse(&bytes, Path::new(path), &variables());
        }
    }

    #[test]
    fn any_damage_to_a_good_file_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        put_in in "[ -~\n\t]{0,6}",
        cut in 0usize..8,
    ) {
        for (text, path) in [
            (include_str!("../../../examples/config/full.yaml"), "/c/a.yaml"),
            (include_str!("../../../examples/config/full.hcl"), "/c/a.hcl"),
        ] {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            let mut bytes = text.as_bytes().to_vec();
            bytes.splice(at..end, put_in.bytes());
            if let Err(rejected) = LoadedConfig::parse(&bytes, Path::new(path), &variables()) {
                prop_assert!(!rejected.problems().is_empty());
                for problem in rejected.problems() {
                    prop_assert!(problem.message.len() < 2000, "{}", problem.message);
                }
            }
        }
    }
}

#[test]
fn what_is_meant_to_take_long_or_much_is_refused_soon() {
    let size = 60_000;
    let deep = |open: &str| open.repeat(size / open.len());
    let many = |line: fn(usize) -> String| (0..3000).map(line).collect::<String>();
    for (path, text) in [
        ("/c/a.yaml", format!("x-a: {}", deep("["))),
        ("/c/a.yaml", format!("x-a:\n {}", deep("- "))),
        ("/c/a.yaml", deep("? ")),
        ("/c/a.yaml", format!("x-a: {}", deep("!a "))),
        ("/c/a.yaml", format!("x-a: &a {}\nx-b: [{}]", "x".repeat(20_000), ["*a"; 5000].join(","))),
        ("/c/a.hcl", format!("x-a = {}", deep("["))),
        ("/c/a.hcl", format!("x-a = {}1", deep("!"))),
        ("/c/a.hcl", format!("x-a = {}1", deep("a ? b : "))),
        ("/c/a.hcl", format!("x-a = {}1", deep("1 + "))),
        ("/c/a.hcl", format!("x-a = \"{}", deep("${"))),
        ("/c/a.hcl", format!("x-a = a{}", deep(".b"))),
        ("/c/a.hcl", deep("a {\n")),
        ("/c/a.yaml", "x".repeat(100_000)),
        ("/c/a.yaml", many(|n| format!("k{n}: 1\n"))),
        ("/c/a.hcl", many(|n| format!("k{n} = 1\n"))),
    ] {
        let start: String = text.chars().take(20).collect();
        let rejected = LoadedConfig::parse(text.as_bytes(), Path::new(path), &variables());
        let rejected = rejected.expect_err(&start);
        assert!(rejected.problems().len() <= 50, "{start}");
        assert!(rejected.problems().iter().all(|p| p.message.len() < 500), "{start}");
    }
}
