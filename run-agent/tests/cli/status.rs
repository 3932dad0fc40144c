//! `status`: tasks of a project, and what lives or waits in the whole root.

use crate::support::*;
use conductor_core::{JobSpec, Stop, TaskSpec, Wait};
use conductor_tests::agents::open_gate;
use conductor_tests::process::LIMIT;
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::json;

#[test]
fn tasks_of_a_project() {
    let sandbox = reference();
    assert_eq!(
        see(&sandbox, "status --project shop"),
        "\
TASK_ID                       STATUS     EXIT_CODE  LATEST_RUN                   DONE   PID_ALIVE  BLOCKED_BY
task-20260301-111500-fix-bug  completed  0          20261123-1501210000-10270-1  false  false      -
task-20261123-150121-lis7rv   completed  0          20261123-1501210000-10229-2  true   false      -
"
    );
    assert_eq!(
        see(&sandbox, &format!("status --project shop --task {CART} --json")),
        r#"{
  "tasks": [
    {
      "task_id": "task-20261123-150121-lis7rv",
      "status": "completed",
      "exit_code": 0,
      "latest_run": "20261123-1501210000-10229-2",
      "done": true,
      "pid_alive": false
    }
  ]
}
"#
    );
    assert_eq!(
        see(&sandbox, &format!("status --project shop --task {CART} --concise")),
        format!("{CART}\tcompleted\t0\t{CART_RUN}\ttrue\tfalse\n")
    );
    let fields =
        see(&sandbox, &format!("status --project shop --task {CART} --concise --activity"));
    assert_eq!(fields.trim_end().split('\t').count(), 12, "{fields}");
}

#[test]
fn a_task_without_runs_has_no_exit_code_and_no_process() {
    let sandbox = reference();
    write(&sandbox, "bank/plan/TASK.md", "x");
    assert_eq!(
        see_json(&sandbox, "status --project bank --json"),
        json!({"tasks": [{
            "task_id": "plan",
            "status": "-",
            "exit_code": null,
            "latest_run": "",
            "done": false,
            "pid_alive": null,
        }]})
    );
    assert_eq!(see(&sandbox, "status --project bank --concise"), "plan\t-\t-\t-\tfalse\t-\n");
}

#[test]
fn nothing_to_show_is_said() {
    let sandbox = reference();
    std::fs::create_dir(sandbox.root().join("empty")).unwrap();
    assert_eq!(see(&sandbox, "status --project empty --json"), "{\n  \"tasks\": []\n}\n");
    assert_eq!(
        see(&sandbox, "status --project empty --concise"),
        "No status rows found in project empty.\n"
    );
    let line = "status --project shop --status pending";
    let filtered = look(&sandbox, cli(&sandbox, line), 1);
    assert!(
        filtered.stdout.ends_with("No status rows matched --status \"pending\" in project shop.\n")
    );
    assert_eq!(see(&sandbox, "status"), "Nothing lives or waits in the root.\n");
    assert_eq!(see_json(&sandbox, "status --json"), json!({"tasks": []}));
}

#[test]
fn a_record_that_cannot_be_read_is_the_newest_run_all_the_same() {
    let sandbox = reference();
    let run = "20261123-1501220000-1-1";
    write(&sandbox, &format!("shop/{CART}/runs/{run}/run-info.yaml"), "");
    let line = format!("status --project shop --task {CART} --json");
    let status = look(&sandbox, cli(&sandbox, &line), 20);
    let tasks: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let task = &tasks["tasks"][0];
    assert_eq!((&task["status"], &task["latest_run"]), (&json!("damaged"), &json!(run)));
    assert_eq!(task["exit_code"], json!(null));
}

/// A dead run of the older program whose record says `running` is judged by its process; the record
/// stays as it is.
#[test]
fn what_is_written_is_judged_by_what_lives() {
    let sandbox = reference();
    // The largest pid there can be is 2^22.
    write(
        &sandbox,
        "old/dead/runs/20260301-0800000000-1-1/run-info.yaml",
        record("running", 1 << 23),
    );
    let me = std::process::id();
    write(&sandbox, "old/living/runs/20260301-0800000000-1-1/run-info.yaml", record("running", me));
    let tasks = see_json(&sandbox, "status --project old --json");
    assert_eq!(tasks["tasks"][0]["status"], "failed");
    assert_eq!(tasks["tasks"][0]["pid_alive"], json!(false));
    assert_eq!(tasks["tasks"][1]["status"], "running");
    let root = see_json(&sandbox, "status --json");
    assert_eq!(root["tasks"].as_array().unwrap().len(), 1, "{root}");
    assert_eq!(root["tasks"][0]["task_id"], "living");
}

#[test]
fn without_a_project_what_lives_in_the_whole_root_is_shown() {
    let sandbox = reference();
    let gate = sandbox.work().join("gate");
    mkfifoat(CWD, &gate, Mode::RUSR | Mode::WUSR).unwrap();
    let conductor = conductor(&sandbox);
    let spec = JobSpec::new("bank").task("count").agent("shell");
    let run = conductor
        .jobs()
        .start(spec.prompt(format!("read line < '{}'", gate.display())), Wait::FOREVER)
        .unwrap();
    let table = cli(&sandbox, "status").succeed().stdout;
    assert_eq!(
        table.split_whitespace().collect::<Vec<_>>(),
        [
            "PROJECT",
            "TASK_ID",
            "STATUS",
            "EXIT_CODE",
            "LATEST_RUN",
            "DONE",
            "PID_ALIVE",
            "BLOCKED_BY",
            "bank",
            "count",
            "running",
            "-1",
            run.id().as_str(),
            "false",
            "true",
            "-",
        ]
    );
    // A newer run of the task that is over does not hide it, and damage hides nothing.
    let spec = JobSpec::new("bank").task("count").agent("shell").prompt("true");
    conductor.jobs().start(spec, Wait::FOREVER).unwrap().wait(Wait::FOREVER).unwrap();
    let entry = write(&sandbox, ".conductor/open/damaged", "no run");
    let status = look(&sandbox, cli(&sandbox, "status --json"), 20);
    let tasks: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let task = &tasks["tasks"][0];
    assert_eq!(
        (&task["status"], &task["latest_run"]),
        (&json!("running"), &json!(run.id().as_str()))
    );
    assert!(status.stderr.contains("open/damaged names no run"), "{}", status.stderr);
    std::fs::remove_file(entry).unwrap();

    open_gate(&gate);
    run.wait(Wait::FOREVER).unwrap();
    assert_eq!(see(&sandbox, "status"), "Nothing lives or waits in the root.\n");
    let over = run.stop(Stop::because("over anyway"), Wait::FOREVER).unwrap();
    assert!(over.signalled.is_empty());
}

#[test]
fn a_task_that_nobody_drives_is_told_with_the_way_on() {
    let sandbox = reference();
    let spec = TaskSpec::new("bank").task("half").agent("shell").prompt("true");
    let task = conductor(&sandbox).tasks().start(spec, Wait::FOREVER).unwrap();
    // The attempt ends without DONE, and with its driver goes who would start the next.
    drop(task);
    sandbox.wait_until_empty(LIMIT);
    let status = cli(&sandbox, "status --json").succeed();
    let tasks: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let task = &tasks["tasks"][0];
    assert_eq!((&task["project_id"], &task["task_id"]), (&json!("bank"), &json!("half")));
    assert_eq!((&task["attempts"], &task["driver_pid"]), (&json!(1), &json!(null)));
    assert_eq!(
        status.stderr,
        "nobody drives bank/half; go on with: run-agent attach --project bank --task half\n"
    );
}
