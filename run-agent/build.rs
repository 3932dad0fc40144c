//! Gathers the files of the dashboard into a table that the server includes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What browsers get; all else below `ui/` is for people.
const ENDINGS: [&str; 5] = ["css", "html", "js", "svg", "webmanifest"];
/// The folder of the tests, which browsers do not get.
const TESTS: &str = "tests";

fn main() -> io::Result<()> {
    let from = |name: &str| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let ui = from("CARGO_MANIFEST_DIR").join("ui");
    println!("cargo::rerun-if-changed=ui");
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    gather(&ui, &ui, &mut files)?;
    files.sort();
    let mut table =
        String::from("/// All of them, by name.\npub(super) static ASSETS: &[Asset] = &[\n");
    for name in &files {
        let path = ui.join(name);
        let line = writeln!(
            table,
            "    Asset {{ name: {name:?}, bytes: include_bytes!({:?}) }},",
            path.display().to_string()
        );
        line.map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    fs::write(from("OUT_DIR").join("ui_assets.rs"), table)
}

fn gather(root: &Path, folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let skipped =
                path.file_name().is_some_and(|name| name == TESTS || name == "node_modules");
            if !skipped {
                gather(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known)) {
            let name = path.strip_prefix(root).unwrap_or(&path);
            files.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
