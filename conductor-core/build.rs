//! Compiles the keeper, a freestanding program, so that the core can embed it.
//!
//! It is built by the same rustc for the same target, but outside cargo: it has no
//! dependencies, and none of the flags, profiles or wrappers of the workspace must reach it, so
//! that the same sources give the same bytes in every profile and under every tool.
#![allow(clippy::expect_used, clippy::panic, reason = "a build script reports by panicking")]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = "src/sys/keeper";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rustc-check-cfg=cfg(keeper_embedded)");
    let out = PathBuf::from(var("OUT_DIR")).join("keeper");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let wide = env::var("CARGO_CFG_TARGET_POINTER_WIDTH").is_ok_and(|w| w == "64");
    if linux && wide && matches!(arch.as_str(), "x86_64" | "aarch64") {
        compile(&out);
        println!("cargo::rustc-cfg=keeper_embedded");
    } else {
        // `include_bytes!` needs a file; the missing cfg makes starting `Unsupported`.
        std::fs::write(&out, b"").expect("write an empty keeper");
    }
}

fn var(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name} for build scripts"))
}

fn compile(out: &Path) {
    let manifest = var("CARGO_MANIFEST_DIR");
    let mut remap = OsString::from("--remap-path-prefix=");
    remap.push(&manifest);
    remap.push("=.");
    let mut rustc = Command::new(var("RUSTC"));
    rustc
        .current_dir(&manifest)
        .arg(format!("{SOURCE}/main.rs"))
        .args(["--crate-name", "keeper", "--crate-type", "bin", "--edition", "2024"])
        .arg("--target")
        .arg(var("TARGET"))
        .arg(remap)
        .arg("-o")
        .arg(out);
    for option in [
        "panic=abort",
        "opt-level=z",
        "codegen-units=1",
        "debuginfo=0",
        "debug-assertions=off",
        "overflow-checks=off",
        "strip=symbols",
        "metadata=keeper",
        "force-unwind-tables=no",
        // At fixed addresses there is nothing to relocate at start.
        "relocation-model=static",
        "target-feature=+crt-static",
        "link-arg=-nostartfiles",
        "link-arg=-nostdlib",
        "link-arg=-static",
        "link-arg=-no-pie",
        "link-arg=-Wl,--build-id=none",
        "link-arg=-Wl,--no-eh-frame-hdr",
        "link-arg=-Wl,-z,noexecstack",
        "link-arg=-Wl,-z,norelro",
        "link-arg=-Wl,--gc-sections",
    ] {
        rustc.args(["-C", option]);
    }
    if env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "musl") {
        // There rustc would add its own start files.
        rustc.args(["-C", "link-self-contained=no"]);
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("linker=");
        option.push(linker);
        rustc.arg("-C").arg(option);
    }
    let output = rustc.output().expect("start rustc for the keeper");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the keeper does not compile:\n{text}");
    for line in text.lines() {
        println!("cargo::warning=keeper: {line}");
    }
}
