//! `server update`: the exchange of a server's program, by way of the server.

use super::text;
use crate::client::{Answer, Client, Reach, Url};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::out::Out;
use crate::render::error::notice;
use crate::render::text::harmless;
use clap::{Args, Subcommand};
use conductor_core::{Error, Result};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The pause between two looks at an update that is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Exchanges the program of the server, without interrupting a run
#[derive(Debug, Subcommand)]
pub(crate) enum Update {
    Status(Status),
    Start(Start),
    Cancel(Cancel),
}

/// Shows where the update stands and what it waits for
#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    reach: Reach,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

/// Asks the server to exchange its program once no root run is active
///
/// Until that is done or cancelled, new root runs are refused; those that run, and the runs that their
/// agents start, go on.
#[derive(Args, Debug)]
pub(crate) struct Start {
    #[command(flatten)]
    reach: Reach,
    /// The new program, a file on the server's machine
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Take it only with this SHA-256
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Take it even if it is older
    #[arg(long)]
    allow_downgrade: bool,
    /// Wait until it is over: exit code 0 when the new program serves, 1 when not
    #[arg(long)]
    wait: bool,
    /// Print the server's answer as JSON; with --wait the last one
    #[arg(long)]
    json: bool,
}

/// Takes the wish for an update back, so that new root runs start again
#[derive(Args, Debug)]
pub(crate) struct Cancel {
    #[command(flatten)]
    reach: Reach,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

impl Update {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self {
            Update::Status(command) => command.run(context),
            Update::Start(command) => command.run(context),
            Update::Cancel(command) => command.run(context),
        }
    }
}

fn url() -> Url {
    Url::new(&["api", "v1", "admin", "self-update"])
}

impl Status {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let answer = self.reach.client(context)?.get(url())?;
        print(&answer, self.json, &mut context.out)?;
        Ok(exit::OK)
    }
}

/// The server would look for another file.
fn not_utf8(path: &Path) -> Error {
    let what = format!("the path {} is not UTF-8 and cannot be sent to a server", path.display());
    Error::invalid("update.path_not_utf8", "binary", what)
        .with_path(path)
        .with_hint("give the program, or the folder that it lies in, a name in UTF-8")
}

impl Start {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let binary = std::path::absolute(&self.binary)
            .map_err(|e| Error::io("find", &self.binary, e).with_field("binary"))?;
        let path = binary.to_str().ok_or_else(|| not_utf8(&binary))?;
        let client = self.reach.client(context)?;
        let mut body = json!({
            "binary_path": path,
            "allow_downgrade": self.allow_downgrade,
        });
        if let Some(digest) = &self.sha256 {
            body["sha256"] = digest.as_str().into();
        }
        let answer = client.post(url(), &body)?;
        let out = &mut context.out;
        if self.json && !self.wait {
            out.line(answer.text())?;
            return Ok(exit::OK);
        }
        let status = answer.json()?;
        if !self.json {
            out.line(&format!("Self-update state: {}", text(&status, "state")))?;
            out.line(&match status["active_runs_now"].as_u64() {
                Some(0) => "Update handoff has started.".to_owned(),
                _ => {
                    let count = text(&status, "active_runs_now");
                    format!("Update is waiting for {count} active root run(s) to finish.")
                }
            })?;
            out.flush()?;
        }
        if !self.wait {
            return Ok(exit::OK);
        }
        let (answer, status) = wait(&client, &text(&status, "requested_at"))?;
        if self.json {
            out.line(answer.text())?;
        }
        let installed = status["installed_version"].as_str();
        match (installed, self.json) {
            (_, true) => {}
            (Some(version), _) => out.line(&format!("Version {version} serves."))?,
            (None, _) => notice(&match status["last_error"].as_str() {
                Some(why) => format!("the update failed, and the old program serves on: {why}"),
                None => format!("the update was not made: {}", text(&status, "last_note")),
            }),
        }
        Ok(if installed.is_some() { exit::OK } else { exit::NO })
    }
}

/// Looks at the server until the wish of that moment waits no more.
fn wait(client: &Client, requested_at: &str) -> Result<(Answer, Value)> {
    loop {
        let answer = client.get(url())?;
        let status = answer.json()?;
        let waits = matches!(status["state"].as_str(), Some("deferred" | "applying"));
        if !waits || text(&status, "requested_at") != requested_at {
            return Ok((answer, status));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

impl Cancel {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let url = url().with_some("reason", self.reason.as_deref());
        let answer = self.reach.client(context)?.delete(url)?;
        print(&answer, self.json, &mut context.out)?;
        Ok(exit::OK)
    }
}

/// What a person reads: what is known, a line each.
fn print(answer: &Answer, as_json: bool, out: &mut Out) -> Result<(), Failure> {
    if as_json {
        return Ok(out.line(answer.text())?);
    }
    let status = answer.json()?;
    for (title, name) in [
        ("State:", "state"),
        ("Active Root Runs:", "active_runs_now"),
        ("Active Run Error:", "active_runs_error"),
        ("Candidate Binary:", "binary_path"),
        ("Step:", "step"),
        ("Requested At:", "requested_at"),
        ("Started At:", "started_at"),
        ("Finished At:", "finished_at"),
        ("Installed Version:", "installed_version"),
        ("Last Error:", "last_error"),
        ("Last Note:", "last_note"),
    ] {
        let value = text(&status, name);
        // What is not known, and a moment that has not come.
        if value != "-" && !value.starts_with("0001-") {
            out.line(&format!("{title:<19}{}", harmless(&value)))?;
        }
    }
    Ok(())
}
