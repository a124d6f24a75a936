//! Kernel and initramfs of the nested host, made once from Debian packages and the recipe in `images/host`. Called by
//! `host_vm`. A kept image keeps its kernel; delete its folder to take the newest one.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::Context;

use crate::cpio::Archive;
use crate::kernel::{self, Kernel};
use crate::progress::Step;
use crate::recipe;

const INIT: &str = include_str!("../../../../images/host/init");
const MODULES: &str = include_str!("../../../../images/host/modules");

/// Changed when this file makes something else of the same recipe.
const FORMAT: &str = "2";

/// The image's files.
pub struct Image {
    folder: PathBuf,
}

impl Image {
    /// The kernel for QEMU's `-kernel`: where possible the unpacked ELF, since unpacking is slow under TCG.
    pub fn kernel(&self) -> PathBuf {
        self.folder.join("kernel")
    }

    /// The initramfs.
    pub fn initramfs(&self) -> PathBuf {
        self.folder.join("initramfs")
    }

    /// What belongs at `/lib/modules`.
    pub fn modules(&self) -> PathBuf {
        self.folder.join("lib/modules")
    }
}

/// Finds the image or makes it.
pub fn image() -> anyhow::Result<Image> {
    let folder = recipe::cached("host", &[FORMAT, INIT, MODULES], |folder| {
        let unpacked = folder.join("unpacked");
        let kernel = kernel::unpack("linux-image-amd64", &unpacked)?;
        let busybox = kernel::busybox(&unpacked)?;
        let step = Step::new("making the nested host's initramfs");
        fs::write(folder.join("kernel"), kernel.unpacked()?).context("writing the kernel")?;
        let file = File::create(folder.join("initramfs")).context("making the initramfs")?;
        write_initramfs(BufWriter::new(file), &busybox, &kernel)?;
        fs::rename(unpacked.join("kernel/lib"), folder.join("lib")).context("moving the modules")?;
        fs::remove_dir_all(&unpacked).context("removing the unpacked packages")?;
        fs::write(folder.join("version"), &kernel.version).context("noting the version")?;
        step.done();
        Ok(())
    })?;
    Ok(Image { folder })
}

fn write_initramfs(file: impl std::io::Write, busybox: &[u8], kernel: &Kernel) -> anyhow::Result<()> {
    let mut archive = Archive::new(file);
    for folder in ["bin", "dev", "modules", "outer", "proc", "root", "scratch", "sys", "writes"] {
        archive.folder(folder)?;
    }
    archive.character_device("dev/console", (5, 1))?;
    archive.file("bin/busybox", 0o755, busybox)?;
    archive.file("init", 0o755, INIT.as_bytes())?;
    for (group, names) in groups(MODULES) {
        archive.folder(&format!("modules/{group}"))?;
        for (index, (name, contents)) in kernel.modules(&names)?.iter().enumerate() {
            archive.file(&format!("modules/{group}/{index:02}-{name}.ko"), 0o644, contents)?;
        }
    }
    let mut file = archive.finish()?;
    file.flush().context("writing the initramfs")
}

/// The groups of a list of modules with their names: one name a line, `[group]` before, `#` starts a comment.
fn groups(list: &str) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in list.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        match (line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')), groups.last_mut()) {
            (Some(group), _) => groups.push((group, Vec::new())),
            (None, Some((_, names))) if !line.is_empty() => names.push(line),
            _ => {}
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_modules_has_groups_and_comments() {
        assert_eq!(groups("# all\n[a]\nkvm # why\n\ntun\n[b]\n"), [("a", vec!["kvm", "tun"]), ("b", vec![])]);
        assert_eq!(groups(MODULES).len(), 3);
    }
}
