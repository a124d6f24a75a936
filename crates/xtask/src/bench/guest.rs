//! A guest under way: the peer's process and its console, line by line, each with the time it came. Waits are bounded,
//! and name what did not come. Dropping a guest ends its process. What is not done by a command line is in `control`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::control;
use super::peers::{Machine, Peer, Start};

/// Longest that a guest is silent between two lines that are waited for. A nested host with other work is slow.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Lines of a console that are shown when something did not come.
const TAIL_LINES: usize = 15;

/// A running guest.
pub struct Guest {
    name: &'static str,
    process: Child,
    started: Instant,
    lines: Receiver<(Instant, String)>,
    seen: Vec<String>,
}

impl Guest {
    /// Starts `machine` in `peer`.
    pub fn start(peer: &Peer, machine: &Machine, vmm: &Path) -> anyhow::Result<Self> {
        let (command, run) = match peer.start {
            Start::Command(command) => (command(machine, vmm), None),
            Start::Control => {
                // A path that a socket's can begin with.
                let run = tempfile::tempdir_in("/run").context("making a folder")?;
                (control::command(vmm, run.path()), Some(run))
            }
        };
        let mut command = match &machine.nic.namespace {
            Some(file) => within(file, &command),
            None => command,
        };
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        command.stdin(Stdio::null());
        command.stdout(writer.try_clone().context("making a pipe")?).stderr(writer);
        let started = Instant::now();
        let process = command.spawn().with_context(|| format!("starting {}", peer.name))?;
        // The command has the pipe's other end, which must be closed here for reading to end.
        drop(command);
        let (sender, lines) = channel();
        if let Some(run) = run {
            control::drive(run, machine, process.id(), sender.clone());
        }
        std::thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n') {
                let came = Instant::now();
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send((came, line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name: peer.name, process, started, lines, seen: Vec::new() })
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a line that starts with `start`. Gives what follows it, and the time since the process was started.
    pub fn wait_line(&mut self, start: &str) -> anyhow::Result<(String, Duration)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((came, line)) => {
                    // A kernel message may have been printed before it on the same line.
                    let found = line.find(start).map(|at| line[at + start.len()..].trim().to_owned());
                    self.seen.push(line);
                    if let Some(rest) = found {
                        return Ok((rest, came - self.started));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{}: no {start} within {PATIENCE:?}; {}", self.name, self.tail())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("{} ended without {start}; {}", self.name, self.tail())
                }
            }
        }
    }

    /// Waits for the end of its process after the guest's command succeeded, and gives the time since its start.
    pub fn wait_exit(mut self) -> anyhow::Result<Duration> {
        let (status, _) = self.wait_line("BOTHY-EXIT")?;
        ensure!(status == "0", "{}: the guest's command failed ({status}); {}", self.name, self.tail());
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((_, line)) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{}: not ended within {PATIENCE:?}; {}", self.name, self.tail())
                }
            }
        }
        // Its end of the pipe is closed, the last but one thing that a process does.
        let status = loop {
            if let Some(status) =
                self.process.try_wait().with_context(|| format!("waiting for {}", self.name))?
            {
                break status;
            }
            ensure!(Instant::now() < deadline, "{}: closed its console but did not end", self.name);
            std::thread::sleep(Duration::from_millis(1));
        };
        let took = self.started.elapsed();
        ensure!(status.success(), "{} ended with {status}; {}", self.name, self.tail());
        Ok(took)
    }

    /// What it printed last, for an error that is about it.
    pub fn last_words(&mut self) -> String {
        self.seen.extend(self.lines.try_iter().map(|(_, line)| line));
        format!("{}: {}", self.name, self.tail())
    }

    fn tail(&self) -> String {
        let shown = &self.seen[self.seen.len().saturating_sub(TAIL_LINES)..];
        format!("its console's last lines:\n{}", shown.join("\n"))
    }
}

/// The command, in a network namespace. It keeps its process.
fn within(namespace: &Path, command: &Command) -> Command {
    let mut within = Command::new("nsenter");
    within.arg(format!("--net={}", namespace.display())).arg("--");
    within.arg(command.get_program()).args(command.get_args());
    within
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Fails only if it ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
