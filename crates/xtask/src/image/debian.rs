//! The Debian image: Debian 12 as a cloud would ship it, on one raw GPT disk with an ext4 root. Made by mmdebstrap and
//! mke2fs, which need neither a loop device nor a mount.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::kernel::names;
use crate::progress::Step;
use crate::run::{quietly, watched};
use crate::{packages, recipe};

const PACKAGES: &str = include_str!("../../../../images/debian/packages");
const CUSTOMIZE: &str = include_str!("../../../../images/debian/customize");

/// All that decides what is made; the number is changed when this file makes something else of the same recipe.
const RECIPE: &[&str] = &["2", PACKAGES, CUSTOMIZE];

const RELEASE: &str = "bookworm";

// The layout of Debian's own cloud images: a BIOS boot partition, an ESP, and the root behind them, which can grow.
const SECTOR_BYTES: u64 = 512;
const DISK_MIB: u64 = 1024;
const BIOS_SECTORS: (u64, u64) = (2048, 6144);
const ESP_SECTORS: (u64, u64) = (8192, 253_952);
const ROOT_FIRST_SECTOR: u64 = 262_144;
/// The backup of the partition table takes the last sectors; the root ends at a whole MiB before it.
const ROOT_MIB: u64 = DISK_MIB - ROOT_FIRST_SECTOR * SECTOR_BYTES / (1 << 20) - 1;

const ROOT_PARTUUID: &str = "b0781e01-0001-4000-8000-000000000001";
const ESP_PARTUUID: &str = "b0781e01-0015-4000-8000-000000000001";
const ROOT_UUID: &str = "b0781e01-1001-4000-8000-000000000001";

/// Finds the image or makes it.
pub fn debian() -> anyhow::Result<PathBuf> {
    Ok(recipe::cached("debian", RECIPE, make)?.join("debian.raw"))
}

/// Forgets it, so that it is made anew.
pub fn forget() -> anyhow::Result<()> {
    recipe::forget("debian", RECIPE)
}

fn make(folder: &Path) -> anyhow::Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "making the Debian image needs root: run this once with sudo -E"
    );
    packages::ensure(&["dosfstools", "e2fsprogs", "fdisk", "mmdebstrap"])?;
    let root = folder.join("root");
    let step = Step::new("installing Debian into a folder");
    install(folder, &root, &step)?;
    step.done();

    let step = Step::new("making the disk");
    let disk = folder.join("debian.raw");
    File::create(&disk).and_then(|file| file.set_len(DISK_MIB << 20)).context("making the disk")?;
    partition(folder, &disk)?;
    quietly(
        Command::new("/sbin/mkfs.vfat")
            .args(["-F", "16", "-n", "ESP", "--offset", &ESP_SECTORS.0.to_string()])
            .arg(&disk)
            .arg((ESP_SECTORS.1 / 2).to_string()),
    )?;
    let offset = format!("offset={}", ROOT_FIRST_SECTOR * SECTOR_BYTES);
    quietly(
        Command::new("/sbin/mke2fs")
            .args(["-q", "-F", "-t", "ext4", "-L", "root", "-U", ROOT_UUID, "-E", &offset, "-d"])
            .arg(&root)
            .arg(&disk)
            .arg(format!("{ROOT_MIB}M")),
    )?;
    fs::remove_dir_all(&root).context("removing the folder that Debian was installed into")?;
    step.done();
    Ok(())
}

fn install(folder: &Path, root: &Path, step: &Step) -> anyhow::Result<()> {
    let hook = folder.join("customize");
    fs::write(&hook, CUSTOMIZE).context("writing the hook")?;
    let sources = folder.join("sources.list");
    fs::write(&sources, packages::release_sources(RELEASE)?).context("writing apt's sources")?;
    watched(
        Command::new("mmdebstrap")
            .args(["--mode=root", "--variant=minbase", "--format=directory"])
            .arg(format!("--include={}", names(PACKAGES).join(",")))
            .arg(format!("--customize-hook=sh {} \"$1\"", hook.display()))
            .arg(RELEASE)
            .arg(root)
            .arg(&sources)
            .env("ROOT_PARTUUID", ROOT_PARTUUID)
            .env("ESP_PARTUUID", ESP_PARTUUID)
            .env("ROOT_UUID", ROOT_UUID),
        step,
    )
}

fn partition(folder: &Path, disk: &Path) -> anyhow::Result<()> {
    let table = folder.join("partitions");
    let (bios, esp) = (BIOS_SECTORS, ESP_SECTORS);
    let root_sectors = ROOT_MIB * (1 << 20) / SECTOR_BYTES;
    let text = format!(
        "label: gpt\n\
         1: start={ROOT_FIRST_SECTOR}, size={root_sectors}, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid={ROOT_PARTUUID}\n\
         14: start={}, size={}, type=21686148-6449-6E6F-744E-656564454649\n\
         15: start={}, size={}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid={ESP_PARTUUID}\n",
        bios.0, bios.1, esp.0, esp.1
    );
    fs::write(&table, text).context("writing the partition table")?;
    let input = File::open(&table).context("opening the partition table")?;
    let output =
        Command::new("/sbin/sfdisk").arg("--quiet").arg(disk).stdin(input).stdout(Stdio::null()).output();
    let output = output.context("running sfdisk")?;
    ensure!(output.status.success(), "sfdisk failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
