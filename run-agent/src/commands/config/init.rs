//! `config init`: a configuration to begin with.

use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::error::notice;
use clap::Args;
use conductor_core::{Error, config_template};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Prints a configuration of comments that explains every key, or writes it to a new file
///
/// Nothing in it holds until a comment mark is taken away. A file that exists is left alone.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// New file to write; `config path` tells where it is looked for
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Init {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let template = config_template();
        match self.out {
            None => context.out.write_all(template.as_bytes())?,
            Some(path) => {
                write_new(&path, template.as_bytes()).map_err(|source| refused(&path, source))?;
                notice(&format!("wrote {}", path.display()));
            }
        }
        Ok(exit::OK)
    }
}

/// Writes a file that only its owner may read: tokens may come to stand in it.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn refused(path: &Path, source: io::Error) -> Error {
    let kind = source.kind();
    let error = Error::io("write", path, source).with_field("out");
    match kind {
        io::ErrorKind::AlreadyExists => {
            error.with_hint("it is there already, and is left as it is")
        }
        io::ErrorKind::NotFound => error.with_hint("make its folder first"),
        _ => error,
    }
}
