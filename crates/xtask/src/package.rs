//! `cargo xtask package`: a Debian package of the three programs, the daemon's unit and its configuration.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::progress::Step;
use crate::{build, packages, tree};

/// Makes a Debian package: bothy, bothyd and bothy-vmm, a systemd unit, a configuration.
///
/// It is written to target/package. Installed with apt, the daemon starts; removed, nothing is left running, and purged,
/// nothing is left at all.
#[derive(clap::Args)]
pub struct Arguments {}

/// What the programs need on a host that is not there on each.
const DEPENDS: &str = "libc6, nftables, e2fsprogs, adduser";

/// Makes it, and says where.
pub fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    println!("{}", package()?.display());
    Ok(ExitCode::SUCCESS)
}

/// Makes the package.
pub fn package() -> anyhow::Result<PathBuf> {
    packages::ensure(&["dpkg"])?;
    let programs = build::programs()?;
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
    put(&ours.join("bothyd.service"), &stage.join("lib/systemd/system/bothyd.service"), 0o644)?;
    put(&ours.join("bothyd.toml"), &stage.join("etc/bothy/bothyd.toml"), 0o644)?;
    put(&tree::root().join("README.md"), &stage.join("usr/share/doc/bothy/README.md"), 0o644)?;
    put(&tree::root().join("LICENSE"), &stage.join("usr/share/doc/bothy/copyright"), 0o644)?;
    completions(&programs.bothy, &stage)?;
    for script in ["postinst", "prerm", "postrm"] {
        put(&ours.join(script), &stage.join("DEBIAN").join(script), 0o755)?;
    }
    let version = env!("CARGO_PKG_VERSION");
    let control = format!(
        "Package: bothy\nVersion: {version}\nArchitecture: amd64\nMaintainer: the bothy authors <bothy@localhost>\n\
         Section: admin\nPriority: optional\nDepends: {DEPENDS}\n\
         Description: compute node that runs instances as KVM virtual machines\n \
         bothyd runs instances on this host, each in a small VMM of its own, and serves\n \
         instance APIs; bothy is the command line.\n"
    );
    std::fs::write(stage.join("DEBIAN/control"), control).context("writing the control file")?;
    std::fs::write(stage.join("DEBIAN/conffiles"), "/etc/bothy/bothyd.toml\n")
        .context("writing conffiles")?;
    let deb = folder.join(format!("bothy_{version}_amd64.deb"));
    let built =
        Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&stage).arg(&deb).output();
    let built = built.context("running dpkg-deb")?;
    ensure!(built.status.success(), "dpkg-deb failed: {}", String::from_utf8_lossy(&built.stderr));
    step.done();
    Ok(deb)
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
