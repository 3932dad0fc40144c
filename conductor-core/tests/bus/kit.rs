//! What the tests of the bus share.

use conductor_core::Result;
pub(crate) use conductor_core::bus::{
    Bus, BusOptions, Cursor, Durability, Event, Message, Post, ReadOptions, Rotation, Scope,
};
use conductor_core::fsx::Folder;
use conductor_core::sys::RealOs;
pub(crate) use conductor_core::{Cancel, ErrorKind, Wait};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const NAME: &str = "TASK-MESSAGE-BUS.md";
pub(crate) const NEXT: &str = ".TASK-MESSAGE-BUS.md.next";
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How much a campaign does: what `BUS_COUNT` asks for, else `share`.
pub(crate) fn count(share: u64) -> u64 {
    std::env::var("BUS_COUNT").map_or(share, |count| count.parse().expect("BUS_COUNT is a number"))
}

pub(crate) fn folder(path: &Path) -> Folder {
    Folder::open_root(Arc::new(RealOs), path).unwrap()
}

pub(crate) fn open(path: &Path) -> Bus {
    open_with(path, BusOptions::default())
}

pub(crate) fn open_with(path: &Path, options: BusOptions) -> Bus {
    let scope = Scope::try_from(("shop", "fix-login")).unwrap();
    Bus::open(folder(path), NAME, scope, options).unwrap()
}

/// The messages among events; anything else fails the test.
pub(crate) fn messages(events: impl Iterator<Item = Result<Event>>) -> Vec<Message> {
    events
        .map(|event| match event.unwrap() {
            Event::Message(message) => message,
            other => panic!("no message: {other:?}"),
        })
        .collect()
}

pub(crate) fn bodies(events: impl Iterator<Item = Result<Event>>) -> Vec<String> {
    messages(events).into_iter().map(|message| message.body).collect()
}

pub(crate) fn all(bus: &Bus) -> Vec<String> {
    bodies(bus.read(ReadOptions::default()).unwrap())
}

pub(crate) fn say(bus: &Bus, body: impl Into<String>) -> conductor_core::bus::Posted {
    bus.post(Post::new("INFO", body), Wait::FOREVER).unwrap()
}

/// The names in a folder, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The paths of the archives, oldest first.
pub(crate) fn archives(folder: &Path) -> Vec<std::path::PathBuf> {
    let names = names(folder).into_iter().filter(|name| name.ends_with(".archived"));
    names.map(|name| folder.join(name)).collect()
}
