//! Finds out whether GMP can be linked: `libgmp-dev` and a C compiler are there.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(gmp)");
    let folder = env::var("OUT_DIR").expect("cargo sets it");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-o"]).arg(Path::new(&folder).join("probe.so")).args(["-x", "c", "/dev/null", "-lgmp"]);
    if compiler.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("cargo::rustc-cfg=gmp");
    }
}
