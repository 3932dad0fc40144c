//! `server health`: whether a server answers, for probes.

use crate::client::{Reach, Url};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::error::notice;
use clap::Args;

/// Asks whether the server answers: exit code 0 or 1
#[derive(Args, Debug)]
pub(crate) struct Health {
    #[command(flatten)]
    reach: Reach,
    /// Also ask whether it can read its root
    #[arg(long)]
    ready: bool,
}

impl Health {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let client = self.reach.client(context)?;
        let path = if self.ready { "readyz" } else { "healthz" };
        match client.get(Url::new(&[path])) {
            Ok(answer) => {
                context.out.line(answer.text())?;
                Ok(exit::OK)
            }
            Err(error) => {
                notice(&format!("unhealthy: {error}"));
                Ok(exit::NO)
            }
        }
    }
}
