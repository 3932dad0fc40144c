//! `bus check`: everything on a bus that is not as it should be.

use crate::args::Place;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::json;
use crate::render::text::one_line;
use clap::Args;
use conductor_core::{CheckReport, ErrorKind, Wait};
use serde_json::{Value, json};
use std::time::Duration;

/// How long the adoption of late messages waits for other writers.
const ADOPT_WAIT: Duration = Duration::from_secs(10);

/// Verifies every byte of a bus and its archives
///
/// Prints what is not as it should be, and changes nothing. The exit code is that of damage where messages
/// are lost or hidden.
#[derive(Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    place: Place,
    /// First post again what an older program appended to archives, where nobody reads it; each message once
    #[arg(long)]
    adopt: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let bus = conductor.find_bus(&Context::named(&self.place), &context.around())?.bus;
        let adopted = match self.adopt {
            true => Some(bus.adopt_stragglers(Wait::from(ADOPT_WAIT))?),
            false => None,
        };
        let report = bus.check()?;
        if self.json {
            json::answer(&mut context.out, &as_json(&report, adopted))?;
        } else {
            if let Some(adopted) = adopted {
                context.out.line(&format!("{adopted} late messages were posted again"))?;
            }
            for finding in &report.findings {
                let line = format!(
                    "{}:{}: {}: {}",
                    finding.path.display(),
                    finding.offset,
                    finding.kind.as_str(),
                    one_line(&finding.text)
                );
                context.out.line(&line)?;
            }
            let sum = format!(
                "{} messages in {} files of {} bytes, the last with number {}; {} findings",
                report.messages,
                report.files,
                report.bytes,
                report.last_seq,
                report.findings.len()
            );
            context.out.line(&sum)?;
        }
        let damaged = report.findings.iter().any(|finding| finding.kind.is_damage());
        Ok(if damaged { ErrorKind::Corrupt.row().exit_code } else { exit::OK })
    }
}

fn as_json(report: &CheckReport, adopted: Option<u64>) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "kind": finding.kind.as_str(),
                "damage": finding.kind.is_damage(),
                "path": finding.path,
                "offset": finding.offset,
                "len": finding.len,
                "text": finding.text,
            })
        })
        .collect();
    let mut answer = json!({
        "messages": report.messages,
        "files": report.files,
        "bytes": report.bytes,
        "last_seq": report.last_seq,
        "findings": findings,
    });
    if let Some(adopted) = adopted {
        answer["adopted"] = adopted.into();
    }
    answer
}
