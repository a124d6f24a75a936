//! How a command fails: one line of what failed, one line of what to do, and a code for scripts.

use std::io;
use std::process::ExitCode;

use native_api::{ClientError, ErrorCode};

use crate::output::printable;

/// Exit codes, as `--help` tells them. Clap's own for wrong usage is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It failed or was refused.
    Failed = 1,
    /// It was asked in a wrong way.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// The daemon cannot be reached.
    Unreachable = 4,
    /// What was waited for did not come in time.
    TimedOut = 5,
    /// The caller may not do it.
    NotPermitted = 6,
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// What failed, in a line. Empty if nothing is to be said.
    pub message: String,
    /// What to do about it, in a line; empty if there is nothing to say.
    pub hint: String,
    /// For scripts.
    pub exit: Exit,
    /// Whoever reads the output has gone: no failure, but nothing more to do.
    is_broken_pipe: bool,
}

impl Failure {
    /// A failure with its exit code.
    pub fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), exit, is_broken_pipe: false }
    }

    /// Something was asked in a way that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message, "see bothy --help")
    }

    /// Something on this machine could not be done.
    pub fn local(what: impl std::fmt::Display, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            io::ErrorKind::PermissionDenied => Exit::NotPermitted,
            _ => Exit::Failed,
        };
        Self::new(exit, format!("{what}: {error}"), "")
    }

    /// The same with another hint.
    pub fn hinting(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same, of something that it is said to be part of.
    pub fn within(self, what: impl std::fmt::Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// Says it on stderr.
    pub fn report(&self) -> ExitCode {
        if self.is_broken_pipe {
            return ExitCode::SUCCESS;
        }
        if !self.message.is_empty() {
            eprintln!("bothy: {}", printable(&self.message));
        }
        if !self.hint.is_empty() {
            eprintln!("  {}", printable(&self.hint));
        }
        ExitCode::from(self.exit as u8)
    }
}

/// Of writing to stdout.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let is_broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { is_broken_pipe, ..Self::local("writing the output", &error) }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(body) => {
                let exit = match body.code {
                    ErrorCode::NotFound => Exit::NotFound,
                    ErrorCode::Unauthenticated | ErrorCode::AccessDenied => Exit::NotPermitted,
                    _ => Exit::Failed,
                };
                // The API tells programs how to send a key; people say where it is.
                let hint = match body.code {
                    ErrorCode::Unauthenticated => {
                        "name an access key with --access-key and BOTHY_SECRET, or in ~/.config/bothy/credentials".to_owned()
                    }
                    _ => body.hint.clone(),
                };
                Self::new(exit, body.to_string(), hint)
            }
            ClientError::Connect { ref source, .. } => {
                let (exit, hint) = match source.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => (
                        Exit::Unreachable,
                        "is bothyd running? systemctl status bothyd; bothy doctor looks at this host",
                    ),
                    io::ErrorKind::PermissionDenied => (
                        Exit::NotPermitted,
                        "the socket is the operator's: run as root or as a member of its group",
                    ),
                    io::ErrorKind::InvalidData => (
                        Exit::Unreachable,
                        "if the daemon's certificate is from an authority of your own, name that with --ca FILE",
                    ),
                    _ => (Exit::Unreachable, "see that --endpoint is right; bothy doctor looks at this host"),
                };
                Self::new(exit, error.to_string(), hint)
            }
            ClientError::Broken(ref source) => Self::new(
                Exit::Unreachable,
                format!("{error}: {source}"),
                "what was asked for may have been done: look before you ask again",
            ),
            ClientError::Protocol(_) => Self::new(
                Exit::Failed,
                error.to_string(),
                "is that endpoint a bothyd, and of this version? compare with bothy version",
            ),
            ClientError::Timeout { .. } => Self::new(
                Exit::TimedOut,
                error.to_string(),
                "it goes on in the daemon; look again with bothy show, or wait longer with --timeout",
            ),
        }
    }
}
