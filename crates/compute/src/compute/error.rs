//! Why the core did not do what it was asked. One enum for all operations, as each dialect has one table from it to its own
//! codes and statuses. Whatever is refused has changed nothing.

use crate::capacity::Shortage;
use crate::id::InstanceId;
use crate::lifecycle::Refused;
use crate::outside::HostError;
use crate::store::{CommitError, Key, ReadError, TypedError};

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// There is no such resource, or none that this account may see.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// The kind of resource.
        what: &'static str,
        /// How it was called.
        id: String,
    },
    /// There is one of this name already.
    #[error("there is a {what} {name:?} already")]
    Exists {
        /// The kind of resource.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Something needs it.
    #[error("{what} {id} is used by {by}")]
    InUse {
        /// The kind of resource.
        what: &'static str,
        /// Its id or name.
        id: String,
        /// By what.
        by: String,
    },
    /// An instance's state does not allow the action.
    #[error("{instance}: {why}")]
    Refused {
        /// The instance.
        instance: InstanceId,
        /// Why.
        why: Refused,
    },
    /// A resource's state does not allow it.
    #[error("{what} {id} is {state}: it must be {wanted}")]
    WrongState {
        /// The kind of resource.
        what: &'static str,
        /// Its id.
        id: String,
        /// What it is.
        state: String,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// A parameter makes no sense.
    #[error("{parameter}: {why}")]
    Invalid {
        /// Which.
        parameter: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There is not enough room, or the account may not have as much.
    #[error(transparent)]
    Shortage(#[from] Shortage),
    /// No address is left, or the one asked for is taken.
    #[error("{why}")]
    Address {
        /// Which of them.
        why: String,
        /// One was asked for, and somebody has it.
        taken: bool,
    },
    /// An account has as many as it may have.
    #[error("an account has at most {most} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many.
        most: u64,
    },
    /// The client token was used before, with other parameters.
    #[error("this client token was used before with other parameters: use a new one")]
    TokenMismatch,
    /// The instance is protected.
    #[error("{instance} is protected from termination: take the protection away first")]
    Protected {
        /// The instance.
        instance: InstanceId,
    },
    /// The host did not do its part.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The record store did not do its part, and nobody knows whether the request was done.
    #[error(transparent)]
    Store(#[from] ReadError),
    /// What is kept cannot be understood.
    #[error(transparent)]
    Damaged(TypedError),
    /// The disk of the record store is full.
    #[error("the disk of the record store is full: make room, then try again")]
    StoreFull,
    /// Somebody else changes the same all the time.
    #[error("{key} is changed by somebody else all the time: try again")]
    Contended {
        /// What.
        key: Key,
    },
    /// The daemon is ending.
    #[error("the daemon is ending: try again in a moment")]
    Ending,
}

impl ComputeError {
    /// A parameter that makes no sense.
    pub fn invalid(parameter: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid { parameter, why: why.into() }
    }
}

impl From<TypedError> for ComputeError {
    fn from(error: TypedError) -> Self {
        match error {
            TypedError::Read(error) => Self::Store(error),
            TypedError::Decode { .. } => Self::Damaged(error),
        }
    }
}

impl From<CommitError> for ComputeError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { key, .. } => Self::Contended { key },
            CommitError::Refused { why } => Self::invalid("request", why),
            CommitError::Full => Self::StoreFull,
            CommitError::Failed(error) => Self::Store(error),
        }
    }
}
