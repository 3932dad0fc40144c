//! `server bus`: messages by way of a server.

use super::{items, text};
use crate::client::{Client, Reach, Url};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::out::Out;
use crate::render::error::notice;
use crate::render::text::harmless;
use clap::{Args, Subcommand};
use conductor_core::{Error, Result};
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Read as _, Write as _};

/// Reads and posts messages by way of the server
#[derive(Debug, Subcommand)]
pub(crate) enum Bus {
    /// Print the messages of a project or a task
    Read(Read),
    /// Post a message; its text comes from the standard input unless given
    Post(Post),
}

#[derive(Args, Debug)]
pub(crate) struct Read {
    #[command(flatten)]
    reach: Reach,
    /// Project
    #[arg(long, value_name = "ID")]
    project: String,
    /// Task; without it the project's own messages
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Only the last so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    tail: usize,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// Print one line of JSON for each
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Post {
    #[command(flatten)]
    reach: Reach,
    /// Project
    #[arg(long, value_name = "ID")]
    project: String,
    /// Task; without it the project's own bus
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Type of the message
    #[arg(long, default_value = "INFO", value_name = "TYPE")]
    r#type: String,
    /// Text of the message
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
}

impl Bus {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self {
            Bus::Read(command) => command.run(context),
            Bus::Post(command) => command.run(context),
        }
    }
}

/// The path of the messages of a project or a task.
fn messages(project: &str, task: Option<&str>, below: &[&str]) -> Url {
    let mut parts = vec!["api", "projects", project];
    parts.extend(task.into_iter().flat_map(|task| ["tasks", task]));
    parts.push("messages");
    parts.extend(below);
    Url::new(&parts)
}

impl Read {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let client = self.reach.client(context)?;
        let last = self.print_there(&client, &mut context.out)?;
        if self.follow {
            self.print_coming(&client, &mut context.out, last)?;
        }
        Ok(exit::OK)
    }

    /// Prints what is there, page by page; the id of the last message.
    fn print_there(&self, client: &Client, out: &mut Out) -> Result<Option<String>, Failure> {
        let mut last: Option<String> = None;
        loop {
            let url = messages(&self.project, self.task.as_deref(), &[]);
            let url = match (self.tail, &last) {
                // From the very first one on.
                (0, None) => url.with("after", "start"),
                (0, Some(last)) => url.with("after", last),
                (tail, _) => url.with("limit", &tail.to_string()),
            };
            let answer = client.get(url)?.json()?;
            for message in items(&answer, "messages") {
                self.print(message, out)?;
                last = message["msg_id"].as_str().map(str::to_owned);
            }
            if let Some(count) = answer["left_out"].as_u64() {
                let text = format!("{count} older ones of these do not fit into one answer");
                notice(&text);
            }
            if answer["has_more"] != true || self.tail > 0 {
                return Ok(last);
            }
        }
    }

    /// Prints what comes; comes back where the server was restarted.
    fn print_coming(
        &self,
        client: &Client,
        out: &mut Out,
        mut last: Option<String>,
    ) -> Result<(), Failure> {
        loop {
            let url = messages(&self.project, self.task.as_deref(), &["stream"]);
            let mut events = client.follow(url, last.as_deref().or(Some("start")))?;
            while let Some(event) = events.next()? {
                match event.name.as_str() {
                    "message" => {
                        let message: Value = serde_json::from_str(&event.data).unwrap_or_default();
                        self.print(&message, out)?;
                        out.flush()?;
                    }
                    "resync" => break,
                    _ => {}
                }
            }
            last = events.last_id().map(str::to_owned).or(last);
        }
    }

    fn print(&self, message: &Value, out: &mut Out) -> std::io::Result<()> {
        if self.json {
            return out.line(&message.to_string());
        }
        let time = text(message, "timestamp");
        let time = time.split('.').next().unwrap_or_default().trim_end_matches('Z');
        let body = message["body"].as_str().unwrap_or_default();
        let kind = text(message, "type");
        out.line(&format!("[{}] {kind:<12} {}", time.replace('T', " "), harmless(body)))
    }
}

impl Post {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let body = match self.body {
            Some(body) => body,
            None => read_stdin()?,
        };
        let client = self.reach.client(context)?;
        let url = messages(&self.project, self.task.as_deref(), &[]);
        let posted = client.post(url, &json!({"type": self.r#type, "body": body}))?.json()?;
        context.out.line(&format!("msg_id: {}", text(&posted, "msg_id")))?;
        Ok(exit::OK)
    }
}

fn read_stdin() -> Result<String> {
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Error::invalid("bus.body", "body", "the message has no text")
            .with_hint("give it with --body, or by the standard input"));
    }
    let mut text = String::new();
    stdin
        .read_to_string(&mut text)
        .map_err(|source| Error::io("read", "the standard input", source))?;
    Ok(text)
}
