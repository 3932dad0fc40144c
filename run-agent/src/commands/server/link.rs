//! `server link`: the address of the dashboard, with the token.

use crate::client::Reach;
use crate::context::Context;
use crate::exit::{self, Failure};
use clap::Args;

/// Prints the address of the dashboard, with the token behind the `#`
///
/// Whoever has it can make changes through the server: show it to nobody. Nothing is called.
#[derive(Args, Debug)]
pub(crate) struct Link {
    #[command(flatten)]
    reach: Reach,
}

impl Link {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let link = self.reach.client(context)?.page();
        context.out.line(&link)?;
        Ok(exit::OK)
    }
}
