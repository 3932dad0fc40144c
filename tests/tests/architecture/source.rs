//! Rust sources as tokens: comments and texts cannot be mistaken for code.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// The module that the file is, below the crate; empty for `lib.rs` and `main.rs`.
    pub(crate) module: Vec<String>,
    pub(crate) tokens: TokenStream,
}

/// A path in code, as `crate::bus::Post`, made absolute, and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// Every Rust file below `folder`, in order.
pub(crate) fn read_all(folder: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    for path in files(folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"))
    {
        let text = fs::read_to_string(&path).unwrap();
        let tokens = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let below = path.strip_prefix(folder).unwrap().with_extension("");
        let mut module: Vec<String> =
            below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if module.last().is_some_and(|name| name == "mod")
            || (module.len() == 1 && ["lib", "main"].contains(&module[0].as_str()))
        {
            module.pop();
        }
        sources.push(Source { path, module, tokens });
    }
    sources
}

/// Every file below `folder` that is neither made by a build nor a fixture.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let skipped = ["target", "fixtures", "node_modules", "__pycache__"].contains(&&*name);
        if path.is_dir() && !skipped && !name.starts_with('.') {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Source {
    /// The paths in the code that is not only for tests: those that begin with `crate`, `self`,
    /// `super` or one of `roots`.
    pub(crate) fn paths(&self, roots: &[&str]) -> Vec<PathUse> {
        let mut found = Vec::new();
        collect(without_tests(self.tokens.clone()), &self.module, roots, &mut found);
        found
    }

    /// The modules that the file declares in files of their own: `mod x;`.
    pub(crate) fn modules(&self) -> Vec<String> {
        let tokens = without_tests(self.tokens.clone());
        let declared = tokens.windows(3).filter_map(|window| match window {
            [TokenTree::Ident(keyword), TokenTree::Ident(name), end] if keyword == "mod" => {
                is_punct(Some(end), ';').then(|| name.to_string())
            }
            _ => None,
        });
        declared.collect()
    }

    /// The lines on which the word `word` stands in code, tests included.
    pub(crate) fn lines_with(&self, word: &str) -> Vec<usize> {
        let mut lines = Vec::new();
        words(self.tokens.clone(), word, &mut lines);
        lines
    }
}

fn words(tokens: TokenStream, word: &str, lines: &mut Vec<usize>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if ident == word => lines.push(ident.span().start().line),
            TokenTree::Group(group) => words(group.stream(), word, lines),
            _ => {}
        }
    }
}

/// The tokens without the items that stand under `#[cfg(test)]`.
fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let marked = is_punct(tokens.get(at), '#')
            && matches!(tokens.get(at + 1), Some(TokenTree::Group(attribute))
                if attribute.stream().to_string().replace(' ', "") == "cfg(test)");
        if !marked {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        // The item ends with its braces or its semicolon.
        at += 2;
        while at < tokens.len() {
            let end = is_punct(tokens.get(at), ';') || is_braces(&tokens[at]);
            at += 1;
            if end {
                break;
            }
        }
    }
    kept
}

fn collect(tokens: Vec<TokenTree>, module: &[String], roots: &[&str], found: &mut Vec<PathUse>) {
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(ident) if begins_path(&tokens, at, roots) => {
                let line = ident.span().start().line;
                let base = if ident == "crate" || roots.iter().any(|root| ident == root) {
                    Vec::new()
                } else {
                    module.to_vec()
                };
                at = read_path(&tokens, at, base, line, found);
            }
            TokenTree::Group(group) => {
                let mut inner = module.to_vec();
                inner.extend(inline_module(&tokens, at, group.delimiter()));
                collect(without_tests(group.stream()), &inner, roots, found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Whether a path begins here: a first word, two colons behind it, none before it.
fn begins_path(tokens: &[TokenTree], at: usize, roots: &[&str]) -> bool {
    let TokenTree::Ident(ident) = &tokens[at] else { return false };
    let first = ["crate", "self", "super"].iter().chain(roots).any(|root| ident == root);
    let continues = at >= 1 && is_punct(tokens.get(at - 1), ':') && {
        // `: crate::X` is a type behind one colon; `x::crate` has two.
        at >= 2 && is_punct(tokens.get(at - 2), ':')
    };
    first && is_colons(tokens, at + 1) && !continues
}

/// Reads the path or the tree of a `use` that begins at `at`; gives the position behind it.
fn read_path(
    tokens: &[TokenTree],
    mut at: usize,
    mut segments: Vec<String>,
    line: usize,
    found: &mut Vec<PathUse>,
) -> usize {
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => {
                match ident.to_string().as_str() {
                    "self" | "crate" => {}
                    "super" => drop(segments.pop()),
                    name => segments.push(name.to_owned()),
                }
                at += 1;
            }
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                segments.push("*".to_owned());
                at += 1;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                for part in inner.split(|token| is_punct(Some(token), ',')) {
                    if let Some(first) = part.first() {
                        read_path(part, 0, segments.clone(), first.span().start().line, found);
                    }
                }
                return at + 1;
            }
            _ => break,
        }
        if !is_colons(tokens, at) {
            break;
        }
        at += 2;
    }
    found.push(PathUse { segments, line });
    at
}

fn inline_module(tokens: &[TokenTree], at: usize, delimiter: Delimiter) -> Option<String> {
    let (Some(TokenTree::Ident(keyword)), Some(TokenTree::Ident(name))) =
        (tokens.get(at.checked_sub(2)?), tokens.get(at - 1))
    else {
        return None;
    };
    (delimiter == Delimiter::Brace && keyword == "mod").then(|| name.to_string())
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

fn is_punct(token: Option<&TokenTree>, expected: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == expected)
}

fn is_braces(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let code = r#"
        //! crate::comment::X
        use crate::{a::{B, C}, d};
        use super::e;
        use super::super::f::G;
        pub(crate) fn x(y: crate::h::I) -> &'static str { "crate::text" }
        mod inner { use super::super::j; fn k() { vec![self::l::m(), serde_yaml::n()]; } }
        #[cfg(test)]
        mod tests { use crate::only_in_tests; }
        #[cfg(test)]
        use crate::too;
        fn last() { crate::o!(); }
    "#;
    let source = Source {
        path: PathBuf::new(),
        module: vec!["bus".into(), "writer".into()],
        tokens: code.parse().unwrap(),
    };
    let paths: Vec<String> =
        source.paths(&["serde_yaml"]).iter().map(|path| path.segments.join("::")).collect();
    let expected = [
        "a::B",
        "a::C",
        "d",
        "bus::e",
        "f::G",
        "h::I",
        "bus::j",
        "bus::writer::inner::l::m",
        "serde_yaml::n",
        "o",
    ];
    assert_eq!(paths, expected);
    assert_eq!(source.lines_with("tests"), [9]);
    assert_eq!(source.lines_with("text"), [0; 0]);
}
