//! `server`: what a server knows and does, asked over HTTP.

mod bus;
mod health;
mod job;
mod link;
mod project;
mod status;
mod task;
mod update;
mod watch;

use crate::context::Context;
use crate::exit::Failure;
use clap::Subcommand;
use serde_json::Value;

/// Asks a running server, here or elsewhere
#[derive(Debug, Subcommand)]
pub(crate) enum Server {
    Status(status::Status),
    #[command(subcommand)]
    Task(task::Task),
    #[command(subcommand)]
    Job(job::Job),
    #[command(subcommand)]
    Project(project::Project),
    Watch(watch::Watch),
    #[command(subcommand)]
    Bus(bus::Bus),
    #[command(subcommand)]
    Update(update::Update),
    Health(health::Health),
    Link(link::Link),
}

impl Server {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self {
            Server::Status(command) => command.run(context),
            Server::Task(command) => command.run(context),
            Server::Job(command) => command.run(context),
            Server::Project(command) => command.run(context),
            Server::Watch(command) => command.run(context),
            Server::Bus(command) => command.run(context),
            Server::Update(command) => command.run(context),
            Server::Health(command) => command.run(context),
            Server::Link(command) => command.run(context),
        }
    }
}

/// A text of an answer; `-` where it is missing.
fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        _ => "-".to_owned(),
    }
}

/// The items of a list in an answer; none where there is no list.
fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a list in an answer, with commas between.
fn joined(value: &Value, name: &str) -> String {
    let texts: Vec<&str> = items(value, name).iter().filter_map(Value::as_str).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
}
