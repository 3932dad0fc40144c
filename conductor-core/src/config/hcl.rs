//! HCL documents, as values with their places. The only module that names the HCL library.
//!
//! An HCL file says the same as a YAML file: a block is a section, an attribute a key. Agents are
//! written `agent "name" { }`, or, as the older program wants it, as a block with the agent's name and
//! a `type`. Only literals are values: there is nothing that a variable or a function could mean.

use super::model::{AGENT_TYPES, Config};
use super::problem::{Problem, dotted};
use super::read::Places;
use super::take::is_free;
use crate::yaml::{Mapping, Place, Step, Value};
use hcl::edit::Span;
use hcl::edit::expr::{Expression, ObjectKey};
use hcl::edit::parser::{self, parse_body};
use hcl::edit::structure::{Attribute, Block, Body, Structure};
use hcl::edit::template::{Element, Template};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The section of the entries that a labelled block names.
const AGENTS: &str = "agents";

/// Reads a document.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn read(text: &str) -> Result<(Value, Places), Box<Problem>> {
    let body = parse_body(text).map_err(|error| Box::new(syntax(text, &error)))?;
    let lines = Lines::of(text);
    let mut reader =
        Reader { text, lines, bare_agents: bare_agents(&body), places: BTreeMap::new() };
    let mut root = Tree::default();
    reader.body(&body, &mut root, &[])?;
    Ok((Value::Map(root.into_mapping()), Places::Known(reader.places)))
}

/// Where each line begins, so that a place is found without walking the text.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Lines(std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect())
    }

    fn place(&self, text: &str, offset: usize) -> Place {
        let line = self.0.partition_point(|start| *start <= offset).max(1);
        let start = self.0[line - 1];
        let column = text.get(start..offset).map_or(0, |before| before.chars().count());
        Place { line, column: column + 1 }
    }
}

/// A mapping in the making: blocks of one name come together in it.
#[derive(Default)]
struct Tree {
    order: Vec<String>,
    nodes: BTreeMap<String, Node>,
}

enum Node {
    Section(Tree),
    Value(Value),
}

impl Tree {
    fn into_mapping(mut self) -> Mapping {
        let mut map = Mapping::new();
        for key in self.order {
            match self.nodes.remove(&key) {
                Some(Node::Section(tree)) => map.push(key, Value::Map(tree.into_mapping())),
                Some(Node::Value(value)) => map.push(key, value),
                None => {}
            }
        }
        map
    }

    fn add(&mut self, key: &str, node: Node) {
        self.order.push(key.to_owned());
        self.nodes.insert(key.to_owned(), node);
    }
}

struct Reader<'a> {
    text: &'a str,
    lines: Lines,
    /// The blocks without a label that are agents.
    bare_agents: BTreeSet<String>,
    places: BTreeMap<Vec<Step>, (Place, Place)>,
}

impl Reader<'_> {
    fn body(&mut self, body: &Body, tree: &mut Tree, path: &[Step]) -> Result<(), Box<Problem>> {
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => self.attribute(attribute, tree, path)?,
                Structure::Block(block) => self.block(block, tree, path)?,
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        attribute: &Attribute,
        tree: &mut Tree,
        path: &[Step],
    ) -> Result<(), Box<Problem>> {
        let path = joined(path, attribute.key.as_str());
        let at = self.place(attribute.key.span());
        self.pair(&path, at, &attribute.value, tree)
    }

    /// Adds a key with its value. A group of keys is a section, as a block is.
    fn pair(
        &mut self,
        path: &[Step],
        at: Option<Place>,
        expression: &Expression,
        tree: &mut Tree,
    ) -> Result<(), Box<Problem>> {
        let Some(Step::Key(key)) = path.last() else { return Ok(()) };
        let Expression::Object(object) = expression else {
            let value = self.value(expression, path)?;
            self.remember(path, at, self.place(expression.span()));
            if tree.nodes.contains_key(key) {
                return Err(self.twice(path, at));
            }
            tree.add(key, Node::Value(value));
            return Ok(());
        };
        let section = self.enter(path, at, self.place(expression.span()), tree)?;
        for (key, value) in object {
            let (name, span) = match key {
                ObjectKey::Ident(ident) => (ident.as_str(), ident.span()),
                ObjectKey::Expression(Expression::String(text)) => (text.as_str(), text.span()),
                ObjectKey::Expression(other) => {
                    return Err(self.not_literal(other, path));
                }
            };
            let at = self.place(span);
            self.pair(&joined(path, name), at, value.expr(), section)?;
        }
        Ok(())
    }

    fn block(&mut self, block: &Block, tree: &mut Tree, path: &[Step]) -> Result<(), Box<Problem>> {
        let at = self.place(block.ident.span());
        let steps = self.steps_of(block, path, at)?;
        let mut tree = tree;
        let mut path = path.to_vec();
        for step in steps {
            path.push(step.as_str().into());
            tree = self.enter(&path, at, at, tree)?;
        }
        self.body(&block.body, tree, &path)
    }

    /// The keys that a block stands for: its own name, or `agents` and the name of an agent.
    fn steps_of(
        &self,
        block: &Block,
        path: &[Step],
        at: Option<Place>,
    ) -> Result<Vec<String>, Box<Problem>> {
        let name = block.ident.as_str();
        let labels: Vec<&str> = block.labels.iter().map(|label| label.as_str()).collect();
        let agents = path.is_empty() && (name == AGENTS || name == "agent");
        let problem = |message: String, hint: &str| {
            let path = joined(path, name);
            Box::new(
                Problem::error("config.invalid_block", message)
                    .hint(hint.to_owned())
                    .field(&path)
                    .place(at),
            )
        };
        match labels[..] {
            [label] if agents => Ok(vec![AGENTS.to_owned(), label.to_owned()]),
            [] if name == "agent" && agents => Err(problem(
                "an agent needs a name".to_owned(),
                "write it behind the word: agent \"claude\" { ... }",
            )),
            [] if path.is_empty() && self.bare_agents.contains(name) => {
                Ok(vec![AGENTS.to_owned(), name.to_owned()])
            }
            [] => Ok(vec![name.to_owned()]),
            _ if agents => Err(problem(
                format!("{} names stand behind {name:?}, where one is wanted", labels.len()),
                "write a block for each agent",
            )),
            _ => Err(problem(
                format!("the section {name:?} takes no name"),
                "only agents have names: agent \"claude\" { ... }",
            )),
        }
    }

    /// The section at `path`, made where it is not there yet.
    fn enter<'t>(
        &mut self,
        path: &[Step],
        key: Option<Place>,
        value: Option<Place>,
        tree: &'t mut Tree,
    ) -> Result<&'t mut Tree, Box<Problem>> {
        let Some(Step::Key(name)) = path.last() else { return Ok(tree) };
        if matches!(tree.nodes.get(name), Some(Node::Value(_))) {
            return Err(self.twice(path, key));
        }
        if !tree.nodes.contains_key(name) {
            tree.add(name, Node::Section(Tree::default()));
            self.remember(path, key, value);
        }
        match tree.nodes.get_mut(name) {
            Some(Node::Section(section)) => Ok(section),
            // It was made a section right above.
            _ => Err(Box::new(Problem::internal("a section was lost"))),
        }
    }

    fn value(&mut self, expression: &Expression, path: &[Step]) -> Result<Value, Box<Problem>> {
        Ok(match expression {
            Expression::Null(_) => Value::Null,
            Expression::Bool(flag) => Value::Bool(*flag.value()),
            Expression::Number(number) => {
                let number = number.value();
                match (number.as_i64(), number.as_u64(), number.as_f64()) {
                    (Some(number), ..) => Value::from(number),
                    (_, Some(number), _) => Value::from(number),
                    (_, _, Some(number)) => Value::Float(number),
                    _ => return Err(self.not_literal(expression, path)),
                }
            }
            Expression::String(text) => Value::Text(text.value().clone()),
            Expression::StringTemplate(template) => {
                Value::Text(self.text(template, expression, path)?)
            }
            Expression::HeredocTemplate(heredoc) => {
                Value::Text(self.text(&heredoc.template, expression, path)?)
            }
            Expression::Array(items) => {
                let mut list = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let mut path = path.to_vec();
                    path.push(Step::Index(index));
                    let at = self.place(item.span());
                    self.remember(&path, at, at);
                    list.push(self.value(item, &path)?);
                }
                Value::List(list)
            }
            Expression::Object(_) => {
                // Only in a list, where nothing takes it: the reader says what is wanted instead.
                Value::Map(Mapping::new())
            }
            _ => return Err(self.not_literal(expression, path)),
        })
    }

    fn text(
        &self,
        template: &Template,
        expression: &Expression,
        path: &[Step],
    ) -> Result<String, Box<Problem>> {
        let mut text = String::new();
        for element in template {
            match element {
                Element::Literal(literal) => text.push_str(literal),
                _ => return Err(self.not_literal(expression, path)),
            }
        }
        Ok(text)
    }

    fn not_literal(&self, expression: &Expression, path: &[Step]) -> Box<Problem> {
        let span = expression.span();
        let source = span.clone().and_then(|span| self.text.get(span)).unwrap_or_default().trim();
        let (message, hint) = match expression {
            Expression::StringTemplate(_) | Expression::HeredocTemplate(_) => (
                "the text holds ${...} or %{...}, which nothing fills in here".to_owned(),
                "write $${ or %%{ where the characters themselves are meant".to_owned(),
            ),
            Expression::Variable(_) | Expression::Traversal(_) if path.iter().all(may_be_shown) => {
                (
                    format!("{} is not in double quotes, and so is no text", shortened(source)),
                    format!("quote it: {}", quoted(source)),
                )
            }
            Expression::Variable(_) | Expression::Traversal(_) => (
                "the value is not in double quotes, and so is no text".to_owned(),
                "quote it: \"...\"".to_owned(),
            ),
            _ => (
                "expected a literal, found something to be computed".to_owned(),
                "write the value itself; quote it where it is meant as a text".to_owned(),
            ),
        };
        Box::new(
            Problem::error("config.not_literal", message)
                .hint(hint)
                .field(path)
                .place(self.place(span)),
        )
    }

    fn twice(&self, path: &[Step], at: Option<Place>) -> Box<Problem> {
        let name = dotted(path);
        let first = self.places.get(path).map(|(key, _)| *key);
        let hint = match first {
            Some(first) => format!("it stands in line {} already; keep one of them", first.line),
            None => "keep one of them".to_owned(),
        };
        Box::new(
            Problem::error("config.duplicate_key", format!("the key {name} stands twice"))
                .hint(hint)
                .field(path)
                .place(at),
        )
    }

    fn place(&self, span: Option<Range<usize>>) -> Option<Place> {
        span.map(|span| self.lines.place(self.text, span.start))
    }

    fn remember(&mut self, path: &[Step], key: Option<Place>, value: Option<Place>) {
        if let (Some(key), Some(value)) = (key, value) {
            self.places.entry(path.to_vec()).or_insert((key, value));
        }
    }
}

/// The names of the blocks without a label that are agents: as the older program has it, every block
/// that is no section; here, those that say a type in one of their blocks, or whose name is one.
fn bare_agents(body: &Body) -> BTreeSet<String> {
    let says_type = |block: &Block| {
        AGENT_TYPES.contains(&block.ident.as_str()) || block.body.has_attribute("type")
    };
    let is_section = |name: &str| Config::SCHEMA.section(name).is_some() || is_free(name);
    body.blocks()
        .filter(|block| block.labels.is_empty() && !is_section(block.ident.as_str()))
        .filter(|block| says_type(block))
        .map(|block| block.ident.to_string())
        .collect()
}

fn joined(path: &[Step], key: &str) -> Vec<Step> {
    let mut path = path.to_vec();
    path.push(key.into());
    path
}

fn shortened(source: &str) -> String {
    let line = source.lines().next().unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// Whether what stands under a key may be repeated in a message.
fn may_be_shown(step: &Step) -> bool {
    match step {
        Step::Key(key) => !Config::SCHEMA.is_secret(key),
        Step::Index(_) => true,
    }
}

fn quoted(source: &str) -> String {
    let line = shortened(source.trim_matches('\''));
    format!("\"{}\"", line.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What the library refuses to read. Most often that is a text without quotes.
fn syntax(text: &str, error: &parser::Error) -> Problem {
    let location = error.location();
    let place = Place { line: location.line(), column: location.column() };
    let line = text.lines().nth(place.line - 1).unwrap_or_default();
    if let Some((column, key, value)) = bare_value(line) {
        let known = Config::SCHEMA.holds(key) && may_be_shown(&key.into());
        let (value, quoted) = match known {
            true => (shortened(value), quoted(value)),
            // Perhaps a secret.
            false => ("the value".to_owned(), "\"...\"".to_owned()),
        };
        let message = format!("{value} is not in double quotes, and so is no text");
        return Problem::error("config.not_literal", message)
            .hint(format!("quote it: {key} = {quoted}"))
            .field(&[key.into()])
            .place(Some(Place { column, ..place }));
    }
    let message = error.message();
    let twice = message.contains("redefined");
    let code = if twice { "config.duplicate_key" } else { "config.syntax" };
    let problem = match twice {
        true => {
            let key = word_at(line, place.column);
            Problem::error(code, format!("the key {key} stands twice"))
                .hint("keep one of them".to_owned())
                .field(&[key.into()])
        }
        false => {
            let pair = message.starts_with("invalid structure");
            let hint = pair.then(|| "write key = value, or name { ... }".to_owned());
            Problem::error(code, format!("no HCL: {message}")).hint(hint)
        }
    };
    problem.place(Some(place))
}

/// The column, key and value of a line `key = value` whose value begins as no literal does.
fn bare_value(line: &str) -> Option<(usize, &str, &str)> {
    let (key, rest) = line.split_once('=')?;
    let key = key.rsplit(['{', ',']).next()?.trim();
    let value = rest.trim();
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if key.is_empty() || !key.chars().all(word) || value.is_empty() {
        return None;
    }
    let opens = value.starts_with(['"', '[', '{', '<', '(']);
    let literal = value.parse::<f64>().is_ok() || ["true", "false", "null"].contains(&value);
    if opens || literal {
        return None;
    }
    let before = line.len() - rest.trim_start().len();
    Some((line[..before].chars().count() + 1, key, value))
}

fn word_at(line: &str, column: usize) -> &str {
    let start = line.char_indices().nth(column - 1).map_or(line.len(), |(at, _)| at);
    let rest = &line[start..];
    let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
    &rest[..end.unwrap_or(rest.len())]
}
