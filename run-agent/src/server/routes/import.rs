//! A process of another program that is to be followed, as a client names it.

use super::super::failure::Failure;
use conductor_core::ImportSpec;
use serde::Deserialize;
use std::path::PathBuf;
use utoipa::ToSchema;

/// A process that runs already, and that another program started.
///
/// It is looked at and never signalled: its run cannot be stopped, and lasts as long as the process.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProcessImport {
    pid: i64,
    /// Its process group, where the run shall last until nothing of that lives.
    #[serde(default)]
    pgid: Option<i64>,
    /// Its command, for people.
    #[serde(default)]
    commandline: Option<String>,
    /// The file that its standard output goes to; absolute. One of the two is needed.
    #[serde(default)]
    stdout_path: Option<String>,
    /// The file that its standard error goes to; absolute.
    #[serde(default)]
    stderr_path: Option<String>,
    /// `external`, which is also what it is without it.
    #[serde(default)]
    ownership: Option<String>,
}

impl ProcessImport {
    /// Checks what only HTTP can get wrong, in the words of the older program.
    pub(super) fn checked(self) -> Result<ImportSpec, Failure> {
        let pid = u32::try_from(self.pid).ok().filter(|pid| *pid > 0);
        let pid = pid.ok_or_else(|| {
            Failure::bad_request("import.pid", "process_import.pid must be > 0")
                .detail("field", "pid")
        })?;
        let path = |text: Option<String>| {
            text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let (stdout, stderr) = (path(self.stdout_path), path(self.stderr_path));
        if stdout.is_none() && stderr.is_none() {
            let message = "process_import requires stdout_path and/or stderr_path";
            return Err(
                Failure::bad_request("import.no_output", message).detail("field", "stdout_path")
            );
        }
        let ownership = self.ownership.unwrap_or_default().trim().to_ascii_lowercase();
        match ownership.as_str() {
            "" | "external" => {}
            "managed" => {
                let message = "process_import.ownership cannot be managed: a process that conductor \
                    did not start is never signalled";
                return Err(Failure::bad_request("import.managed", message)
                    .detail("field", "ownership")
                    .detail("hint", "leave it away, and end the process where it was started"));
            }
            _ => {
                let message = "process_import.ownership must be managed or external";
                return Err(
                    Failure::bad_request("import.ownership", message).detail("field", "ownership")
                );
            }
        }
        // Older clients send 0 for one that they do not know.
        let group = self.pgid.filter(|group| *group != 0).map(|group| {
            u32::try_from(group).map_err(|_| {
                Failure::bad_request("import.group", "process_import.pgid must be > 0")
                    .detail("field", "pgid")
            })
        });
        let mut spec = ImportSpec::new(pid);
        spec.pgid = group.transpose()?;
        spec.commandline = self.commandline;
        spec.stdout_path = stdout.map(PathBuf::from);
        spec.stderr_path = stderr.map(PathBuf::from);
        Ok(spec)
    }
}
