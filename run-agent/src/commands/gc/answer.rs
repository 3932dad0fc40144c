//! The answer as JSON, written item by item: nothing of it is gathered.

use super::tally::Tally;
use crate::out::Out;
use conductor_core::{GcPlan, Record};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use std::cell::{Cell, RefCell};
use std::io;

/// Writes the answer. `body` tells of the items one by one, and hears `false` where nobody reads them.
pub(super) fn write(
    out: &mut Out,
    plan: &GcPlan,
    dry_run: bool,
    tally: &mut Tally,
    body: impl FnOnce(&mut Tally, &mut dyn FnMut(&Record) -> bool),
) -> io::Result<()> {
    let tally = RefCell::new(tally);
    let items = Items { tally: &tally, body: Cell::new(Some(body)) };
    let mut serializer = serde_json::Serializer::pretty(&mut *out);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("dry_run", &dry_run)?;
    map.serialize_entry("now", &plan.now().to_string())?;
    map.serialize_entry("plan", &plan.token())?;
    map.serialize_entry("items", &items)?;
    let tally = tally.borrow();
    map.serialize_entry("totals", &tally.totals)?;
    map.serialize_entry("goals", &tally.goals)?;
    map.serialize_entry("errors", &tally.errors)?;
    map.end()?;
    out.line("")
}

/// A list that is made while it is written.
struct Items<'a, F> {
    tally: &'a RefCell<&'a mut Tally>,
    body: Cell<Option<F>>,
}

impl<F: FnOnce(&mut Tally, &mut dyn FnMut(&Record) -> bool)> Serialize for Items<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut list = serializer.serialize_seq(None)?;
        let mut failed = None;
        if let Some(body) = self.body.take() {
            body(&mut self.tally.borrow_mut(), &mut |record| {
                failed = failed.take().or_else(|| list.serialize_element(record).err());
                failed.is_none()
            });
        }
        match failed {
            Some(error) => Err(error),
            None => list.end(),
        }
    }
}
