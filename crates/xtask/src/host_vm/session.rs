//! One command in one nested host, seen from outside: sends the job, passes streams on as they come, and notices when
//! the host dies, hangs or is to be ended. Called by `host_vm`; QEMU itself is `qemu`'s.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;

use super::channel::{Frame, Job, Received};
use super::qemu::Qemu;

/// Longest time from QEMU's start to the agent's first word. Six seconds on an idle machine, half a minute on a busy
/// one.
const BOOT_LIMIT: Duration = Duration::from_secs(180);

/// Longest silence of the agent, which says something each second. An overloaded machine may delay it a lot.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);

/// How much of the console's text is kept.
const CONSOLE_KEPT: usize = 1 << 20;

/// What a pipe that poll called writable takes without blocking (PIPE_BUF).
const PIECE: usize = 4096;

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The command ended, with this status as a shell would give it.
    Exited(u8),
    /// The time was up.
    TimedOut,
    /// We were asked to end.
    Signalled(Signal),
    /// Nobody reads our output any more.
    OutputClosed,
    /// The host crashed or hung, as the text says.
    Lost(String),
}

/// A session's end, and what is worth knowing about it.
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// Whether the command had been started.
    pub started: bool,
    /// The last MiB of the kernel's console.
    pub console: Vec<u8>,
}

/// Runs the job to its end, to the deadline, or to one of the signals.
pub fn run(qemu: &mut Qemu, job: &Job, signals: &SignalFd, deadline: Instant) -> anyhow::Result<Outcome> {
    let mut session = Session {
        received: Received::default(),
        output: VecDeque::new(),
        console: VecDeque::new(),
        started: false,
        progress: Instant::now(),
        ended: None,
    };
    let end = loop {
        if let Some(end) = session.turn(qemu, job, signals, deadline)? {
            break end;
        }
    };
    qemu.console.set_nonblocking(true).context("reading the console")?;
    while session.read_console(&mut qemu.console) {}
    Ok(Outcome { end, started: session.started, console: session.console.into() })
}

/// Writes the job, then standard input to its end.
fn send(mut agent: UnixStream, mut job: Job) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    job.now_ns = u64::try_from(now.as_nanos()).unwrap_or_default();
    Frame::Job(serde_json::to_vec(&job)?).write(&mut agent)?;
    let mut piece = vec![0; 64 << 10];
    while job.input {
        let count = io::stdin().read(&mut piece)?;
        Frame::Input(piece[..count].to_vec()).write(&mut agent)?;
        job.input = count > 0;
    }
    Ok(())
}

struct Session {
    received: Received,
    /// Output not yet passed on. While there is some, nothing more is read from the agent.
    output: VecDeque<(Stream, Vec<u8>)>,
    console: VecDeque<u8>,
    started: bool,
    /// When the agent last said something, or we were not listening because our own output was stuck.
    progress: Instant,
    /// The status of the command, once the agent has told it.
    ended: Option<u8>,
}

#[derive(Clone, Copy)]
enum Stream {
    Output,
    Error,
}

/// What a turn waits for.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Console,
    Agent,
    Sink(Stream),
}

impl Session {
    /// Waits for something to happen and deals with it. The end, if that was it.
    fn turn(
        &mut self,
        qemu: &mut Qemu,
        job: &Job,
        signals: &SignalFd,
        deadline: Instant,
    ) -> anyhow::Result<Option<End>> {
        let ready = self.wait(qemu, signals, deadline)?;
        for source in &ready {
            match source {
                Source::Signals => {
                    let signal =
                        signals.read_signal().context("reading a signal")?.map(|info| info.ssi_signo);
                    let signal = signal.and_then(|number| Signal::try_from(number.cast_signed()).ok());
                    return Ok(Some(End::Signalled(signal.unwrap_or(Signal::SIGTERM))));
                }
                Source::Console => {
                    self.read_console(&mut qemu.console);
                }
                Source::Sink(stream) => {
                    if !self.pass_on(*stream).context("passing on the command's output")? {
                        return Ok(Some(End::OutputClosed));
                    }
                    self.progress = Instant::now();
                }
                Source::Agent => {
                    if let Some(why) = self.read_agent(&mut qemu.agent, job) {
                        while self.read_console(&mut qemu.console) {}
                        return Ok(Some(End::Lost(self.panic_text().unwrap_or(why))));
                    }
                }
            }
        }
        Ok(match self.ended {
            Some(status) if self.output.is_empty() => Some(End::Exited(status)),
            _ if Instant::now() >= deadline => Some(End::TimedOut),
            _ if self.output.is_empty() && self.progress.elapsed() >= self.limit() => {
                let seconds = self.limit().as_secs();
                self.console.extend(qemu.state().into_bytes());
                let what = if self.started { "hangs: it said nothing" } else { "did not come up" };
                Some(End::Lost(self.panic_text().unwrap_or(format!("{what} for {seconds} s"))))
            }
            _ => None,
        })
    }

    fn limit(&self) -> Duration {
        if self.started { SILENCE_LIMIT } else { BOOT_LIMIT }
    }

    fn wait(&self, qemu: &Qemu, signals: &SignalFd, deadline: Instant) -> anyhow::Result<Vec<Source>> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let mut sources = vec![Source::Signals, Source::Console];
        sources.push(self.output.front().map_or(Source::Agent, |(stream, _)| Source::Sink(*stream)));
        let mut polled: Vec<PollFd> = sources
            .iter()
            .map(|source| match source {
                Source::Signals => PollFd::new(signals.as_fd(), PollFlags::POLLIN),
                Source::Console => PollFd::new(qemu.console.as_fd(), PollFlags::POLLIN),
                Source::Agent => PollFd::new(qemu.agent.as_fd(), PollFlags::POLLIN),
                Source::Sink(Stream::Output) => PollFd::new(stdout.as_fd(), PollFlags::POLLOUT),
                Source::Sink(Stream::Error) => PollFd::new(stderr.as_fd(), PollFlags::POLLOUT),
            })
            .collect();
        let until = deadline.min(self.progress + self.limit());
        let wait = until.saturating_duration_since(Instant::now()).as_millis() + 1;
        match poll(&mut polled, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting for the nested host"),
        }
        let ready = polled.iter().map(|descriptor| descriptor.any().unwrap_or(false));
        Ok(sources.iter().zip(ready).filter(|(_, ready)| *ready).map(|(source, _)| *source).collect())
    }

    /// Writes one piece of output. False if nobody reads it.
    fn pass_on(&mut self, stream: Stream) -> nix::Result<bool> {
        let Some((_, bytes)) = self.output.front_mut() else { return Ok(true) };
        let piece = &bytes[..bytes.len().min(PIECE)];
        let written = match stream {
            Stream::Output => nix::unistd::write(io::stdout(), piece),
            Stream::Error => nix::unistd::write(io::stderr(), piece),
        };
        match written {
            Ok(count) => drop(bytes.drain(..count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(Errno::EPIPE) => return Ok(false),
            Err(error) => return Err(error),
        }
        if bytes.is_empty() {
            self.output.pop_front();
        }
        Ok(true)
    }

    /// Takes what the agent says. Gives the reason if there will be no more.
    fn read_agent(&mut self, agent: &mut UnixStream, job: &Job) -> Option<String> {
        let mut piece = [0; 64 << 10];
        match agent.read(&mut piece) {
            Ok(0) => return Some("ended without the command's status".into()),
            Ok(count) => self.received.extend(&piece[..count]),
            Err(error) => return Some(format!("cannot be heard any more: {error}")),
        }
        self.progress = Instant::now();
        loop {
            match self.received.next() {
                Ok(None) => return None,
                Ok(Some(Frame::Ready)) => {
                    let (agent, job) = (agent.try_clone(), job.clone());
                    // A thread of its own, for the agent takes what we write only when it can. It ends with the
                    // process; a failure shows as the end of what the agent says.
                    std::thread::spawn(move || send(agent?, job));
                }
                Ok(Some(Frame::Alive)) => {}
                Ok(Some(Frame::Started)) => self.started = true,
                Ok(Some(Frame::Output(bytes))) => self.output.push_back((Stream::Output, bytes)),
                Ok(Some(Frame::Error(bytes))) => self.output.push_back((Stream::Error, bytes)),
                Ok(Some(Frame::Ended(status))) => self.ended = Some(status),
                Ok(Some(Frame::Job(_) | Frame::Input(_))) => return Some("says what only we say".into()),
                Err(error) => return Some(format!("says nonsense: {error}")),
            }
        }
    }

    /// Takes what the kernel says. False if there was nothing.
    fn read_console(&mut self, console: &mut UnixStream) -> bool {
        let mut piece = [0; 16 << 10];
        let count = console.read(&mut piece).unwrap_or(0);
        self.console.extend(&piece[..count]);
        let surplus = self.console.len().saturating_sub(CONSOLE_KEPT);
        self.console.drain(..surplus);
        count > 0
    }

    /// The kernel's own words if it panicked.
    fn panic_text(&mut self) -> Option<String> {
        let text = String::from_utf8_lossy(self.console.make_contiguous());
        let at = text.find("Kernel panic - not syncing")?;
        text[at..].lines().next().map(|line| format!("crashed: {}", line.trim_end()))
    }
}
