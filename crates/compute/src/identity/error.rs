//! Why something was not done. An enum for what was attempted, whatever it was attempted on; `Kind` says on what, so that a
//! dialect's table has a row for each.

use std::fmt;

use crate::access::DocumentError;
use crate::secrets::OpenError;
use crate::store::{CommitError, ReadError, TypedError};

use super::attach::{MAX_BUILT_IN_ATTACHED, MAX_CUSTOM_ATTACHED};
use super::name::{MAX_DESCRIPTION_CHARS, NameError};
use super::role::{GREATEST_SESSION_LIMIT_S, LEAST_SESSION_LIMIT_S};

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An account.
    Account,
    /// A user of an account.
    User,
    /// A role of an account.
    Role,
    /// A policy of an account, or a built-in one.
    Policy,
    /// An access key of an account or a user.
    AccessKey,
    /// A signing certificate of an account.
    Certificate,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::User => "user",
            Self::Role => "role",
            Self::Policy => "policy",
            Self::AccessKey => "access key",
            Self::Certificate => "certificate",
        })
    }
}

/// What to do where one is there already.
fn instead(kind: Kind) -> &'static str {
    // A certificate has no name but itself.
    if kind == Kind::Certificate { "send another" } else { "choose another name" }
}

/// The record store did not do its part. If it failed while it wrote, the change may be done or not.
#[derive(Debug, thiserror::Error)]
pub enum StoreFailed {
    /// A record could not be read.
    #[error(transparent)]
    Read(#[from] TypedError),
    /// Records could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A record's secret could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl From<ReadError> for StoreFailed {
    fn from(error: ReadError) -> Self {
        Self::Read(error.into())
    }
}

/// Why something was not found.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// There is none.
    #[error("there is no {kind} {name:?}: list what there is")]
    Absent {
        /// Of what.
        kind: Kind,
        /// As it was asked for, cut off if long.
        name: String,
    },
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] StoreFailed),
}

/// Why something was not made. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It cannot be called so.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Something is called so, perhaps in other capitals.
    #[error("there is a {kind} {name:?} already: {}, or delete that one first", instead(*kind))]
    Taken {
        /// What.
        kind: Kind,
        /// How that one is called.
        name: String,
    },
    /// What it should belong to is not there.
    #[error("there is no {kind} {name:?} for it to belong to")]
    NoOwner {
        /// What.
        kind: Kind,
        /// As it was asked for, cut off if long.
        name: String,
    },
    /// Its owner has as many as it may.
    #[error("no more than {limit} of this kind are allowed ({kind}): delete one first")]
    Limit {
        /// Of what.
        kind: Kind,
        /// How many there may be.
        limit: usize,
    },
    /// It is described at too great length.
    #[error("the description has {chars} characters, and may have {MAX_DESCRIPTION_CHARS}")]
    Description {
        /// How long it is.
        chars: usize,
    },
    /// The document is no policy.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A role's sessions may not be as long, or as short.
    #[error(
        "the longest session of a role is of {LEAST_SESSION_LIMIT_S} to {GREATEST_SESSION_LIMIT_S} seconds, \
         not {seconds}"
    )]
    SessionLimit {
        /// What was asked for.
        seconds: u32,
    },
    /// A certificate cannot be read.
    #[error("this is no X.509 certificate in PEM (BEGIN CERTIFICATE): {why}")]
    Certificate {
        /// What is wrong.
        why: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] StoreFailed),
}

/// Why something was not changed. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is none.
    #[error("there is no {kind} {name:?}: list what there is")]
    Absent {
        /// Of what.
        kind: Kind,
        /// As it was asked for, cut off if long.
        name: String,
    },
    /// What it should become could not be made either.
    #[error(transparent)]
    Refused(CreateError),
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] StoreFailed),
}

/// Why something was not deleted. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// There is none.
    #[error("there is no {kind} {name:?}: list what there is")]
    Absent {
        /// Of what.
        kind: Kind,
        /// As it was asked for, cut off if long.
        name: String,
    },
    /// Something belongs to it, or is attached.
    #[error("the {kind} {name:?} still has {count} of this kind ({of}): delete or detach them first")]
    InUse {
        /// What should be deleted.
        kind: Kind,
        /// Its name.
        name: String,
        /// Of what it has some. For a policy: what it is attached to, a user or a role, as `Kind::User`.
        of: Kind,
        /// How many.
        count: usize,
    },
    /// A condition that the caller gave did not hold: something else belongs to it.
    #[error("the {kind} {name:?} still owns resources: delete them first")]
    OwnsResources {
        /// What should be deleted.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] StoreFailed),
}

/// Why a policy was not attached or detached. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The policy, user or role is not there.
    #[error("there is no {kind} {name:?}: list what there is")]
    Absent {
        /// Of what.
        kind: Kind,
        /// As it was asked for, cut off if long.
        name: String,
    },
    /// It is attached.
    #[error("the policy {policy:?} is attached to it already")]
    Attached {
        /// Its name.
        policy: String,
    },
    /// It is not attached.
    #[error("the policy {policy:?} is not attached to it: list what is")]
    NotAttached {
        /// Its name.
        policy: String,
    },
    /// As many are attached as may be.
    #[error(
        "no more than {MAX_CUSTOM_ATTACHED} policies of the account and {MAX_BUILT_IN_ATTACHED} built-in ones can be \
         attached: detach one, or say more in one"
    )]
    Limit,
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] StoreFailed),
}

/// What was asked for, for a message: not all of it, as anybody can send anything.
pub fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// `Absent` is the same in each.
macro_rules! absent {
    ($($error:ident),*) => {$(
        impl $error {
            pub(super) fn absent(kind: Kind, name: &str) -> Self {
                Self::Absent { kind, name: shown(name) }
            }
        }
    )*};
}
absent!(LookError, ChangeError, DeleteError, AttachError);

impl CreateError {
    pub(super) fn no_owner(kind: Kind, name: &str) -> Self {
        Self::NoOwner { kind, name: shown(name) }
    }

    /// Refuses one more when there are as many as may be.
    pub(super) fn limit(kind: Kind, count: usize, limit: usize) -> Result<(), Self> {
        if count < limit { Ok(()) } else { Err(Self::Limit { kind, limit }) }
    }
}
