//! Debian packages that the developer commands need: installed when missing, or unpacked into a folder. Called by the
//! host and image commands. Removes nothing, and takes from backports only what the release has too old.

mod sources;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::progress::Step;
use crate::run::watched;

/// Packages of which an older version does not do, with the oldest that does.
const OLDEST: &[(&str, &str)] = &[
    // 7.2 lets a nested kernel with two CPUs crash within minutes; see host_vm::qemu for what became of that.
    ("qemu-system-x86", "1:10"),
    ("linux-image-amd64", "6.12"),
    ("linux-image-cloud-amd64", "6.12"),
];

/// Where the entry for backports goes, if the machine has none. Backports are never chosen by apt on their own.
const BACKPORTS_FILE: &str = "/etc/apt/sources.list.d/bothy-backports.sources";

const LOCK_FILE: &str = "/run/bothy-packages.lock";

/// A version of a package and the suite (as in `bookworm-backports`) that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The version, as in `1:10.0.2+ds-2~bpo12+1`.
    pub version: String,
    suite: String,
}

/// Installs those of `packages` that are missing or too old. Without root, says what to install.
pub fn ensure(packages: &[&str]) -> anyhow::Result<()> {
    let missing = missing(packages)?;
    if missing.is_empty() {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("{} must be installed: run this once as root (sudo -E), or install by hand", missing.join(" "));
    }
    let _lock = lock()?;
    // Someone else may have installed them while we waited for the lock.
    for package in self::missing(&missing)? {
        let step = Step::new(format!("installing {package}"));
        let candidate = find(package)?;
        let mut apt = apt_get();
        apt.args(["install", "--yes", "--no-install-recommends", "--target-release", &candidate.suite]);
        watched(apt.arg(format!("{package}={}", candidate.version)), &step)?;
        step.done();
    }
    Ok(())
}

/// The version of `package` that `ensure` or `download` would take.
pub fn candidate(package: &str) -> anyhow::Result<Candidate> {
    let _lock = lock()?;
    find(package)
}

/// Fetches `package` and unpacks its files below `into`. Installs nothing and runs none of its scripts.
pub fn download(package: &str, into: &Path) -> anyhow::Result<()> {
    let step = Step::new(format!("fetching {package}"));
    let candidate = candidate(package)?;
    let folder = tempfile::tempdir().context("making a folder for the package")?;
    let mut apt = apt_get();
    apt.args(["download", &format!("{package}={}", candidate.version)]).current_dir(folder.path());
    watched(&mut apt, &step)?;
    let deb = only_file(folder.path())?;
    std::fs::create_dir_all(into).with_context(|| format!("making {}", into.display()))?;
    watched(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(into), &step)?;
    step.done();
    Ok(())
}

/// The packages on which `package` depends, in its candidate version, alternatives left out.
pub fn dependencies(package: &str) -> anyhow::Result<Vec<String>> {
    let version = candidate(package)?.version;
    let shown = output(Command::new("apt-cache").args(["show", &format!("{package}={version}")]))?;
    let line = shown.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
    let name = |text: &str| text.split_whitespace().next().map(str::to_owned);
    Ok(line.split(',').filter_map(name).collect())
}

/// Lines of a `sources.list` from which the release `codename` can be installed into a folder.
pub fn release_sources(codename: &str) -> anyhow::Result<String> {
    let entries = sources::read(Path::new("/etc/apt"))?;
    sources::release(&entries, codename).context("this machine has no apt source to install Debian from")
}

/// Those of `packages` that are not installed, or in a version too old.
fn missing<'a>(packages: &[&'a str]) -> anyhow::Result<Vec<&'a str>> {
    let found = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status} ${Version}\n"])
        .args(packages)
        .stderr(Stdio::null()) // it complains about each package it does not know
        .output()
        .context("running dpkg-query: bothy's developer commands expect Debian")?;
    let text = String::from_utf8_lossy(&found.stdout);
    let mut missing = Vec::new();
    for package in packages {
        let wanted = format!("{package} installed ");
        match text.lines().find_map(|line| line.strip_prefix(&wanted)) {
            Some(version) if new_enough(package, version)? => {}
            _ => missing.push(*package),
        }
    }
    Ok(missing)
}

/// Whether this version of the package does.
fn new_enough(package: &str, version: &str) -> anyhow::Result<bool> {
    let Some((_, oldest)) = OLDEST.iter().find(|(name, _)| *name == package) else { return Ok(true) };
    let compared = Command::new("dpkg").args(["--compare-versions", version, "ge", oldest]).status();
    Ok(compared.context("running dpkg --compare-versions")?.success())
}

/// Finds the newest version that does, after fetching apt's lists or adding backports if need be.
fn find(package: &str) -> anyhow::Result<Candidate> {
    if let Some(candidate) = listed(package)? {
        return Ok(candidate);
    }
    ensure!(
        nix::unistd::geteuid().is_root(),
        "apt lists no version of {package} that does: run this once as root (sudo -E)"
    );
    update("fetching apt's package lists")?;
    if let Some(candidate) = listed(package)? {
        return Ok(candidate);
    }
    add_backports()?;
    update("fetching the package list of backports")?;
    listed(package)?
        .with_context(|| format!("apt has no version of {package} that does, not in backports either"))
}

/// The newest version in apt's lists that does; from backports only if the release has none.
fn listed(package: &str) -> anyhow::Result<Option<Candidate>> {
    let mut found = Vec::new();
    for candidate in parse_madison(&output(Command::new("apt-cache").args(["madison", package]))?) {
        if new_enough(package, &candidate.version)? {
            found.push(candidate);
        }
    }
    // apt lists the newest first.
    let released = found.iter().position(|candidate| !candidate.suite.ends_with("-backports"));
    Ok(found.into_iter().nth(released.unwrap_or(0)))
}

/// Reads `apt-cache madison`: lines of `package | version | URI suite/component architecture Packages`.
fn parse_madison(text: &str) -> Vec<Candidate> {
    let line = |line: &str| {
        let mut columns = line.split('|').map(str::trim);
        let (_, version, source) = (columns.next()?, columns.next()?, columns.next()?);
        let (suite, _) = source.split_whitespace().nth(1)?.split_once('/')?;
        source.ends_with(" Packages").then(|| Candidate { version: version.into(), suite: suite.into() })
    };
    text.lines().filter_map(line).collect()
}

/// Adds an entry for this release's backports, at the place from which the release itself comes.
fn add_backports() -> anyhow::Result<()> {
    let release = std::fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename =
        codename.context("/etc/os-release has no VERSION_CODENAME: is this Debian?")?.trim_matches('"');
    let entries = sources::read(Path::new("/etc/apt"))?;
    let entry = sources::backports(&entries, codename).with_context(|| {
        format!("no apt source on this machine has {codename} main, to derive backports from")
    })?;
    eprintln!("adding {BACKPORTS_FILE}");
    std::fs::write(BACKPORTS_FILE, entry).with_context(|| format!("writing {BACKPORTS_FILE}"))
}

fn update(what: &str) -> anyhow::Result<()> {
    let step = Step::new(what);
    watched(apt_get().arg("update"), &step)?;
    step.done();
    Ok(())
}

/// Only one of our commands at a time works with apt; apt itself does not wait for every lock of its own. Others than
/// root change nothing that is shared, and need no lock.
fn lock() -> anyhow::Result<Option<nix::fcntl::Flock<File>>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let file = File::options().create(true).append(true).open(LOCK_FILE);
    let file = file.with_context(|| format!("opening {LOCK_FILE}"))?;
    let lock = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).map_err(|(_, error)| error);
    lock.map(Some).with_context(|| format!("locking {LOCK_FILE}"))
}

fn apt_get() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300"]);
    // Downloads into a folder of root's cannot be done by apt's own user; without this it warns each time.
    apt.args(["-o", "APT::Sandbox::User=root"]);
    apt
}

/// Runs a command and gives its standard output.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let what = format!("running {}", command.get_program().display());
    let output = command.stderr(Stdio::inherit()).output().with_context(|| what.clone())?;
    ensure!(output.status.success(), "{what} failed ({})", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("{what}: output is no UTF-8"))
}

fn only_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut entries = folder.read_dir().with_context(|| format!("listing {}", folder.display()))?;
    let entry = entries.next().with_context(|| format!("apt-get left nothing in {}", folder.display()))?;
    Ok(entry.with_context(|| format!("listing {}", folder.display()))?.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn madison_lines_become_candidates() {
        let text = "qemu-system-x86 | 1:10.0.2+ds-2~bpo12+1 | http://a.example/debian bookworm-backports/main amd64 Packages\n\
                    qemu-system-x86 | 1:7.2+dfsg-7 | http://a.example/debian bookworm/main amd64 Packages\n\
                    qemu | 1:7.2+dfsg-7 | http://a.example/debian bookworm/main Sources\n";
        let found = parse_madison(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].suite, "bookworm-backports");
        assert_eq!(found[1].version, "1:7.2+dfsg-7");
    }

    #[test]
    fn an_old_version_is_not_enough_where_there_is_a_floor() {
        assert!(!new_enough("qemu-system-x86", "1:7.2+dfsg-7+deb12u18").expect("dpkg runs"));
        assert!(new_enough("qemu-system-x86", "1:10.0.2+ds-2~bpo12+1").expect("dpkg runs"));
        assert!(new_enough("xfsprogs", "1").expect("dpkg runs"));
    }
}
