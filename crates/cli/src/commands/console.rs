//! `bothy console`: what a guest prints, and a keyboard for it.

use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;

use native_api::{ByteStream, ConsoleOffset, ConsoleQuery};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::{Context, names};

const EXAMPLES: &str = "\
Keys:
  Ctrl-A x       leave; the guest goes on
  Ctrl-A Ctrl-A  send a Ctrl-A

Examples:
  bothy console web
  bothy console web --history | less";

/// Attach to an instance's console
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The instance, by name or id
    instance: String,
    /// Only print what it has printed so far
    #[arg(long)]
    history: bool,
    /// Show nothing of what it has printed before
    #[arg(long, conflicts_with = "history")]
    from_now: bool,
}

/// What leaves, after `ESCAPE`.
const LEAVE: u8 = b'x';
/// Ctrl-A.
const ESCAPE: u8 = 1;

/// Prints, or attaches.
pub async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let id = names::instance(&context.client, &arguments.instance).await?;
    if arguments.history {
        let history = context.client.whole_console(&id).await?;
        // As it is: who pipes a console wants its bytes.
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&history.bytes)?;
        return Ok(stdout.flush()?);
    }
    // With what came before, so that the prompt can be seen at which the guest waits.
    let offset = if arguments.from_now { None } else { Some(ConsoleOffset::MIN) };
    let query = ConsoleQuery { offset, wait_ms: None };
    let stream = context.client.attach_console(&id, &query).await?;
    if !context.output.quiet {
        eprintln!("attached to {id}; Ctrl-A x leaves");
    }
    let guard = RawTerminal::of_stdin();
    let result = relay(stream).await;
    drop(guard);
    if !context.output.quiet {
        eprintln!("\nleft {id}");
    }
    result
}

/// Carries bytes both ways until the daemon ends it, or the user leaves.
async fn relay(stream: ByteStream) -> Result<(), Failure> {
    let (mut output, mut input) = tokio::io::split(stream);
    let mut stdin = tokio::io::stdin();
    let mut keys = Keys::default();
    let mut typed = [0; 4096];
    let mut printed = [0; 16 << 10];
    let mut is_open = true;
    let mut end = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            count = output.read(&mut printed) => {
                let count = count?;
                if count == 0 {
                    return Ok(());
                }
                let mut stdout = std::io::stdout().lock();
                stdout.write_all(&printed[..count])?;
                stdout.flush()?;
            }
            count = stdin.read(&mut typed), if is_open => {
                let count = count?;
                let (bytes, leaves) = keys.take(&typed[..count]);
                input.write_all(&bytes).await?;
                if leaves {
                    return Ok(());
                }
                // Input that came from a file has ended; what the guest says to it is still to come.
                is_open = count > 0;
            }
            _ = end.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
        }
    }
}

/// Tells what is for the guest from what is for us.
#[derive(Default)]
struct Keys {
    is_escaped: bool,
}

impl Keys {
    /// What of `typed` is for the guest, and whether the user leaves.
    fn take(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut bytes = Vec::with_capacity(typed.len());
        for &byte in typed {
            match (std::mem::take(&mut self.is_escaped), byte) {
                (true, LEAVE) => return (bytes, true),
                (true, ESCAPE) => bytes.push(ESCAPE),
                // No command of ours: both were meant for the guest.
                (true, other) => bytes.extend([ESCAPE, other]),
                (false, ESCAPE) => self.is_escaped = true,
                (false, other) => bytes.push(other),
            }
        }
        (bytes, false)
    }
}

/// How the terminal was, as long as it is not so. A panic that aborts runs no destructors, so its hook looks here too.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// A terminal that hands over each key as it is pressed. Becomes what it was when this is dropped.
struct RawTerminal;

impl RawTerminal {
    /// `None` if stdin is no terminal.
    fn of_stdin() -> Option<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        let before = tcgetattr(stdin.as_fd()).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        *BEFORE.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(before);
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore(std::io::stdin().as_fd());
            others(info);
        }));
        tcsetattr(stdin.as_fd(), SetArg::TCSADRAIN, &raw).ok()?;
        Some(Self)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore(std::io::stdin().as_fd());
    }
}

fn restore(terminal: BorrowedFd<'_>) {
    let before = BEFORE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(before) = before {
        // There is nobody to tell if it fails: the terminal is gone.
        let _ = tcsetattr(terminal, SetArg::TCSADRAIN, &before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escape_is_found_wherever_reads_are_cut() {
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"ls\r\x01"), (b"ls\r".to_vec(), false));
        assert_eq!(keys.take(b"x after"), (Vec::new(), true));
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"\x01\x01a\x01bx"), (b"\x01a\x01bx".to_vec(), false));
    }
}
