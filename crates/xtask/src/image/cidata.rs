//! NoCloud seeds: the disk on which cloud-init finds its configuration where there is no cloud.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::{packages, recipe, run};

/// Bytes of the disk; cloud-init's limit for user data is 16 KiB.
const SEED_BYTES: u64 = 1 << 20;

/// A FAT file system labelled `CIDATA` with these files.
pub fn cidata(user_data: &str, meta_data: &str, network_config: &str) -> anyhow::Result<PathBuf> {
    let files = [("user-data", user_data), ("meta-data", meta_data), ("network-config", network_config)];
    let folder = recipe::cached("cidata", &[user_data, meta_data, network_config], |folder| {
        packages::ensure(&["dosfstools", "mtools"])?;
        let disk = folder.join("seed.raw");
        File::create(&disk).and_then(|file| file.set_len(SEED_BYTES)).context("making the disk")?;
        run::quietly(Command::new("/sbin/mkfs.vfat").args(["-n", "CIDATA"]).arg(&disk))?;
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            run::quietly(Command::new("mcopy").arg("-i").arg(&disk).arg(&path).arg(format!("::{name}")))?;
        }
        Ok(())
    })?;
    Ok(folder.join("seed.raw"))
}
