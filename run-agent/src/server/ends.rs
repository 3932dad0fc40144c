//! What runs used that ended, read once for each time that one ends.

use conductor_core::{Conductor, Result, UsageReport};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long what was read holds although runs ended.
const SOON: Duration = Duration::from_secs(5);
/// How long it holds although none did that this server saw.
const LONG: Duration = Duration::from_secs(300);

/// The ends of runs.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    seen: AtomicU64,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    /// The ends that had been seen before it was read.
    seen: u64,
    at: Instant,
    report: Arc<UsageReport>,
}

impl Ends {
    /// A run ended.
    pub(crate) fn note(&self) {
        self.seen.fetch_add(1, Ordering::Relaxed);
    }

    /// What all runs of the root used that ended; what ended in the last seconds may be missing.
    pub(crate) fn usage(&self, conductor: &Conductor) -> Result<Arc<UsageReport>> {
        // Held while it is read: whoever else wants it waits, and reads nothing.
        let mut kept = self.kept.lock();
        let seen = self.seen.load(Ordering::Relaxed);
        if let Some(kept) = &*kept {
            let holds = if kept.seen == seen { LONG } else { SOON };
            if kept.at.elapsed() < holds {
                return Ok(kept.report.clone());
            }
        }
        let report = match conductor.usage(None, None) {
            Err(error) if error.code() == "root.not_found" => UsageReport::default(),
            report => report?,
        };
        let report = Arc::new(report);
        *kept = Some(Kept { seen, at: Instant::now(), report: report.clone() });
        Ok(report)
    }
}
