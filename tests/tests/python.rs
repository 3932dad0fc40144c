//! The Python package: its wheel is built, installed into an environment of its own, and tested there.

use conductor_tests::sandbox::Sandbox;
use conductor_tests::{artifacts, tools, workspace};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of everything that is made here. Its cargo target folder is another one than the
/// tests', so that neither build waits for the other or undoes it.
fn folder() -> PathBuf {
    let target = artifacts::target_folder().join("python");
    fs::create_dir_all(&target).unwrap();
    target
}

/// An environment with the pinned tools; `None` where it cannot be made, which was said.
fn environment() -> Option<PathBuf> {
    let python = tools::find("python3")?;
    let package = workspace().join("conductor-py");
    let wanted = fs::read_to_string(package.join("requirements-dev.txt")).unwrap();
    let (venv, mark) = (folder().join("venv"), folder().join("venv-is-complete"));
    let exe = venv.join("bin/python");
    let version = tools::check(Command::new(&python).arg("--version")).stdout;
    let stamp = format!("{wanted}{}", String::from_utf8_lossy(&version));
    let complete = fs::read_to_string(&mark).is_ok_and(|text| text == stamp)
        && runs(Command::new(&exe).args(["-m", "pytest", "--version"]));
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
    install.args(["install", "--requirement"]).arg(package.join("requirements-dev.txt"));
    let output = install.output().unwrap();
    if !output.status.success() {
        tools::skip(&format!("pip cannot install: {}", tools::report(&install, &output)));
        return None;
    }
    fs::write(mark, stamp).unwrap();
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

fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]);
    command
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Builds the wheel by its own script and installs it. It is always built: cargo knows what is stale.
fn install(venv: &Path) {
    let package = workspace().join("conductor-py");
    let wheels = folder().join("wheels");
    let _absent = fs::remove_dir_all(&wheels);
    let mut build = Command::new(package.join("build-wheel.sh"));
    build.arg(&wheels).env("PROFILE", "dev").env("PYTHON", venv.join("bin/python"));
    build.env("CARGO_TARGET_DIR", folder().join("target"));
    artifacts::forget_outer_package(&mut build);
    tools::check(&mut build);
    let wheel = fs::read_dir(&wheels).unwrap().next().unwrap().unwrap().path();
    assert!(wheel.to_string_lossy().contains("-cp310-abi3-"), "{}", wheel.display());
    let mut install = pip(&venv.join("bin/python"));
    install.args(["install", "--force-reinstall", "--no-deps", "--no-index"]).arg(wheel);
    tools::check(&mut install);
}

/// Runs a module of the environment in `folder`.
fn module(venv: &Path, folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(venv.join("bin/python"));
    command.arg("-m").args(args).current_dir(folder);
    // Nothing is to be written into the sources, and nothing of them imported.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONSAFEPATH", "1");
    command.env_remove("PYTHONPATH");
    tools::check(&mut command)
}

#[test]
fn the_wheel_passes_its_tests_and_its_stubs_are_true() {
    let Some(venv) = environment() else { return };
    install(&venv);
    let package = workspace().join("conductor-py");
    let pytest_cache = format!("cache_dir={}", folder().join("pytest").display());
    let pytest = module(&venv, &package, &["pytest", "-o", &pytest_cache]);
    let summary = String::from_utf8_lossy(&pytest.stdout);
    assert!(summary.contains(" passed"), "{summary}");
    let mypy_cache = folder().join("mypy");
    let mypy_cache = mypy_cache.to_str().unwrap();
    module(&venv, &package, &["mypy", "--cache-dir", mypy_cache, "python", "tests"]);
    let examples = workspace().join("examples/python");
    let mypy_strict = ["mypy", "--strict", "--cache-dir", mypy_cache, examples.to_str().unwrap()];
    module(&venv, &folder(), &mypy_strict);
    // It keeps its cache where it is started.
    module(&venv, &folder(), &["mypy.stubtest", "conductor"]);
    the_examples_run_to_their_end(&venv);
    a_task_uses_the_run_agent_of_the_wheel(&venv);
}

fn the_examples_run_to_their_end(venv: &Path) {
    for (example, end) in [
        ("task", "done after 3 attempts\n"),
        ("fan_out", "go on from c1:"),
        ("aio_follow", "FACT task completion propagated to project scope\n"),
    ] {
        let sandbox = Sandbox::new();
        let script = workspace().join(format!("examples/python/{example}.py"));
        let output = sandbox.program(venv.join("bin/python")).arg(script).succeed().stdout;
        let last = output.lines().next_back().unwrap_or_default();
        assert!(output.ends_with(end) || last.starts_with(end), "{example}: {output}");
        sandbox.wait_until_empty(std::time::Duration::from_secs(30));
    }
}

/// `pip install` alone is enough: the agent of a task posts with the command that came with the wheel.
fn a_task_uses_the_run_agent_of_the_wheel(venv: &Path) {
    let sandbox = Sandbox::new();
    let script = "import conductor\n\
        c = conductor.open()\n\
        post = 'run-agent bus post --type FACT --body hello && touch \"$JRUN_TASK_FOLDER/DONE\"'\n\
        task = c.tasks.start('shop', 'post', agent='shell', prompt=post, max_attempts=1)\n\
        print(task.wait('1m').outcome, [m.body for m in c.bus('shop', 'post').read(type='FACT')])\n";
    let output = sandbox.program(venv.join("bin/python")).args(["-c", script]).succeed().stdout;
    assert_eq!(output, "done ['hello']\n");
}
