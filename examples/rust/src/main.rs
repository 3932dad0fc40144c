//! A task with its messages while it runs, then a few runs side by side, all in one thread.
//!
//! `conductor-example [ROOT]`: works in `ROOT`, or in the root that the environment names. The agent is
//! `shell`, so that nothing needs to be installed; put `claude`, `codex` or `gemini` in its place.

use conductor_core::{
    Conductor, Event, JobSpec, Options, Post, Result, TaskSpec, Wait, Work, wait_any,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn main() -> Result<()> {
    let conductor = match std::env::args_os().nth(1) {
        Some(root) => Conductor::open(root, Options::default())?,
        None => Conductor::open_default()?,
    };
    for run in conductor.reconcile(Wait::FOREVER)? {
        println!("closed {}: it ended while nobody looked", run.id);
    }

    // A task: attempts until DONE stands. The same id again goes on with it, or attaches to it.
    let count_to_three = "\
        echo x >>steps
        test $(wc -l <steps) -ge 3 && touch DONE
        echo \"step $(wc -l <steps)\"";
    let task = conductor.tasks().start(
        TaskSpec::new("example")
            .task("count-to-three")
            .agent("shell")
            .prompt(count_to_three)
            .restart_delay(Duration::from_millis(100))
            .max_attempts(10),
        HOUR,
    )?;
    // Following drives it: the next attempt is started here, in this thread.
    for event in task.follow(HOUR)? {
        match event? {
            Event::Message(message) => {
                println!("{:<10} {}", message.msg_type, message.body.lines().next().unwrap_or(""));
            }
            damage => eprintln!("the bus is damaged: {damage:?}"),
        }
    }
    let result = task.wait(Wait::NONE)?;
    println!("{} after {} attempts", result.outcome.as_str(), result.attempts);

    // One run for each part, all at once, as they finish.
    let mut runs = Vec::new();
    for part in ["one", "two", "three"] {
        let spec = JobSpec::new("example").task("parts").agent("shell").env("PART", part);
        runs.push(conductor.jobs().start(spec.prompt("echo \"part $PART\""), HOUR)?);
    }
    while !runs.is_empty() {
        let work: Vec<&dyn Work> = runs.iter().map(|run| run as &dyn Work).collect();
        let ended = wait_any(&work, HOUR)?;
        let info = runs.swap_remove(ended).info()?;
        println!("{} {}", info.id, info.outcome().map_or("?", |outcome| outcome.as_str()));
    }

    // The bus of the project; its cursor goes on from here in any language, on any day.
    let bus = conductor.bus("example")?;
    let posted = bus.post(Post::new("DECISION", "All parts are done."), Wait::FOREVER)?;
    println!("{}", posted.cursor);
    Ok(())
}
