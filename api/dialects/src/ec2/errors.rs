//! From the core's errors to the cloud's codes and statuses: one table for each enum, each a full match, so that an error
//! without a row does not compile. What the core says of its own inside goes to the log instead.
//!
//! <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-error-codes.html>
#![deny(clippy::wildcard_enum_match_arm)]

use std::borrow::Cow;

use compute::capacity::{Resource, Shortage};
use compute::compute::ComputeError;
use compute::identity::{AssumeRoleError, AuthenticateError, LookError, PassRoleError, StoreFailed};
use compute::lifecycle::Refused;
use compute::outside::HostError;
use compute::store::{CommitError, ReadError};

use crate::server::{BodyError, NoteError};

/// What is told instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The cloud's code.
    pub code: Cow<'static, str>,
    /// In words.
    pub message: String,
}

/// Most characters of a client's own words that are repeated to it.
const MAX_SHOWN: usize = 64;

fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

/// How the cloud calls a kind of thing in codes: the core's name, the code of an id that is malformed, that of one that is of
/// nothing, and the word that messages have.
const KINDS: &[(&str, &str, &str, &str)] = &[
    ("instance", "InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound", "instance ID"),
    ("reservation", "InvalidReservationID.Malformed", "InvalidReservationID.NotFound", "reservation ID"),
    ("image", "InvalidAMIID.Malformed", "InvalidAMIID.NotFound", "image id"),
    ("volume", "InvalidVolumeID.Malformed", "InvalidVolume.NotFound", "volume"),
    ("snapshot", "InvalidSnapshotID.Malformed", "InvalidSnapshot.NotFound", "snapshot"),
    ("security group", "InvalidGroupId.Malformed", "InvalidGroup.NotFound", "security group"),
    ("subnet", "InvalidSubnetID.Malformed", "InvalidSubnetID.NotFound", "subnet ID"),
    ("VPC", "InvalidVpcID.Malformed", "InvalidVpcID.NotFound", "vpc ID"),
    ("public address", "InvalidAllocationID.Malformed", "InvalidAllocationID.NotFound", "allocation ID"),
    (
        "network interface",
        "InvalidNetworkInterfaceID.Malformed",
        "InvalidNetworkInterfaceID.NotFound",
        "networkInterface ID",
    ),
    ("key pair", "InvalidKeyPair.Format", "InvalidKeyPair.NotFound", "key pair"),
    ("zone", "InvalidZone.NotFound", "InvalidZone.NotFound", "zone"),
    ("rule", "InvalidPermission.Malformed", "InvalidPermission.NotFound", "rule"),
    ("instance type", "InvalidInstanceType", "InvalidInstanceType", "instance type"),
];

impl Refusal {
    /// One of this code.
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// A parameter that must be there is not.
    pub fn missing(name: &str) -> Self {
        Self::new(400, "MissingParameter", format!("The request must contain the parameter {}", shown(name)))
    }

    /// A parameter makes no sense.
    pub fn invalid(name: &str, value: &str) -> Self {
        let (name, value) = (shown(name), shown(value));
        Self::new(400, "InvalidParameterValue", format!("Value ({value}) for parameter {name} is invalid."))
    }

    /// Parameters make no sense together.
    pub fn combination(why: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterCombination", why)
    }

    /// A parameter that there is not.
    pub fn unknown_parameter(name: &str) -> Self {
        Self::new(400, "UnknownParameter", format!("The parameter {} is not recognized", shown(name)))
    }

    /// What this host does nothing for, and that would change what is asked.
    pub fn unsupported(name: &str) -> Self {
        Self::new(
            400,
            "UnsupportedOperation",
            format!("The parameter {} is not supported here.", shown(name)),
        )
    }

    /// The caller may not do it.
    pub fn unauthorized() -> Self {
        Self::new(403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
    }

    /// All that could be checked was right.
    pub fn dry_run() -> Self {
        Self::new(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    }

    /// A signature that is not good now.
    pub fn expired() -> Self {
        Self::new(400, "RequestExpired", "Request has expired.")
    }

    /// Whoever signed had another secret, or signed something else.
    pub fn wrong_signature() -> Self {
        let why = "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                   Access Key and signing method. Consult the service documentation for details.";
        Self::new(403, "SignatureDoesNotMatch", why)
    }

    fn auth_failure() -> Self {
        let why = "AWS was not able to validate the provided access credentials";
        Self::new(401, "AuthFailure", why)
    }

    /// An id of this kind, by the core's name of it, has not the form of one.
    pub fn malformed(what: &str, id: &str) -> Self {
        let (code, word) = kind(what).map_or(("InvalidID", "ID"), |(_, code, _, word)| (*code, *word));
        Self::new(400, code, format!("Invalid {word}: \"{}\"", shown(id)))
    }

    /// There is none of this kind with that id or name.
    pub fn no_such(what: &str, id: &str) -> Self {
        let (code, word) = kind(what).map_or(("InvalidID", "ID"), |(_, _, code, word)| (*code, *word));
        Self::new(400, code, format!("The {word} '{}' does not exist", shown(id)))
    }

    /// The state of something does not allow it.
    pub fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(400, "IncorrectInstanceState", message)
    }

    fn internal() -> Self {
        Self::new(500, "InternalError", "An internal error has occurred")
    }

    fn unavailable() -> Self {
        Self::new(503, "Unavailable", "The server is overloaded and can't handle the request.")
    }

    /// The same in STS's words.
    #[must_use]
    pub fn in_sts(self) -> Self {
        let (status, code) = match &*self.code {
            "AuthFailure" => (403, "InvalidClientTokenId"),
            "RequestExpired" => (403, "ExpiredToken"),
            "UnauthorizedOperation" => (403, "AccessDenied"),
            "MissingParameter" if self.message.ends_with("AWSAccessKeyId") => {
                (403, "MissingAuthenticationToken")
            }
            "MissingParameter" | "InvalidParameterValue" => (400, "ValidationError"),
            _ => return self,
        };
        Self::new(status, code, self.message)
    }
}

impl Refusal {
    /// The same in the words of 2007, which had fewer: what was not thought of yet is told as what comes next to it.
    #[must_use]
    pub fn in_2007(self) -> Self {
        let (status, code) = match &*self.code {
            "UnauthorizedOperation" | "OptInRequired" => (401, "AuthFailure"),
            "VcpuLimitExceeded" | "VolumeLimitExceeded" => (400, "InstanceLimitExceeded"),
            "InsufficientVolumeCapacity" | "InsufficientAddressCapacity" => {
                (500, "InsufficientInstanceCapacity")
            }
            _ => return self,
        };
        Self::new(status, code, self.message)
    }
}

fn kind(what: &str) -> Option<&'static (&'static str, &'static str, &'static str, &'static str)> {
    KINDS.iter().find(|(name, ..)| *name == what)
}

impl From<ComputeError> for Refusal {
    fn from(error: ComputeError) -> Self {
        let message = error.to_string();
        match error {
            ComputeError::NotFound { what, id } => Self::no_such(what, &id),
            ComputeError::Exists { what: "key pair", .. } => {
                Self::new(400, "InvalidKeyPair.Duplicate", message)
            }
            ComputeError::Exists { what: "security group", .. } => {
                Self::new(400, "InvalidGroup.Duplicate", message)
            }
            ComputeError::Exists { what: "rule", .. } => {
                Self::new(400, "InvalidPermission.Duplicate", message)
            }
            ComputeError::Exists { what: "subnet", .. } => Self::new(400, "InvalidSubnet.Conflict", message),
            ComputeError::Exists { what: "image", .. } => Self::new(400, "InvalidAMIName.Duplicate", message),
            ComputeError::Exists { .. } => Self::new(400, "InvalidParameterValue", message),
            ComputeError::InUse { what: "volume", .. } => Self::new(400, "VolumeInUse", message),
            ComputeError::InUse { what: "snapshot", .. } => Self::new(400, "InvalidSnapshot.InUse", message),
            ComputeError::InUse { what: "public address", .. } => {
                Self::new(400, "InvalidIPAddress.InUse", message)
            }
            ComputeError::InUse { what: "network interface", .. } => {
                Self::new(400, "InvalidNetworkInterface.InUse", message)
            }
            ComputeError::InUse { .. } => Self::new(400, "DependencyViolation", message),
            ComputeError::Refused { why, .. } => Self::of_state(why, message),
            ComputeError::WrongState { what: "volume", .. } => Self::new(400, "IncorrectState", message),
            ComputeError::WrongState { what: "snapshot", .. } => Self::new(400, "IncorrectState", message),
            ComputeError::WrongState { what: "image", .. } => {
                Self::new(400, "InvalidAMIID.Unavailable", message)
            }
            ComputeError::WrongState { what: "instance", .. } => Self::wrong_state(message),
            ComputeError::WrongState { .. } => Self::new(400, "IncorrectState", message),
            ComputeError::Invalid { parameter, .. } => Self::of_parameter(parameter, message),
            ComputeError::Shortage(Shortage::Account(Resource::Instances)) => {
                Self::new(400, "InstanceLimitExceeded", message)
            }
            ComputeError::Shortage(Shortage::Account(Resource::Vcpus | Resource::Memory)) => {
                Self::new(400, "VcpuLimitExceeded", message)
            }
            ComputeError::Shortage(Shortage::Account(Resource::Disk)) => {
                Self::new(400, "VolumeLimitExceeded", message)
            }
            ComputeError::Shortage(Shortage::Host(
                Resource::Instances | Resource::Vcpus | Resource::Memory,
            )) => Self::new(500, "InsufficientInstanceCapacity", message),
            ComputeError::Shortage(Shortage::Host(Resource::Disk)) => {
                Self::new(500, "InsufficientVolumeCapacity", message)
            }
            ComputeError::Address { taken: true, .. } => Self::new(400, "InvalidIPAddress.InUse", message),
            ComputeError::Address { taken: false, .. } => {
                Self::new(500, "InsufficientAddressCapacity", message)
            }
            ComputeError::Limit { what, .. } => Self::new(400, limit(what), message),
            ComputeError::TokenMismatch => Self::new(400, "IdempotentParameterMismatch", message),
            ComputeError::Protected { instance } => {
                let why = format!(
                    "The instance '{instance}' may not be terminated. Modify its 'disableApiTermination' instance \
                     attribute and try again."
                );
                Self::new(400, "OperationNotPermitted", why)
            }
            ComputeError::Host(HostError::Exhausted(_)) => Self::unavailable(),
            ComputeError::Host(HostError::Refused(_)) => Self::wrong_state(message),
            ComputeError::Host(HostError::Failed(_)) => {
                log::error!("{message}");
                Self::internal()
            }
            ComputeError::Store(error) => error.into(),
            ComputeError::Damaged(_) => {
                log::error!("{message}");
                Self::internal()
            }
            ComputeError::StoreFull | ComputeError::Contended { .. } | ComputeError::Ending => {
                Self::unavailable()
            }
        }
    }
}

/// The code of a limit of an account, by the core's word for what there are too many of.
fn limit(what: &str) -> &'static str {
    match what {
        "VPCs" => "VpcLimitExceeded",
        "subnets" => "SubnetLimitExceeded",
        "security groups" => "SecurityGroupLimitExceeded",
        "public addresses" => "AddressLimitExceeded",
        "volumes" => "VolumeLimitExceeded",
        "snapshots" => "SnapshotLimitExceeded",
        "rules" => "RulesPerSecurityGroupLimitExceeded",
        _ => "ResourceLimitExceeded",
    }
}

impl Refusal {
    /// The cloud's words for what the core names of a request.
    fn of_parameter(parameter: &'static str, message: String) -> Self {
        let code = match parameter {
            "page_token" => "InvalidNextToken",
            "public_key" => "InvalidKey.Format",
            "disks" | "system_disk" => "InvalidBlockDeviceMapping",
            "security_groups" => "InvalidParameter",
            _ => "InvalidParameterValue",
        };
        Self::new(400, code, message)
    }

    fn of_state(why: Refused, message: String) -> Self {
        match why {
            Refused::Already | Refused::Busy | Refused::WrongState | Refused::Locked | Refused::Gone => {
                Self::wrong_state(message)
            }
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        log::error!("{error}");
        match error {
            ReadError::Unavailable { .. } => Self::unavailable(),
            ReadError::Corrupt { .. } => Self::internal(),
        }
    }
}

impl From<NoteError> for Refusal {
    fn from(error: NoteError) -> Self {
        match error {
            NoteError::Used => {
                Self::new(401, "AuthFailure", "The request was answered already: sign it anew")
            }
            NoteError::TooMany => Self::unavailable(),
            NoteError::Failed(error) => error.into(),
        }
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        ComputeError::from(error).into()
    }
}

impl From<StoreFailed> for Refusal {
    fn from(error: StoreFailed) -> Self {
        match error {
            StoreFailed::Read(error) => ComputeError::from(error).into(),
            StoreFailed::Commit(error) => error.into(),
            StoreFailed::Open(error) => {
                log::error!("a secret cannot be opened: {error}");
                Self::internal()
            }
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let message = error.to_string();
        match error {
            BodyError::TooLarge { .. } => Self::new(413, "RequestEntityTooLarge", message),
            BodyError::BrokeOff(_) => Self::new(400, "MalformedQueryString", message),
            BodyError::TooSlow { .. } => Self::new(408, "RequestTimeout", message),
        }
    }
}

impl From<LookError> for Refusal {
    fn from(error: LookError) -> Self {
        let message = error.to_string();
        match error {
            LookError::Absent { .. } => Self::new(404, "NoSuchEntity", message),
            LookError::Failed(error) => error.into(),
        }
    }
}

impl From<AuthenticateError> for Refusal {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::UnknownKey { .. }
            | AuthenticateError::Gone { .. }
            | AuthenticateError::InactiveKey { .. }
            | AuthenticateError::MissingToken { .. }
            | AuthenticateError::WrongToken { .. } => Self::auth_failure(),
            AuthenticateError::AccountDisabled { .. } => {
                let why = "You are not authorized to use the requested service. Ask the operator.";
                Self::new(401, "OptInRequired", why)
            }
            AuthenticateError::Expired { .. } => Self::expired(),
            AuthenticateError::Failed(error) => error.into(),
        }
    }
}

impl From<AssumeRoleError> for Refusal {
    fn from(error: AssumeRoleError) -> Self {
        let message = error.to_string();
        match error {
            AssumeRoleError::NotAllowed { .. }
            | AssumeRoleError::NotTrusted { .. }
            | AssumeRoleError::Absent { .. }
            | AssumeRoleError::AccountDisabled { .. } => Self::new(403, "AccessDenied", message),
            AssumeRoleError::SessionName { .. }
            | AssumeRoleError::Duration { .. }
            | AssumeRoleError::NoPolicy { .. }
            | AssumeRoleError::TooManyPolicies { .. } => Self::new(400, "ValidationError", message),
            AssumeRoleError::Document(_) => Self::new(400, "MalformedPolicyDocument", message),
            AssumeRoleError::Failed(error) => error.into(),
        }
    }
}

impl From<PassRoleError> for Refusal {
    fn from(error: PassRoleError) -> Self {
        let message = error.to_string();
        match error {
            PassRoleError::NotAllowed { .. } => Self::unauthorized(),
            PassRoleError::Absent { .. } | PassRoleError::NotTrusted { .. } => {
                Self::new(400, "InvalidParameterValue", message)
            }
            PassRoleError::Failed(error) => error.into(),
        }
    }
}
