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

/// Writes a pair whose key stands at `column`; the line is indented already.
fn pair(out: &mut String, key: &str, value: &Value, column: usize) {
    // A key stands on one line whatever it holds.
    match style_of(key) {
        Style::Plain => out.push_str(key),
        Style::Single => out.push_str(&single_quoted(key)),
        Style::Double | Style::Literal => out.push_str(&double_quoted(key)),
    }
    out.push(':');
    match value {
        Value::List(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                blanks(out, deeper(column));
                list_item(out, item, deeper(column));
            }
        }
        Value::Map(map) if !map.is_empty() => {
            out.push('\n');
            for (key, value) in map.iter() {
                blanks(out, deeper(column));
                pair(out, key, value, deeper(column));
            }
        }
        other => {
            out.push(' ');
            on_one_line(out, other, column);
        }
    }
}

/// Writes an item whose dash stands at `column`; what is in it begins on the dash's line.
fn list_item(out: &mut String, item: &Value, column: usize) {
    out.push_str("- ");
    let inner = column + 2;
    match item {
        Value::Map(map) if !map.is_empty() => {
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    blanks(out, inner);
                }
                pair(out, key, value, inner);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    blanks(out, inner);
                }
                list_item(out, item, inner);
            }
        }
        other => on_one_line(out, other, column),
    }
}

/// The column of what belongs to something at `column`: the next level of indentation.
fn deeper(column: usize) -> usize {
    (column / INDENT + 1) * INDENT
}

fn blanks(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

/// Writes what needs no lines of its own, or a block of text.
fn on_one_line(out: &mut String, value: &Value, column: usize) {
    match value {
        Value::List(_) => out.push_str("[]\n"),
        Value::Map(_) => out.push_str("{}\n"),
        Value::Text(text) => write_text(out, text, column),
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

fn write_text(out: &mut String, text: &str, column: usize) {
    match style_of(text) {
        Style::Plain => out.push_str(text),
        Style::Single => out.push_str(&single_quoted(text)),
        Style::Double => out.push_str(&double_quoted(text)),
        Style::Literal => return literal(out, text, column),
    }
    out.push('\n');
}

fn literal(out: &mut String, text: &str, column: usize) {
    out.push_str(match (text.ends_with('\n'), text.ends_with("\n\n")) {
        (false, _) => "|-\n",
        (true, false) => "|\n",
        (true, true) => "|+\n",
    });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            blanks(out, deeper(column));
            out.push_str(line);
        }
        out.push('\n');
    }
}
