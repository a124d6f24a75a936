//! Process 1 of the nested host once its root is there: takes a job from the outside, runs it, sends its output, and
//! tells how it ended. Started by `images/host/init`; the other side is `session`. One thread and one loop. Never
//! returns: the outside ends the host when it has heard the end.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::channel::{Frame, Job, PORT, Received};
use super::qemu::share_tag;

/// Longest time without a word to the outside.
const HEARTBEAT: Duration = Duration::from_secs(1);

nix::ioctl_none!(
    /// Has the clock interrupt once a second (`RTC_UIE_ON`, rtc(4)).
    interrupt_each_second,
    b'p',
    0x03
);

/// Runs the agent. Whatever goes wrong goes to the console, which the outside shows.
pub fn run() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!(
            "host-agent is process 1 of the nested host, not a command for people: see cargo xtask host-vm --help"
        );
        return ExitCode::FAILURE;
    }
    if let Err(error) = serve() {
        eprintln!("agent: {error:#}");
    }
    // The end of process 1 is a panic of the kernel, and so of the host, which the outside notices at once.
    ExitCode::FAILURE
}

fn serve() -> anyhow::Result<()> {
    let mut port = open_port()?;
    let mut received = Received::default();
    Frame::Ready.write(&mut port)?;
    let job = loop {
        if let Some(Frame::Job(contents)) = received.next()? {
            break serde_json::from_slice::<Job>(&contents).context("reading the job")?;
        }
        receive(&mut port, &mut received)?;
    };
    prepare(&job)?;
    let _clock = wake_each_second()?;
    Frame::Started.write(&mut port)?;
    let status = match spawn(&job) {
        Ok(command) => Running {
            port: &mut port,
            received,
            command,
            unread: Vec::new(),
            input_ended: false,
            spoke: Instant::now(),
        }
        .run()?,
        Err(error) => {
            // As a shell would say and end.
            let name =
                job.command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            Frame::Error(format!("host-vm: {name}: {error}\n").into_bytes()).write(&mut port)?;
            if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
        }
    };
    nix::unistd::sync();
    Frame::Ended(status).write(&mut port)?;
    // Until the outside ends the machine.
    loop {
        std::thread::park();
    }
}

/// The surroundings that depend on the job.
fn prepare(job: &Job) -> anyhow::Result<()> {
    let now = Duration::from_nanos(job.now_ns);
    nix::time::clock_settime(nix::time::ClockId::CLOCK_REALTIME, now.into()).context("setting the clock")?;
    fs::create_dir_all("/lib/modules").context("making /lib/modules")?;
    mount(Some(&job.modules), "/lib/modules", None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("mounting {} at /lib/modules", job.modules.display()))?;
    for (index, folder) in job.shares.iter().enumerate() {
        let (tag, kind) = (share_tag(index), Some("9p"));
        let options = Some("trans=virtio,version=9p2000.L,msize=524288,cache=mmap");
        mount(Some(tag.as_str()), folder, kind, MsFlags::empty(), options)
            .with_context(|| format!("mounting the share {}", folder.display()))?;
    }
    std::env::set_current_dir(&job.folder).with_context(|| format!("changing to {}", job.folder.display()))
}

/// Has an interrupt come from outside the CPU each second, for as long as what it gives is open. QEMU's emulation of
/// SVM changes the CPU's pending interrupts without a lock at each entry to and exit from a guest. An interrupt that
/// comes just then stays in the APIC unseen, and when it was the timer's, nothing would ever interrupt that guest again:
/// the host hangs until the next interrupt.
fn wake_each_second() -> anyhow::Result<File> {
    let path = "/dev/rtc0";
    let clock = File::open(path).with_context(|| format!("opening {path}"))?;
    // SAFETY: this request takes no argument, and the descriptor is open.
    unsafe { interrupt_each_second(clock.as_raw_fd()) }.with_context(|| format!("starting {path}"))?;
    Ok(clock)
}

/// Opens the port by its name; its number depends on the order of devices.
fn open_port() -> anyhow::Result<File> {
    let ports = Path::new("/sys/class/virtio-ports");
    for entry in ports.read_dir().with_context(|| format!("listing {}", ports.display()))? {
        let entry = entry.with_context(|| format!("listing {}", ports.display()))?;
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim_end() == PORT {
            let path = PathBuf::from("/dev").join(entry.file_name());
            let opened = File::options().read(true).write(true).open(&path);
            return opened.with_context(|| format!("opening {}", path.display()));
        }
    }
    bail!("this host has no virtio port named {PORT}")
}

fn receive(port: &mut File, received: &mut Received) -> anyhow::Result<()> {
    let mut piece = [0; 64 << 10];
    let count = port.read(&mut piece).context("reading from the outside")?;
    received.extend(&piece[..count]);
    Ok(())
}

/// The command and our ends of its streams; `None` where a stream has ended.
struct Spawned {
    pid: Pid,
    input: Option<OwnedFd>,
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
    /// Readable when a child ended.
    children: SignalFd,
}

fn spawn(job: &Job) -> io::Result<Spawned> {
    let children = SigSet::from(Signal::SIGCHLD);
    children.thread_block()?; // std gives the child an empty mask
    let children = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let (program, arguments) = job.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(job.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(if job.input { Stdio::piped() } else { Stdio::null() });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let input = child.stdin.take().map(OwnedFd::from);
    if let Some(input) = &input {
        // A command that does not read its input must not stop us from passing on its output.
        nix::fcntl::fcntl(input, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    }
    Ok(Spawned {
        pid: Pid::from_raw(child.id().cast_signed()),
        input,
        output: child.stdout.take().map(OwnedFd::from),
        error: child.stderr.take().map(OwnedFd::from),
        children,
    })
}

struct Running<'a> {
    port: &'a mut File,
    received: Received,
    command: Spawned,
    /// Standard input not yet written to the command.
    unread: Vec<u8>,
    /// Whether no more standard input will come.
    input_ended: bool,
    /// When we last said something.
    spoke: Instant,
}

#[derive(Clone, Copy)]
enum Source {
    Children,
    Output,
    Error,
    Port,
    Input,
}

impl Running<'_> {
    /// Passes on streams until the command ended, then what it left in them. What is still running in the background
    /// then has lost its audience.
    fn run(mut self) -> anyhow::Result<u8> {
        loop {
            for source in self.wait()? {
                match source {
                    Source::Output => self.pass_on(source)?,
                    Source::Error => self.pass_on(source)?,
                    Source::Port => {
                        receive(self.port, &mut self.received)?;
                        self.take_input()?;
                    }
                    Source::Input => self.write_input()?,
                    Source::Children => {
                        let _ = self.command.children.read_signal();
                        if let Some(status) = self.reap()? {
                            while self.is_readable(Source::Output)? {
                                self.pass_on(Source::Output)?;
                            }
                            while self.is_readable(Source::Error)? {
                                self.pass_on(Source::Error)?;
                            }
                            return Ok(status_code(status));
                        }
                    }
                }
            }
            if self.spoke.elapsed() >= HEARTBEAT {
                self.say(&Frame::Alive)?;
            }
        }
    }

    fn say(&mut self, frame: &Frame) -> anyhow::Result<()> {
        self.spoke = Instant::now();
        frame.write(&mut *self.port).context("writing to the outside")
    }

    fn wait(&self) -> anyhow::Result<Vec<Source>> {
        let command = &self.command;
        let mut sources = vec![(Source::Children, PollFd::new(command.children.as_fd(), PollFlags::POLLIN))];
        for (source, stream) in [(Source::Output, &command.output), (Source::Error, &command.error)] {
            sources.extend(stream.as_ref().map(|fd| (source, PollFd::new(fd.as_fd(), PollFlags::POLLIN))));
        }
        match &command.input {
            Some(input) if !self.unread.is_empty() => {
                sources.push((Source::Input, PollFd::new(input.as_fd(), PollFlags::POLLOUT)));
            }
            Some(_) => sources.push((Source::Port, PollFd::new(self.port.as_fd(), PollFlags::POLLIN))),
            None => {}
        }
        let (sources, mut polled): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
        let wait = HEARTBEAT.saturating_sub(self.spoke.elapsed()).as_millis() + 1;
        match poll(&mut polled, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting for the command"),
        }
        let ready = polled.iter().map(|descriptor| descriptor.any().unwrap_or(false));
        Ok(sources.into_iter().zip(ready).filter_map(|(source, ready)| ready.then_some(source)).collect())
    }

    fn stream(&mut self, source: Source) -> &mut Option<OwnedFd> {
        if matches!(source, Source::Error) { &mut self.command.error } else { &mut self.command.output }
    }

    fn is_readable(&mut self, source: Source) -> anyhow::Result<bool> {
        let Some(stream) = self.stream(source) else { return Ok(false) };
        let mut polled = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO).context("waiting for the command's output")?;
        Ok(polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)))
    }

    /// Reads once from a stream of the command and sends it.
    fn pass_on(&mut self, source: Source) -> anyhow::Result<()> {
        let mut piece = vec![0; 64 << 10];
        let Some(stream) = self.stream(source) else { return Ok(()) };
        let count = nix::unistd::read(stream, &mut piece).context("reading the command's output")?;
        piece.truncate(count);
        match (count, source) {
            (0, _) => *self.stream(source) = None,
            (_, Source::Error) => self.say(&Frame::Error(piece))?,
            _ => self.say(&Frame::Output(piece))?,
        }
        Ok(())
    }

    /// Takes standard input from what was received.
    fn take_input(&mut self) -> anyhow::Result<()> {
        while let Some(frame) = self.received.next()? {
            match frame {
                Frame::Input(bytes) if bytes.is_empty() => self.input_ended = true,
                Frame::Input(bytes) => self.unread.extend(bytes),
                other => bail!("the outside says {other:?} after the job"),
            }
        }
        self.write_input()
    }

    fn write_input(&mut self) -> anyhow::Result<()> {
        let Some(input) = &self.command.input else { return Ok(()) };
        match nix::unistd::write(input, &self.unread) {
            Ok(count) => drop(self.unread.drain(..count)),
            Err(Errno::EAGAIN) => {}
            // The command reads no more.
            Err(Errno::EPIPE) => {
                self.unread.clear();
                self.input_ended = true;
            }
            Err(error) => return Err(error).context("writing the command's input"),
        }
        if self.input_ended && self.unread.is_empty() {
            self.command.input = None;
        }
        Ok(())
    }

    /// Collects the children that ended, also those of others, which come to process 1. The command's status if it
    /// is among them.
    fn reap(&self) -> anyhow::Result<Option<ExitStatus>> {
        let mut found = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.command.pid => {
                    found = Some(ExitStatus::from_raw((code & 0xff) << 8));
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.command.pid => {
                    found = Some(ExitStatus::from_raw(signal as i32));
                }
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(found),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("waiting for children"),
            }
        }
    }
}

/// An exit status as a shell would give it: 128 + n after death by signal n.
pub fn status_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_what_a_shell_would_give() {
        assert_eq!(status_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(status_code(ExitStatus::from_raw(42 << 8)), 42);
        assert_eq!(status_code(ExitStatus::from_raw(9)), 137);
        assert_eq!(status_code(ExitStatus::from_raw(11 | 0x80)), 139); // with a core dump
    }
}
