//! The Python package: its wheel is built, installed into an environment of its own, and tested there.

mod interrupts;

use conductor_tests::python::{folder, install_for_examples, installed};
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{tools, workspace};
use std::path::Path;
use std::process::{Command, Output};

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
    let Some(venv) = installed() else { return };
    let package = workspace().join("conductor-py");
    let pytest_cache = format!("cache_dir={}", folder().join("pytest").display());
    let pytest = module(&venv, &package, &["pytest", "-o", &pytest_cache]);
    let summary = String::from_utf8_lossy(&pytest.stdout);
    assert!(summary.contains(" passed"), "{summary}");
    let mypy_cache = folder().join("mypy");
    let mypy_cache = mypy_cache.to_str().unwrap();
    module(&venv, &package, &["mypy", "--cache-dir", mypy_cache, "python", "tests"]);
    let examples = workspace().join("examples/python");
    let can_plot = install_for_examples(&venv);
    let mypy_strict = ["mypy", "--strict", "--cache-dir", mypy_cache, examples.to_str().unwrap()];
    let without = if can_plot { &[][..] } else { &["--exclude", "plot_runs"] };
    module(&venv, &folder(), &[&mypy_strict, without].concat());
    // It keeps its cache where it is started.
    module(&venv, &folder(), &["mypy.stubtest", "conductor"]);
    the_examples_run_to_their_end(&venv);
    if can_plot {
        the_notebook_plots_runs_and_usage(&venv);
    }
    a_task_uses_the_run_agent_of_the_wheel(&venv);
    interrupts::ctrl_c_ends_each_wait_by_itself(&venv);
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
        sandbox.wait_until_empty(std::time::Duration::from_secs(60));
    }
}

fn the_notebook_plots_runs_and_usage(venv: &Path) {
    let sandbox = Sandbox::with_fixture("reference-root");
    let examples = workspace().join("examples/python");
    for example in ["fan_out", "task"] {
        let script = examples.join(format!("{example}.py"));
        let _output = sandbox.program(venv.join("bin/python")).arg(script).succeed();
    }
    let plot = sandbox.program(venv.join("bin/python")).arg(examples.join("plot_runs.py"));
    let output =
        plot.arg(sandbox.root()).arg(sandbox.work()).env("MPLBACKEND", "Agg").succeed().stdout;
    assert!(output.contains("usage.png"), "{output}");
    for name in ["runs.png", "usage.png"] {
        let picture = std::fs::read(sandbox.work().join(name)).unwrap();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 5_000, "{name}");
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
