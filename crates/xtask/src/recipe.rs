//! Things made once from a recipe and kept below `target/images` by the recipe's hash. An interrupted maker leaves
//! nothing behind that looks finished, and of two makers at the same time the second waits for the first.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use crate::tree;

/// The folder with what `make` made of `recipe`; calls `make` with an empty folder if there is none yet.
pub fn cached(
    name: &str,
    recipe: &[&str],
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let folder = place(name, recipe);
    if folder.exists() {
        return Ok(folder);
    }
    let parent = tree::images();
    fs::create_dir_all(&parent).with_context(|| format!("making {}", parent.display()))?;
    let path = parent.join(format!(".{name}.lock"));
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    let _lock = Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("locking {}", path.display()))?;
    if folder.exists() {
        return Ok(folder);
    }
    remove_unfinished(&parent, name)?;
    let work = tempfile::Builder::new().prefix(&format!(".{name}-")).tempdir_in(&parent);
    let work = work.context("making a work folder")?;
    make(work.path()).with_context(|| format!("making the image {name}"))?;
    let work = work.keep();
    fs::rename(&work, &folder).with_context(|| format!("moving the image to {}", folder.display()))?;
    Ok(folder)
}

/// Removes what makers of this image left that were killed. Call it with the lock held: then none is at work.
fn remove_unfinished(parent: &Path, name: &str) -> anyhow::Result<()> {
    for entry in parent.read_dir().with_context(|| format!("listing {}", parent.display()))? {
        let path = entry.with_context(|| format!("listing {}", parent.display()))?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if file.starts_with(&format!(".{name}-")) {
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Removes what was made of `recipe`, so that it is made anew.
pub fn forget(name: &str, recipe: &[&str]) -> anyhow::Result<()> {
    let folder = place(name, recipe);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    Ok(())
}

fn place(name: &str, recipe: &[&str]) -> PathBuf {
    let mut hash = Sha256::new();
    for part in recipe {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    tree::images().join(format!("{name}-{hash}"))
}
