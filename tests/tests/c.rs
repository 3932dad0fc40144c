//! The C library from C and C++: compiled strictly, linked both ways, run plainly and under valgrind.

use conductor_tests::process::Finished;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{artifacts, tools, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

const STRICT: [&str; 5] = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-g"];

/// What the static library needs from the system, as `rustc --print native-static-libs` tells.
const NATIVE: [&str; 6] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"];

/// How the program is linked with the library.
#[derive(Clone, Copy)]
enum Link {
    Shared,
    Static,
}

/// A compiler and the language it shall take the source for.
struct Compiler(&'static str, &'static [&'static str]);

const C: Compiler = Compiler("cc", &["-std=c99", "-D_POSIX_C_SOURCE=200809L"]);
const CPP: Compiler = Compiler("c++", &["-x", "c++", "-std=c++17"]);

/// A program made from `source`; `None` where there is no compiler.
fn compile(sandbox: &Sandbox, compiler: &Compiler, source: &str, link: Link) -> Option<PathBuf> {
    let program = sandbox.folder("bin").join(Path::new(source).file_stem()?);
    let mut command = Command::new(tools::find(compiler.0)?);
    command.args(compiler.1).args(STRICT).arg(workspace().join(source));
    command.arg("-I").arg(workspace().join("include")).arg("-o").arg(&program);
    // The language of the source, not of the libraries.
    command.args(["-x", "none"]);
    match link {
        Link::Shared => {
            let folder = library_folder(sandbox);
            let mut rpath = std::ffi::OsString::from("-Wl,-rpath,");
            rpath.push(&folder);
            command.arg("-L").arg(&folder).arg(rpath).args(["-lconductor", "-lpthread"]);
        }
        Link::Static => {
            command.arg(artifacts::library("conductor-ffi", ".a")).args(NATIVE);
        }
    }
    tools::check(&mut command);
    Some(program)
}

/// A folder with the shared library under the two names that an installed one has.
fn library_folder(sandbox: &Sandbox) -> PathBuf {
    let library = artifacts::library("conductor-ffi", ".so");
    let folder = sandbox.folder("lib");
    for name in ["libconductor.so", "libconductor.so.1"] {
        let link = folder.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(&library, link).unwrap();
        }
    }
    folder
}

fn valgrind(sandbox: &Sandbox, program: &Path) -> Option<Finished> {
    let valgrind = tools::find("valgrind")?;
    let options = ["--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,possible"];
    let program =
        sandbox.program(valgrind).args(options).args(["--error-exitcode=99"]).arg(program);
    Some(program.succeed())
}

#[test]
fn the_interface_holds_from_c() {
    let sandbox = Sandbox::new();
    let Some(program) = compile(&sandbox, &C, "tests/c/abi.c", Link::Shared) else { return };
    sandbox.program(&program).succeed();
    valgrind(&sandbox, &program);
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
fn valgrind_would_tell_of_a_leak() {
    let sandbox = Sandbox::new();
    let leaking = "#include <conductor.h>\nint main(void) {\n    conductor_error *err;\n    \
        return conductor_id_check(CONDUCTOR_STR(\"task\"), CONDUCTOR_STR(\"..\"), &err) == 0;\n}\n";
    let source = sandbox.work().join("leak.c");
    std::fs::write(&source, leaking).unwrap();
    let source = source.to_str().unwrap();
    let Some(program) = compile(&sandbox, &C, source, Link::Shared) else { return };
    let Some(valgrind) = tools::find("valgrind") else { return };
    let options = ["--leak-check=full", "--error-exitcode=99"];
    let finished = sandbox.program(valgrind).args(options).arg(program).run().expect_code(99);
    assert!(finished.stderr.contains("definitely lost"), "{}", finished.stderr);
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
