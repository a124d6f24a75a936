//! Where things are in the repository and in its target folder. Everything generated lives below `target/`.

use std::path::PathBuf;

/// The root of the repository.
pub fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).map(PathBuf::from).unwrap_or(manifest)
}

/// The target folder: `CARGO_TARGET_DIR` if set, else `target`.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Images and kernels that `cargo xtask image` made, by the hash of their recipe.
pub fn images() -> PathBuf {
    target().join("images")
}
