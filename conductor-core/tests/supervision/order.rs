//! What stands on the disk before the end of a run is told.

use crate::kit::*;
use crate::support::hooked::{Hook, Hooked};
use crate::support::*;
use conductor_core::sys::Fd;
use conductor_core::{Conductor, JobSpec, Options};
use parking_lot::Mutex;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Looks whether the message about the end stands, after everything that is written; may keep the hold of
/// an account from being written.
struct Looks {
    task: PathBuf,
    hold: PathBuf,
    refuses: AtomicBool,
    /// Whether the receipt and the hold stood when the message did first.
    first: Mutex<Option<(bool, bool)>>,
}

impl Looks {
    fn is_told(&self) -> bool {
        let bus = fs::read_to_string(self.task.join("TASK-MESSAGE-BUS.md")).unwrap_or_default();
        bus.contains("RUN_CRASH")
    }

    fn has_receipt(&self) -> bool {
        let receipts = fs::read_to_string(self.task.join(".receipts.jsonl")).unwrap_or_default();
        receipts.contains(r#""outcome":"failed""#)
    }
}

impl Hook for Looks {
    fn renames(&self, _: (&Fd, &OsStr), (_, name): (&Fd, &OsStr)) -> io::Result<()> {
        let is_hold = self.hold.file_name() == Some(name);
        match is_hold && self.refuses.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(()),
        }
    }

    fn wrote(&self, _: &Fd) {
        let mut first = self.first.lock();
        if first.is_none() && self.is_told() {
            *first = Some((self.has_receipt(), self.hold.exists()));
        }
    }
}

#[test]
fn the_receipt_and_the_hold_stand_before_the_message_about_the_end() {
    let shop = Shop::new("");
    shop.agent("claude", &format!("cat {}; exit 1", stream("claude-ratelimit").display()));
    let root = shop.root.path();
    let looks = Arc::new(Looks {
        task: root.join("shop/job"),
        hold: root.join(".conductor/holds/claude-login.yaml"),
        refuses: AtomicBool::new(true),
        first: Mutex::new(None),
    });
    let mut options = Options::default();
    let path = format!("{}:{}", shop.dir().join("bin").display(), std::env::var("PATH").unwrap());
    options.environment = Some(vec![("PATH".into(), path.into())]);
    options.os = Arc::new(Hooked(Arc::clone(&looks)));
    let conductor = Conductor::open(&root, options).unwrap();
    let job = JobSpec::new("shop").task("job").agent("claude").prompt("x");
    let run = conductor.jobs().start(job, LONG).unwrap();
    // Whoever is told of the end counts, and starts the next: nothing is told before both are known.
    let error = run.wait(LONG).unwrap_err();
    assert!(error.to_string().contains("claude-login.yaml"), "{error}");
    assert!(looks.has_receipt() && !looks.is_told());
    looks.refuses.store(false, Ordering::SeqCst);
    run.wait(LONG).unwrap();
    assert_eq!(*looks.first.lock(), Some((true, true)));
    let told = shop.messages("job");
    assert_eq!(told.iter().filter(|m| m.msg_type == "RUN_CRASH").count(), 1);
    assert_eq!(shop.conductor().holds().unwrap().len(), 1);
}
