//! QEMU as the nested host: its command line, its process and its ends of our sockets. Called by `host_vm`; what is
//! said over the sockets is `session`'s. Leaves nothing behind: the disk has no name, and QEMU dies with its parent.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::Signal;

use super::channel::PORT;
use super::image::Image;
use crate::tree;

/// Size of the scratch disk. It is sparse: only what is written takes space.
const SCRATCH_BYTES: u64 = 64 << 30;

/// What the nested host is to have.
pub struct Machine {
    /// CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The program that becomes the agent, at the same path inside.
    pub agent: PathBuf,
    /// Folders that are writable from inside.
    pub shares: Vec<PathBuf>,
    /// Whether the kernel writes all its messages to the console, which takes a second or two.
    pub talkative: bool,
}

/// A running QEMU. Dropped, it is killed.
pub struct Qemu {
    child: Child,
    /// To and from the agent.
    pub agent: UnixStream,
    /// The console of the kernel, and what QEMU itself says.
    pub console: UnixStream,
    /// QEMU's monitor, asked only when the host hangs.
    monitor: UnixStream,
}

impl Qemu {
    /// Starts QEMU. The calling thread must outlive it: the kernel kills it when that thread ends.
    pub fn start(image: &Image, machine: &Machine) -> anyhow::Result<Self> {
        let (agent, agent_inside) = UnixStream::pair().context("making a socket pair")?;
        let (console, console_inside) = UnixStream::pair().context("making a socket pair")?;
        let (monitor, monitor_inside) = UnixStream::pair().context("making a socket pair")?;
        let said = console_inside.try_clone().context("duplicating a socket")?;
        let scratch = scratch_disk()?;

        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        // A thread for each CPU, as one for all is far slower. But when one CPU translates code just as another patches
        // it, the old code stays, and a kernel of host or guest dies of it: hence one CPU unless more are asked for.
        qemu.args(["-machine", "q35,usb=off,vmport=off,hpet=off", "-accel", "tcg,thread=multi"]);
        // All that TCG can do, nested paging too. Five-level paging would only make it slower.
        qemu.args(["-cpu", "max,-la57", "-smp", &machine.cpus.to_string()]);
        qemu.args(["-m", &machine.memory_mib.to_string()]);
        qemu.arg("-kernel").arg(image.kernel()).arg("-initrd").arg(image.initramfs());
        qemu.args(["-append", &command_line(machine)?]);
        qemu.args(["-chardev", &format!("socket,id=console,fd={}", inherit(&console_inside)?)]);
        qemu.args(["-serial", "chardev:console"]);
        qemu.args(["-chardev", &format!("socket,id=monitor,fd={}", inherit(&monitor_inside)?)]);
        qemu.args(["-mon", "chardev=monitor,mode=readline"]);
        qemu.args(["-chardev", &format!("socket,id=agent,fd={}", inherit(&agent_inside)?)]);
        qemu.args(["-device", "virtio-serial-pci", "-device"]);
        qemu.arg(format!("virtserialport,chardev=agent,name={PORT}"));
        qemu.args(["-device", "virtio-rng-pci"]);
        qemu.args(["-add-fd", &format!("fd={},set=1", inherit(&scratch)?), "-blockdev"]);
        qemu.arg(
            "driver=file,node-name=scratch,filename=/dev/fdset/1,locking=off,aio=threads,discard=unmap,\
             cache.no-flush=on",
        );
        qemu.args(["-device", "virtio-blk-pci,drive=scratch,serial=scratch"]);
        qemu.args(["-virtfs", &share("root", Path::new("/"), true)?]);
        for (index, folder) in machine.shares.iter().enumerate() {
            qemu.args(["-virtfs", &share(&share_tag(index), folder, false)?]);
        }
        qemu.stdin(Stdio::null()).stdout(OwnedFd::from(said.try_clone()?)).stderr(OwnedFd::from(said));
        // Of its own group, so that Ctrl-C reaches only us: we report, then kill.
        qemu.process_group(0);
        let parent = nix::unistd::getpid();
        let die_with_parent = move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have died before that call.
            if nix::unistd::getppid() != parent {
                return Err(io::Error::other("the parent is gone"));
            }
            Ok(())
        };
        // SAFETY: the closure makes two system calls and allocates nothing, which is sound after fork.
        unsafe { qemu.pre_exec(die_with_parent) };
        let child = qemu.spawn().context("starting qemu-system-x86_64")?;
        // Here our copies of QEMU's ends are dropped, so that its end is the end of the streams.
        Ok(Self { child, agent, console, monitor })
    }

    /// Where the CPUs are, in QEMU's words. For a host that hangs: twice, to see whether they move.
    pub fn state(&mut self) -> String {
        let questions = "info status\ninfo registers -a\ninfo registers -a\ninfo lapic\n";
        if let Err(error) = self.monitor.write_all(questions.as_bytes()) {
            return format!("QEMU cannot be asked for its state: {error}\n");
        }
        // It ends with a prompt, not with an end of file: read until it is silent.
        let _ = self.monitor.set_read_timeout(Some(Duration::from_secs(3)));
        let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = self.monitor.read(&mut piece) {
            answer.extend(&piece[..count]);
        }
        if answer.is_empty() { "QEMU itself does not answer\n".to_owned() } else { printable(&answer) }
    }
}

/// The lines without prompts and without registers that nobody wants to see: those of floats and vectors.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let uninteresting = |line: &str| {
        line.contains("(qemu)")
            || ["FCW=", "FPR", "MXCSR=", "Opmask", "XMM", "YMM", "ZMM"]
                .iter()
                .any(|name| line.starts_with(name))
    };
    text.lines().map(|line| line.trim_end().to_owned() + "\n").filter(|line| !uninteresting(line)).collect()
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Neither can fail in a way that matters: the child is ours and not yet waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The 9p tag of the share of this number.
pub fn share_tag(index: usize) -> String {
    format!("share{index}")
}

fn command_line(machine: &Machine) -> anyhow::Result<String> {
    let agent = machine.agent.to_str().unwrap_or_default();
    if agent.is_empty() || agent.contains(|c: char| c.is_whitespace() || c == '"') {
        bail!(
            "the nested host cannot start {agent:?}: let the target folder have a path without white space"
        );
    }
    // The clock is the emulated TSC, which QEMU keeps steady; the kernel's doubts cost time and then a slower clock.
    // An oops ends the host, for what it left behind would only be confusing. Tests of the kernel's own are left out.
    let fixed = "console=ttyS0 mitigations=off tsc=reliable clocksource=tsc no_timer_check nowatchdog \
                 cryptomgr.notests oops=panic panic=-1";
    let quiet = if machine.talkative { "" } else { " quiet" };
    Ok(format!("{fixed}{quiet} agent={agent}"))
}

fn share(tag: &str, folder: &Path, read_only: bool) -> anyhow::Result<String> {
    let path =
        folder.to_str().with_context(|| format!("{} is no UTF-8: QEMU cannot share it", folder.display()))?;
    let path = path.replace(',', ",,"); // QEMU's way to quote a comma
    let read_only = if read_only { "on" } else { "off" };
    // multidevs: file systems mounted below get inode numbers of their own.
    Ok(format!("local,path={path},mount_tag={tag},security_model=none,readonly={read_only},multidevs=remap"))
}

/// A sparse file without a name, with an XFS on it. Made here since mkfs takes seconds under TCG.
fn scratch_disk() -> anyhow::Result<File> {
    let folder = tree::target();
    let file =
        tempfile::tempfile_in(&folder).with_context(|| format!("making a file in {}", folder.display()))?;
    file.set_len(SCRATCH_BYTES).context("sizing the scratch disk")?;
    let mut mkfs = Command::new("/sbin/mkfs.xfs");
    mkfs.args(["-q", "-f", "-K", "-m", "reflink=1"]).arg(format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        file.as_raw_fd()
    ));
    let output = mkfs.output().context("running mkfs.xfs")?;
    ensure!(output.status.success(), "mkfs.xfs failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(file)
}

/// Lets a child inherit the descriptor, and gives its number.
fn inherit(file: &impl std::os::fd::AsFd) -> anyhow::Result<i32> {
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).context("letting QEMU inherit a file")?;
    Ok(file.as_fd().as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_with_white_space_in_its_path_is_refused() {
        let line = |agent: &str| {
            let agent = agent.into();
            command_line(&Machine { cpus: 1, memory_mib: 512, agent, shares: Vec::new(), talkative: true })
        };
        assert!(line("/my target/xtask").is_err());
        assert!(line("/target/xtask").expect("plain").ends_with("panic=-1 agent=/target/xtask"));
    }

    #[test]
    fn commas_in_shared_paths_are_doubled() {
        let text = share("root", Path::new("/a,b"), true).expect("text");
        assert!(text.starts_with("local,path=/a,,b,mount_tag=root,") && text.contains("readonly=on"));
    }
}
