//! The Python package, built and installed into an environment of its own.

use crate::{artifacts, tools, workspace};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An environment with the wheel and the pinned tools; `None` where it cannot be made, which was said.
pub fn installed() -> Option<PathBuf> {
    installed_as("dev", &folder().join("target"))
}

/// The same, built with a profile into a cargo target folder.
pub fn installed_as(profile: &str, target: &Path) -> Option<PathBuf> {
    let venv = environment()?;
    install(&venv, profile, target);
    Some(venv)
}

/// The environment of [`installed`], as it is; `None` where there is none.
pub fn installed_before() -> Option<PathBuf> {
    Some(folder().join("venv")).filter(|venv| venv.join("bin/python").exists())
}

/// The folder of everything that is made here. Its cargo target folder is another one than the
/// tests', so that neither build waits for the other or undoes it.
pub fn folder() -> PathBuf {
    let target = artifacts::target_folder().join("python");
    fs::create_dir_all(&target).expect("the test's own files");
    target
}

/// An environment with the pinned tools; `None` where it cannot be made, which was said.
fn environment() -> Option<PathBuf> {
    let wanted = workspace().join("conductor-py/requirements-dev.txt");
    environment_of("venv", &wanted, "pytest")
}

/// An environment, `name`, with what a file of requirements wants; it is kept as long as that and Python
/// stay as they are and `module` can be imported. `None` where it cannot be made, which was said.
pub fn environment_of(name: &str, requirements: &Path, module: &str) -> Option<PathBuf> {
    let python = tools::find("python3")?;
    let wanted = fs::read_to_string(requirements).expect("the test's own files");
    let (venv, mark) = (folder().join(name), folder().join(format!("{name}-is-complete")));
    let exe = venv.join("bin/python");
    let version = tools::check(Command::new(&python).arg("--version")).stdout;
    let stamp = format!("{wanted}{}", String::from_utf8_lossy(&version));
    let complete = fs::read_to_string(&mark).is_ok_and(|text| text == stamp)
        && runs(Command::new(&exe).args(["-c", &format!("import {module}")]));
    if complete {
        return Some(venv);
    }
    let _absent = fs::remove_file(&mark);
    if !make(&python, &venv) {
        tools::skip(
            "python3 cannot make an environment with pip (Debian: apt install python3-venv)",
        );
        return None;
    }
    let mut install = pip(&exe);
    install.arg("install").arg("--requirement").arg(requirements);
    let output = install.output().expect("the test's own files");
    if !output.status.success() {
        tools::skip(&format!("pip cannot install: {}", tools::report(&install, &output)));
        return None;
    }
    fs::write(mark, stamp).expect("the test's own files");
    Some(venv)
}

/// An environment with pip in it. Where Python comes without `ensurepip`, as Debian's does, its own
/// pip is asked to do the work from outside.
fn make(python: &Path, venv: &Path) -> bool {
    let venv_of = |options: &[&str]| {
        let mut command = Command::new(python);
        runs(command.args(["-m", "venv", "--clear"]).args(options).arg(venv))
    };
    if venv_of(&[]) {
        return true;
    }
    let mut seed = pip(python);
    venv_of(&["--without-pip"]) && runs(seed.arg("--python").arg(venv).args(["install", "pip"]))
}

/// Installs what the examples need into the environment; whether that was possible.
pub fn install_for_examples(venv: &Path) -> bool {
    let wanted = workspace().join("examples/python/requirements.txt");
    let mut install = pip(&venv.join("bin/python"));
    install.arg("install").arg("--requirement").arg(wanted);
    let output = install.output().expect("the test's own files");
    if !output.status.success() {
        tools::skip(&format!("pip cannot install: {}", tools::report(&install, &output)));
    }
    output.status.success()
}

fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]);
    command
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Builds the wheel by its own script and installs it. It is always built: cargo knows what is stale.
fn install(venv: &Path, profile: &str, target: &Path) {
    let package = workspace().join("conductor-py");
    let wheels = folder().join("wheels");
    let _absent = fs::remove_dir_all(&wheels);
    let mut build = Command::new(package.join("build-wheel.sh"));
    build.arg(&wheels).env("PROFILE", profile).env("PYTHON", venv.join("bin/python"));
    build.env("CARGO_TARGET_DIR", target);
    artifacts::forget_outer_package(&mut build);
    tools::check(&mut build);
    let wheel = fs::read_dir(&wheels)
        .expect("the test's own files")
        .next()
        .expect("the test's own files")
        .expect("the test's own files")
        .path();
    assert!(wheel.to_string_lossy().contains("-cp310-abi3-"), "{}", wheel.display());
    let mut install = pip(&venv.join("bin/python"));
    install.args(["install", "--force-reinstall", "--no-deps", "--no-index"]).arg(wheel);
    tools::check(&mut install);
}
