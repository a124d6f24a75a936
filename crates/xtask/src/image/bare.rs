//! What images that are bare file systems need of the host, as those of EC2's first years: a stock Debian cloud kernel, and an
//! initrd that gives the disks their names of then. And such an image, as small as can be, for tests.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::cpio::Archive;
use crate::kernel::{self, Kernel, names};
use crate::progress::Step;
use crate::run::quietly;
use crate::{packages, recipe};

const INIT: &str = include_str!("../../../../images/bare/init");
const MODULES: &str = include_str!("../../../../images/bare/modules");
const GUEST_INIT: &str = include_str!("../../../../images/bare/guest/init");
const GUEST_FSTAB: &str = include_str!("../../../../images/bare/guest/fstab");

/// All that decides what is made; the number is changed when this file makes something else of the same recipe.
const RECIPE: &[&str] = &["1", INIT, MODULES, GUEST_INIT, GUEST_FSTAB];

/// Size of the guest's file system.
const GUEST_MIB: u64 = 32;
/// Folders that a guest of 2007 has besides those with something in them.
const GUEST_FOLDERS: &[&str] = &["dev", "mnt", "proc", "sys", "tmp"];

/// The image's files.
pub struct Bare {
    /// The kernel, a bzImage.
    pub kernel: PathBuf,
    /// The initrd.
    pub initrd: PathBuf,
    /// A guest for tests: an ext3 file system and nothing around it.
    pub guest: PathBuf,
}

/// Finds them or makes them.
pub fn bare() -> anyhow::Result<Bare> {
    let folder = recipe::cached("bare", RECIPE, make)?;
    let path = |name| folder.join(name);
    Ok(Bare { kernel: path("vmlinuz"), initrd: path("initrd"), guest: path("guest.ext3") })
}

/// Forgets them, so that they are made anew.
pub fn forget() -> anyhow::Result<()> {
    recipe::forget("bare", RECIPE)
}

fn make(folder: &Path) -> anyhow::Result<()> {
    packages::ensure(&["e2fsprogs"])?;
    let unpacked = folder.join("unpacked");
    let kernel = kernel::unpack("linux-image-cloud-amd64", &unpacked)?;
    let busybox = kernel::busybox(&unpacked)?;
    let step = Step::new("making what bare file systems boot with");
    write_initrd(&folder.join("initrd"), &kernel, &busybox)?;
    write_guest(folder, &busybox)?;
    fs::rename(&kernel.vmlinuz, folder.join("vmlinuz")).context("moving the kernel")?;
    fs::remove_dir_all(&unpacked).context("removing the unpacked packages")?;
    step.done();
    Ok(())
}

/// Writes the initrd, uncompressed: there is nothing slower in a boot than unpacking it.
fn write_initrd(path: &Path, kernel: &Kernel, busybox: &[u8]) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    for name in BTreeSet::from(["bin", "dev", "modules", "proc", "root", "run", "sys"]) {
        archive.folder(name)?;
    }
    archive.character_device("dev/console", (5, 1))?;
    archive.file("bin/busybox", 0o755, busybox)?;
    archive.file("init", 0o755, INIT.as_bytes())?;
    for (index, (name, contents)) in kernel.modules(&names(MODULES))?.iter().enumerate() {
        archive.file(&format!("modules/{index:02}-{name}.ko"), 0o644, contents)?;
    }
    archive.finish()?.flush().with_context(|| format!("writing {}", path.display()))
}

fn write_guest(folder: &Path, busybox: &[u8]) -> anyhow::Result<()> {
    let root = folder.join("guest");
    for name in GUEST_FOLDERS {
        fs::create_dir_all(root.join(name)).context("making a folder of the guest's")?;
    }
    let files: [(&str, u32, &[u8]); 3] = [
        ("bin/busybox", 0o755, busybox),
        ("sbin/init", 0o755, GUEST_INIT.as_bytes()),
        ("etc/fstab", 0o644, GUEST_FSTAB.as_bytes()),
    ];
    for (name, mode, contents) in files {
        let path = root.join(name);
        let above = path.parent().context("a file is in a folder")?;
        fs::create_dir_all(above)
            .and_then(|()| fs::write(&path, contents))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    let disk = folder.join("guest.ext3");
    File::create(&disk).and_then(|file| file.set_len(GUEST_MIB << 20)).context("making the guest's disk")?;
    quietly(
        Command::new("/sbin/mke2fs")
            .args(["-q", "-F", "-t", "ext3", "-E", "root_owner=0:0", "-d"])
            .arg(&root)
            .arg(&disk),
    )?;
    fs::remove_dir_all(&root).context("removing the folder with the guest's files")
}
