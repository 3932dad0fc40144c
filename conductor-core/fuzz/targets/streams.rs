//! Any bytes as the stream of an agent: no panic, nothing without an end, the same whatever the pieces.
//!
//! The first byte picks the agent, the second the length of the pieces; what stands behind a NUL is
//! taken for standard error.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzzer fails by panicking")]

use conductor_core::Timestamp;
use conductor_core::agent::stream::{StreamKind, StreamParser, StreamSummary, Zone};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [kind, length, bytes @ ..] = data else { return };
    let kind = StreamKind::ALL[usize::from(*kind) % StreamKind::ALL.len()];
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (stdout, stderr) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let whole = parse(kind, stdout, stderr, usize::MAX);
    let pieces = parse(kind, stdout, stderr, usize::from(*length).max(1));
    assert_eq!(whole, pieces, "the pieces must not matter");
    assert!(whole.text.as_deref().is_none_or(|text| text.len() <= 17 << 20), "memory is bounded");
});

fn parse(kind: StreamKind, stdout: &[u8], stderr: &[u8], length: usize) -> StreamSummary {
    let mut parser = StreamParser::new(kind);
    stdout.chunks(length.min(stdout.len().max(1))).for_each(|piece| parser.push(piece));
    stderr.chunks(length.min(stderr.len().max(1))).for_each(|piece| parser.push_stderr(piece));
    parser.finish(Timestamp::UNIX_EPOCH, &Zone::UTC)
}
