//! `cargo xtask package`: a Debian package of the three programs, the daemon's unit and its configuration.

mod check;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::build::Programs;
use crate::progress::Step;
use crate::{build, packages, tree};

/// Makes a Debian package: bothy, bothyd and bothy-vmm, a systemd unit, a configuration.
///
/// It is written to target/package. Installed with apt, the daemon starts; removed, nothing is left running, and purged,
/// nothing is left at all.
#[derive(clap::Args)]
pub struct Arguments {
    /// Pack the programs of this folder, instead of building them as they would be installed
    #[arg(long, value_name = "FOLDER", hide = true)]
    programs: Option<PathBuf>,
    /// Also install, upgrade, remove and purge it in a fresh Debian, and look at what that does
    #[arg(long)]
    check: bool,
}

/// What the programs need on a host that is not there on each.
const DEPENDS: &str = "nftables, e2fsprogs, adduser";

/// Where the licence is on a Debian.
const COPYRIGHT: &str =
    "Copyright: the bothy authors\nLicence: Apache-2.0, see /usr/share/common-licenses/Apache-2.0\n";

/// Makes it, and says where.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    packages::ensure(&["dpkg"])?;
    let programs = match &arguments.programs {
        Some(folder) => Programs {
            bothy: folder.join("bothy"),
            bothyd: folder.join("bothyd"),
            vmm: folder.join("bothy-vmm"),
        },
        None => build::programs()?,
    };
    let deb = package(&programs)?;
    if arguments.check {
        check::run(&deb)?;
    }
    println!("{}", deb.display());
    Ok(ExitCode::SUCCESS)
}

fn package(programs: &Programs) -> anyhow::Result<PathBuf> {
    let step = Step::new("packing");
    let folder = tree::target().join("package");
    let stage = folder.join("stage");
    if stage.exists() {
        std::fs::remove_dir_all(&stage).context("removing an older package's files")?;
    }
    let ours = tree::root().join("api/daemon/package");
    for program in [&programs.bothy, &programs.bothyd, &programs.vmm] {
        let name = program.file_name().context("a program has a name")?;
        put(program, &stage.join("usr/bin").join(name), 0o755)?;
    }
    put(&ours.join("bothyd.service"), &stage.join("usr/lib/systemd/system/bothyd.service"), 0o644)?;
    put(&ours.join("bothyd.toml"), &stage.join("etc/bothy/bothyd.toml"), 0o644)?;
    put(&tree::root().join("README.md"), &stage.join("usr/share/doc/bothy/README.md"), 0o644)?;
    std::fs::write(stage.join("usr/share/doc/bothy/copyright"), COPYRIGHT)
        .context("writing the copyright")?;
    std::fs::set_permissions(stage.join("etc/bothy"), std::fs::Permissions::from_mode(0o700))
        .context("closing the configuration's folder")?;
    completions(&programs.bothy, &stage)?;
    for script in ["postinst", "prerm", "postrm"] {
        put(&ours.join(script), &stage.join("DEBIAN").join(script), 0o755)?;
    }
    let version = env!("CARGO_PKG_VERSION");
    let libc = needed_libc(&[&programs.bothy, &programs.bothyd, &programs.vmm])?;
    let installed_kib = size(&stage)?.div_ceil(1024);
    let control = format!(
        "Package: bothy\nVersion: {version}\nArchitecture: amd64\nMaintainer: the bothy authors <bothy@localhost>\n\
         Section: admin\nPriority: optional\nInstalled-Size: {installed_kib}\n\
         Depends: libc6 (>= {libc}), {DEPENDS}\n\
         Description: compute node that runs instances as KVM virtual machines\n \
         bothyd runs instances on this host, each in a small VMM of its own, and serves\n \
         instance APIs; bothy is the command line.\n"
    );
    std::fs::write(stage.join("DEBIAN/control"), control).context("writing the control file")?;
    std::fs::write(stage.join("DEBIAN/conffiles"), "/etc/bothy/bothyd.toml\n")
        .context("writing conffiles")?;
    let deb = folder.join(format!("bothy_{version}_amd64.deb"));
    // The default packs a little smaller, and takes minutes for it.
    let mut pack = Command::new("dpkg-deb");
    pack.args(["--root-owner-group", "-Zxz", "-z1", "--build"]).arg(&stage).arg(&deb);
    let built = pack.output().context("running dpkg-deb")?;
    ensure!(built.status.success(), "dpkg-deb failed: {}", String::from_utf8_lossy(&built.stderr));
    step.done();
    Ok(deb)
}

/// The oldest libc that has all that the programs take from it.
fn needed_libc(programs: &[&PathBuf]) -> anyhow::Result<String> {
    const PREFIX: &[u8] = b"GLIBC_2.";
    let mut newest = 0;
    for program in programs {
        let bytes = std::fs::read(program).with_context(|| format!("reading {}", program.display()))?;
        // The names of symbols' versions are in the file as they are.
        for (at, _) in bytes.windows(PREFIX.len()).enumerate().filter(|(_, text)| *text == PREFIX) {
            let digits = bytes[at + PREFIX.len()..].iter().take_while(|byte| byte.is_ascii_digit()).take(3);
            let minor = digits.fold(0, |minor, digit| minor * 10 + u32::from(digit - b'0'));
            newest = newest.max(minor);
        }
    }
    ensure!(newest > 0, "the programs take nothing from libc, which cannot be");
    Ok(format!("2.{newest}"))
}

/// Bytes of all files in a folder.
fn size(folder: &Path) -> anyhow::Result<u64> {
    let reading = || format!("reading {}", folder.display());
    let mut bytes = 0;
    for entry in folder.read_dir().with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let metadata = entry.metadata().with_context(reading)?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

fn put(from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
    let doing = || format!("copying {} to {}", from.display(), to.display());
    std::fs::create_dir_all(to.parent().context("a file is in a folder")?).with_context(doing)?;
    std::fs::copy(from, to).with_context(doing)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode)).with_context(doing)
}

fn completions(bothy: &Path, stage: &Path) -> anyhow::Result<()> {
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/bothy"),
        ("zsh", "usr/share/zsh/vendor-completions/_bothy"),
        ("fish", "usr/share/fish/vendor_completions.d/bothy.fish"),
    ] {
        let output = Command::new(bothy).args(["completion", shell]).output().context("running bothy")?;
        ensure!(output.status.success(), "bothy completion {shell} failed");
        let to = stage.join(path);
        std::fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
        std::fs::write(&to, output.stdout).with_context(|| format!("writing {}", to.display()))?;
    }
    Ok(())
}
