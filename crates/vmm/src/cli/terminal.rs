//! The terminal that `bothy-vmm run` is started from: raw while the guest has it, and a key to leave.

use std::io::{self, IsTerminal};

use nix::sys::termios::{self, SetArg, Termios};

const CTRL_A: u8 = 1;

/// Standard input in raw mode; dropping it brings the former mode back.
pub struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Raw mode, if standard input is a terminal.
    pub fn enter() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

/// Finds Ctrl-A x, which ends the machine, in what is typed. Ctrl-A twice stands for one Ctrl-A.
#[derive(Default)]
pub struct Keys {
    after_ctrl_a: bool,
}

impl Keys {
    /// What of `typed` is for the guest; true if the machine is to end.
    pub fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut bytes = Vec::with_capacity(typed.len());
        for &byte in typed {
            match (std::mem::take(&mut self.after_ctrl_a), byte) {
                (false, CTRL_A) => self.after_ctrl_a = true,
                (true, b'x') => return (bytes, true),
                (true, CTRL_A) | (false, _) => bytes.push(byte),
                (true, _) => bytes.extend([CTRL_A, byte]),
            }
        }
        (bytes, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_a_x_ends_and_all_else_reaches_the_guest() {
        /// What is typed in pieces, what reaches the guest, and whether the machine is to end.
        type Case = (&'static [&'static [u8]], &'static [u8], bool);
        let cases: [Case; 6] = [
            (&[b"ls\r"], b"ls\r", false),
            (&[b"a\x01xb"], b"a", true),
            (&[b"\x01", b"x"], b"", true),
            (&[b"\x01\x01x"], b"\x01x", false),
            (&[b"\x01b"], b"\x01b", false),
            (&[b"x"], b"x", false),
        ];
        for (typed, expected, ends) in cases {
            let mut keys = Keys::default();
            let mut bytes = Vec::new();
            let mut ended = false;
            for part in typed {
                let (more, end) = keys.filter(part);
                bytes.extend(more);
                ended |= end;
            }
            assert_eq!((bytes.as_slice(), ended), (expected, ends), "{typed:?}");
        }
    }
}
