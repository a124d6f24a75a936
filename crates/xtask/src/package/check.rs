//! `cargo xtask package --check`: the package in a fresh Debian, where it is installed, installed over itself, removed and
//! purged. What each leaves is compared with what dpkg's rules say. There is no systemd at work in there: what it would do is
//! told by links and by `systemd-analyze verify`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};

use crate::progress::Step;
use crate::run::{quietly, watched};
use crate::{packages, recipe};

/// A Debian with what the package depends on.
const RELEASE: &str = "bookworm";
const INCLUDE: &str = "adduser,e2fsprogs,nftables,systemd";

const CONFIGURATION: &str = "etc/bothy/bothyd.toml";
const ENABLED: &str = "etc/systemd/system/multi-user.target.wants/bothyd.service";

/// What dpkg, adduser and systemd's helper note for themselves.
const NOTES: &[&str] = &[
    "var/lib/dpkg/",
    "var/log/",
    "var/cache/",
    "var/lib/systemd/deb-systemd-helper-",
    "run/adduser",
    "run/systemd",
];

/// Checks the package.
pub fn run(deb: &Path) -> anyhow::Result<()> {
    packages::ensure(&["mmdebstrap", "util-linux"])?;
    let base = recipe::cached("package-check", &["1", RELEASE, INCLUDE], make)?;
    let step = Step::new("installing, upgrading, removing and purging the package");
    let folder = tempfile::Builder::new().prefix("package").tempdir().context("making a folder")?;
    let root = Root { path: folder.path().join("root") };
    std::fs::create_dir(&root.path).context("making a folder")?;
    quietly(Command::new("tar").arg("-xf").arg(base.join("base.tar")).arg("-C").arg(&root.path))?;
    std::fs::copy(deb, root.path.join("bothy.deb")).context("copying the package")?;
    let before = root.files()?;

    root.succeed(["dpkg", "--install", "/bothy.deb"])?;
    for program in ["bothy", "bothyd", "bothy-vmm"] {
        root.succeed([program, "--version"])?;
    }
    root.succeed(["bothyd", "check-config"])?;
    root.succeed(["getent", "group", "bothy"])?;
    root.succeed(["systemd-analyze", "verify", "bothyd.service"])?;
    root.expect(ENABLED, true)?;

    // What the administrator and the daemon did outlives an upgrade and a removal.
    let edited = "region = \"mine\"\n";
    std::fs::write(root.path.join(CONFIGURATION), edited).context("editing the configuration")?;
    std::fs::create_dir_all(root.path.join("var/lib/bothy/volumes")).context("making a state folder")?;
    root.succeed(["systemctl", "disable", "bothyd.service"])?;
    root.succeed(["dpkg", "--install", "/bothy.deb"])?;
    root.expect(ENABLED, false)?;
    root.succeed(["dpkg", "--remove", "bothy"])?;
    root.expect("usr/bin/bothyd", false)?;
    root.expect("var/lib/bothy/volumes", true)?;
    let kept = std::fs::read_to_string(root.path.join(CONFIGURATION)).unwrap_or_default();
    ensure!(kept == edited, "the edited configuration was not kept, but is now {kept:?}");

    root.succeed(["dpkg", "--install", "/bothy.deb"])?;
    root.succeed(["dpkg", "--purge", "bothy"])?;
    let after = root.files()?;
    let left: Vec<_> = after.symmetric_difference(&before).collect();
    ensure!(left.is_empty(), "a purge leaves or takes {left:?}");
    ensure!(!root.run(["getent", "group", "bothy"])?.status.success(), "a purge leaves the group");
    step.done();
    Ok(())
}

fn make(folder: &Path) -> anyhow::Result<()> {
    let step = Step::new("installing a Debian to check the package in");
    let sources = folder.join("sources.list");
    std::fs::write(&sources, packages::release_sources(RELEASE)?).context("writing apt's sources")?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--mode=root", "--variant=minbase", &format!("--include={INCLUDE}"), RELEASE]);
    watched(command.arg(folder.join("base.tar")).arg(&sources), &step)?;
    step.done();
    Ok(())
}

/// A Debian in a folder.
struct Root {
    path: PathBuf,
}

impl Root {
    /// Runs a program in it, with processes and a network of its own: a removal clears its host.
    fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, program: I) -> anyhow::Result<Output> {
        let mut command = Command::new("unshare");
        let mut proc = std::ffi::OsString::from("--mount-proc=");
        proc.push(self.path.join("proc"));
        command.args(["--net", "--pid", "--fork", "--mount"]).arg(proc).arg("chroot").arg(&self.path);
        command.args(program).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().context("running unshare")
    }

    fn succeed<const N: usize>(&self, program: [&str; N]) -> anyhow::Result<()> {
        let output = self.run(program)?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "{} failed: {}", program.join(" "), String::from_utf8_lossy(&said));
        Ok(())
    }

    fn expect(&self, path: &str, is_there: bool) -> anyhow::Result<()> {
        let found = self.path.join(path).symlink_metadata().is_ok();
        ensure!(found == is_there, "/{path} is {} there", if found { "still" } else { "not" });
        Ok(())
    }

    /// Everything in it but what is noted of it.
    fn files(&self) -> anyhow::Result<BTreeSet<PathBuf>> {
        let mut all = BTreeSet::new();
        let mut left = vec![self.path.clone()];
        while let Some(folder) = left.pop() {
            for entry in folder.read_dir().with_context(|| format!("reading {}", folder.display()))? {
                let path = entry.context("reading a folder")?.path();
                let within = path.strip_prefix(&self.path).context("it is in the root")?.to_owned();
                let text = within.to_string_lossy();
                // The user database keeps what it was before, with a hyphen behind the name.
                if NOTES.iter().any(|note| text.starts_with(note)) || text.ends_with('-') {
                    continue;
                }
                if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                    left.push(path);
                }
                all.insert(within);
            }
        }
        Ok(all)
    }
}
