//! `server watch`: looking on until tasks are over.

use super::{items, text};
use crate::args::duration;
use crate::client::{Client, Reach, Url};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::table::{Cell, Table};
use clap::Args;
use conductor_core::Result;
use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Looks on until tasks of a project are over
///
/// Exit code 0 when all of them came to a good end, 1 when not, 124 when --timeout passed first.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    #[command(flatten)]
    reach: Reach,
    /// Project
    #[arg(long, value_name = "ID")]
    project: String,
    /// Task; all of the project unless given, several times for several
    #[arg(long, value_name = "ID")]
    task: Vec<String>,
    /// Stop looking after this
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30m")]
    timeout: Duration,
    /// Longest pause between two looks
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5s")]
    interval: Duration,
    /// Print only the last look, as JSON
    #[arg(long)]
    json: bool,
}

impl Watch {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let client = Arc::new(self.reach.client(context)?);
        let mut news = News::of(client.clone());
        let deadline = Instant::now() + self.timeout;
        let mut shown = Vec::new();
        loop {
            let tasks = self.look(&client)?;
            if !self.json && tasks != shown {
                print(context, &tasks)?;
            }
            let over = !tasks.is_empty() && tasks.iter().all(|task| task["over"] == true);
            let late = Instant::now() >= deadline;
            shown = tasks;
            if !over && !late {
                let left = deadline.saturating_duration_since(Instant::now());
                news.wait(self.interval.min(left));
                continue;
            }
            if self.json {
                let all = json!({"tasks": shown, "completed": over, "timed_out": !over});
                context.out.line(&all.to_string())?;
            } else if over {
                context.out.line("All tasks completed.")?;
            }
            let good = shown.iter().all(|task| task["success"] == true);
            return Ok(match (over, good) {
                (false, _) => exit::WAIT_OVER,
                (true, true) => exit::OK,
                (true, false) => exit::NO,
            });
        }
    }

    /// The tasks that are watched. One that does not exist yet is not over.
    fn look(&self, client: &Client) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        loop {
            let url = Url::new(&["api", "projects", &self.project, "tasks"])
                .with("limit", "500")
                .with("offset", &all.len().to_string());
            let page = client.get(url)?.json()?;
            let tasks = items(&page, "items");
            all.extend(tasks.iter().cloned());
            if tasks.is_empty() || page["has_more"] != true {
                break;
            }
        }
        if self.task.is_empty() {
            return Ok(all);
        }
        let find = |id: &String| {
            let found = all.iter().find(|task| task["id"] == id.as_str());
            found.cloned().unwrap_or_else(|| json!({"id": id, "status": "unknown"}))
        };
        Ok(self.task.iter().map(find).collect())
    }
}

/// Tells that runs began or ended on the server, so that nobody has to wait for the next look.
struct News {
    told: Receiver<()>,
    /// Kept, so that a wait without a stream is one for the time alone.
    _teller: SyncSender<()>,
}

impl News {
    fn of(client: Arc<Client>) -> News {
        let (teller, told) = sync_channel(1);
        let own = teller.clone();
        std::thread::spawn(move || {
            // Without the stream the looks come at their pauses.
            let url = Url::new(&["api", "v1", "events"]).with("topics", "runs");
            let Ok(mut events) = client.follow(url, None) else { return };
            while let Ok(Some(event)) = events.next() {
                if event.name == "status" {
                    // One that was told already and not heard yet stands for both.
                    let _told_already = own.try_send(());
                }
            }
        });
        News { told, _teller: teller }
    }

    /// Waits for news, no longer than this.
    fn wait(&mut self, longest: Duration) {
        let _news_or_time = self.told.recv_timeout(longest);
    }
}

fn print(context: &mut Context, tasks: &[Value]) -> std::io::Result<()> {
    let mut table = Table::new(["TASK ID", "STATUS", "RUNS"]);
    for task in tasks {
        table.row(vec![
            text(task, "id").into(),
            Cell::status(&text(task, "status")),
            text(task, "run_count").into(),
        ]);
    }
    table.print(&mut context.out)?;
    context.out.line("")?;
    context.out.flush()
}
