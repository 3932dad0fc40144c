//! The configuration
//!
//! One file says which agents there are, and what holds for work that does not say. conductor_open() heeds
//! it; these calls show it without a root.
//!
//!     conductor_record *config;
//!     conductor_config_show(NULL, &config, &err);
//!     for (i = 0; i < conductor_record_count(config, CONDUCTOR_STR("values")); i++) ...

use crate::boundary::{guard, tell};
use crate::error::{Error, Status};
use crate::options::{Options, settings};
use crate::out::Out;
use crate::record::Record;
use crate::root::root_path;
use crate::text::Str;
use conductor_core::{Conductor, Error as CoreError};

/// Reads the configuration: what holds, and where each value is from. Secrets are masked.
///
/// Options: "config" (else CONDUCTOR_CONFIG of the environment, else the usual places). out: "path" (none
/// where nothing is configured), the list "values" with "key", "value", "from.kind" ("default", "file",
/// "variable"), "from.line", ..., and the list "warnings" as the "problems" of conductor_validate(). The
/// error tells the first thing that is wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_config_show(
    options: *const Options,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: by the header's rules a writable place, or NULL.
    unsafe {
        tell(out, err, || {
            let sources = Conductor::config_sources(settings(options)?.config()?);
            Conductor::load_config(&sources).map_err(CoreError::from)
        })
    }
}

/// Whether this machine is ready to start work: configuration, root, agents and their tokens. Starts
/// nothing, changes nothing. root as in conductor_open().
///
/// Options: "config", "agent" (only this one), "check_tokens" "true" (warn of each agent without one).
/// out: "config.path", "config.ok", "root.path", "root.ok", the list "agents" with "name", "type",
/// "program", "version", "token", "status", the list "problems" with "severity", "code", "message", "hint", "path",
/// "line", "column", "field", and "errors", "warnings": how many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_validate(
    root: Str,
    options: *const Options,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL, and a text that lives.
        let (out, root) = unsafe { (Out::new(out, "out")?, root_path(root)?) };
        let (config, wish) = settings(options)?.validate()?;
        let sources = Conductor::config_sources(config);
        out.record(&Conductor::validate(&sources, &Conductor::sources(root), &wish))
    })
}
