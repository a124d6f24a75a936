//! The tiny image: a stock Debian cloud kernel, an initrd with busybox and our init, and the same initrd with benchmark
//! programs in it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::cpio::Archive;
use crate::kernel::{self, Kernel, names};
use crate::progress::Step;
use crate::{packages, recipe};

const INIT: &str = include_str!("../../../../images/tiny/init");
const MODULES: &str = include_str!("../../../../images/tiny/modules");
const TOOLS: &str = include_str!("../../../../images/tiny/tools");

/// All that decides what is made; the number is changed when this file makes something else of the same recipe.
const RECIPE: &[&str] = &["1", INIT, MODULES, TOOLS];

/// The image's files.
pub struct Tiny {
    /// The kernel, a bzImage.
    pub kernel: PathBuf,
    /// The initrd.
    pub initrd: PathBuf,
    /// The initrd with benchmark programs.
    pub initrd_with_tools: PathBuf,
}

/// Finds the image or makes it.
pub fn tiny() -> anyhow::Result<Tiny> {
    let folder = recipe::cached("tiny", RECIPE, make)?;
    let path = |name| folder.join(name);
    Ok(Tiny { kernel: path("vmlinuz"), initrd: path("initrd"), initrd_with_tools: path("initrd-tools") })
}

/// Forgets it, so that it is made anew.
pub fn forget() -> anyhow::Result<()> {
    recipe::forget("tiny", RECIPE)
}

fn make(folder: &Path) -> anyhow::Result<()> {
    let unpacked = folder.join("unpacked");
    let kernel = kernel::unpack("linux-image-cloud-amd64", &unpacked)?;
    let busybox = kernel::busybox(&unpacked)?;
    let tools = tools()?;
    let step = Step::new("making the tiny image");
    write_initrd(&folder.join("initrd"), &kernel, &busybox, &[])?;
    write_initrd(&folder.join("initrd-tools"), &kernel, &busybox, &tools)?;
    fs::rename(&kernel.vmlinuz, folder.join("vmlinuz")).context("moving the kernel")?;
    fs::remove_dir_all(&unpacked).context("removing the unpacked packages")?;
    step.done();
    Ok(())
}

/// Writes an initrd, uncompressed: there is nothing slower in a boot than unpacking it.
fn write_initrd(path: &Path, kernel: &Kernel, busybox: &[u8], tools: &[PathBuf]) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    let mut folders =
        BTreeSet::from(["bin", "dev", "modules", "proc", "root", "sys", "tmp"].map(PathBuf::from));
    for tool in tools {
        folders.extend(relative(tool).ancestors().skip(1).map(Path::to_owned));
    }
    // In order, so that each comes before what is in it.
    for name in folders.iter().filter_map(|path| path.to_str()).filter(|name| !name.is_empty()) {
        archive.folder(name)?;
    }
    archive.character_device("dev/console", (5, 1))?;
    archive.file("bin/busybox", 0o755, busybox)?;
    archive.file("init", 0o755, INIT.as_bytes())?;
    for (index, (name, contents)) in kernel.modules(&names(MODULES))?.iter().enumerate() {
        archive.file(&format!("modules/{index:02}-{name}.ko"), 0o644, contents)?;
    }
    for tool in tools {
        let contents = fs::read(tool).with_context(|| format!("reading {}", tool.display()))?;
        archive.file(relative(tool).to_str().context("Debian's paths are UTF-8")?, 0o755, &contents)?;
    }
    archive.finish()?.flush().with_context(|| format!("writing {}", path.display()))
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// The benchmark programs, installed here, with the libraries they need.
fn tools() -> anyhow::Result<Vec<PathBuf>> {
    let lines = || names(TOOLS).into_iter().filter_map(|line| line.split_once(char::is_whitespace));
    packages::ensure(&lines().map(|(package, _)| package).collect::<Vec<_>>())?;
    let mut files = BTreeSet::new();
    for (_, program) in lines() {
        let program = PathBuf::from(program.trim());
        let output = Command::new("ldd").arg(&program).output().context("running ldd")?;
        ensure!(output.status.success(), "{} is no program that ldd knows", program.display());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // Lines are `libc.so.6 => /lib/…/libc.so.6 (0x…)`, or only the path for the loader.
        files.extend(text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from));
        files.insert(program);
    }
    Ok(files.into_iter().collect())
}
