//! `bus post`: a message for whoever reads the bus.

use crate::args::{Place, assignment, duration};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::json;
use clap::{Args, ValueEnum};
use conductor_core::{Cursor, Durability, Error, MessageId, Post as Draft, Result, RunId, Wait};
use serde_json::json;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest text that is read from standard input, in bytes; the bus accepts less.
const LONGEST: u64 = 64 << 20;

/// Posts a message
///
/// The text comes from --body or --body-file, else from standard input where that is a pipe or a file. The
/// bus is the one that --project and --task name; else $JRUN_MESSAGE_BUS; else that of the current folder.
#[derive(Args, Debug)]
pub(crate) struct Post {
    #[command(flatten)]
    place: Place,
    /// Run that the message belongs to; inside an agent its own
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Type of the message, as FACT, PROGRESS, DECISION, ERROR, QUESTION
    #[arg(long = "type", value_name = "TYPE", default_value = "INFO")]
    kind: String,
    /// Text of the message
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    body: Option<String>,
    /// File with the text of the message
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    body_file: Option<PathBuf>,
    /// A named text; may be given again
    #[arg(long, value_name = "NAME=TEXT", value_parser = assignment)]
    meta: Vec<(String, String)>,
    /// Message that this one answers or rests on: its id or cursor; may be given again
    #[arg(long, value_name = "ID")]
    parent: Vec<String>,
    /// Something that it points to: a path or a URL; may be given again
    #[arg(long, value_name = "URL")]
    link: Vec<String>,
    /// What the message survives once it is posted: a power cut, or the death of any process [default: that
    /// of the root]
    #[arg(long, value_name = "WHAT", value_enum)]
    durability: Option<Survives>,
    /// How long to wait at most for other writers
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration,
        allow_hyphen_values = true)]
    wait: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Post {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let run = self.run.as_deref().map(RunId::new).transpose()?;
        let parents = self.parent.iter().map(|id| parent(id)).collect::<Result<Vec<_>>>()?;
        let found = conductor.find_bus(&Context::named(&self.place), &context.around())?;
        let body = match (self.body, &self.body_file) {
            (Some(body), _) => body,
            (None, Some(path)) => read_file(path)?,
            (None, None) => read_body()?,
        };
        let mut draft = Draft::new(self.kind, body);
        if let Some(task) = &found.task {
            draft = draft.task(task);
        }
        if let Some(run) = run.as_ref().or(found.run.as_ref()) {
            draft = draft.run(run);
        }
        draft = parents.iter().fold(draft, Draft::parent);
        for (name, text) in self.meta {
            draft = draft.meta(name, text);
        }
        draft = self.link.into_iter().fold(draft, |draft, url| draft.link(url, "", ""));
        let bus = match self.durability {
            Some(Survives::Disk) => found.bus.with_durability(Durability::Disk),
            Some(Survives::Process) => found.bus.with_durability(Durability::Process),
            None => found.bus,
        };
        let posted = bus.post(draft, Wait::from(self.wait))?;
        if self.json {
            let answer = json!({
                "msg_id": posted.msg_id.as_str(),
                "seq": posted.seq,
                "cursor": posted.cursor.to_string(),
                "path": bus.path(),
            });
            json::answer(&mut context.out, &answer)?;
        } else {
            context.out.line(&format!("msg_id: {}", posted.msg_id))?;
        }
        Ok(exit::OK)
    }
}

/// A message's id, also out of a cursor.
fn parent(text: &str) -> Result<MessageId> {
    let cursor: Cursor = text.parse().map_err(|error: Error| error.with_field("parent"))?;
    cursor.msg_id().cloned().ok_or_else(|| {
        Error::invalid("message.not_named", "parent", format!("{text:?} names no message"))
            .with_hint("give the msg_id of a message")
    })
}

/// What a message survives.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Survives {
    /// A power cut
    Disk,
    /// The death of any process
    Process,
}

/// The text of a file.
fn read_file(path: &Path) -> Result<String> {
    let failed = |e| Error::io("read", path, e).with_field("body_file");
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    text_of(bytes, &path.display().to_string(), "body_file")
}

/// The text from standard input; nothing is waited for at a terminal.
fn read_body() -> Result<String> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Error::invalid("bus.body", "body", "there is no text to post")
            .with_hint("give it with --body, or on standard input"));
    }
    let mut bytes = Vec::new();
    stdin
        .lock()
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io("read", "standard input", e).with_field("body"))?;
    text_of(bytes, "standard input", "body")
}

fn text_of(bytes: Vec<u8>, whence: &str, field: &'static str) -> Result<String> {
    if bytes.len() as u64 > LONGEST {
        let why = format!("{whence} has more than {LONGEST} bytes");
        return Err(Error::invalid("bus.body", field, why));
    }
    String::from_utf8(bytes).map_err(|source| {
        let why = format!("{whence} is not UTF-8");
        Error::invalid("bus.body", field, why).with_source(source)
    })
}
