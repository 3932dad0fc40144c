//! The C library is installed by one documented command, and used from there by a program that knows
//! nothing of this source.

use conductor_tests::c::prefix;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{artifacts, tools, workspace};
use std::fs;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = r#"#include <conductor.h>
#include <stdio.h>
int main(void) {
    conductor_str version = conductor_version();
    printf("%.*s %u\n", (int)version.len, version.ptr, conductor_abi_version());
    return conductor_abi_version() != CONDUCTOR_ABI_VERSION;
}
"#;

fn pkg_config(prefix: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new(tools::find("pkg-config")?);
    command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).args(args);
    let output = tools::check(&mut command);
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn a_program_elsewhere_finds_the_library_by_pkg_config_alone() {
    let sandbox = Sandbox::new();
    let prefix = prefix(&sandbox);
    let (Some(cc), Some(version)) =
        (tools::find("cc"), pkg_config(&prefix, &["--modversion", "conductor"]))
    else {
        return;
    };
    fs::write(sandbox.work().join("program.c"), PROGRAM).unwrap();
    for (name, package) in [("shared", "conductor"), ("static", "conductor-static")] {
        let flags = pkg_config(&prefix, &["--cflags", "--libs", package]).unwrap();
        let mut compile = Command::new(&cc);
        compile.current_dir(sandbox.work()).args(["program.c", "-o", name]);
        tools::check(compile.args(flags.split_whitespace()));
        let mut program = sandbox.program(sandbox.work().join(name));
        if name == "shared" {
            program = program.env("LD_LIBRARY_PATH", prefix.join("lib"));
        }
        assert_eq!(program.succeed().stdout, format!("{version} 1\n"), "{name}");
    }
    // What the program asks the loader for is the name with the number of the interface.
    let Some(readelf) = tools::find("readelf") else { return };
    let output = tools::check(Command::new(readelf).arg("-d").arg(sandbox.work().join("shared")));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("[libconductor.so.1]"), "{text}");
}

#[test]
fn a_packager_installs_into_another_folder_than_it_is_used_from() {
    let sandbox = Sandbox::new();
    // Built by now, so that the script has nothing to do but to install.
    let _prefix = prefix(&sandbox);
    let stage = sandbox.folder("stage");
    artifacts::install_c_library_into(Path::new("/opt/conductor"), Some(&stage));
    let installed = stage.join("opt/conductor");
    for name in ["include/conductor.h", "lib/libconductor.so.1", "lib/libconductor.a"] {
        assert!(installed.join(name).is_file(), "{name}");
    }
    let link = fs::read_link(installed.join("lib/libconductor.so")).unwrap();
    assert_eq!(link, Path::new("libconductor.so.1"));
    for name in ["conductor", "conductor-static"] {
        let text = fs::read_to_string(installed.join(format!("lib/pkgconfig/{name}.pc"))).unwrap();
        assert!(text.contains("prefix=/opt/conductor\n") && !text.contains('@'), "{text}");
        assert!(!text.contains(stage.to_str().unwrap()), "{text}");
    }
}

#[test]
fn a_prefix_that_is_no_absolute_path_is_refused() {
    let mut install = Command::new(workspace().join("conductor-ffi/install.sh"));
    let output = install.env("PREFIX", "here").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("PREFIX is not absolute: here"));
}
