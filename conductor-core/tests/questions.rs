//! Questions that an agent asks on the bus, and what becomes of them, with real processes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod support;

use conductor_core::{
    Conductor, Message, OnQuestion, Post, Step, Task, TaskOutcome, TaskSpec, Wait,
};
use std::fs;
use std::time::Duration;
use support::*;

/// Keeps each prompt; the first attempt only ends once `asked` stands, the second is done.
const ASKS: &str = "n=$(ls runs | wc -l); cat >prompt-$n; \
     if [ $n = 1 ]; then while [ ! -e asked ]; do sleep 0.01; done; else touch DONE; fi";

fn spec() -> TaskSpec {
    TaskSpec::new("shop")
        .task("fix")
        .agent("command")
        .command(["/bin/sh", "-c", ASKS])
        .prompt("Do it.")
        .restart_delay(Duration::from_millis(10))
}

/// Asks as the agent of the first attempt would, and lets that attempt end.
fn ask(root: &Root) -> Message {
    root.bus().post(Post::new("QUESTION", "Red or blue?"), LONG).unwrap();
    fs::write(root.task_folder().join("asked"), "").unwrap();
    root.messages().into_iter().find(|m| m.msg_type == "QUESTION").unwrap()
}

fn answer(root: &Root, question: &Message) {
    root.bus().post(Post::new("ANSWER", "Blue.").parent(&question.msg_id), LONG).unwrap();
}

fn second_prompt(root: &Root) -> String {
    fs::read_to_string(root.task_folder().join("prompt-2")).unwrap()
}

/// Drives until the task waits for answers.
fn drive_until_it_asks(conductor: &Conductor, task: &Task) {
    let (project, id) = ids();
    until("the wait for answers", || {
        assert_eq!(task.step().unwrap(), Step::Pending, "it went on without an answer");
        let info = conductor.tasks().get(&project, &id).unwrap().info().unwrap();
        info.waiting.is_some_and(|waiting| waiting.what.starts_with("answers: MSG-"))
    });
}

#[test]
fn an_attempt_waits_for_the_answer_where_it_shall() {
    let root = root();
    let spec = spec().on_question(OnQuestion::Wait);
    let task = root.conductor.tasks().start(spec, LONG).unwrap();
    let question = ask(&root);
    drive_until_it_asks(&root.conductor, &task);
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| task.wait(LONG).unwrap());
        // Some other message wakes it up, and is no answer.
        root.bus().post(Post::new("INFO", "still thinking"), LONG).unwrap();
        answer(&root, &question);
        let result = driver.join().unwrap();
        assert_eq!((result.outcome, result.attempts), (TaskOutcome::Done, 2));
    });
    let prompt = second_prompt(&root);
    assert!(prompt.contains("- Red or blue?\n  ANSWER: Blue.\n"), "{prompt}");
}

#[test]
fn a_wait_for_an_answer_has_an_end() {
    let root = root();
    let spec = spec().on_question(OnQuestion::Wait).question_timeout(Duration::from_millis(200));
    let task = root.conductor.tasks().start(spec, LONG).unwrap();
    ask(&root);
    assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    let prompt = second_prompt(&root);
    assert!(prompt.contains("- Red or blue?\n  Nobody answered yet.\n"), "{prompt}");
}

#[test]
fn otherwise_the_next_attempt_goes_on_and_knows_what_was_asked() {
    let root = root();
    let task = root.conductor.tasks().start(spec(), LONG).unwrap();
    ask(&root);
    assert_eq!(task.wait(LONG).unwrap().outcome, TaskOutcome::Done);
    assert!(second_prompt(&root).contains("Nobody answered yet."));
    assert!(task.wait(Wait::NONE).is_ok());
}
