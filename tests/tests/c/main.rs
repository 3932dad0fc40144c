//! The C library from C and C++: compiled strictly, linked both ways, run plainly and under valgrind.

mod calls;

use conductor_tests::agents;
use conductor_tests::c::{C, CPP, Link, SANITIZED, compile};
use conductor_tests::process::Finished;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::tools;
use std::fs;
use std::path::Path;

fn valgrind(sandbox: &Sandbox, program: &Path, args: &[&str]) -> Option<Finished> {
    let valgrind = tools::find("valgrind")?;
    let options = ["--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite"];
    // It runs one thread at a time: one that only looks again and again must not keep the others from working.
    let more = ["--error-exitcode=99", "--fair-sched=try"];
    let program = sandbox.program(valgrind).args(options).args(more).arg(program);
    Some(program.args(args).succeed())
}

#[test]
fn the_interface_holds_from_c() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &C, "tests/c/abi.c", Link::Shared) else { return };
    sandbox.program(&program).succeed();
    valgrind(&sandbox, &program, &[]);
}

#[test]
fn the_interface_holds_from_cpp() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &CPP, "tests/c/abi.c", Link::Shared) else { return };
    sandbox.program(&program).succeed();
}

#[test]
fn the_static_library_needs_only_what_is_documented() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &C, "tests/c/abi.c", Link::Static) else { return };
    sandbox.program(&program).succeed();
}

#[test]
fn work_is_done_from_c_and_every_function_holds() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &C, "tests/c/work.c", Link::Shared) else { return };
    sandbox.program(&program).arg(sandbox.root()).succeed();
    let root = sandbox.folder("valgrind");
    valgrind(&sandbox, &program, &[root.to_str().unwrap(), "no-signals"]);
    sandbox.wait_until_empty(std::time::Duration::from_secs(60));
}

#[test]
fn handles_hold_from_c_and_under_valgrind() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &C, "tests/c/handles.c", Link::Shared) else { return };
    sandbox.program(&program).arg(sandbox.root()).succeed();
    let root = sandbox.folder("valgrind");
    valgrind(&sandbox, &program, &[root.to_str().unwrap()]);
    sandbox.wait_until_empty(std::time::Duration::from_secs(60));
}

#[test]
fn handles_hold_under_the_sanitizers() {
    let sandbox = Sandbox::new();
    let source = "tests/c/handles.c";
    let Some(program) = compile(&sandbox, &SANITIZED, source, Link::Shared) else { return };
    sandbox.program(&program).arg(sandbox.root()).succeed();
}

#[test]
fn handles_hold_from_cpp() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &CPP, "tests/c/handles.c", Link::Static) else { return };
    sandbox.program(&program).arg(sandbox.root()).succeed();
}

#[test]
fn work_is_done_under_the_sanitizers() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &SANITIZED, "tests/c/work.c", Link::Shared) else {
        return;
    };
    sandbox.program(&program).arg(sandbox.root()).succeed();
}

/// What takes a root and nothing else is compiled as C and as C++, and run plainly, under valgrind and under
/// the sanitizers.
fn holds_everywhere(source: &str) {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &C, source, Link::Shared) else { return };
    sandbox.program(&program).arg(sandbox.root()).succeed();
    let root = sandbox.folder("valgrind");
    valgrind(&sandbox, &program, &[root.to_str().unwrap()]);
    for (compiler, link) in [(&SANITIZED, Link::Shared), (&CPP, Link::Static)] {
        let Some(program) = compile(&sandbox, compiler, source, link) else { return };
        sandbox.program(&program).arg(sandbox.folder(&format!("{link:?}"))).succeed();
    }
    sandbox.wait_until_empty(std::time::Duration::from_secs(60));
}

#[test]
fn nothing_where_something_is_wanted_is_told() {
    holds_everywhere("tests/c/nulls.c");
}

#[test]
fn log_lines_and_events_are_told() {
    holds_everywhere("tests/c/told.c");
}

#[test]
fn a_host_that_reaps_whatever_dies_is_given_its_own_children_alone() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &C, "tests/c/reaper.c", Link::Shared) else { return };
    sandbox.program(&program).arg(sandbox.root()).succeed();
    sandbox.wait_until_empty(std::time::Duration::from_secs(60));
}

#[test]
fn work_is_done_from_cpp() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &CPP, "tests/c/work.c", Link::Static) else { return };
    sandbox.program(&program).arg(sandbox.root()).succeed();
}

#[test]
fn what_a_program_forgets_to_free_is_counted() {
    let sandbox = Sandbox::new();
    let leaking = "#include <conductor.h>\nint main(void) {\n    conductor_error *err;\n    \
        if (conductor_id_check(CONDUCTOR_STR(\"task\"), CONDUCTOR_STR(\"..\"), &err) == 0) return 9;\n    \
        return (int)conductor_handle_count();\n}\n";
    let source = sandbox.work().join("leak.c");
    fs::write(&source, leaking).unwrap();
    let source = source.to_str().unwrap();
    let Some(program) = compile(&sandbox, &C, source, Link::Shared) else { return };
    let _quiet = sandbox.program(&program).run().expect_code(1);
}

#[test]
fn the_example_checks_ids_and_lengths() {
    let sandbox = Sandbox::new();
    let source = "examples/c/check.c";
    let Some(program) = compile(&sandbox, &C, source, Link::Shared) else { return };
    let good = sandbox.program(&program).args(["task=fix-login", "timeout=1h30m"]).succeed();
    assert_eq!(good.stdout, "task=fix-login: fine\ntimeout=1h30m: 5400000 ms\n");
    let bad =
        sandbox.program(&program).args(["task=..", "timeout=90", "bus=x"]).run().expect_code(1);
    assert_eq!(bad.stdout, "");
    for code in ["id.invalid", "duration.invalid", "id.unknown_noun"] {
        assert!(bad.stderr.contains(&format!("  code: {code}\n")), "{}", bad.stderr);
    }
}

#[test]
fn the_example_runs_a_task_to_its_end() {
    let sandbox = Sandbox::new();
    let source = "examples/c/task.c";
    let Some(program) = compile(&sandbox, &C, source, Link::Shared) else { return };
    let output = sandbox.program(&program).succeed().stdout;
    assert_eq!(output.lines().filter(|line| line.starts_with("RUN_START")).count(), 3, "{output}");
    assert!(output.ends_with("done after 3 attempts\n"), "{output}");
    // Once more: what is done stays done.
    let again = valgrind(&sandbox, &program, &[]);
    assert!(again.is_none_or(|again| again.stdout.ends_with("done after 3 attempts\n")));
}

#[test]
fn ctrl_c_leaves_the_task_of_the_example_to_be_gone_on_with() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &C, "examples/c/task.c", Link::Shared) else { return };
    // What it prints to a pipe would come late.
    let Some(stdbuf) = tools::find("stdbuf") else { return };
    // Its first attempt counts its steps, and comes no further until the gate is open.
    let (tools, gate) = (sandbox.folder("tools"), sandbox.work().join("gate"));
    let wait = format!("until [ -e '{}' ]; do sleep 0.05; done", gate.display());
    agents::put(&tools.join("wc"), format!("#!/bin/sh\n{wait}\nexec /usr/bin/wc \"$@\"\n"));
    let mut running = sandbox.program(stdbuf).arg("-oL").arg(&program).path_first(&tools).start();
    running.wait_for("an attempt", |text| text.contains("RUN_START"));
    running.signal(rustix::process::Signal::INT);
    let Finished { stdout: output, stderr, .. } = running.finish().expect_code(0);
    assert!(output.ends_with("to go on\n") && !output.contains("done after"), "{output}");
    assert_eq!(stderr, "");
    fs::write(gate, "").unwrap();
    let again = sandbox.program(&program).path_first(&tools).succeed().stdout;
    assert!(again.ends_with("done after 3 attempts\n"), "{again}");
}
