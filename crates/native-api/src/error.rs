//! How the API refuses: a stable code for programs, a message, its cause and a hint for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success. Nothing was changed by what was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// For programs; never changes its meaning.
    pub code: ErrorCode,
    /// What went wrong.
    pub message: String,
    /// Why, if that is not said yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.cause.iter().try_for_each(|cause| write!(f, ": {cause}"))?;
        write!(f, " ({})", self.code.as_str())
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
    /// The request is not of the shape that the operation takes: no JSON, an unknown field, a text without its form, a
    /// number out of bounds, an unknown query parameter.
    MalformedRequest, "malformed_request", 400;
    /// The request is well-formed and asks for what cannot be: a subnet outside of its VPC, a file that is no disk
    /// image, a page token that no list gave.
    InvalidParameter, "invalid_parameter", 422;
    /// No credentials, or wrong, inactive or expired ones.
    Unauthenticated, "unauthenticated", 401;
    /// The caller's policies do not allow it, or only the operator may do it.
    AccessDenied, "access_denied", 403;
    /// The account has as much as it may have.
    LimitExceeded, "limit_exceeded", 403;
    /// No such path, or no such resource in this account.
    NotFound, "not_found", 404;
    /// The path exists, the method does not. The header `Allow` says which do.
    MethodNotAllowed, "method_not_allowed", 405;
    /// The client did not send its request in time.
    RequestTimeout, "request_timeout", 408;
    /// The resource's state does not allow this; it may later.
    WrongState, "wrong_state", 409;
    /// There is one of that name already, or one whose addresses overlap.
    AlreadyExists, "already_exists", 409;
    /// Something else uses it.
    InUse, "in_use", 409;
    /// The client token was used for another request.
    ClientTokenMismatch, "client_token_mismatch", 409;
    /// The guest refuses the connection: nobody listens on that port.
    ConnectionRefused, "connection_refused", 409;
    /// The guest does not answer: it may not have come up yet, or drops what comes for that port.
    ConnectionTimeout, "connection_timeout", 409;
    /// The body is larger than `MAX_BODY_BYTES`.
    BodyTooLarge, "body_too_large", 413;
    /// The body is not `application/json`.
    UnsupportedMediaType, "unsupported_media_type", 415;
    /// Too many requests or connections at once, of this caller or of all.
    TooManyRequests, "too_many_requests", 429;
    /// Something failed on the host; the message has all there is.
    Internal, "internal", 500;
    /// The daemon is starting or ending, or its store does not answer.
    Unavailable, "unavailable", 503;
    /// The host has not enough vCPUs, memory or public addresses left.
    InsufficientCapacity, "insufficient_capacity", 503;
    /// The host has not enough disk space left.
    StorageFull, "storage_full", 507;
}

impl ErrorCode {
    /// An error body with this code.
    pub fn body(self, message: impl Into<String>, hint: impl Into<String>) -> ErrorBody {
        ErrorBody { code: self, message: message.into(), cause: None, hint: hint.into() }
    }
}
