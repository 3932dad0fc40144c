//! Any bytes as a configuration, in both forms: it is read or refused, with bounded words and in bounded
//! time, and nothing panics.
//!
//! The first byte says which form. What memory may be used is told to the fuzzer: `-malloc_limit_mb`,
//! `-rss_limit_mb`.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzzer fails by panicking")]

use conductor_core::{Error, LoadedConfig, Severity, Variables};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

/// More problems than these are not told of one file.
const PROBLEMS: usize = 50;
/// The longest message about one of them, in bytes.
const MESSAGE: usize = 4000;

fuzz_target!(|data: &[u8]| {
    let Some((form, bytes)) = data.split_first() else { return };
    // What the file itself says is no secret of the variable.
    if bytes.windows(12).any(|window| window == b"from-outside") {
        return;
    }
    let path = if form % 2 == 0 { "/etc/conductor/config.yaml" } else { "/etc/conductor/config.hcl" };
    let token = ("CONDUCTOR_AGENT_X_TOKEN".to_owned(), "from-outside".to_owned());
    let variables = Variables::pick(Some("/home/user".into()), [token]);
    match LoadedConfig::parse(bytes, Path::new(path), &variables) {
        Ok(loaded) => {
            assert!(loaded.warnings().iter().all(|problem| problem.severity == Severity::Warning));
            for value in loaded.values() {
                // What is shown is JSON, and no secret.
                serde_json::from_str::<serde_json::Value>(&value.json).unwrap();
                assert!(!value.text.contains("from-outside"));
            }
        }
        Err(rejected) => {
            let problems = rejected.problems();
            assert!(problems.iter().any(|problem| problem.severity == Severity::Error));
            assert!(problems.len() <= PROBLEMS, "{} problems", problems.len());
            for problem in problems {
                let line = problem.line_for_people();
                assert!(line.len() <= MESSAGE, "{} bytes: {line}", line.len());
                assert_eq!(problem.line.is_some(), problem.column.is_some());
            }
            let error = Error::from(rejected);
            assert!(error.code().starts_with("config."), "{error:?}");
        }
    }
});
