//! Programs in C and C++ over the installed library.

use crate::sandbox::Sandbox;
use crate::{artifacts, tools, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

const STRICT: [&str; 5] = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-g"];

/// How the program is linked with the library.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Link {
    /// With libconductor.so.
    Shared,
    /// With libconductor.a.
    Static,
}

/// A compiler and the language it shall take the source for.
#[derive(Debug)]
pub struct Compiler(&'static str, &'static [&'static str]);

/// C99 with POSIX.
pub const C: Compiler = Compiler("cc", &["-std=c99", "-D_POSIX_C_SOURCE=200809L"]);
/// The same, with the address and the undefined behaviour sanitizer.
pub const SANITIZED: Compiler = Compiler(
    "cc",
    &[
        "-std=c99",
        "-D_POSIX_C_SOURCE=200809L",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ],
);
/// C99, optimised.
pub const OPTIMISED: Compiler = Compiler("cc", &["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-O2"]);
/// C++17.
pub const CPP: Compiler = Compiler("c++", &["-x", "c++", "-std=c++17"]);

/// Where the library is installed for the tests of this sandbox.
pub fn prefix(sandbox: &Sandbox) -> PathBuf {
    let prefix = sandbox.folder("prefix");
    if !prefix.join("include/conductor.h").exists() {
        artifacts::install_c_library(&prefix);
    }
    prefix
}

/// What pkg-config says of the installed library.
fn flags(prefix: &Path, link: Link) -> Option<Vec<String>> {
    let mut command = Command::new(tools::find("pkg-config")?);
    command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    command.args(["--cflags", "--libs"]);
    command.arg(if link == Link::Shared { "conductor" } else { "conductor-static" });
    let output = tools::check(&mut command);
    let flags = String::from_utf8(output.stdout).expect("flags are text");
    Some(flags.split_whitespace().map(str::to_owned).collect())
}

/// A program made from `source` and the installed library; `None` where a tool is missing.
pub fn compile(
    sandbox: &Sandbox,
    compiler: &Compiler,
    source: &str,
    link: Link,
) -> Option<PathBuf> {
    compile_with(sandbox, compiler, source, link, &[])
}

/// As [`compile`], with more to link.
pub fn compile_with(
    sandbox: &Sandbox,
    compiler: &Compiler,
    source: &str,
    link: Link,
    more: &[&str],
) -> Option<PathBuf> {
    let (program, prefix) = (sandbox.folder("bin"), prefix(sandbox));
    let program = program.join(Path::new(source).file_stem()?);
    let mut command = Command::new(tools::find(compiler.0)?);
    command.args(compiler.1).args(STRICT).arg(workspace().join(source)).arg("-o").arg(&program);
    // The language of the source, not of the libraries.
    command.args(["-x", "none"]).args(flags(&prefix, link)?).arg("-lpthread").args(more);
    let mut rpath = std::ffi::OsString::from("-Wl,-rpath,");
    rpath.push(prefix.join("lib"));
    command.arg(rpath);
    tools::check(&mut command);
    Some(program)
}
