//! Gives the shared library its SONAME, which cargo does not do by itself.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // The number is CONDUCTOR_ABI_VERSION; a test of the built library holds the two together.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libconductor.so.1");
    }
}
