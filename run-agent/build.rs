//! Gathers the files of the dashboard, as they are and compressed, into a table that the server includes.

use flate2::{Compression, GzBuilder};
use std::fmt::Write as _;
use std::io::Write as _;
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
    let packed = from("OUT_DIR").join("ui");
    fs::create_dir_all(&packed)?;
    let mut files = Vec::new();
    gather(&ui, &ui, &mut files)?;
    files.sort();
    let mut table =
        String::from("/// All of them, by name.\npub(super) static ASSETS: &[Asset] = &[\n");
    for name in &files {
        let gzip = name.replace('/', "-") + ".gz";
        compress(&ui.join(name), &packed.join(&gzip))?;
        // Relative to where it is built: the checkout may be moved, and the target folder shared.
        let line = writeln!(
            table,
            "    Asset {{\n        name: {name:?},\n        \
             bytes: include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/ui/\", {name:?})),\n        \
             gzip: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/ui/\", {gzip:?})),\n    }},"
        );
        line.map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    fs::write(from("OUT_DIR").join("ui_assets.rs"), table)
}

/// The same bytes for the same file, whenever and wherever it is built.
fn compress(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = GzBuilder::new().mtime(0).write(fs::File::create(to)?, Compression::best());
    file.write_all(&fs::read(from)?)?;
    file.finish()?;
    Ok(())
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
