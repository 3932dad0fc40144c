//! Go over the installed C library.

use crate::sandbox::Sandbox;
use crate::{artifacts, tools, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Go, and where the C library is installed for it. Go's build cache knows a library by its path, not by
/// its bytes: a path of this run's own never meets a program that was linked with an older library.
#[derive(Debug)]
pub struct Go {
    /// The program `go`.
    pub go: PathBuf,
    /// Where the C library is.
    pub prefix: PathBuf,
}

impl Go {
    /// `None` where a tool is missing, which was said.
    pub fn new(sandbox: &Sandbox) -> Option<Go> {
        let (go, _, _) = (tools::find("go")?, tools::find("cc")?, tools::find("pkg-config")?);
        let prefix = sandbox.folder("prefix");
        artifacts::install_c_library(&prefix);
        Some(Go { go, prefix })
    }

    /// `go` with these arguments in a folder of the workspace.
    pub fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.go);
        command.args(args).current_dir(workspace().join(folder));
        command.env("CGO_ENABLED", "1").env("GOFLAGS", "-mod=mod").env("GOWORK", "off");
        // The Go that is there; it must not look for another one on the network.
        command.env("GOTOOLCHAIN", "local").env("GOPROXY", "off");
        // Of what pkg-config says the cache knows nothing; of this path it does.
        command.env("CGO_CFLAGS", format!("-I{}", self.prefix.join("include").display()));
        command.env("PKG_CONFIG_PATH", self.prefix.join("lib/pkgconfig"));
        command.env("LD_LIBRARY_PATH", self.prefix.join("lib"));
        for name in ["JRUN_ID", "JRUN_TASK_FOLDER", "CONDUCTOR_ROOT"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs it; a failure is a panic.
    pub fn check(&self, folder: &str, args: &[&str]) {
        tools::check(&mut self.command(Path::new(folder), args));
    }
}
