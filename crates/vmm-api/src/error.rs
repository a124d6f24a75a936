//! How the control socket refuses: a stable code for programs, a message and a hint for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// For programs; never changes its meaning.
    pub code: ErrorCode,
    /// What went wrong, with its causes.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code.as_str())?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, ". {}", self.hint) }
    }
}

impl std::error::Error for ErrorBody {}

/// Defines the codes with their names and HTTP statuses in one table.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $status:literal;)*) => {
        /// Stable codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code as it is sent.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The HTTP status it is sent with.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }
        }
    };
}

codes! {
    /// The body is no JSON of the expected shape, or a query parameter is malformed.
    MalformedRequest, "malformed_request", 400;
    /// The body is well-formed and asks for something that no host could give: 0 vCPUs, an id twice.
    InvalidConfig, "invalid_config", 422;
    /// No such path.
    NotFound, "not_found", 404;
    /// The path exists, the method does not.
    MethodNotAllowed, "method_not_allowed", 405;
    /// The client did not send its request in time.
    RequestTimeout, "request_timeout", 408;
    /// The body is larger than `MAX_BODY_BYTES`.
    BodyTooLarge, "body_too_large", 413;
    /// Too many connections at once.
    TooManyConnections, "too_many_connections", 503;
    /// Not in this state: boot before a configuration, a second boot, resume of what is not paused.
    WrongState, "wrong_state", 409;
    /// The process is ending.
    ShuttingDown, "shutting_down", 503;
    /// A file that the configuration names cannot be opened.
    FileUnavailable, "file_unavailable", 422;
    /// The kernel or initrd is not one, is cut short or does not fit into guest memory.
    InvalidKernel, "invalid_kernel", 422;
    /// The disk cannot be used: a directory, an empty file, a size that is no multiple of a sector.
    InvalidDisk, "invalid_disk", 422;
    /// Another process holds the disk.
    DiskInUse, "disk_in_use", 409;
    /// No boot entry was found on the disk.
    DiskNotBootable, "disk_not_bootable", 422;
    /// The tap does not exist, is in use or may not be opened.
    TapUnavailable, "tap_unavailable", 422;
    /// The host does not have that much memory.
    OutOfMemory, "out_of_memory", 507;
    /// `/dev/kvm` is missing, not accessible or lacks what is needed.
    KvmUnavailable, "kvm_unavailable", 503;
    /// Something else failed on the host; the message has all there is.
    HostFailure, "host_failure", 500;
}

impl ErrorCode {
    /// An error body with this code.
    pub fn body(self, message: impl Into<String>, hint: impl Into<String>) -> ErrorBody {
        ErrorBody { code: self, message: message.into(), hint: hint.into() }
    }
}
