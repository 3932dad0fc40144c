//! `bus check` and `bus export`, and what `bus post` and `bus read` offer to who comes back.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The exit code of damage.
const CORRUPT: i32 = 20;

fn with_messages(count: usize) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.root().join("p")).unwrap();
    for n in 0..count {
        let _posted = post(&sandbox, &format!("body {n}"), &[]);
    }
    let bus = sandbox.root().join("p/PROJECT-MESSAGE-BUS.md");
    (sandbox, bus)
}

fn post(sandbox: &Sandbox, body: &str, args: &[&str]) -> Value {
    let post = ["bus", "post", "--project", "p", "--json", "--body", body];
    let posted = run_agent(sandbox, post).args(args).succeed();
    serde_json::from_str(&posted.stdout).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn bodies(text: &str) -> Vec<String> {
    lines(text).iter().map(|line| line["body"].as_str().unwrap().to_owned()).collect()
}

/// Breaks the message with this body.
fn break_message(bus: &PathBuf, body: &str) {
    let mut bytes = fs::read(bus).unwrap();
    let at = bytes.windows(body.len()).position(|window| window == body.as_bytes()).unwrap();
    bytes[at] ^= 1;
    fs::write(bus, bytes).unwrap();
}

#[test]
fn a_check_finds_nothing_on_a_sound_bus_and_names_damage_by_its_place() {
    let (sandbox, bus) = with_messages(3);
    let sound = see_json(&sandbox, "bus check --project p --json");
    assert_eq!((&sound["messages"], &sound["last_seq"]), (&3.into(), &4.into()));
    assert_eq!(sound["findings"], Value::Array(Vec::new()));
    assert!(see(&sandbox, "bus check --project p").contains("3 messages in 1 files"));
    break_message(&bus, "body 1");
    let finished = look(&sandbox, cli(&sandbox, "bus check --project p --json"), CORRUPT);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    let kinds: Vec<_> = report["findings"].as_array().unwrap().iter().map(|f| &f["kind"]).collect();
    assert_eq!(kinds, ["corrupt", "gap"]);
    assert!(report["findings"][0]["offset"].as_u64().unwrap() > 0);
    let text = look(&sandbox, cli(&sandbox, "bus check --project p"), CORRUPT).stdout;
    assert!(
        text.contains(&format!("{}:", bus.display())) && text.contains(": corrupt: "),
        "{text}"
    );
}

#[test]
fn an_export_is_everything_with_its_damage() {
    let (sandbox, bus) = with_messages(30);
    assert_eq!(bodies(&see(&sandbox, "bus export --project p")).len(), 30);
    let posted = post(&sandbox, "last", &[]);
    let after = posted["cursor"].as_str().unwrap();
    assert_eq!(see(&sandbox, &format!("bus export --project p --after {after}")), "");
    break_message(&bus, "body 7");
    let export = look(&sandbox, cli(&sandbox, "bus export --project p"), CORRUPT).stdout;
    let kinds: Vec<_> = lines(&export).iter().map(|line| line["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "message").count(), 30);
    assert_eq!(kinds.len(), 32, "the damage, and the gap that it left");
}

#[test]
fn a_reader_with_a_name_gets_what_came_since() {
    let (sandbox, _) = with_messages(2);
    let read = || cli(&sandbox, "bus read --project p --json --cursor mine").succeed().stdout;
    assert_eq!(bodies(&read()), ["body 0", "body 1"]);
    assert_eq!(read(), "");
    let _posted = post(&sandbox, "news", &[]);
    assert_eq!(bodies(&read()), ["news"]);
    let kept = sandbox.root().join(".conductor/cursors/p~~mine");
    assert!(fs::read_to_string(kept).unwrap().starts_with("c1:4:MSG-"));
    let refused = cli(&sandbox, "bus read --project p --cursor ../x").run();
    assert!(refused.expect_code(2).stderr.contains("invalid cursor name"));
}

#[test]
fn the_place_of_a_name_moves_past_what_its_filters_leave_out() {
    let (sandbox, _) = with_messages(3);
    let read = "bus read --project p --json --cursor rare --type decision";
    assert_eq!(cli(&sandbox, read).succeed().stdout, "");
    let kept = sandbox.root().join(".conductor/cursors/p~~rare");
    assert!(fs::read_to_string(&kept).unwrap().starts_with("c1:4:MSG-"), "behind all three");
    let _posted = post(&sandbox, "rare", &["--type", "DECISION"]);
    let _posted = post(&sandbox, "behind it", &[]);
    assert_eq!(bodies(&cli(&sandbox, read).succeed().stdout), ["rare"]);
    assert!(fs::read_to_string(&kept).unwrap().starts_with("c1:6:MSG-"));
}

#[test]
fn a_named_place_that_does_not_fit_the_bus_can_be_left() {
    let (sandbox, bus) = with_messages(2);
    let read = "bus read --project p --json --cursor mine";
    assert_eq!(bodies(&cli(&sandbox, read).succeed().stdout).len(), 2);
    fs::remove_file(bus).unwrap();
    let _posted = post(&sandbox, "another bus", &[]);
    let refused = cli(&sandbox, read).run().expect_code(12).stderr;
    let kept = sandbox.root().join(".conductor/cursors/p~~mine");
    assert!(refused.contains(kept.to_str().unwrap()), "{refused}");
    assert!(refused.contains("--after start"), "{refused}");
    let anew = cli(&sandbox, &format!("{read} --after start")).succeed().stdout;
    assert_eq!(bodies(&anew), ["another bus"]);
    assert_eq!(cli(&sandbox, read).succeed().stdout, "");
    // To the end of it, where nothing is to be printed.
    let _posted = post(&sandbox, "passed over", &[]);
    assert_eq!(cli(&sandbox, &format!("{read} --after end")).succeed().stdout, "");
    let _posted = post(&sandbox, "news", &[]);
    assert_eq!(bodies(&cli(&sandbox, read).succeed().stdout), ["news"]);
}

#[test]
fn messages_are_chosen_by_their_time() {
    let (sandbox, _) = with_messages(3);
    let all = lines(&see(&sandbox, "bus read --project p --json --archives"));
    let second = all[1]["ts"].as_str().unwrap();
    let since = see(&sandbox, &format!("bus read --project p --json --since {second}"));
    assert_eq!(bodies(&since), ["body 1", "body 2"]);
    let until = see(&sandbox, &format!("bus read --project p --json --until {second}"));
    assert_eq!(bodies(&until), ["body 0"]);
    let refused = cli(&sandbox, "bus read --project p --since yesterday").run();
    assert!(refused.expect_code(2).stderr.contains("invalid time"));
}

#[test]
fn a_text_comes_from_a_file_and_a_post_points_to_others() {
    let (sandbox, _) = with_messages(0);
    let file = sandbox.work().join("text");
    fs::write(&file, "from a file\n").unwrap();
    let path = file.to_str().unwrap();
    let post = ["bus", "post", "--project", "p", "--link", "https://x/1", "--link", "a/b"];
    let _posted =
        run_agent(&sandbox, post).args(["--durability", "process", "--body-file", path]).succeed();
    let read = lines(&see(&sandbox, "bus read --project p --json")).pop().unwrap();
    assert_eq!(read["body"], "from a file\n");
    assert_eq!(read["links"][1]["url"], "a/b");
    let refused = run_agent(&sandbox, ["bus", "post", "--project", "p", "--body-file", "/no/file"]);
    assert!(refused.run().stderr.contains("/no/file"));
}
