//! The test kit: sandboxes, roots, fake agents, built artifacts and other languages' tools.
//!
//! What goes wrong here is a panic that says what to do: the kit is used by tests alone.

pub mod agents;
pub mod artifacts;
pub mod bus;
pub mod c;
pub mod generate;
pub mod go;
pub mod http;
pub mod model;
pub mod process;
pub mod python;
pub mod sandbox;
pub mod snapshot;
pub mod tools;

use std::path::{Path, PathBuf};

/// The workspace's folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace")
}

/// A folder or file below `tests/fixtures`, which tests only read.
pub fn fixture(name: &str) -> PathBuf {
    let path = workspace().join("tests/fixtures").join(name);
    assert!(path.exists(), "there is no fixture {}", path.display());
    path
}
