//! Parents, links and meta as JSON-like flow on one line of the header.

use super::quote::{parse_quoted, push_quoted};
use crate::bus::message::{Link, Parent};

/// How deep a flow may nest: a list of maps of maps of texts.
const DEPTH: u32 = 4;

/// A flow that was read.
#[derive(Debug)]
pub(super) enum Flow {
    Text(String),
    List(Vec<Flow>),
    Map(Vec<(String, Flow)>),
}

/// Pairs of a map, in order.
pub(super) type Pairs = Vec<(String, String)>;

pub(super) fn push_parents(out: &mut Vec<u8>, parents: &[Parent]) {
    push_list(out, parents, |out, parent| {
        let mut map = MapWriter::begin(out);
        map.text("msg_id", &parent.msg_id);
        if let Some(kind) = &parent.kind {
            map.text("kind", kind);
        }
        if !parent.meta.is_empty() {
            map.key("meta");
            push_pairs(map.out, &parent.meta);
        }
        map.end();
    });
}

pub(super) fn push_links(out: &mut Vec<u8>, links: &[Link]) {
    push_list(out, links, |out, link| {
        let mut map = MapWriter::begin(out);
        map.text("url", &link.url);
        for (key, value) in [("label", &link.label), ("kind", &link.kind)] {
            if let Some(value) = value {
                map.text(key, value);
            }
        }
        map.end();
    });
}

pub(super) fn push_pairs(out: &mut Vec<u8>, pairs: &[(String, String)]) {
    let mut map = MapWriter::begin(out);
    for (key, value) in pairs {
        map.text(key, value);
    }
    map.end();
}

fn push_list<T>(out: &mut Vec<u8>, items: &[T], mut push: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        push(out, item);
    }
    out.push(b']');
}

struct MapWriter<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> MapWriter<'a> {
    fn begin(out: &'a mut Vec<u8>) -> MapWriter<'a> {
        out.push(b'{');
        MapWriter { out, first: true }
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.extend_from_slice(b", ");
        }
        push_quoted(self.out, key);
        self.out.extend_from_slice(b": ");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        push_quoted(self.out, value);
    }

    fn end(self) {
        self.out.push(b'}');
    }
}

/// Reads a flow that is the whole of `text`.
pub(super) fn parse(text: &str) -> Option<Flow> {
    match value(text, DEPTH)? {
        (flow, "") => Some(flow),
        _ => None,
    }
}

fn value(text: &str, depth: u32) -> Option<(Flow, &str)> {
    let depth = depth.checked_sub(1)?;
    match text.as_bytes().first()? {
        b'"' => parse_quoted(text).map(|(value, rest)| (Flow::Text(value.into_owned()), rest)),
        b'[' => {
            let mut items = Vec::new();
            let rest = members(&text[1..], "]", |text| {
                let (item, rest) = value(text, depth)?;
                items.push(item);
                Some(rest)
            })?;
            Some((Flow::List(items), rest))
        }
        b'{' => {
            let mut pairs = Vec::new();
            let rest = members(&text[1..], "}", |text| {
                let (key, rest) = parse_quoted(text)?;
                let (item, rest) = value(rest.strip_prefix(": ")?, depth)?;
                pairs.push((key.into_owned(), item));
                Some(rest)
            })?;
            Some((Flow::Map(pairs), rest))
        }
        _ => None,
    }
}

/// Reads members divided by `, ` up to `end`; gives what follows it.
fn members<'a>(
    mut text: &'a str,
    end: &str,
    mut member: impl FnMut(&'a str) -> Option<&'a str>,
) -> Option<&'a str> {
    if let Some(rest) = text.strip_prefix(end) {
        return Some(rest);
    }
    loop {
        text = member(text)?;
        if let Some(rest) = text.strip_prefix(end) {
            return Some(rest);
        }
        text = text.strip_prefix(", ")?;
    }
}

impl Flow {
    pub(super) fn into_pairs(self) -> Option<Pairs> {
        let Flow::Map(pairs) = self else { return None };
        pairs
            .into_iter()
            .map(|(key, value)| match value {
                Flow::Text(text) => Some((key, text)),
                _ => None,
            })
            .collect()
    }

    pub(super) fn into_parents(self) -> Option<Vec<Parent>> {
        let Flow::List(items) = self else { return None };
        items
            .into_iter()
            .map(|item| {
                let Flow::Map(pairs) = item else { return None };
                let mut parent = Parent::default();
                for (key, value) in pairs {
                    match (key.as_str(), value) {
                        ("msg_id", Flow::Text(text)) => parent.msg_id = text,
                        ("kind", Flow::Text(text)) => parent.kind = Some(text),
                        ("meta", map @ Flow::Map(_)) => parent.meta = map.into_pairs()?,
                        _ => {}
                    }
                }
                Some(parent)
            })
            .collect()
    }

    pub(super) fn into_links(self) -> Option<Vec<Link>> {
        let Flow::List(items) = self else { return None };
        items
            .into_iter()
            .map(|item| {
                let mut link = Link::default();
                for (key, value) in item.into_pairs()? {
                    match key.as_str() {
                        "url" => link.url = value,
                        "label" => link.label = Some(value),
                        "kind" => link.kind = Some(value),
                        _ => {}
                    }
                }
                Some(link)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_flows_are_refused() {
        for text in
            ["", "[", "{\"a\"}", "{\"a\": }", "[\"a\",\"b\"]", "[\"a\"]x", "[[[[[\"a\"]]]]]"]
        {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    fn pairs() -> impl Strategy<Value = Pairs> {
        prop::collection::vec(("\\PC{0,5}", any::<String>()), 0..3)
    }

    proptest! {
        #[test]
        fn parents_and_links_come_back(
            parents in prop::collection::vec(
                (any::<String>(), any::<Option<String>>(), pairs()).prop_map(
                    |(msg_id, kind, meta)| Parent { msg_id, kind, meta }), 0..3),
            links in prop::collection::vec(
                (any::<String>(), any::<Option<String>>(), any::<Option<String>>()).prop_map(
                    |(url, label, kind)| Link { url, label, kind }), 0..3),
        ) {
            let mut out = Vec::new();
            push_parents(&mut out, &parents);
            let flow = parse(std::str::from_utf8(&out).unwrap()).unwrap();
            prop_assert_eq!(flow.into_parents().unwrap(), parents);
            out.clear();
            push_links(&mut out, &links);
            let flow = parse(std::str::from_utf8(&out).unwrap()).unwrap();
            prop_assert_eq!(flow.into_links().unwrap(), links);
        }

        #[test]
        fn a_yaml_reader_sees_the_same_meta(meta in prop::collection::btree_map("[ -~]{1,5}", any::<String>(), 1..4)) {
            let meta: Pairs = meta.into_iter().collect();
            let mut out = b"meta: ".to_vec();
            push_pairs(&mut out, &meta);
            out.push(b'\n');
            let map = crate::yaml::parse_mapping(&out, std::path::Path::new("/f")).unwrap();
            let Some(crate::yaml::Value::Map(map)) = map.get("meta") else { panic!("no map") };
            for (key, value) in &meta {
                let read = map.get_text(key);
                prop_assert_eq!(read.as_deref(), Some(value.as_str()));
            }
        }

        #[test]
        fn reading_any_text_never_panics(text in r#"["\[\]{}:, a\\]{0,30}"#) {
            let _ = parse(&text);
        }
    }
}
