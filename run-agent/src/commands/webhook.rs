//! `webhook`: what waits to be told, and telling it now.

use crate::args::duration;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::interrupt;
use crate::render::json;
use crate::render::table::Table;
use clap::{Args, Subcommand};
use conductor_core::{Record, Wait};
use serde_json::json;
use std::time::Duration;

/// Shows the events that wait for the webhook, and tells them
#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    List(List),
    Deliver(Deliver),
}

impl Webhook {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        match self {
            Webhook::List(command) => command.run(context),
            Webhook::Deliver(command) => command.run(context),
        }
    }
}

/// Lists the events that wait for the webhook, the oldest first
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Print JSON: one object for each event, on a line
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let events = context.conductor()?.outbox().list()?;
        if self.json {
            for event in &events {
                json::line(&mut context.out, &Record::from(event))?;
            }
            return Ok(exit::OK);
        }
        if events.is_empty() {
            context.out.line("no event waits for the webhook")?;
            return Ok(exit::OK);
        }
        let mut table =
            Table::new(["AT", "EVENT", "TRIED", "NEXT", "LAST ERROR"]).elastic(&["LAST ERROR"]);
        for event in events {
            table.row(vec![
                event.at.human().into(),
                event.kind.as_str().into(),
                event.attempts.to_string().into(),
                event.next.map_or_else(|| "-".to_owned(), |next| next.human()).into(),
                event.error.unwrap_or_default().into(),
            ]);
        }
        table.print(&mut context.out)?;
        Ok(exit::OK)
    }
}

/// Tells the webhook everything that waits for it, due or not
///
/// What is not taken is tried again while there is time, and stays where it is otherwise; what nobody took
/// for days is given up after one more try. Exit code 1 where something is left or given up.
#[derive(Args, Debug)]
pub(crate) struct Deliver {
    /// Go on no longer than this
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    wait: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Deliver {
    fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let cancel = interrupt::switch()?;
        let wait = Wait::from(self.wait).or_cancelled(&cancel);
        let told = context.conductor()?.outbox().deliver_now(wait)?;
        if self.json {
            let answer = json!({
                "delivered": told.delivered,
                "failed": told.failed,
                "left": told.left,
                "given_up": told.given_up,
                "error": told.error,
            });
            json::answer(&mut context.out, &answer)?;
        } else {
            let line = format!("delivered: {}, left: {}", told.delivered, told.left);
            context.out.line(&line)?;
            if told.given_up > 0 {
                context.out.line(&format!("given up: {}", told.given_up))?;
            }
            if let Some(error) = told.error.filter(|_| told.left + told.given_up > 0) {
                context.out.line(&format!("last error: {error}"))?;
            }
        }
        Ok(context.answered(told.left + told.given_up == 0))
    }
}
