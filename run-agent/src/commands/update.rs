//! `update`: the exchange of the server's program, seen from the root. It works without a server, too.

use crate::context::Context;
use crate::exit::Failure;
use crate::render::json;
use crate::render::time::seconds;
use clap::{Args, Subcommand};
use conductor_core::{Record, Result, UpdateRequest, UpdateState, UpdateStatus};
use std::path::PathBuf;

/// Exchanges the program of the server that serves the root, without interrupting a run
#[derive(Subcommand, Debug)]
pub(crate) enum Update {
    Status(Status),
    Start(Start),
    Cancel(Cancel),
}

/// Shows where the update stands and what it waits for
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks the server to exchange its program once no root run is active
///
/// Until that is done or cancelled, new root runs are refused; those that run, and the runs that their
/// agents start, go on.
#[derive(Args, Debug)]
pub(crate) struct Start {
    /// The new program, a file on this machine
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Take it only with this SHA-256
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Take it even if it is older
    #[arg(long)]
    allow_downgrade: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Takes the wish for an update back, so that new root runs start again
#[derive(Args, Debug)]
pub(crate) struct Cancel {
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Update {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let update = conductor.update();
        let (status, as_json) = match self {
            Update::Status(Status { json }) => (update.status()?, json),
            Update::Start(start) => (update.start(start.request()?)?, start.json),
            Update::Cancel(Cancel { reason, json }) => (update.cancel(&reason)?, json),
        };
        if as_json {
            json::answer(&mut context.out, &Record::from(&status))?;
        } else {
            for line in lines(&status) {
                context.out.line(&line)?;
            }
        }
        Ok(context.answered(true))
    }
}

impl Start {
    fn request(&self) -> Result<UpdateRequest> {
        let binary = std::path::absolute(&self.binary)
            .map_err(|e| conductor_core::Error::io("find", &self.binary, e))?;
        let mut request = UpdateRequest::new(binary).allow_downgrade(self.allow_downgrade);
        request.sha256.clone_from(&self.sha256);
        Ok(request)
    }
}

/// What a person reads: what is known, a line each, and what it means.
fn lines(status: &UpdateStatus) -> Vec<String> {
    let mut lines = vec![
        format!("{:<18} {}", "State:", status.state.as_str()),
        format!("{:<18} {}", "Active root runs:", status.active_runs_now),
    ];
    let mut line = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name:<18} {value}")));
    };
    line("Active run error:", status.active_runs_error.clone());
    line("New program:", status.binary.as_ref().map(|path| path.display().to_string()));
    line("Step:", status.step.clone());
    line("Requested at:", status.requested_at.map(seconds));
    line("Started at:", status.started_at.map(seconds));
    line("Finished at:", status.finished_at.map(seconds));
    line("Last error:", status.last_error.clone());
    line("Last note:", status.last_note.clone());
    match (status.state, status.served) {
        (UpdateState::Deferred, true) => lines.push(format!(
            "The update waits for {} active root run(s) to end; new ones are refused.",
            status.active_runs_now
        )),
        (UpdateState::Deferred | UpdateState::Applying, false) => lines.push(
            "No server lives: nothing is held back. The next server goes on with it; `run-agent \
             update cancel` ends it."
                .to_owned(),
        ),
        (UpdateState::Applying, true) => lines.push("The program is being exchanged.".to_owned()),
        _ => {}
    }
    lines
}
