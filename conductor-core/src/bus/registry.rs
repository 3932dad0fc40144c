//! One channel for each bus of this process, so that handles opened apart share lock and file.

use super::channel::Channel;
use super::store::Store;
use crate::error::Result;
use crate::sys::generation;
use parking_lot::Mutex;
use std::ffi::OsString;
use std::sync::Arc;

/// Buses whose file is kept open; the one not opened for longest gives way.
const MOST_OPEN: usize = 64;

/// The machine, the folder's device and number, and the file's name.
#[derive(Debug, PartialEq, Eq)]
struct Key(usize, u64, u64, OsString);

/// Most recently opened last. An entry keeps its folder open, so that no other folder can get its
/// number meanwhile, and its machine, so that no other machine can get its address.
static OPEN: Mutex<Vec<(Key, Arc<Channel>)>> = Mutex::new(Vec::new());

/// The channel of a bus.
pub(super) fn channel(store: Store) -> Result<Arc<Channel>> {
    if generation() > 0 {
        // In a forked child the list may be locked for ever, by a thread that is not here.
        return Ok(Arc::new(Channel::new(store)));
    }
    let folder = store.folder();
    let stat = folder.os().stat(folder.fd()).map_err(|e| folder.error("look at", "", e))?;
    let machine = Arc::as_ptr(folder.os()).cast::<()>().addr();
    let key = Key(machine, stat.device, stat.inode, store.live().to_owned());
    let mut open = OPEN.lock();
    if let Some(at) = open.iter().position(|(known, _)| *known == key) {
        let (key, channel) = open.remove(at);
        if !channel.is_failed() {
            open.push((key, channel.clone()));
            return Ok(channel);
        }
    }
    if open.len() >= MOST_OPEN {
        let (_, oldest) = open.remove(0);
        oldest.close_idle();
    }
    let channel = Arc::new(Channel::new(store));
    open.push((key, channel.clone()));
    Ok(channel)
}
