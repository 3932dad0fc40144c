//! Writing a mapping in block style.

use super::scalar::{Style, double_quoted, single_quoted, style_of};
use super::value::{Mapping, Value};

/// Blanks of indentation for each level.
const INDENT: usize = 4;

impl Mapping {
    /// The document. Pairs that were read and not touched are written to the letter.
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        if self.is_empty() {
            out.push_str("{}\n");
        }
        for (index, (key, value)) in self.iter().enumerate() {
            match self.source_of(index) {
                Some(source) => {
                    out.push_str(source);
                    if !source.ends_with('\n') {
                        out.push('\n');
                    }
                }
                None => pair(&mut out, key, value, 0),
            }
        }
        out
    }
}

fn pair(out: &mut String, key: &str, value: &Value, depth: usize) {
    // A key stands on one line whatever it holds.
    match style_of(key) {
        Style::Plain => out.push_str(key),
        Style::Single => out.push_str(&single_quoted(key)),
        Style::Double | Style::Literal => out.push_str(&double_quoted(key)),
    }
    out.push(':');
    behind(out, value, depth);
}

/// Writes a value behind a key's colon or a list's dash.
fn behind(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::List(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Map(map) if map.is_empty() => out.push_str(" {}\n"),
        Value::List(items) => {
            out.push('\n');
            for item in items {
                indent(out, depth + 1);
                item_line(out, item, depth + 1);
            }
        }
        Value::Map(map) => {
            out.push('\n');
            for (key, value) in map.iter() {
                indent(out, depth + 1);
                pair(out, key, value, depth + 1);
            }
        }
        scalar => {
            out.push(' ');
            write_scalar(out, scalar, depth);
        }
    }
}

/// One item of a list; the first pair of a mapping stands on the dash's line.
fn item_line(out: &mut String, item: &Value, depth: usize) {
    match item {
        Value::Map(map) if !map.is_empty() => {
            for (index, (key, value)) in map.iter().enumerate() {
                if index == 0 {
                    out.push_str("- ");
                } else {
                    indent(out, depth);
                    out.push_str("  ");
                }
                nested_pair(out, key, value, depth);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (index, inner) in items.iter().enumerate() {
                if index == 0 {
                    out.push_str("- ");
                } else {
                    indent(out, depth);
                    out.push_str("  ");
                }
                item_line(out, inner, depth + 1);
            }
        }
        other => {
            out.push('-');
            behind(out, other, depth);
        }
    }
}

/// A pair inside a list's item, whose children stand deeper than the dash and its blank.
fn nested_pair(out: &mut String, key: &str, value: &Value, depth: usize) {
    pair(out, key, value, depth + 1);
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n(' ', depth * INDENT));
}

fn write_scalar(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Text(text) => write_text(out, text, depth),
        Value::Null => out.push_str("null\n"),
        Value::Float(number) => {
            out.push_str(&float(*number));
            out.push('\n');
        }
        other => {
            out.push_str(&other.as_text().unwrap_or_default());
            out.push('\n');
        }
    }
}

/// A number that reads back as a float and not as text.
fn float(number: f64) -> String {
    if number.is_nan() {
        ".nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else {
        number.to_string()
    }
}

fn write_text(out: &mut String, text: &str, depth: usize) {
    match style_of(text) {
        Style::Plain => out.push_str(text),
        Style::Single => out.push_str(&single_quoted(text)),
        Style::Double => out.push_str(&double_quoted(text)),
        Style::Literal => return literal(out, text, depth),
    }
    out.push('\n');
}

fn literal(out: &mut String, text: &str, depth: usize) {
    out.push_str(match (text.ends_with('\n'), text.ends_with("\n\n")) {
        (false, _) => "|-\n",
        (true, false) => "|\n",
        (true, true) => "|+\n",
    });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            indent(out, depth + 1);
            out.push_str(line);
        }
        out.push('\n');
    }
}
