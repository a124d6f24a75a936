//! Runs commands of ours where they can change nothing of the machine: with a network, processes and mounts of their own
//! (namespaces(7)), all of which are gone with the command. Needs root, as the daemon does.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use nix::mount::{MsFlags, mount};

/// When `unshare` ends, so does all that is within.
const UNSHARE: &[&str] =
    &["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/// The first process within, which has to wait for all those whose parents ended. A shell does while it waits for its own
/// child; that it has something to do afterwards keeps it from becoming that child.
const FIRST: &[&str] = &["sh", "-c", r#""$@"; exit $?"#, "sh"];

/// Where a daemon may leave something, and others of the machine do as well.
const COVERED: &[&str] = &["/run", "/dev/shm", "/sys/fs/cgroup"];

/// The command that runs `words` isolated.
pub fn command(words: &[OsString]) -> Vec<OsString> {
    UNSHARE.iter().chain(FIRST).map(Into::into).chain(words.iter().cloned()).collect()
}

/// Becomes `words`, isolated.
///
/// # Errors
/// Always, if it comes back: the command cannot be run.
pub fn become_isolated(words: &[OsString]) -> anyhow::Error {
    match prepare(words) {
        Ok(mut command) => anyhow::Error::new(command.exec()).context("running unshare, of util-linux"),
        Err(error) => error,
    }
}

/// Runs `words` isolated, to their end.
pub fn run(words: &[OsString]) -> anyhow::Result<std::process::ExitStatus> {
    prepare(words)?.status().context("running unshare, of util-linux")
}

fn prepare(words: &[OsString]) -> anyhow::Result<Command> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "a daemon makes taps and rules, if only in a network of its own: say sudo -E env PATH=\"$PATH\" cargo xtask …"
    );
    let words = command(words);
    let (program, arguments) = words.split_first().context("no command given")?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// Which folders are one's own within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folders {
    /// Those of the machine.
    Shared,
    /// Empty ones in place of those that processes make their files in while they run; so there are no cgroups.
    Own,
}

/// For the command within, before all else: brings up its loopback interface, and gives it folders.
pub fn settle(folders: Folders) -> anyhow::Result<()> {
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("running ip")?;
    ensure!(status.success(), "the loopback interface does not come up");
    if folders == Folders::Own {
        for folder in COVERED.iter().filter(|folder| Path::new(folder).is_dir()) {
            mount(Some("tmpfs"), *folder, Some("tmpfs"), MsFlags::empty(), None::<&str>)
                .with_context(|| format!("covering {folder}"))?;
        }
    }
    Ok(())
}
