//! The C library from Go, over cgo.

use conductor_tests::sandbox::Sandbox;
use conductor_tests::{artifacts, tools, workspace};
use std::ffi::OsString;
use std::process::Command;

#[test]
fn the_interface_holds_from_go() {
    let (Some(go), Some(_)) = (tools::find("go"), tools::find("cc")) else { return };
    let sandbox = Sandbox::new();
    // Go's build cache knows a library by its path, not by its bytes: a path of this run's own never
    // meets a program that was linked with an older library.
    let library = sandbox.folder("lib").join("libconductor.a");
    std::fs::copy(artifacts::library("conductor-ffi", ".a"), &library).unwrap();
    let mut include = OsString::from("-I");
    include.push(workspace().join("include"));
    let mut link = library.into_os_string();
    link.push(" -lgcc_s -lutil -lrt -lpthread -lm -ldl");
    let program = sandbox.folder("bin").join("errors");
    let go = |action: &str| {
        let mut command = Command::new(&go);
        command.arg(action).current_dir(workspace());
        command.env("CGO_ENABLED", "1").env("GOFLAGS", "-mod=mod").env("GOWORK", "off");
        // The Go that is there; it must not look for another one on the network.
        command.env("GOTOOLCHAIN", "local");
        command.env("CGO_CFLAGS", &include).env("CGO_LDFLAGS", &link);
        command
    };
    tools::check(go("vet").arg("tests/go/errors.go"));
    tools::check(go("build").arg("-o").arg(&program).arg("tests/go/errors.go"));
    assert_eq!(sandbox.program(program).succeed().stdout, "go is fine\n");
}
