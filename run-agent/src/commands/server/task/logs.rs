//! `server task logs`: what a run of a task printed.

use super::super::items;
use crate::client::{Client, Reach, Url};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::out::Out;
use clap::Args;
use conductor_core::{Error, ErrorKind, Result};
use std::io::Write as _;

/// Prints what the newest run of a task printed
#[derive(Args, Debug)]
pub(crate) struct Logs {
    #[command(flatten)]
    reach: Reach,
    /// Task
    #[arg(value_name = "TASK")]
    task: String,
    /// Project
    #[arg(long, value_name = "ID")]
    project: String,
    /// Run; the newest unless given
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Go on with what it prints, until it is over
    #[arg(short, long)]
    follow: bool,
    /// Only the last so many lines
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    tail: Option<usize>,
}

impl Logs {
    pub(super) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let client = self.reach.client(context)?;
        let run = match &self.run {
            Some(run) => run.clone(),
            None => self.newest(&client)?,
        };
        if self.follow {
            return follow(&client, &self.at(&run, "stream"), &mut context.out);
        }
        let tail = self.tail.map(|lines| lines.to_string());
        let url = self.at(&run, "file").with_some("tail", tail.as_deref());
        let file = client.get(url)?.json()?;
        context.out.write_all(file["content"].as_str().unwrap_or_default().as_bytes())?;
        Ok(exit::OK)
    }

    fn at(&self, run: &str, what: &str) -> Url {
        let (project, task) = (self.project.as_str(), self.task.as_str());
        Url::new(&["api", "projects", project, "tasks", task, "runs", run, what])
            .with("name", "stdout")
    }

    fn newest(&self, client: &Client) -> Result<String> {
        let url = Url::new(&["api", "projects", &self.project, "tasks", &self.task, "runs"])
            .with("limit", "1")
            .with("include_files", "0");
        let page = client.get(url)?.json()?;
        let newest = items(&page, "items").first().and_then(|run| run["id"].as_str());
        newest.map(str::to_owned).ok_or_else(|| {
            let message = format!("the task {}/{} has no run yet", self.project, self.task);
            Error::new(ErrorKind::NotFound, "run.none", message)
        })
    }
}

/// Prints a file of a run as it grows, to its end; comes back where the server was restarted.
pub(in super::super) fn follow(client: &Client, url: &Url, out: &mut Out) -> Result<u8, Failure> {
    let mut last: Option<String> = None;
    loop {
        let mut events = client.follow(url.clone(), last.as_deref())?;
        while let Some(event) = events.next()? {
            match event.name.as_str() {
                "" => {
                    out.write_all(event.data.as_bytes())?;
                    out.flush()?;
                }
                "done" if event.data == "run completed" => return Ok(exit::OK),
                "done" => return Ok(exit::NO),
                "error" => {
                    return Err(Error::new(ErrorKind::Io, "server.refused", event.data).into());
                }
                _ => {}
            }
        }
        last = events.last_id().map(str::to_owned).or(last);
    }
}
