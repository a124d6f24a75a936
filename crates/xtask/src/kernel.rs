//! Debian's kernel packages: their kernel and their modules, in the form in which they load fastest. Called by the makers
//! of images. Installs no kernel: the package is only unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::packages;

/// An unpacked kernel package.
pub struct Kernel {
    /// Its version, as `uname -r` says.
    pub version: String,
    /// The kernel, a bzImage.
    pub vmlinuz: PathBuf,
    /// The folder of its modules, with the files that depmod makes.
    pub modules: PathBuf,
}

/// Unpacks the newest kernel that `metapackage` (as in `linux-image-amd64`) depends on below `folder`.
pub fn unpack(metapackage: &str, folder: &Path) -> anyhow::Result<Kernel> {
    packages::ensure(&["kmod", "xz-utils", "zstd"])?;
    let depended = packages::dependencies(metapackage)?;
    let package = depended.iter().find(|name| name.starts_with("linux-image-"));
    let package = package.with_context(|| format!("{metapackage} depends on no kernel package"))?;
    packages::download(package, folder)?;
    let version = package.trim_start_matches("linux-image-").to_owned();

    // Debian 13 has it below /usr; programs of either look for the one or the other.
    let modules = ["lib/modules", "usr/lib/modules"].map(|path| folder.join(path));
    let modules = modules.iter().find(|path| path.exists()).context("the kernel package has no modules")?;
    let root = folder.join("kernel");
    fs::create_dir_all(root.join("lib")).context("making a folder for modules")?;
    fs::rename(modules, root.join("lib/modules")).context("moving the modules")?;
    std::os::unix::fs::symlink(".", root.join("usr")).context("making usr")?;
    let depmod = Command::new("/sbin/depmod").arg("-b").arg(&root).arg(&version).status();
    ensure!(depmod.context("running depmod")?.success(), "depmod failed");
    let vmlinuz = folder.join("boot").join(format!("vmlinuz-{version}"));
    Ok(Kernel { modules: root.join("lib/modules").join(&version), vmlinuz, version })
}

impl Kernel {
    /// The kernel as an ELF file where it is packed with zstd, as Debian's are; else as it is. Unpacking is slow under
    /// emulation.
    pub fn unpacked(&self) -> anyhow::Result<Vec<u8>> {
        let compressed =
            fs::read(&self.vmlinuz).with_context(|| format!("reading {}", self.vmlinuz.display()))?;
        unpack_kernel(&compressed)
    }

    /// Names and contents of the wanted modules and of all they depend on, in the order in which they must be loaded.
    /// Unpacked and without signatures.
    pub fn modules(&self, wanted: &[&str]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let read = |name: &str| {
            let path = self.modules.join(name);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        let (dependencies, builtin) = (read("modules.dep")?, read("modules.builtin")?);
        let mut modules = Vec::new();
        for path in load_order(&dependencies, &builtin, wanted)? {
            let contents = fs::read(self.modules.join(path)).with_context(|| format!("reading {path}"))?;
            let contents = if path.ends_with(".xz") { decompress("xz", &contents)? } else { contents };
            modules.push((module_name(path), unsigned(&contents).to_vec()));
        }
        Ok(modules)
    }
}

/// The busybox of Debian, linked statically, unpacked below `folder`.
pub fn busybox(folder: &Path) -> anyhow::Result<Vec<u8>> {
    packages::download("busybox-static", folder)?;
    let busybox = ["bin/busybox", "usr/bin/busybox"].map(|path| folder.join(path));
    let busybox = busybox.iter().find(|path| path.exists()).context("busybox-static has no busybox")?;
    fs::read(busybox).context("reading busybox")
}

/// The names of a list of modules: one a line, `#` starts a comment.
pub fn names(list: &str) -> Vec<&str> {
    list.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect()
}

/// The ELF within a bzImage packed with zstd; any other kernel as it is. Offsets are those of the x86 boot protocol.
fn unpack_kernel(image: &[u8]) -> anyhow::Result<Vec<u8>> {
    let word = |at: usize| -> anyhow::Result<usize> {
        let bytes = image.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        Ok(u32::from_le_bytes(bytes.context("the kernel image is too short")?) as usize)
    };
    let setup_sectors = word(0x1f1)? & 0xff;
    let start = (setup_sectors + 1) * 512 + word(0x248)?;
    let payload = image.get(start..start + word(0x24c)?).context("the kernel image is too short")?;
    if !payload.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok(image.to_vec());
    }
    // The last four bytes are the unpacked size, for the kernel's own unpacker.
    let packed = payload.split_last_chunk::<4>().context("the kernel image is too short")?.0;
    decompress("zstd", packed)
}

/// Runs `zstd -dc` or `xz -dc`.
fn decompress(program: &str, packed: &[u8]) -> anyhow::Result<Vec<u8>> {
    use std::io::{Seek, Write};
    let mut input = tempfile::tempfile().context("making a temporary file")?;
    input.write_all(packed).and_then(|()| input.rewind()).context("writing a temporary file")?;
    let output = Command::new(program).arg("-dc").stdin(input).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("running {program}"))?;
    ensure!(output.status.success(), "{program} failed");
    Ok(output.stdout)
}

/// A module without the signature at its end, which takes seconds to check under TCG. After the signature come its
/// length, as the last field of a description of twelve bytes, and a fixed text.
fn unsigned(module: &[u8]) -> &[u8] {
    let without = || {
        let rest = module.strip_suffix(b"~Module signature appended~\n")?;
        let (rest, length) = rest.split_last_chunk::<4>()?;
        let signed = rest.len().checked_sub(8)?.checked_sub(u32::from_be_bytes(*length) as usize)?;
        rest.get(..signed)
    };
    without().unwrap_or(module)
}

/// Files of the wanted modules and of all they depend on, each once and after what it depends on. `dependencies` is
/// depmod's modules.dep, in which each line has all dependencies, direct or not, the last to be loaded first.
fn load_order<'a>(dependencies: &'a str, builtin: &str, wanted: &[&str]) -> anyhow::Result<Vec<&'a str>> {
    let mut order: Vec<&str> = Vec::new();
    for name in wanted {
        let line = dependencies.lines().filter_map(|line| line.split_once(':'));
        let Some((path, depended)) = line.into_iter().find(|(path, _)| module_name(path) == *name) else {
            if builtin.lines().any(|path| module_name(path) == *name) {
                continue;
            }
            bail!("the kernel has no module {name}");
        };
        for path in depended.split_whitespace().rev().chain([path]) {
            if !order.contains(&path) {
                order.push(path);
            }
        }
    }
    Ok(order)
}

/// A module's name from its path; the kernel writes `_` where file names may have `-`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/arch/x86/kvm/kvm.ko.xz: kernel/virt/lib/irqbypass.ko.xz
kernel/arch/x86/kvm/kvm-amd.ko.xz: kernel/drivers/ccp.ko.xz kernel/arch/x86/kvm/kvm.ko.xz kernel/virt/lib/irqbypass.ko.xz
kernel/virt/lib/irqbypass.ko.xz:
kernel/drivers/ccp.ko.xz:
";

    #[test]
    fn modules_come_after_what_they_depend_on() {
        let order = load_order(DEPENDENCIES, "", &["kvm", "kvm_amd"]).expect("all there");
        let names: Vec<String> = order.iter().map(|path| module_name(path)).collect();
        assert_eq!(names, ["irqbypass", "kvm", "ccp", "kvm_amd"]);
    }

    #[test]
    fn built_in_modules_are_left_out_and_unknown_ones_refused() {
        let builtin = "kernel/fs/ext4/ext4.ko\n";
        assert_eq!(load_order(DEPENDENCIES, builtin, &["ext4", "ccp"]).expect("known").len(), 1);
        assert!(load_order(DEPENDENCIES, builtin, &["nosuch"]).is_err());
    }

    #[test]
    fn signatures_are_cut_off() {
        let module = b"ELF..SIGNATURE--description-here--";
        let mut signed = b"ELF..SIGN".to_vec();
        signed.extend([0; 8]);
        signed.extend(4_u32.to_be_bytes());
        signed.extend(b"~Module signature appended~\n");
        assert_eq!(unsigned(&signed), b"ELF..");
        assert_eq!(unsigned(module), module);
        assert_eq!(unsigned(b"\xff\xff\xff\xff~Module signature appended~\n").len(), 32);
    }

    #[test]
    fn a_kernel_that_is_no_bzimage_is_refused() {
        assert!(unpack_kernel(&[0; 100]).is_err());
    }
}
