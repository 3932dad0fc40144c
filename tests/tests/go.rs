//! The C library from Go, over cgo: the interface itself, the Go package, and the pipeline that uses it.

use conductor_tests::go::Go;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{tools, workspace};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn the_interface_holds_from_go() {
    let sandbox = Sandbox::new();
    let Some(go) = Go::new(&sandbox) else { return };
    let library = go.prefix.join("lib/libconductor.a");
    let include = format!("-I{}", go.prefix.join("include").display());
    let link = format!("{} -lgcc_s -lutil -lrt -lpthread -lm -ldl", library.display());
    let program = sandbox.folder("bin").join("errors");
    for args in [&["vet"][..], &["build", "-o", program.to_str().unwrap()]] {
        let mut command = go.command(Path::new("."), args);
        command.env("CGO_CFLAGS", &include).env("CGO_LDFLAGS", &link);
        tools::check(command.arg("tests/go/errors.go"));
    }
    assert_eq!(sandbox.program(program).succeed().stdout, "go is fine\n");
}

#[test]
fn the_package_holds_under_the_race_detector_and_the_pointer_check() {
    let sandbox = Sandbox::new();
    let Some(go) = Go::new(&sandbox) else { return };
    go.check("examples/go", &["vet", "./..."]);
    let mut format = Command::new(go.go.with_file_name("gofmt"));
    let output = tools::check(format.arg("-l").arg(workspace().join("examples/go")));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "gofmt -w these");
    let mut test = go.command(Path::new("examples/go"), &["test", "-count=1", "-race", "./..."]);
    tools::check(test.arg("-short").env("GOEXPERIMENT", "cgocheck2"));
}

#[test]
fn ten_thousand_follows_leave_neither_goroutine_nor_descriptor() {
    let sandbox = Sandbox::new();
    let Some(go) = Go::new(&sandbox) else { return };
    go.check("examples/go", &["test", "-count=1", "-run=TestFollowsLeave", "./conductor"]);
}

#[test]
fn the_orchestrator_runs_its_pipeline_linked_both_ways() {
    let sandbox = Sandbox::new();
    let Some(go) = Go::new(&sandbox) else { return };
    for (name, tags) in [("shared", "-tags="), ("static", "-tags=conductor_static")] {
        let program = sandbox.folder("bin").join(name);
        go.check(
            "examples/go",
            &["build", tags, "-o", program.to_str().unwrap(), "./orchestrator"],
        );
        let root = sandbox.folder(&format!("root-{name}"));
        let mut run = sandbox.program(&program).arg(&root);
        if name == "shared" {
            run = run.env("LD_LIBRARY_PATH", go.prefix.join("lib"));
        }
        let output = run.succeed().stdout;
        assert!(output.contains("the sum is 42\n"), "{output}");
        assert_eq!(output.matches("fetch  RUN_START").count(), 2, "{output}");
        assert!(output.find("guess  RUN_STOP") < output.find("sum    RUN_START"), "{output}");
    }
    sandbox.wait_until_empty(Duration::from_secs(60));
}
