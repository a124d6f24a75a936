//! From the core's errors to the API's: one table for each enum, each a full match, so that an error without a row does not
//! compile. What is sent is what the core says; what it says of its own inside goes to the log instead.
#![deny(clippy::wildcard_enum_match_arm)]

use compute::access::Decision;
use compute::capacity::{Resource, Shortage};
use compute::compute::{ClearError, ComputeError, ConnectInstanceError};
use compute::identity::{
    AssumeRoleError, AttachError, AuthenticateError, ChangeError, CreateError, DeleteError, Kind, LookError,
    PassRoleError, StoreFailed,
};
use compute::lifecycle::Refused;
use compute::outside::HostError;
use compute::store::{CommitError, ReadError, TypedError};
use native_api::{ErrorBody, ErrorCode};

/// Something of ours that becomes a refusal.
pub trait Refusal {
    /// The refusal.
    fn refusal(self) -> ErrorBody;
}

/// `?` for the core's errors.
pub trait OrRefuse<T> {
    /// The value, or the refusal.
    fn or_refuse(self) -> Result<T, ErrorBody>;
}

impl<T, E: Refusal> OrRefuse<T> for Result<T, E> {
    fn or_refuse(self) -> Result<T, ErrorBody> {
        self.map_err(Refusal::refusal)
    }
}

const LIST: &str = "list what there is";
const AGAIN: &str = "try again in a moment";
const OPERATOR: &str = "the operator finds more in the daemon's log";

impl Refusal for ComputeError {
    fn refusal(self) -> ErrorBody {
        let message = self.to_string();
        let (code, hint) = match self {
            Self::NotFound { .. } => (ErrorCode::NotFound, LIST),
            Self::Exists { .. } => (ErrorCode::AlreadyExists, "choose another, or use the one that is there"),
            Self::InUse { .. } => (ErrorCode::InUse, "take it away from there first"),
            Self::Refused { why, .. } => (ErrorCode::WrongState, refused(why)),
            Self::WrongState { .. } => {
                (ErrorCode::WrongState, "bring it into that state, or wait until it is")
            }
            Self::Invalid { parameter: "page_token", .. } => {
                (ErrorCode::InvalidParameter, "begin the list anew without it")
            }
            Self::Invalid { .. } => (ErrorCode::InvalidParameter, "change it, then try again"),
            Self::Shortage(Shortage::Account(_)) => {
                (ErrorCode::LimitExceeded, "GET /v1/caller says which account it is")
            }
            Self::Shortage(Shortage::Host(Resource::Disk)) => {
                (ErrorCode::StorageFull, "delete volumes, or ask for smaller ones")
            }
            Self::Shortage(Shortage::Host(Resource::Instances | Resource::Vcpus | Resource::Memory)) => {
                (ErrorCode::InsufficientCapacity, "stop or terminate instances, or ask for less")
            }
            Self::Address { taken: true, .. } => (ErrorCode::InUse, "ask for another, or leave it to us"),
            Self::Address { taken: false, .. } => (ErrorCode::InsufficientCapacity, "release some first"),
            Self::Limit { .. } => (ErrorCode::LimitExceeded, "delete some first"),
            Self::TokenMismatch => (ErrorCode::ClientTokenMismatch, "use a new token for a new request"),
            Self::Protected { .. } => (ErrorCode::WrongState, "take the protection away where it was given"),
            Self::Host(HostError::Exhausted(_)) => (ErrorCode::Unavailable, AGAIN),
            Self::Host(HostError::Refused(_)) => (ErrorCode::WrongState, "start the instance first"),
            Self::Host(HostError::Failed(_)) => (ErrorCode::Internal, OPERATOR),
            Self::Store(error) => return error.refusal(),
            Self::Damaged(error) => return error.refusal(),
            Self::StoreFull => (ErrorCode::Unavailable, "the operator must make room"),
            Self::Contended { .. } => (ErrorCode::Unavailable, AGAIN),
            Self::Ending => (ErrorCode::Unavailable, AGAIN),
        };
        code.body(message, hint)
    }
}

fn refused(why: Refused) -> &'static str {
    match why {
        Refused::Already | Refused::Busy => "look at the instance until its state is reached",
        Refused::WrongState => "see its state, and bring it into one that allows this",
        Refused::Locked => "renew it first",
        Refused::Gone => "launch another",
    }
}

impl Refusal for ConnectInstanceError {
    fn refusal(self) -> ErrorBody {
        let message = self.to_string();
        match self {
            Self::Refused { .. } => {
                let hint =
                    "see that something in the guest listens there, and not on its loopback address only";
                ErrorCode::ConnectionRefused.body(message, hint)
            }
            Self::Silent { .. } => {
                let hint = "see on its console how far the guest is; a firewall of its own may drop it too";
                ErrorCode::ConnectionTimeout.body(message, hint)
            }
            Self::Other(error) => error.refusal(),
        }
    }
}

impl Refusal for ReadError {
    fn refusal(self) -> ErrorBody {
        log::error!("{self}");
        match self {
            Self::Unavailable { .. } => {
                ErrorCode::Unavailable.body("the record store does not answer", AGAIN)
            }
            Self::Corrupt { .. } => ErrorCode::Internal.body("the record store is damaged", OPERATOR),
        }
    }
}

impl Refusal for TypedError {
    fn refusal(self) -> ErrorBody {
        match self {
            Self::Read(error) => error.refusal(),
            Self::Decode { .. } => {
                log::error!("{self}");
                ErrorCode::Internal.body("a record cannot be understood", OPERATOR)
            }
        }
    }
}

impl Refusal for CommitError {
    fn refusal(self) -> ErrorBody {
        ComputeError::from(self).refusal()
    }
}

impl Refusal for StoreFailed {
    fn refusal(self) -> ErrorBody {
        match self {
            Self::Read(error) => error.refusal(),
            Self::Commit(error) => error.refusal(),
            Self::Open(error) => {
                log::error!("a secret cannot be opened: {error}");
                ErrorCode::Internal.body("a secret on record cannot be opened", OPERATOR)
            }
        }
    }
}

impl Refusal for LookError {
    fn refusal(self) -> ErrorBody {
        match self {
            Self::Absent { .. } => ErrorCode::NotFound.body(self.to_string(), LIST),
            Self::Failed(error) => error.refusal(),
        }
    }
}

impl Refusal for CreateError {
    fn refusal(self) -> ErrorBody {
        let message = self.to_string();
        let (code, hint) = match self {
            Self::Name(_) => (ErrorCode::MalformedRequest, "choose another name"),
            Self::Taken { kind: Kind::Certificate, .. } => {
                (ErrorCode::AlreadyExists, "make one with a key of its own")
            }
            Self::Taken { .. } => (ErrorCode::AlreadyExists, "choose another name"),
            Self::NoOwner { .. } => (ErrorCode::NotFound, LIST),
            Self::Limit { .. } => (ErrorCode::LimitExceeded, "delete some first"),
            Self::Description { .. } => (ErrorCode::MalformedRequest, "say less"),
            Self::Document(_) => {
                (ErrorCode::InvalidParameter, "put the document right; nothing in it is skipped")
            }
            Self::SessionLimit { .. } => (ErrorCode::InvalidParameter, "choose a time between"),
            Self::Certificate { .. } => {
                (ErrorCode::InvalidParameter, "send the certificate alone, as openssl req -x509 writes it")
            }
            Self::Failed(error) => return error.refusal(),
        };
        code.body(message, hint)
    }
}

impl Refusal for ChangeError {
    fn refusal(self) -> ErrorBody {
        match self {
            Self::Absent { .. } => ErrorCode::NotFound.body(self.to_string(), LIST),
            Self::Refused(error) => error.refusal(),
            Self::Failed(error) => error.refusal(),
        }
    }
}

impl Refusal for DeleteError {
    fn refusal(self) -> ErrorBody {
        let message = self.to_string();
        let (code, hint) = match self {
            Self::Absent { .. } => (ErrorCode::NotFound, LIST),
            Self::InUse { .. } | Self::OwnsResources { .. } => {
                (ErrorCode::InUse, "delete or detach them first")
            }
            Self::Failed(error) => return error.refusal(),
        };
        code.body(message, hint)
    }
}

impl Refusal for AttachError {
    fn refusal(self) -> ErrorBody {
        let message = self.to_string();
        let (code, hint) = match self {
            Self::Absent { .. } | Self::NotAttached { .. } => (ErrorCode::NotFound, LIST),
            Self::Attached { .. } => (ErrorCode::AlreadyExists, "there is nothing to do"),
            Self::Limit => (ErrorCode::LimitExceeded, "detach one, or say more in one"),
            Self::Failed(error) => return error.refusal(),
        };
        code.body(message, hint)
    }
}

impl Refusal for ClearError {
    fn refusal(self) -> ErrorBody {
        match self {
            Self::Owned(error) => error.refusal(),
            Self::Identity(error) => error.refusal(),
        }
    }
}

impl Refusal for AuthenticateError {
    fn refusal(self) -> ErrorBody {
        let message = match self {
            // That a key is there is nobody's business who has not its secret.
            Self::UnknownKey { .. } => WRONG.to_owned(),
            Self::InactiveKey { .. } | Self::AccountDisabled { .. } | Self::MissingToken { .. } => {
                self.to_string()
            }
            Self::WrongToken { .. } | Self::Expired { .. } | Self::Gone { .. } => self.to_string(),
            Self::Failed(error) => return error.refusal(),
        };
        ErrorCode::Unauthenticated.body(message, "use an access key that is active, with its secret")
    }
}

/// What a wrong secret is told, and a wrong key too.
pub const WRONG: &str = "the access key or its secret is wrong";

impl Refusal for AssumeRoleError {
    fn refusal(self) -> ErrorBody {
        let message = self.to_string();
        let (code, hint) = match self {
            Self::NotAllowed { decision, .. } => (ErrorCode::AccessDenied, why(&decision)),
            Self::NotTrusted { .. } | Self::AccountDisabled { .. } => {
                (ErrorCode::AccessDenied, "ask whoever owns the role")
            }
            Self::Absent { .. } => (ErrorCode::NotFound, LIST),
            Self::SessionName { .. } => (ErrorCode::InvalidParameter, "choose another name"),
            Self::Duration { .. } => {
                (ErrorCode::InvalidParameter, "ask for another time, or raise the role's limit")
            }
            Self::NoPolicy { .. } => (ErrorCode::InvalidParameter, "create it first, or leave it out"),
            Self::TooManyPolicies { .. } => (ErrorCode::InvalidParameter, "name fewer"),
            Self::Document(_) => {
                (ErrorCode::InvalidParameter, "put the document right; nothing in it is skipped")
            }
            Self::Failed(error) => return error.refusal(),
        };
        code.body(message, hint)
    }
}

impl Refusal for PassRoleError {
    fn refusal(self) -> ErrorBody {
        let message = self.to_string();
        let (code, hint) = match self {
            Self::NotAllowed { decision, .. } => (ErrorCode::AccessDenied, why(&decision)),
            Self::Absent { .. } => (ErrorCode::InvalidParameter, "create it first, or leave it out"),
            Self::NotTrusted { .. } => {
                (ErrorCode::InvalidParameter, "name the service in the role's trust policy")
            }
            Self::Failed(error) => return error.refusal(),
        };
        code.body(message, hint)
    }
}

/// What a decision says to whoever it is against.
pub fn why(decision: &Decision) -> &'static str {
    match decision {
        Decision::AllowedAsRoot | Decision::AllowedBy { .. } => "nothing hinders",
        Decision::DeniedBy { .. } => "a policy denies it: have that changed",
        Decision::DeniedBySession { .. } | Decision::NotInSession => {
            "the session was narrowed: assume the role anew without that"
        }
        Decision::NotAllowed => "have a policy attached that allows it",
    }
}
