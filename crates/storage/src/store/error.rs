//! Why the store did not do what it was asked, and whose fault that is.

use crate::confined::HelperError;
use std::io;
use std::path::PathBuf;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is not enough of something: it can be asked again when there is.
    Exhausted,
    /// It cannot be done as it was asked.
    Refused,
    /// The host failed.
    Failed,
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// Another process has it.
    #[error("the store {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The system refused.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// The store.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// Why something in the store was not done. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No disk space.
    #[error("the disk is full: cannot {0}; free some space, or ask for less")]
    Full(String),
    /// What is no id or hash.
    #[error("{text:?} is no {what}")]
    Name {
        /// What it should be.
        what: &'static str,
        /// The beginning of what it is.
        text: String,
    },
    /// It is not there.
    #[error("there is no {what} {name}")]
    NotFound {
        /// Its kind.
        what: &'static str,
        /// Its id or hash.
        name: String,
    },
    /// One of this name is there, and of another size.
    #[error("{name} is there already, with {present} bytes instead of {wanted}")]
    OtherSize {
        /// Its id.
        name: String,
        /// Its size in bytes.
        present: u64,
        /// The size asked for, in bytes.
        wanted: u64,
    },
    /// What should go onto a disk does not fit, or a disk should become smaller.
    #[error("{wanted} bytes are less than the {present} that {of} has")]
    Smaller {
        /// What has more.
        of: String,
        /// Its size in bytes.
        present: u64,
        /// The size asked for, in bytes.
        wanted: u64,
    },
    /// A size that no disk of this kind has.
    #[error("{bytes} bytes are no size for this disk: {why}")]
    Size {
        /// The size asked for, in bytes.
        bytes: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A VMM has it.
    #[error("{name} is in use: {hint}")]
    InUse {
        /// Its id.
        name: String,
        /// What to do.
        hint: &'static str,
    },
    /// A program of the host failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: &'static str,
        /// How, and what it said.
        said: String,
    },
    /// The system refused.
    #[error("cannot {doing}")]
    Io {
        /// What was being done, and to what.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl StoreError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Full(_) => Fault::Exhausted,
            Self::Name { .. }
            | Self::NotFound { .. }
            | Self::OtherSize { .. }
            | Self::Smaller { .. }
            | Self::Size { .. }
            | Self::InUse { .. } => Fault::Refused,
            // No file of this file system is so large.
            Self::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => Fault::Refused,
            Self::Program { .. } | Self::Io { .. } => Fault::Failed,
        }
    }
}

/// The error of a system call: a full disk is told from everything else.
pub(super) fn failed(doing: String) -> impl FnOnce(io::Error) -> StoreError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full(doing),
        _ => StoreError::Io { doing, source },
    }
}

/// Why an image was not imported. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file could not be opened, or is no regular file.
    #[error("cannot open the image file {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It was looked at: it is not whole and sound, or of a kind that is not taken.
    #[error("{0}")]
    Refused(String),
    /// Its disk is too large.
    #[error("the image's disk has {bytes} bytes, which is more than the {limit} that are allowed here")]
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// It is not what it was expected to be.
    #[error(
        "the image's SHA-256 is {content}, its file's {file}, and neither is the expected {expected}: is it \
         another one, or damaged?"
    )]
    OtherHash {
        /// The hash expected.
        expected: String,
        /// The content's.
        content: String,
        /// The file's.
        file: String,
    },
    /// It was written to while it was read.
    #[error("the image file {} changed while it was read: import it when it is complete", .0.display())]
    Changed(PathBuf),
    /// The process that reads the image did not do so.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Open { source, .. } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => {
                    Fault::Refused
                }
                _ => Fault::Failed,
            },
            Self::Refused(_) | Self::TooLarge { .. } | Self::OtherHash { .. } | Self::Changed(_) => {
                Fault::Refused
            }
            // An image that makes its reader leave the confinement, or takes for ever, is no good image.
            Self::Helper(HelperError::Forbidden | HelperError::TimedOut(_)) => Fault::Refused,
            Self::Helper(_) => Fault::Failed,
            Self::Store(error) => error.fault(),
        }
    }
}
