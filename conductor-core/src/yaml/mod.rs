//! Small YAML files, read strictly and written as the older program writes them.
//!
//! The only module that names the YAML library. Documents are mappings of bounded size; an error
//! names the file, the line and the column. Writing follows the block style of go-yaml v3 (four
//! blanks of indentation, no document marker, no folding), so that a file that both programs write
//! does not change its face with each of them.

mod emit;
mod locate;
mod read;
mod scalar;
mod value;

pub use locate::{Part, Place, Step, locate};
pub use read::{Fault, Why, read};
pub use value::{Mapping, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use std::path::Path;

/// Reads a document that is a mapping.
///
/// # Errors
/// `yaml.corrupt`, naming `path`, line and column: not UTF-8, a NUL byte, no mapping, a key twice,
/// or what the library says; `yaml.empty` for an empty file; `yaml.too_large`.
pub fn parse_mapping(bytes: &[u8], path: &Path) -> Result<Mapping> {
    let corrupt = |why: &str| {
        Error::new(ErrorKind::Corrupt, "yaml.corrupt", format!("{}: {why}", path.display()))
            .with_path(path)
            .with_hint("repair the file by hand, or move it away; nothing was changed")
    };
    if bytes.len() as u64 > limits::YAML_FILE {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "yaml.too_large",
            format!("{}: more than {} bytes", path.display(), limits::YAML_FILE),
        )
        .with_path(path));
    }
    if bytes.contains(&0) {
        return Err(corrupt("it holds NUL bytes, as after a power cut"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| corrupt(&format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    if text.trim().is_empty() {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "yaml.empty",
            format!("{} is empty", path.display()),
        )
        .with_path(path)
        .with_hint("it was torn by a crash, or emptied by hand; nothing was changed"));
    }
    match read(text) {
        Ok(Value::Map(mut map)) => {
            map.keep_source(text);
            Ok(map)
        }
        Ok(_) => Err(corrupt("a list of `key: value` lines is wanted")),
        Err(Fault { why, place: None }) => Err(corrupt(&why.to_string())),
        Err(Fault { why, place: Some(Place { line, column }) }) => {
            Err(corrupt(&format!("{why} at line {line} column {column}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Mapping> {
        parse_mapping(text.as_bytes(), Path::new("/f.yaml"))
    }

    #[test]
    fn damage_is_one_clear_error() {
        for (text, code) in [
            ("", "yaml.empty"),
            (" \n\n", "yaml.empty"),
            ("a: b\0", "yaml.corrupt"),
            ("- a\n- b\n", "yaml.corrupt"),
            ("just text", "yaml.corrupt"),
            ("a: 1\na: 2\n", "yaml.corrupt"),
            ("a: [1, 2\n", "yaml.corrupt"),
            ("a: b: c\n", "yaml.corrupt"),
            ("a: &x [*x]\n", "yaml.corrupt"),
            ("? [a]\n: b\n", "yaml.corrupt"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                (error.code(), error.path()),
                (code, Some(Path::new("/f.yaml"))),
                "{text:?}"
            );
        }
        let error = parse_mapping(b"a: \xff", Path::new("/f.yaml")).unwrap_err();
        assert!(error.to_string().contains("byte 3"), "{error}");
        let error = parse("a: b\nc: [\n").unwrap_err();
        assert!(error.to_string().contains("line"), "{error}");
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let line = vec![format!("*a{}", n - 1); 9].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{line}]\n"));
        }
        assert_eq!(parse(&text).unwrap_err().code(), "yaml.corrupt");
    }

    #[test]
    fn deep_nesting_is_refused() {
        for bracket in ["[", "{a: ", "[\n"] {
            let error = parse(&format!("a: {}", bracket.repeat(100_000))).unwrap_err();
            assert!(error.to_string().contains("nests too deeply"), "{error}");
        }
        let mut map = Mapping::new();
        map.insert("text", Value::from(format!("{}\nend\n", "[".repeat(1000)).as_str()));
        assert_eq!(parse(&map.to_yaml()).unwrap(), map, "a block of text may hold anything");
    }

    #[test]
    fn lists_in_lists_are_indented_as_their_place_asks() {
        let text = "\
key:
    - - g: 1
        a:
            - x
            - c: 2
              z:
                b: 3
      - |-
        two
        lines
";
        let mut map = Mapping::new();
        map.insert("key", parse(text).unwrap().get("key").unwrap().clone());
        assert_eq!(map.to_yaml(), text);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            "\\PC{0,20}".prop_map(Value::Text),
            "[ -~\n\t]{0,20}".prop_map(Value::Text),
            "[0-9._:eExo+-]{0,10}".prop_map(Value::Text),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::vec(("[a-z]{1,5}", inner), 0..4).prop_map(|pairs| {
                    let mut map = Mapping::new();
                    for (key, value) in pairs {
                        map.insert(&key, value);
                    }
                    Value::Map(map)
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any_value()) {
            let mut map = Mapping::new();
            map.insert("key", value);
            let text = map.to_yaml();
            let back = parse(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(back.get("key"), map.get("key"), "{}", text);
        }

        #[test]
        fn reading_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_mapping(&bytes, Path::new("/f"));
        }
    }
}
