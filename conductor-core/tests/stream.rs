//! What the streams of real and synthetic agents say, in whatever pieces they come and however damaged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use conductor_core::agent::stream::{StreamKind, StreamParser, StreamSummary, TurnEnd, Zone};
use conductor_core::{ErrorClass, Timestamp, Usage};
use proptest::prelude::*;
use std::path::PathBuf;

const REPORT: &str = "# Report\n\nAll done: 42 tests green.\n---\nend of report";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/agent-streams")
}

fn ended() -> Timestamp {
    "2026-08-07T15:00:00Z".parse().unwrap()
}

fn parse(kind: StreamKind, stdout: &[&[u8]], stderr: &[&[u8]]) -> StreamSummary {
    let mut parser = StreamParser::new(kind);
    stdout.iter().for_each(|bytes| parser.push(bytes));
    stderr.iter().for_each(|bytes| parser.push_stderr(bytes));
    parser.finish(ended(), &Zone::UTC)
}

/// The kind, standard output and standard error of a fixture.
fn read(name: &str) -> (StreamKind, Vec<u8>, Vec<u8>) {
    let agent = name.trim_start_matches("synthetic-").split('-').next().unwrap();
    let file = |ending: &str| std::fs::read(folder().join(format!("{name}.{ending}"))).unwrap();
    (StreamKind::parse(agent).unwrap(), file("stdout"), file("stderr"))
}

fn summary(name: &str) -> StreamSummary {
    let (kind, stdout, stderr) = read(name);
    parse(kind, &[&stdout], &[&stderr])
}

fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> =
        files.filter_map(|name| Some(name.to_str()?.strip_suffix(".stdout")?.to_owned())).collect();
    names.sort();
    names
}

/// What a stream should say, in the order of the table below.
type Row = (
    &'static str,
    Option<&'static str>,
    &'static str,
    Option<&'static str>,
    Option<[u64; 4]>,
    Option<f64>,
    Option<ErrorClass>,
    Option<&'static str>,
);

use ErrorClass::{BadCredentials, Transient, UsageLimit};

/// File, text, start of the session, model, usage (input, output, cache read, cache written), cost,
/// class, end of the limit.
#[rustfmt::skip]
const GOLDEN: &[Row] = &[
    ("claude-ratelimit", Some("API Error: Request rejected (429) \u{b7} This request would exceed your account's rate limit. Please try again later."),
        "7f216f56", Some("claude-opus-4-8[1m]"), Some([0, 0, 0, 0]), Some(0.0), Some(UsageLimit), None),
    ("claude-text", Some(REPORT), "e6faa3f1", Some("claude-opus-4-8"), Some([1200, 31, 9000, 300]), Some(0.01315), None, None),
    ("claude-tool", Some(REPORT), "4b40affa", Some("claude-opus-4-8"), Some([2400, 88, 18000, 600]), Some(0.026949999999999998), None, None),
    ("codex-error", None, "01a208d2", None, None, None, Some(BadCredentials), None),
    ("codex-ratelimit", None, "01a208d0", None, None, None, Some(UsageLimit), None),
    ("codex-text", Some(REPORT), "01a208ce", None, Some([300, 31, 900, 0]), None, None, None),
    ("codex-tool", Some(REPORT), "01a208d0", None, Some([600, 62, 1800, 0]), None, None, None),
    ("gemini-error", None, "105f694e", None, Some([0, 0, 0, 0]), None, Some(BadCredentials), None),
    ("gemini-ratelimit", None, "f6b34745", None, None, None, Some(UsageLimit), None),
    ("gemini-text", Some(REPORT), "c9095874", Some("stub"), Some([600, 62, 1800, 0]), None, None, None),
    ("gemini-tool", Some(REPORT), "f926312f", Some("stub"), Some([900, 93, 2700, 0]), None, None, None),

    ("synthetic-claude-credentials", Some("Invalid API key \u{b7} Fix external API key"),
        "0f3f9d0e", Some("claude-opus-4-8[1m]"), Some([0, 0, 0, 0]), Some(0.0), Some(BadCredentials), None),
    ("synthetic-claude-cut", Some("First I read the code.\nThen I change it."),
        "0f3f9d0e", Some("claude-opus-4-8"), None, None, None, None),
    ("synthetic-claude-limit", Some("You've hit your limit \u{b7} resets 2pm (Asia/Shanghai)"),
        "0f3f9d0e", Some("claude-opus-4-8[1m]"), Some([0, 0, 0, 0]), Some(0.0), Some(UsageLimit), Some("2026-05-12T06:00:00Z")),
    ("synthetic-claude-overload", Some("API Error: 529 {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}"),
        "0f3f9d0e", Some("claude-opus-4-8[1m]"), Some([0, 0, 0, 0]), Some(0.0), Some(Transient), None),
    ("synthetic-claude-retrying", Some("I will look."), "0f3f9d0e", Some("claude-opus-4-8"), None, None, Some(Transient), None),
    ("synthetic-claude-turns", Some("The build is green."), "0f3f9d0e", Some("claude-opus-4-8"), Some([2200, 65, 18000, 600]), Some(0.041), None, None),
    ("synthetic-codex-limit", Some("I begin."), "01a208d0", None, None, None, Some(UsageLimit), Some("2026-08-08T12:30:00Z")),
    ("synthetic-codex-messages", Some("You have hit your usage limit is what the page says.\nDone."),
        "01a208d0", None, Some([1500, 50, 1000, 500]), None, None, None),
    ("synthetic-codex-overload", None, "01a208d0", None, None, None, Some(Transient), None),
    ("synthetic-gemini-limit", None, "105f694e", Some("gemini-3.1-pro-preview"), None, None, Some(UsageLimit), Some("2026-08-08T08:20:43Z")),
    ("synthetic-gemini-overload", None, "105f694e", None, None, None, Some(Transient), None),
    ("synthetic-gemini-pieces", Some("I will look.\nAll green."), "105f694e", Some("gemini-3.1-pro-preview"), Some([60, 30, 40, 0]), None, None, None),
];

fn parts(usage: Usage) -> [u64; 4] {
    usage.parts().map(|(_, tokens)| tokens)
}

#[test]
fn every_stream_says_what_it_should() {
    let expected: Vec<&str> = GOLDEN.iter().map(|row| row.0).collect();
    assert_eq!(names(), expected, "each fixture has its row");
    for (name, text, session, model, usage, cost, class, reset) in GOLDEN {
        let found = summary(name);
        assert_eq!(found.text.as_deref(), *text, "{name}");
        let start = found.session_id.as_ref().and_then(|id| id.get(..8));
        assert_eq!(start, Some(*session), "{name}");
        assert_eq!(found.model.as_deref(), *model, "{name}");
        assert_eq!(found.usage.map(parts), *usage, "{name}");
        assert_eq!(found.cost_usd, *cost, "{name}");
        assert_eq!(found.error_class, *class, "{name}");
        let until = found.limit_reset.map(|time| time.to_string());
        assert_eq!(until.as_deref(), *reset, "{name}");
        assert!(found.events > 0 && found.too_long == 0 && found.text_omitted == 0, "{name}");
    }
}

#[test]
fn what_claude_used_is_known_before_it_says_so() {
    let message = |id: &str, parent: &str, input: u64| {
        format!(
            r#"{{"type":"assistant","parent_tool_use_id":{parent},"message":{{"id":"{id}","content":[],"usage":{{"input_tokens":{input},"output_tokens":1,"cache_read_input_tokens":5}}}}}}"#
        ) + "\n"
    };
    let mut parser = StreamParser::new(StreamKind::Claude);
    assert_eq!(parser.used(), (None, None));
    // Two pieces of one message, and one of a sub-agent's in between.
    for line in [message("a", "null", 10), message("b", "\"t\"", 20), message("a", "null", 10)] {
        parser.push(line.as_bytes());
    }
    assert_eq!(parser.used().0.map(parts), Some([30, 2, 10, 0]));
    // The agent's own sum takes the place of ours.
    let result = r#"{"type":"result","result":"ok","usage":{"input_tokens":33,"output_tokens":40},"total_cost_usd":0.5}"#;
    parser.push(format!("{result}\n").as_bytes());
    assert_eq!(parser.used().0.map(parts), Some([33, 40, 0, 0]));
    parser.push(message("c", "null", 7).as_bytes());
    let (usage, cost) = parser.used();
    assert_eq!((usage.map(parts), cost), (Some([40, 41, 5, 0]), Some(0.5)));
    let end = parser.finish(Timestamp::UNIX_EPOCH, &Zone::UTC);
    assert_eq!((end.usage, end.cost_usd), (usage, cost));
}

/// A line, and what is known of the turn's end behind it.
type Told<'a> = (&'a str, Option<TurnEnd>);

#[test]
fn the_end_of_a_turn_is_known_until_another_one_begins() {
    use StreamKind::{Claude, Codex, Gemini};
    let (success, failure) = (Some(TurnEnd::Success), Some(TurnEnd::Failure));
    let streams: [(StreamKind, &[Told<'_>]); 3] = [
        (
            Claude,
            &[
                (r#"{"type":"system","subtype":"init"}"#, None),
                (r#"{"type":"assistant","message":{"content":[]}}"#, None),
                (r#"{"type":"result","subtype":"success","result":"ok"}"#, success),
                (r#"{"type":"system","subtype":"hook_response"}"#, success),
                // A sub-agent works on.
                (r#"{"type":"user","parent_tool_use_id":"t","message":{}}"#, None),
                (r#"{"type":"result","subtype":"error_max_turns","is_error":true}"#, failure),
                (r#"{"type":"system","subtype":"init"}"#, None),
                (r#"{"result":"ok","is_error":false,"type":"result"}"#, success),
                (r#"{"message":{"content":[]},"type":"assistant"}"#, None),
            ],
        ),
        (
            Codex,
            &[
                (r#"{"type":"turn.started"}"#, None),
                (r#"{"type":"error","message":"stream disconnected"}"#, None),
                (r#"{"type":"turn.failed","error":{"message":"x"}}"#, failure),
                (r#"{"type":"turn.started"}"#, None),
                (r#"{"type":"turn.completed","usage":{}}"#, success),
                (r#"{"type":"item.started","item":{"type":"command_execution"}}"#, None),
            ],
        ),
        (
            Gemini,
            &[
                (r#"{"type":"init","session_id":"s"}"#, None),
                (r#"{"type":"result","status":"error","error":{"message":"x"}}"#, failure),
                (r#"{"type":"tool_use","tool_name":"x"}"#, None),
                (r#"{"type":"result","status":"success"}"#, success),
                (r#"{"type":"message","role":"assistant","content":"x","delta":true}"#, None),
            ],
        ),
    ];
    for (kind, lines) in streams {
        let mut parser = StreamParser::new(kind);
        for (line, end) in lines {
            parser.push(format!("{line}\n").as_bytes());
            assert_eq!(parser.turn_end(), *end, "{kind:?}: {line}");
        }
        assert_eq!(parser.finish(ended(), &Zone::UTC).turn_end, None);
    }
    for name in names() {
        let found = summary(&name);
        // Cut off, at work, or waiting when it was recorded.
        let open = ["synthetic-claude-cut", "synthetic-claude-retrying", "gemini-ratelimit"];
        if !open.contains(&name.as_str()) {
            let went_well = found.error_class.is_none();
            let end = if went_well { success } else { failure };
            assert!(found.turn_end == end || name.contains("gemini"), "{name}: {found:?}");
        }
    }
}

#[test]
fn later_work_takes_back_what_gemini_said_between_two_tries() {
    let init = r#"{"type":"init","session_id":"s"}"#;
    let quota = "Attempt 1 failed: You exceeded your current quota. Retrying after 5006ms...";
    let outage = "Attempt 2 failed: fetch failed. Retrying after 5006ms...";
    let piece = r#"{"type":"message","role":"assistant","content":"x","delta":true}"#;
    let tool = r#"{"type":"tool_use","tool_name":"x"}"#;
    let failed = r#"{"type":"result","status":"error","error":{"message":"cut off"}}"#;
    // Each line as it came, with whether it came on standard error.
    let class = |lines: &[(bool, &str)]| {
        let mut parser = StreamParser::new(StreamKind::Gemini);
        for (is_error, line) in lines {
            let line = format!("{line}\n");
            match is_error {
                true => parser.push_stderr(line.as_bytes()),
                false => parser.push(line.as_bytes()),
            }
        }
        parser.finish(ended(), &Zone::UTC).error_class
    };
    let limited = [(false, init), (true, quota)];
    assert_eq!(class(&limited), Some(UsageLimit));
    for work in [piece, tool] {
        let went_on = [limited[0], limited[1], (false, work)];
        assert_eq!(class(&went_on), None, "{work}");
        let again = [limited[0], limited[1], (false, work), (true, quota)];
        assert_eq!(class(&again), Some(UsageLimit), "{work}");
        let other = [limited[0], limited[1], (false, work), (true, outage)];
        assert_eq!(class(&other), Some(Transient), "{work}");
        let ended = [limited[0], limited[1], (false, work), (false, failed)];
        assert_eq!(class(&ended), Some(ErrorClass::Other), "{work}");
    }
    // What ended it tells no reason of its own.
    assert_eq!(class(&[limited[0], limited[1], (false, failed)]), Some(UsageLimit));
}

#[test]
fn what_is_no_stream_says_nothing() {
    for kind in StreamKind::ALL {
        let text = b"I failed: usage limit reached, 401 Unauthorized\n[1]\n\"x\"\n{\"a\":1}\n{}\n";
        assert_eq!(parse(kind, &[text], &[]), StreamSummary::default());
        assert_eq!(parse(kind, &[], &[]), StreamSummary::default());
    }
}

/// The stream of a fixture with something else in front of its last line.
fn with(name: &str, more: &[&[u8]]) -> StreamSummary {
    let (kind, stdout, stderr) = read(name);
    let last = stdout[..stdout.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let mut chunks = vec![&stdout[..last]];
    chunks.extend(more);
    chunks.push(&stdout[last..]);
    parse(kind, &chunks, &[&stderr])
}

#[test]
fn lines_that_are_damaged_cost_only_themselves() {
    let nested = format!("{{\"type\":\"assistant\",\"message\":{}\n", "[".repeat(2_000_000));
    let content = format!(
        "{{\"type\":\"assistant\",\"message\":{{\"content\":[{{\"type\":\"text\",\"text\":{}1{}}}]}}}}\n",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let zeros = vec![0; 1 << 20];
    for name in ["claude-tool", "codex-tool", "gemini-tool"] {
        let clean = summary(name).text;
        for more in [
            &[b"\0\0\0\n" as &[u8]][..],
            &[&zeros[..], b"\n"],
            &[b"\xff\xfe{\"type\":\"result\"}\n"],
            &[b"{\"type\":\"result\",\"is_error\":false,\"result\":\"torn\n"],
            &[nested.as_bytes()],
            &[content.as_bytes()],
        ] {
            assert_eq!(with(name, more).text, clean, "{name}: {:?}", more[0].get(..40));
        }
    }
}

#[test]
fn a_byte_that_is_no_text_costs_itself_and_not_the_line() {
    let line = b"{\"type\":\"result\",\"is_error\":false,\"result\":\"good \xff news\"}";
    let found = parse(StreamKind::Claude, &[line], &[]);
    assert_eq!(found.text.as_deref(), Some("good \u{fffd} news"));
}

#[test]
fn a_line_of_50_mb_is_counted_where_it_may_have_mattered() {
    let fill = vec![b'x'; 1 << 20];
    let long = |start: &'static str| {
        let mut chunks: Vec<&[u8]> = vec![start.as_bytes()];
        chunks.extend(std::iter::repeat_n(&fill[..], 50));
        chunks.push(b"\"}\n");
        chunks
    };
    let (matters, not) =
        (long("{\"type\":\"assistant\",\"message\":\""), long("{\"type\":\"user\",\"message\":\""));
    let clean = summary("claude-text");
    let found = with("claude-text", &matters);
    assert_eq!((found.text, found.usage, found.too_long), (clean.text.clone(), clean.usage, 1));
    assert_eq!(with("claude-text", &not), clean);
    let whole = [&matters.concat()[..]];
    assert_eq!(with("claude-text", &whole).too_long, 1);
}

#[test]
fn an_odd_field_costs_itself() {
    let line = br#"{"type":"result","session_id":{"id":7},"is_error":false,"result":"ok","usage":"much","modelUsage":[],"total_cost_usd":"-"}"#;
    let found = parse(StreamKind::Claude, &[line], &[]);
    assert_eq!(found.text.as_deref(), Some("ok"));
    assert_eq!((found.usage, found.cost_usd, found.session_id), (None, None, None));
    // Tokens at no price: the price is not known.
    let line = br#"{"type":"result","result":"ok","usage":{"input_tokens":1,"output_tokens":2},"total_cost_usd":0}"#;
    let found = parse(StreamKind::Claude, &[line], &[]);
    assert_eq!((found.usage.map(parts), found.cost_usd), (Some([1, 2, 0, 0]), None));
}

fn kind() -> impl Strategy<Value = StreamKind> {
    prop::sample::select(&StreamKind::ALL[..])
}

/// `bytes` cut at these places.
fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for at in cuts.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[start..at]);
        start = at;
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_pieces_do_not_matter(
        name in prop::sample::select(names()),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        size in 1usize..64,
    ) {
        let (kind, stdout, stderr) = read(&name);
        let whole = parse(kind, &[&stdout], &[&stderr]);
        let cut = parse(kind, &pieces(&stdout, &cuts), &pieces(&stderr, &cuts));
        prop_assert_eq!(&cut, &whole);
        let small: Vec<&[u8]> = stdout.chunks(size).collect();
        prop_assert_eq!(&parse(kind, &small, &[&stderr]), &whole);
    }

    #[test]
    fn anything_at_all_is_read_without_a_panic(
        kind in kind(),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        words in prop::collection::vec(prop::sample::select(&[
            "{", "}", "[", "]", "\"", ":", ",", "\n", "\\u", "\"type\"", "\"result\"", "\"assistant\"",
            "\"message\"", "\"item\"", "\"agent_message\"", "\"text\"", "\"delta\"", "1e999", "-0",
            "null", "\"turn.failed\"", "\"error\"", "Attempt 1 failed", "\0",
        ][..]), 0..60),
    ) {
        let _summary = parse(kind, &[&bytes], &[&bytes]);
        let text = words.concat();
        let _summary = parse(kind, &[text.as_bytes(), &bytes], &[text.as_bytes()]);
    }

    #[test]
    fn damaged_streams_are_read_in_pieces_as_in_whole(
        name in prop::sample::select(names()),
        other in kind(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..60, any::<u8>()), 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let (kind, mut stdout, stderr) = read(&name);
        for (at, length, byte) in edits {
            let at = at.index(stdout.len().max(1)).min(stdout.len());
            let end = (at + length).min(stdout.len());
            match byte % 3 {
                0 => stdout[at..end].fill(byte),
                1 => drop(stdout.splice(at..end, [byte])),
                _ => {
                    let copy = stdout[at..end].to_vec();
                    let to = usize::from(byte) * 7 % (stdout.len() + 1);
                    drop(stdout.splice(to..to, copy));
                }
            }
        }
        for kind in [kind, other] {
            let whole = parse(kind, &[&stdout], &[&stderr]);
            prop_assert_eq!(parse(kind, &pieces(&stdout, &cuts), &[&stderr]), whole);
        }
    }
}
