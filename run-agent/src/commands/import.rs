//! `__import`: follows a process of another program, in place of an agent. Runs are started with it
//! where a running process is imported.

use crate::context::Context;
use crate::exit::{self, Failure};
use clap::Args;
use conductor_core::{Error, ErrorKind, Imported, Result, Wait};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Copies what a process of another program writes until it ends
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Import {
    /// Process and its start, as <pid>:<start>
    process: String,
    /// Process group that is followed, too
    #[arg(long, value_name = "NUMBER")]
    group: Option<u32>,
    /// File that its standard output goes to
    #[arg(long, value_name = "FILE")]
    stdout: Option<PathBuf>,
    /// File that its standard error goes to
    #[arg(long, value_name = "FILE")]
    stderr: Option<PathBuf>,
}

impl Import {
    pub(crate) fn run(self, _context: &mut Context) -> Result<u8, Failure> {
        let mut process = Imported::parse(&self.process)?;
        (process.group, process.stdout, process.stderr) = (self.group, self.stdout, self.stderr);
        let (mut out, mut err) = (unbuffered(std::io::stdout())?, unbuffered(std::io::stderr())?);
        process.follow(&mut out, &mut err, &Wait::FOREVER)?;
        Ok(exit::OK)
    }
}

/// Bytes go on as they come: they are no lines of ours.
fn unbuffered(stream: impl AsFd) -> Result<File> {
    let copied = stream.as_fd().try_clone_to_owned();
    copied.map(File::from).map_err(|source| {
        Error::new(ErrorKind::Io, "import.copy", "there is nowhere to copy to").with_source(source)
    })
}
