//! Which bothy-vmm the tests run: the one named in `BOTHY_VMM`, else one built for them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program's path. Built at most once per process, by the cargo that runs the tests.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("BOTHY_VMM") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "vmm", "--bin", "bothy-vmm"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs these tests, so it is there");
    assert!(status.success(), "bothy-vmm does not build");
    // This program is at target/debug/deps/micro-….
    let test = std::env::current_exe().expect("the test program has a path");
    test.ancestors().nth(2).expect("it is in target/debug/deps").join("bothy-vmm")
}
