//! What clients of the older program rely on, and the test that holds each of it; and those that no other file
//! has.

use crate::support::*;
use conductor_core::{Conductor, JobSpec, Options};
use conductor_tests::sandbox::Sandbox;
use serde_json::{Value, json};
use std::path::Path;

/// Each behaviour of the older program's HTTP interface that is kept, with the tests that hold it.
#[rustfmt::skip]
const HELD: &[(&str, &[&str])] = &[
    // Start, end, conventions.
    ("it says where it listens, and ends with 0 on SIGTERM and SIGINT", &["update::a_launcher_and_its_worker_end_as_one_process_does", "control::runs_live_without_the_server_and_its_tasks_are_gone_on_with"]),
    ("a server that starts no tasks", &["control::a_server_that_starts_nothing_says_so"]),
    ("JSON as Go writes it, ended by a line feed", &["reads::files_are_read_whole_or_by_their_last_lines", "compatible::every_read_is_answered_with_the_fields_that_clients_read"]),
    ("errors in the older envelope, with its words for statuses", &["reads::errors_come_in_two_forms", "reference::an_error_has_the_older_programs_code_for_its_status"]),
    ("bodies: unknown fields and trailing data are refused", &["messages::what_is_wrong_with_a_message_is_said_and_makes_nothing"]),
    ("pages of lists: limit, offset, total, has_more", &["reads::lists_come_in_pages", "reads::every_list_can_be_read_in_parts"]),
    ("X-Request-ID is given back or made", &["reads::errors_come_in_two_forms", "compatible::every_read_is_answered_with_the_fields_that_clients_read"]),
    ("methods that a path does not have, paths that are nothing", &["reads::errors_come_in_two_forms"]),
    // Auth, CORS, safety.
    ("a key by Authorization or X-API-Key, and 401 in a shape of its own", &["guard::every_change_wants_the_token_which_is_made_at_the_first_start", "guard::with_all_even_reads_want_the_token"]),
    ("what needs no key", &["guard::with_all_even_reads_want_the_token", "dashboard::the_page_is_there_for_who_has_no_token_yet"]),
    ("CORS for origins that are named, OPTIONS is 204", &["guard::pages_that_were_named_may_call", "reference::a_page_of_a_named_origin_may_send_what_it_sent_before"]),
    ("pages may not delete or collect", &["compatible::pages_may_destroy_nothing", "reference::a_page_may_not_collect_garbage"]),
    ("ids and paths lead nowhere else", &["attacks::no_id_in_any_path_leads_outside", "attacks::no_id_in_a_query_or_a_body_leads_outside", "shapes::two_tasks_of_one_name_want_their_project"]),
    // Reads.
    ("health, version, status, metrics", &["compatible::every_read_is_answered_with_the_fields_that_clients_read", "reads::a_root_that_does_not_exist_yet_is_empty", "metrics::runs_are_counted_by_agent_and_outcome_with_their_durations", "reference::the_older_names_of_metrics_are_there"]),
    ("lists of tasks and runs, tasks and runs by their id alone", &["shapes::tasks_and_runs_have_the_fields_that_clients_read", "shapes::two_tasks_of_one_name_want_their_project"]),
    ("runs of extra roots among all runs", &["extra_roots::runs_of_extra_roots_are_shown_and_never_changed"]),
    ("the record of a run as it stands", &["shapes::the_record_of_a_run_is_given_as_it_stands"]),
    ("a run that lives, and one that ended", &["reference::a_run_that_lives_has_no_end_and_no_code"]),
    ("files of a run: their order, no size for an empty one", &["shapes::tasks_and_runs_have_the_fields_that_clients_read", "reference::a_run_that_lives_has_no_end_and_no_code"]),
    ("the order of lists", &["reference::lists_have_the_older_programs_order"]),
    ("the words for where a task stands, and the lists of one word", &["reference::a_task_whose_run_failed_while_another_runs_is_a_partial_failure", "reads::lists_come_in_pages", "queue::the_place_in_the_line_is_told_and_the_line_moves_on", "reference::a_task_that_waits_for_another_is_blocked"]),
    ("projects, their sources, their counts", &["control::projects_are_made_and_deleted", "shapes::tasks_and_runs_have_the_fields_that_clients_read"]),
    ("runs/flat and its selection", &["shapes::a_selection_of_runs_is_checked", "reference::lists_have_the_older_programs_order"]),
    ("files as text, with tail", &["reads::files_are_read_whole_or_by_their_last_lines"]),
    ("damage hides nothing else", &["reads::damage_hides_nothing_else"]),
    ("reads write nothing", &["reads::reads_change_nothing"]),
    // Messages.
    ("messages: the newest, those behind one, an id that is none", &["messages::what_is_posted_is_read_in_order", "messages::an_answer_is_bounded_however_long_the_messages_are"]),
    ("posting by all three paths", &["messages::a_message_goes_where_its_body_says", "compatible::every_change_is_answered_as_clients_expect"]),
    ("the shape of a message", &["reference::a_message_has_the_fields_that_clients_read"]),
    // Changes.
    ("starting: what is checked, and in which words", &["control::what_is_wrong_with_a_task_is_said_and_makes_nothing", "control::a_task_is_started_and_driven_to_its_end", "reference::a_task_that_waits_for_another_is_blocked"]),
    ("starting a task that answers a message", &["threads::a_question_is_answered_by_a_task_and_both_buses_tell_of_it", "threads::what_cannot_be_answered_starts_nothing"]),
    ("importing a process", &["import::a_process_of_another_program_is_followed_to_its_end_and_never_signalled", "import::what_cannot_be_followed_is_refused_and_makes_nothing"]),
    ("root tasks that wait for their turn", &["queue::the_place_in_the_line_is_told_and_the_line_moves_on", "queue::the_line_survives_a_restart"]),
    ("stopping runs and tasks, deleting, resuming", &["control::a_run_is_asked_to_end_once", "control::a_task_is_stopped_for_good_and_set_back_and_deleted", "compatible::every_change_is_answered_as_clients_expect"]),
    ("garbage collection of a project", &["control::old_runs_are_collected"]),
    ("the audit log", &["control::changes_are_noted_without_their_secrets", "control::a_change_is_noted_although_its_client_went_away", "compatible::every_change_is_answered_as_clients_expect"]),
    ("the update of the server's program", &["update::it_is_looked_at_asked_for_and_taken_back", "update_load::nobody_is_interrupted_and_nobody_is_refused_a_connection", "update::a_bad_candidate_leaves_the_old_program_serving", "update::a_candidate_that_dies_when_it_has_shown_that_it_serves_leaves_the_old_program_serving"]),
    // Streams.
    ("what a stream is sent as", &["reference::a_stream_is_sent_as_it_comes"]),
    ("messages as they come, from a place or the last twenty", &["streams::a_client_gets_the_last_twenty_and_then_what_comes", "streams::who_comes_back_misses_nothing_across_a_restart_and_a_rotation", "streams::an_id_that_leads_nowhere_is_said_to_do_so"]),
    ("a run's lines and status, from a place in any of the older forms", &["streams::a_runs_lines_come_as_they_are_printed_and_again_from_any_place", "reference::a_place_in_a_log_is_taken_in_every_older_form"]),
    ("all runs, and those of a task", &["streams::all_runs_are_told_as_they_begin_and_end_with_what_they_print"]),
    ("a file to its end", &["streams::a_file_is_followed_to_its_end"]),
    ("heartbeats, and as many clients as may", &["streams::too_many_clients_of_one_thing_are_refused"]),
    // Pages and commands.
    ("the pages at / and /ui/", &["dashboard::the_page_names_files_that_never_change", "reference::the_pages_are_where_they_were"]),
    ("the client commands", &["commands::a_job_is_submitted_followed_and_looked_at", "commands::projects_and_messages_are_asked_for", "commands::what_cannot_be_asked_is_said"]),
];

#[test]
fn every_test_that_holds_a_behaviour_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server");
    for (behaviour, tests) in HELD {
        assert!(!tests.is_empty(), "{behaviour}: nothing holds it");
        for test in *tests {
            let (file, name) = test.split_once("::").unwrap();
            let source = std::fs::read_to_string(folder.join(format!("{file}.rs"))).unwrap();
            let found = source.contains(&format!("#[test]\nfn {name}() {{"));
            assert!(found, "{behaviour}: there is no test {test}");
        }
    }
}

#[test]
fn an_error_has_the_older_programs_code_for_its_status() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let page = [("x-conductor-client", "web-ui")];
    for (answer, status, code) in [
        (server.get("/api/v1/messages"), 400, "BAD_REQUEST"),
        (server.delete_with("/api/projects/shop", &page), 403, "FORBIDDEN"),
        (server.get("/api/projects/none"), 404, "NOT_FOUND"),
        (server.delete("/api/v1/health"), 405, "METHOD_NOT_ALLOWED"),
    ] {
        let told = answer.expect(status).json();
        assert_eq!(told["error"]["code"], code);
        assert!(told["error"]["message"].is_string(), "{told}");
    }
    let missing = server.get("/api/v1/messages").json();
    assert_eq!(missing["error"]["message"], "project_id is required");
    // A run that is over, by both paths.
    let run = &server.json("/api/v1/runs")["runs"][0];
    let [run, task] = ["run_id", "task_id"].map(|name| run[name].as_str().unwrap().to_owned());
    let over = server.push(&format!("/api/v1/runs/{run}/stop")).expect(409).json();
    let told = (&over["error"]["code"], &over["error"]["message"]);
    assert_eq!(told, (&json!("CONFLICT"), &json!("run already finished")));
    let path = format!("/api/projects/shop/tasks/{task}/runs/{run}/stop");
    let over = server.push(&path).expect(409).json();
    assert_eq!(over["error"]["message"], "run is not running");
    let known = server.json(&format!("/api/v1/runs/{run}"))["status"].clone();
    assert_eq!(over["error"]["details"]["status"], known);
}

#[test]
fn a_page_of_a_named_origin_may_send_what_it_sent_before() {
    let sandbox = Sandbox::new();
    let config = sandbox.home().join("config.yaml");
    std::fs::write(&config, "api: {auth: \"off\", cors_origins: [\"http://localhost:5173\"]}\n")
        .unwrap();
    let server = Server::of(&sandbox, program(&sandbox).arg("--config").arg(&config));
    let answer = server.get_with("/api/v1/version", &[("origin", "http://localhost:5173")]);
    let answer = answer.expect(200);
    let lists = |head: &str, words: &[&str]| {
        let value = answer.header(head).to_ascii_lowercase();
        let known: Vec<&str> = value.split(',').map(str::trim).collect();
        for word in words {
            assert!(known.contains(word), "{head}: {value} lacks {word}");
        }
    };
    lists("access-control-allow-methods", &["get", "post", "delete", "options"]);
    let heads = ["content-type", "authorization", "x-request-id", "x-conductor-client"];
    lists("access-control-allow-headers", &heads);
    lists("access-control-expose-headers", &["x-request-id"]);
    lists("vary", &["origin"]);
}

#[test]
fn a_page_may_not_collect_garbage() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let path = "/api/projects/shop/gc?older_than=0s";
    for head in ["X-Conductor-Client: web-UI", "Sec-Fetch-Site: same-origin", "Referer: http://x/"]
    {
        let host = &server.address;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer = server.raw(request.as_bytes());
        assert_eq!(status_of(&answer), "403", "{head}: {answer}");
        assert!(
            answer.contains("project garbage collection is disabled in the web UI"),
            "{answer}"
        );
    }
    assert_ne!(server.json("/api/v1/runs")["runs"], json!([]));
}

#[test]
fn the_older_names_of_metrics_are_there() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    server.get("/api/v1/version").expect(200);
    let metrics = server.get("/metrics").expect(200).text;
    for (name, kind) in [
        ("conductor_uptime_seconds", "gauge"),
        ("conductor_active_runs_total", "gauge"),
        ("conductor_completed_runs_total", "counter"),
        ("conductor_failed_runs_total", "counter"),
        ("conductor_messagebus_appends_total", "counter"),
        ("conductor_queued_runs_total", "gauge"),
        ("conductor_api_requests_total", "counter"),
    ] {
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name}\n{metrics}");
        assert!(metrics.contains(&format!("# TYPE {name} {kind}\n")), "{name}\n{metrics}");
    }
    let line = "conductor_api_requests_total{method=\"GET\",status=\"200\"} ";
    assert!(metrics.contains(line), "{metrics}");
}

/// A script that ends when the file is there.
fn waits_for(gate: &Path) -> String {
    format!("until [ -e '{}' ]; do sleep 0.02; done; {DONE}", gate.display())
}

#[test]
fn a_run_that_lives_has_no_end_and_no_code() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let gate = sandbox.work().join("gate");
    let run = server.start_task("t", &waits_for(&gate))["run_id"].as_str().unwrap().to_owned();
    let paths = (format!("/api/v1/runs/{run}"), format!("/api/projects/p/tasks/t/runs/{run}"));
    let flat = || server.json("/api/projects/p/runs/flat")["runs"][0].clone();
    let living = server.json(&paths.0);
    assert_eq!((&living["status"], &living["exit_code"]), (&json!("running"), &json!(-1)));
    assert_eq!(living["end_time"], "0001-01-01T00:00:00Z");
    for living in [server.json(&paths.1), flat()] {
        assert_eq!((&living["status"], &living["exit_code"]), (&json!("running"), &json!(-1)));
        assert_eq!(living.get("end_time"), None, "{living}");
    }
    // Of files only those that are there, and no size of an empty one.
    let files = server.json(&paths.1)["files"].as_array().unwrap().clone();
    let names: Vec<&str> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["stdout", "stderr", "prompt"]);
    assert!(files[0].get("size").is_none() && files[2]["size"].is_u64(), "{files:?}");
    assert!(files.iter().all(|file| file["label"] == file["name"]));
    let status = server.json("/api/v1/status");
    let running = &status["running_tasks"][0];
    let told = ["project_id", "task_id", "run_id", "agent"].map(|name| running[name].clone());
    assert_eq!(json!(told), json!(["p", "t", run, "shell"]));
    assert!(running["started"].is_string());
    assert_eq!(server.json("/api/v1/tasks/t")["status"], "running");
    assert_eq!(server.json("/api/projects/p/tasks/t")["state"], "running");

    std::fs::write(gate, "").unwrap();
    let ended = server.await_json(&paths.0, |run| run["status"] == "completed");
    assert_eq!(ended["exit_code"], 0);
    assert_ne!(ended["end_time"], living["end_time"]);
    assert!(server.json(&paths.1)["end_time"].is_string() && flat()["end_time"].is_string());
}

#[test]
fn lists_have_the_older_programs_order() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::open(&sandbox);
    let strings = |list: &Value, name: &str| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|item| item[name].as_str().unwrap().to_owned()).collect()
    };
    let rising = |values: &[String]| values.windows(2).all(|two| two[0] <= two[1]);
    let falling = |values: &[String]| values.windows(2).all(|two| two[0] >= two[1]);
    let runs = strings(&server.json("/api/v1/runs")["runs"], "run_id");
    assert!(runs.len() == 4 && rising(&runs), "{runs:?}");
    let tasks = server.json("/api/projects/shop/tasks");
    let created: Vec<String> = strings(&tasks["items"], "id")
        .iter()
        .map(|task| server.json(&format!("/api/projects/shop/tasks/{task}")))
        .map(|task| task["created_at"].as_str().unwrap().to_owned())
        .collect();
    assert!(created.len() == 2 && falling(&created), "the newest task first: {created:?}");
    for task in strings(&tasks["items"], "id") {
        let path = format!("/api/projects/shop/tasks/{task}");
        let detail = strings(&server.json(&path)["runs"], "start_time");
        let page = strings(&server.json(&format!("{path}/runs"))["items"], "start_time");
        assert!(detail.len() == 2 && rising(&detail), "{detail:?}");
        assert!(page.len() == 2 && falling(&page), "{page:?}");
    }
    let flat = strings(&server.json("/api/projects/shop/runs/flat")["runs"], "start_time");
    assert!(flat.len() == 4 && rising(&flat), "{flat:?}");
    let source = sandbox.folder("source");
    let body = json!({"project_id": "newer", "project_root": source});
    server.post("/api/projects", &body).expect(201);
    let projects = server.json("/api/projects");
    assert_eq!(strings(&projects["projects"], "id").len(), 2);
    assert!(falling(&strings(&projects["projects"], "last_activity")), "{projects}");
}

#[test]
fn a_task_whose_run_failed_while_another_runs_is_a_partial_failure() {
    let sandbox = Sandbox::new();
    let conductor = Conductor::open(sandbox.root(), Options::default()).unwrap();
    let job = JobSpec::new("p").task("t").agent("shell").prompt("exit 3");
    conductor.jobs().start(job, LONG).unwrap().wait(LONG).unwrap();
    let server = Server::open(&sandbox);
    let page = |word: &str| server.json(&format!("/api/projects/p/tasks?status={word}"));
    let failed = &page("failed")["items"][0];
    assert_eq!((&failed["status"], &failed["last_run_exit_code"]), (&json!("failed"), &json!(3)));
    let gate = sandbox.work().join("gate");
    server.start_task("t", &waits_for(&gate));
    let both = &page("partial_failure")["items"][0];
    assert_eq!(both["run_counts"], json!({"failed": 1, "running": 1}));
    assert_eq!((&both["run_count"], &both["done"]), (&json!(2), &json!(false)));
    assert_eq!(page("running")["total"], 0, "exactly running");
    assert_eq!(server.json("/api/v1/tasks")["tasks"][0]["status"], "partial_failure");
    std::fs::write(gate, "").unwrap();
    server.await_json("/api/v1/tasks/t", |task| task["status"] == "all_finished");
    for word in ["done", "all_finished", ""] {
        assert_eq!(page(word)["total"], 1, "{word}");
    }
    for word in ["failed", "blocked", "queued", "postponed", "active"] {
        assert_eq!(page(word)["total"], 0, "{word}");
    }
}

#[test]
fn a_task_that_waits_for_another_is_blocked() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let gate = sandbox.work().join("gate");
    server.start_task("first", &waits_for(&gate));
    let body = json!({
        "project_id": "p", "task_id": "second", "agent_type": "shell", "prompt": DONE,
        "depends_on": ["first"],
    });
    let started = server.post("/api/v1/tasks", &body).expect(201).json();
    assert_eq!(
        (&started["status"], &started["depends_on"]),
        (&json!("blocked"), &json!(["first"]))
    );
    let row = server.json("/api/projects/p/tasks?status=blocked")["items"][0].clone();
    assert_eq!((&row["id"], &row["status"]), (&json!("second"), &json!("blocked")));
    assert_eq!((&row["blocked_by"], &row["depends_on"]), (&json!(["first"]), &json!(["first"])));
    let detail = server.json("/api/projects/p/tasks/second");
    assert_eq!((&detail["state"], &detail["runs"]), (&json!("blocked"), &json!([])));
    let circle = json!({
        "project_id": "p", "task_id": "first", "agent_type": "shell", "prompt": DONE,
        "depends_on": ["second"],
    });
    let refused = server.post("/api/v1/tasks", &circle).expect(409).json();
    assert_eq!(refused["error"]["details"]["task_id"], "first");
    std::fs::write(gate, "").unwrap();
    server.await_json("/api/v1/tasks/second", |task| task["status"] == "all_finished");
}

#[test]
fn a_message_has_the_fields_that_clients_read() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.root().join("p/t")).unwrap();
    let server = Server::open(&sandbox);
    let path = "/api/projects/p/tasks/t/messages";
    let asked =
        server.post(path, &json!({"type": "question", "body": "<a> & b"})).expect(201).json();
    let answers = json!({"type": "ANSWER", "body": "c", "parents": [asked["msg_id"]]});
    server.post(path, &answers).expect(201);
    let told = server.json(path)["messages"].clone();
    let first = &told[0];
    assert_eq!((&first["msg_id"], &first["type"]), (&asked["msg_id"], &json!("QUESTION")));
    assert_eq!((&first["project_id"], &first["task_id"]), (&json!("p"), &json!("t")));
    assert_eq!(first["body"], "<a> & b");
    assert!(first["timestamp"].is_string() && first.get("parents").is_none(), "{first}");
    assert_eq!(told[1]["parents"][0]["msg_id"], asked["msg_id"]);
    // In a stream parents are ids alone.
    let mut events = server.follow(&format!("{path}/stream"), None);
    let streamed = events.several("message", 2);
    assert_eq!(streamed[1].json()["parents"], json!([asked["msg_id"]]));
    assert_eq!(streamed[0].id, asked["msg_id"].as_str().unwrap());
}

#[test]
fn a_stream_is_sent_as_it_comes() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.root().join("p/t")).unwrap();
    let server = Server::open(&sandbox);
    let mut client = server.connect();
    let head =
        format!("GET /api/projects/p/messages/stream HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    std::io::Write::write_all(&mut client, head.as_bytes()).unwrap();
    // Sent at once, although there is no message.
    let mut text = String::new();
    while !text.contains("\r\n\r\n") {
        let mut byte = [0];
        std::io::Read::read_exact(&mut client, &mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    let text = text.to_ascii_lowercase();
    assert_eq!(status_of(&text), "200");
    for head in
        ["content-type: text/event-stream", "cache-control: no-cache", "x-accel-buffering: no"]
    {
        assert!(text.contains(head), "{head}: {text}");
    }
}

#[test]
fn a_place_in_a_log_is_taken_in_every_older_form() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let script = format!("echo one; echo two; echo oh >&2; {DONE}");
    let run = server.start_task("t", &script)["run_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/runs/{run}/stream");
    server.await_json(&format!("/api/v1/runs/{run}"), |run| run["status"] == "completed");
    let all = ["one", "two", "working", "oh"];
    for (id, lines) in [
        ("-1", &all[..]),
        ("s=4;e=0", &all[1..]),
        ("stdout:4,stderr:0", &all[1..]),
        ("out=8|err=0", &all[2..]),
        ("e=3;s=4", &all[1..3]),
    ] {
        let mut events = server.follow(&path, Some(id));
        let mut told: Vec<Value> =
            events.several("log", lines.len()).iter().map(Event::json).collect();
        // One stream behind the other, as it was, or mixed: each in its own order.
        told.sort_by_key(|line| line["stream"] == "stderr");
        let told: Vec<&str> = told.iter().map(|line| line["line"].as_str().unwrap()).collect();
        assert_eq!(told, lines, "{id}");
    }
}

#[test]
fn the_pages_are_where_they_were() {
    let sandbox = Sandbox::new();
    let server = Server::open(&sandbox);
    let moved =
        format!("GET /ui HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
    let moved = server.raw(moved.as_bytes());
    assert_eq!(status_of(&moved), "301");
    assert!(moved.to_ascii_lowercase().contains("location: /ui/\r\n"), "{moved}");
    for path in ["/", "/ui/"] {
        let page = server.get(path).expect(200);
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
    }
    server.get("/api/nothing").expect(404);
    server.get("/ui/nothing.js").expect(404);
}
