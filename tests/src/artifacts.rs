//! What the workspace builds: its programs and libraries, never stale ones.
//!
//! cargo tells a test where the programs of its own package are, and nothing of those of other
//! packages: what lies in the target folder may be from last week. So each test process asks cargo
//! once to build what it needs, in the test's own profile. That is a no-op of about 0.2 s when all is
//! fresh, and cargo's own answer names the files.

use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The files that one package gave.
#[derive(Clone, Debug, Default)]
struct Built {
    binaries: HashMap<String, PathBuf>,
    libraries: Vec<PathBuf>,
}

/// The program `name` of the workspace's package `package`, freshly built.
pub fn binary(package: &str, name: &str) -> PathBuf {
    let built = build(package);
    let found = built.binaries.get(name).cloned();
    found.unwrap_or_else(|| panic!("the package {package} has no binary called {name}"))
}

/// The library of the package `package` whose file name ends with `suffix`, freshly built.
pub fn library(package: &str, suffix: &str) -> PathBuf {
    let built = build(package);
    let named = |path: &&PathBuf| path.to_string_lossy().ends_with(suffix);
    let found = built.libraries.iter().find(named).cloned();
    found.unwrap_or_else(|| {
        panic!("the package {package} gave no library ...{suffix}, only {:?}", built.libraries)
    })
}

/// Installs the C library below `prefix` by its own script, freshly built.
pub fn install_c_library(prefix: &Path) {
    install_c_library_into(prefix, None);
}

/// As [`install_c_library`], to be used below `prefix` once what is below `stage` is moved to `/`.
pub fn install_c_library_into(prefix: &Path, stage: Option<&Path>) {
    let mut install = Command::new(crate::workspace().join("conductor-ffi/install.sh"));
    install.env("PREFIX", prefix).env("PROFILE", profile());
    install.env("CARGO_TARGET_DIR", target_folder());
    match stage {
        Some(stage) => install.env("DESTDIR", stage),
        None => install.env_remove("DESTDIR"),
    };
    forget_outer_package(&mut install);
    crate::tools::check(&mut install);
}

/// cargo itself, without what the outer cargo told this test about its own package.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::workspace());
    forget_outer_package(&mut command);
    command
}

/// Takes away what the outer cargo told this test about its own package.
pub fn forget_outer_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let about_a_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if about_a_package.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}

/// The workspace's target folder, from the folder that this program lies in.
pub fn target_folder() -> PathBuf {
    profile_folder().parent().expect("a profile's folder lies in the target folder").to_owned()
}

/// `target/<profile>`: programs lie in it, tests in its folder `deps`.
fn profile_folder() -> PathBuf {
    let exe = std::env::current_exe().expect("a program knows its own file");
    let folder = exe.parent().expect("a file lies in a folder");
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("deps") => folder.parent().unwrap_or(folder).to_owned(),
        _ => folder.to_owned(),
    }
}

fn build(package: &str) -> Built {
    static BUILT: OnceLock<Mutex<HashMap<String, Built>>> = OnceLock::new();
    // Held during the build: the tests of one process that need the same package wait for it.
    let mut all = BUILT.get_or_init(Mutex::default).lock();
    if let Some(built) = all.get(package) {
        return built.clone();
    }
    let mut command = cargo();
    command.args(["build", "--message-format=json-render-diagnostics", "--profile", &profile()]);
    command.args(["--package", package]);
    let output = command.output().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    assert!(
        output.status.success(),
        "the package {package} does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let built = read_messages(package, &String::from_utf8_lossy(&output.stdout));
    all.insert(package.to_owned(), built.clone());
    built
}

fn read_messages(package: &str, messages: &str) -> Built {
    let manifest = crate::workspace().join(folder_of(package)).join("Cargo.toml");
    let mut built = Built::default();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        let from_here = message["reason"] == "compiler-artifact"
            && message["manifest_path"].as_str().map(Path::new) == Some(&manifest);
        if !from_here {
            continue;
        }
        let name = message["target"]["name"].as_str().unwrap_or_default();
        if let Some(executable) = message["executable"].as_str() {
            built.binaries.insert(name.to_owned(), executable.into());
        } else {
            let files = message["filenames"].as_array().cloned().unwrap_or_default();
            built
                .libraries
                .extend(files.iter().filter_map(|file| file.as_str()).map(PathBuf::from));
        }
    }
    built
}

/// A package's folder in the workspace: its own name, but for this one.
fn folder_of(package: &str) -> &str {
    match package {
        env!("CARGO_PKG_NAME") => "tests",
        "conductor-example" => "examples/rust",
        _ => package,
    }
}

/// The profile that this program was built in.
fn profile() -> String {
    match profile_folder().file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev".to_owned(),
        Some(profile) => profile.to_owned(),
    }
}
