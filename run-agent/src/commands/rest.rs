//! `__rest`: an agent that is a service. Runs are started with it; people use `job` and `task`.

use crate::args::duration;
use crate::context::Context;
use crate::exit::{self, Failure};
use clap::Args;
use conductor_core::{Error, ErrorKind, RestCall, RestLimits, RestService, Result, Wait};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that ends a task, and the variable that names its folder.
const DONE: &str = "DONE";
const TASK_FOLDER: &str = "JRUN_TASK_FOLDER";

/// Asks a service what stands on the standard input, and prints its answer
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Rest {
    /// Service: perplexity or xai
    service: String,
    /// Model to ask
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Create the file that ends the task once the answer is whole
    #[arg(long)]
    finish_task: bool,
    /// Time until there is a connection
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    connect_timeout: Option<Duration>,
    /// Time until the answer begins; 0s is no limit
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    first_byte_timeout: Option<Duration>,
    /// Time without anything new; 0s is no limit
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    idle_timeout: Option<Duration>,
    /// Time for all of it; 0s is no limit
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    total_timeout: Option<Duration>,
}

impl Rest {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let service = RestService::parse(&self.service)?;
        let token = variable(service.token_variable()).unwrap_or_default();
        let address = service.address_variables().iter().find_map(|name| variable(name));
        let call = RestCall::new(service, &token)?
            .base_url(address)
            .model(self.model.clone().or_else(|| variable(service.model_variable())))
            .limits(self.limits());
        let mut prompt = String::new();
        std::io::stdin().read_to_string(&mut prompt).map_err(|source| {
            Error::new(ErrorKind::Io, "rest.no_prompt", "the prompt cannot be read")
                .with_source(source)
        })?;
        call.run(prompt.trim_end(), &mut context.out, &mut std::io::stderr(), Wait::FOREVER)?;
        if self.finish_task {
            finish_task()?;
        }
        Ok(exit::OK)
    }

    fn limits(&self) -> RestLimits {
        let usual = RestLimits::default();
        let or = |given: Option<Duration>, usual: Option<Duration>| {
            given.or(usual).filter(|limit| !limit.is_zero())
        };
        RestLimits {
            connect: self.connect_timeout.unwrap_or(usual.connect),
            first_byte: or(self.first_byte_timeout, usual.first_byte),
            idle: or(self.idle_timeout, usual.idle),
            total: or(self.total_timeout, usual.total),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Says that the task is finished. One that says so already stays as it is.
fn finish_task() -> Result<()> {
    let Some(folder) = std::env::var_os(TASK_FOLDER) else {
        let what = format!("{TASK_FOLDER} names no task to finish");
        return Err(Error::new(ErrorKind::NotFound, "rest.no_task", what));
    };
    let path: PathBuf = Path::new(&folder).join(DONE);
    match std::fs::File::create_new(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop).map_err(|source| {
            let what = format!("cannot create {}", path.display());
            Error::new(ErrorKind::Io, "rest.not_finished", what).with_path(path).with_source(source)
        }),
    }
}
