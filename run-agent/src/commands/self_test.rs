//! `self-test`: what a server asks a new program before that takes the server's place.

use crate::context::Context;
use crate::exit::Failure;
use clap::Args;
use conductor_core::{Conductor, Error, ErrorKind, JobSpec, Options, Outcome, Result};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// How long the trial run may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Reads the root, and runs a job in a root of its own
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct SelfTest {}

impl SelfTest {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        for project in conductor.projects()?.ids {
            conductor.tasks().ids(&project)?;
        }
        let trial = Trial::make()?;
        let root = Conductor::open(trial.0.join("root"), Options::default())?;
        let spec = JobSpec::new("self-test").task("trial").agent("shell").prompt("exit 7");
        let run = root.jobs().start(spec, LIMIT)?.wait(LIMIT)?;
        if run.outcome() != Some(Outcome::Failed) || run.record.exit_code != 7 {
            let code = run.record.exit_code;
            let what = format!("the trial run ended with {code}, not with 7");
            return Err(Error::new(ErrorKind::Internal, "self_test.failed", what).into());
        }
        context.out.line("ok")?;
        Ok(context.answered(true))
    }
}

/// A folder that goes with the test.
struct Trial(PathBuf);

impl Trial {
    fn make() -> Result<Trial> {
        let name = format!("run-agent-self-test-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).map_err(|e| Error::io("make", &path, e))?;
        Ok(Trial(path))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // What is left of it hurts nobody.
        let _left = fs::remove_dir_all(&self.0);
    }
}
