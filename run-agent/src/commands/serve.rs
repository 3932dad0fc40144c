//! `serve`: the server.

use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::error::notice;
use crate::server::{AUTH_WORDS, WORKER, Wishes, launch, serve};
use clap::Args;
use clap::builder::PossibleValuesParser;
use conductor_core::Secret;
use std::io::{IsTerminal as _, Write as _};

/// Serves the root over HTTP: what runs, what was said, and changes for who has the token
///
/// Every run lives without the server; Ctrl-C and SIGTERM end the server and nothing else. Tasks that
/// were started through it are gone on with when it is started again.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, env = "CONDUCTOR_HOST", value_name = "ADDRESS")]
    host: Option<String>,
    /// Port to listen on; 0 takes any that is free [default: 14355, or the next one that is free]
    #[arg(long, env = "CONDUCTOR_PORT", value_name = "PORT")]
    port: Option<u16>,
    /// What wants the token: every change, all, or nothing [default: token; all beyond this machine]
    #[arg(long, value_name = "WHAT", value_parser = PossibleValuesParser::new(AUTH_WORDS))]
    auth: Option<String>,
    /// Token that clients must know [default: the one of the root, made at the first start]
    #[arg(long, env = "CONDUCTOR_API_KEY", hide_env_values = true, value_name = "TOKEN")]
    api_key: Option<String>,
    /// Start no tasks for clients
    #[arg(
        long,
        env = "CONDUCTOR_DISABLE_TASK_START",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    disable_task_start: bool,
    /// Be the worker of the launcher that started this process
    #[arg(long = WORKER, hide = true)]
    worker: bool,
}

impl Serve {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        if !self.worker {
            return Ok(launch()?);
        }
        let conductor = context.conductor()?;
        let root = conductor.root().to_owned();
        let wishes = Wishes {
            host: self.host.filter(|host| !host.trim().is_empty()),
            port: self.port,
            auth: self.auth,
            api_key: self.api_key,
            starts_no_tasks: self.disable_task_start,
        };
        serve(conductor, wishes, |serving| {
            let address = serving.address;
            let url = format!("http://{address}");
            let line = format!("API listening on {url}/\n");
            // Who started it may not look; the server serves all the same.
            let out = &mut context.out;
            let _nobody_looks = out.write_all(line.as_bytes()).and_then(|()| out.flush());
            notice(&format!("root:    {}", root.display()));
            notice(&format!("page:    {}", page(&url, serving.stored_token.as_ref())));
            if serving.stored_token.is_some() {
                notice("token:   in .conductor/server.token of the root");
            }
        })?;
        Ok(exit::OK)
    }
}

/// The address of the dashboard. A person at a terminal gets it with the token behind the `#`, which browsers
/// send to nobody; a file that notes what the server says gets it without.
fn page(url: &str, token: Option<&Secret>) -> String {
    match token {
        Some(token) if std::io::stderr().is_terminal() => {
            format!("{url}/ui/#token={}", token.reveal())
        }
        Some(_) => format!("{url}/ui/ (`run-agent server link` tells it with the token)"),
        None => format!("{url}/ui/"),
    }
}
