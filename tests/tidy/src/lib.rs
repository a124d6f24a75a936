//! What the tests of the repository's rules share: its files and cargo's view of it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// All files that belong to the repository, relative to its root: those that git knows or would take.
pub fn files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is there");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).expect("our paths are UTF-8");
    // A file that was removed and not yet committed is still listed.
    text.lines().map(PathBuf::from).filter(|path| root().join(path).exists()).collect()
}

/// The files with this extension, with their text.
pub fn texts(extension: &str) -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(root().join(&path)).expect("our files are UTF-8");
        (path, text)
    };
    files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(read)
        .collect()
}

/// What `cargo metadata` says of the workspace's own crates.
pub fn metadata() -> serde_json::Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs these tests, so it is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}
