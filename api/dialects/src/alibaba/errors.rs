//! From the core's errors to the cloud's codes and statuses: one table for each enum, each a full match, so that an error
//! without a row does not compile. What the core says of its own inside goes to the log instead.
//!
//! <https://error-center.alibabacloud.com/product/Ecs>
#![deny(clippy::wildcard_enum_match_arm)]

use std::borrow::Cow;

use compute::capacity::{Resource, Shortage};
use compute::compute::ComputeError;
use compute::identity::{
    AssumeRoleError, AttachError, AuthenticateError, ChangeError, CreateError, DeleteError, Kind, LookError,
    PassRoleError, StoreFailed,
};
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

const NO_PERMISSION: &str =
    "User not authorized to operate on the specified resource, or this API doesn't support RAM.";
const WRONG_STATUS: &str = "The current status of the resource does not support this operation.";

impl Refusal {
    /// One of this code.
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// A parameter that must be there is not.
    pub fn missing(name: &str) -> Self {
        let why = format!(
            "The input parameter {name:?} that is mandatory for processing this request is not supplied."
        );
        Self::new(400, "MissingParameter", why)
    }

    /// A parameter makes no sense.
    pub fn invalid(name: &str) -> Self {
        let name: String = name.chars().take(64).collect();
        Self::new(400, "InvalidParameter", format!("The specified parameter {name:?} is not valid."))
    }

    /// A parameter that this host does nothing for, and that would change what is asked.
    pub fn unsupported(name: &str) -> Self {
        Self::new(400, "UnsupportedParameter", format!("The parameter {name:?} is not supported."))
    }

    /// The caller may not do it.
    pub fn forbidden(action: &str, resource: &str) -> Self {
        Self::new(403, "Forbidden.RAM", format!("{NO_PERMISSION} {action} is not allowed for {resource}."))
    }

    /// The state of something does not allow it.
    pub fn wrong_status() -> Self {
        Self::new(403, "IncorrectInstanceStatus", WRONG_STATUS)
    }

    /// An instance is paid for in the other way.
    pub fn charge_type() -> Self {
        let why = "The operation is not permitted due to charge type of the instance.";
        Self::new(403, "ChargeTypeViolation", why)
    }

    /// All that could be checked was right.
    pub fn dry_run() -> Self {
        Self::new(400, "DryRunOperation", "Request validation has been passed with DryRun flag set.")
    }

    /// There is none of this kind.
    pub fn not_found(what: &str) -> Self {
        let (code, name) = match what {
            "instance" => ("InvalidInstanceId.NotFound", "InstanceId"),
            "image" => ("InvalidImageId.NotFound", "ImageId"),
            "volume" => ("InvalidDiskId.NotFound", "DiskId"),
            "snapshot" => ("InvalidSnapshotId.NotFound", "SnapshotId"),
            "security group" => ("InvalidSecurityGroupId.NotFound", "SecurityGroupId"),
            "subnet" => ("InvalidVSwitchId.NotFound", "VSwitchId"),
            "VPC" => ("InvalidVpcId.NotFound", "VpcId"),
            "public address" => ("InvalidAllocationId.NotFound", "AllocationId"),
            "key pair" => ("InvalidKeyPairName.NotFound", "KeyPairName"),
            "network interface" => ("InvalidEniId.NotFound", "NetworkInterfaceId"),
            "zone" => ("InvalidZoneId.NotFound", "ZoneId"),
            "rule" => ("InvalidSecurityGroupRule.NotFound", "rule"),
            "instance type" => return Self::instance_type(),
            _ => ("InvalidResourceId.NotFound", "resource"),
        };
        Self::new(404, code, format!("The specified {name} does not exist."))
    }

    fn instance_type() -> Self {
        let why = "The specified InstanceType does not exist or beyond the permitted range.";
        Self::new(400, "InvalidInstanceType.ValueNotSupported", why)
    }

    fn internal() -> Self {
        Self::new(500, "InternalError", "The request processing has failed due to some unknown error.")
    }

    fn unavailable() -> Self {
        Self::new(
            503,
            "ServiceUnavailable",
            "The request has failed due to a temporary failure of the server.",
        )
    }
}

impl From<ComputeError> for Refusal {
    fn from(error: ComputeError) -> Self {
        let message = error.to_string();
        match error {
            ComputeError::NotFound { what, .. } => Self::not_found(what),
            ComputeError::Exists { what: "key pair", .. } => Self::new(400, "KeyPair.AlreadyExist", message),
            ComputeError::Exists { what: "image", .. } => {
                Self::new(400, "InvalidImageName.Duplicated", message)
            }
            ComputeError::Exists { what: "rule", .. } => {
                Self::new(400, "InvalidSecurityGroupRule.RuleRepeat", message)
            }
            ComputeError::Exists { what: "subnet", .. } => {
                Self::new(400, "InvalidCidrBlock.Overlapped", message)
            }
            ComputeError::Exists { .. } => Self::new(400, "InvalidName.Duplicate", message),
            ComputeError::InUse { what: "security group", .. } => {
                Self::new(403, "DependencyViolation", message)
            }
            ComputeError::InUse { what: "VPC" | "subnet", .. } => {
                Self::new(400, "DependencyViolation", message)
            }
            ComputeError::InUse { what: "public address", .. } => {
                Self::new(400, "IncorrectEipStatus", message)
            }
            ComputeError::InUse { what: "image", .. } => Self::new(403, "ImageUsingByInstance", message),
            ComputeError::InUse { .. } => Self::new(403, "DependencyViolation", message),
            ComputeError::Refused { why, .. } => why.into(),
            ComputeError::WrongState { what: "instance", .. } => Self::wrong_status(),
            ComputeError::WrongState { what: "volume", .. } => Self::new(403, "IncorrectDiskStatus", message),
            ComputeError::WrongState { what: "image", .. } => Self::new(403, "IncorrectImageStatus", message),
            ComputeError::WrongState { what: "snapshot", .. } => {
                Self::new(403, "IncorrectSnapshotStatus", message)
            }
            ComputeError::WrongState { .. } => Self::new(403, "OperationDenied", message),
            ComputeError::Invalid { parameter, .. } => Self::of_parameter(parameter, message),
            ComputeError::Shortage(Shortage::Account(Resource::Instances)) => {
                Self::new(403, "QuotaExceed.AfterpayInstance", message)
            }
            ComputeError::Shortage(Shortage::Account(
                Resource::Vcpus | Resource::Memory | Resource::Disk,
            )) => Self::new(403, "QuotaExceeded", message),
            ComputeError::Shortage(Shortage::Host(
                Resource::Instances | Resource::Vcpus | Resource::Memory | Resource::Disk,
            )) => Self::new(403, "OperationDenied.NoStock", message),
            ComputeError::Address { taken: true, .. } => {
                Self::new(400, "InvalidIPAddress.AlreadyUsed", message)
            }
            ComputeError::Address { taken: false, .. } => Self::new(403, "OperationDenied.NoStock", message),
            ComputeError::Limit { .. } => Self::new(403, "QuotaExceeded", message),
            ComputeError::TokenMismatch => Self::new(400, "IdempotentParameterMismatch", message),
            ComputeError::Protected { .. } => Self::new(403, "InvalidOperation.DeletionProtection", message),
            ComputeError::Host(HostError::Exhausted(_)) => Self::unavailable(),
            ComputeError::Host(HostError::Refused(_)) => Self::wrong_status(),
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

impl Refusal {
    /// The cloud's words for what the core names of a request.
    fn of_parameter(parameter: &'static str, message: String) -> Self {
        let code = match parameter {
            "page_token" => "InvalidNextToken",
            "user_data" => "InvalidUserData.SizeExceeded",
            "host_name" => "InvalidHostName.Malformed",
            "release_at" | "auto_renew" => return Self::charge_type(),
            "period" => "InvalidPeriod",
            "system_disk" => "InvalidSystemDiskSize.LessThanImageSize",
            "private_address" => "InvalidPrivateIpAddress",
            "security_groups" => "InvalidSecurityGroupId.VPCMismatch",
            "public_key" => "InvalidPublicKey.NotFound",
            "client_token" => "InvalidClientToken",
            "tags" => "InvalidTagKey.Malformed",
            _ => "InvalidParameter",
        };
        Self::new(400, code, message)
    }
}

impl From<Refused> for Refusal {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Already | Refused::Busy | Refused::WrongState => Self::wrong_status(),
            Refused::Locked => Self::new(
                403,
                "InstanceLockedForSecurity",
                "The instance is locked, as its subscription expired.",
            ),
            Refused::Gone => Self::not_found("instance"),
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
                Self::new(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
            }
            NoteError::TooMany => {
                Self::new(400, "Throttling", "Request was denied due to request throttling.")
            }
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
            BodyError::TooLarge { .. } => Self::new(413, "RequestBodyTooLarge", message),
            BodyError::BrokeOff(_) => Self::new(400, "InvalidParameter", message),
            BodyError::TooSlow { .. } => Self::new(408, "RequestTimeout", message),
        }
    }
}

/// RAM's word for a kind of thing.
fn entity(kind: Kind) -> &'static str {
    match kind {
        Kind::Account => "Account",
        Kind::User => "User",
        Kind::Role => "Role",
        Kind::Policy => "Policy",
        Kind::AccessKey => "User.AccessKey",
        Kind::Certificate => "User.Certificate",
    }
}

fn absent(kind: Kind, name: &str) -> Refusal {
    let word = entity(kind);
    Refusal::new(404, format!("EntityNotExist.{word}"), format!("The {kind} does not exist: {name} ."))
}

impl From<LookError> for Refusal {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Absent { kind, name } => absent(kind, &name),
            LookError::Failed(error) => error.into(),
        }
    }
}

impl From<CreateError> for Refusal {
    fn from(error: CreateError) -> Self {
        let message = error.to_string();
        match error {
            CreateError::Name(_) => Self::new(400, "InvalidParameter.Name", message),
            CreateError::Taken { kind, .. } => {
                Self::new(409, format!("EntityAlreadyExists.{}", entity(kind)), message)
            }
            CreateError::NoOwner { kind, name } => absent(kind, &name),
            CreateError::Limit { kind, .. } => {
                Self::new(409, format!("LimitExceeded.{}", entity(kind)), message)
            }
            CreateError::Description { .. } => Self::new(400, "InvalidParameter.Description.Length", message),
            CreateError::Document(_) => Self::new(400, "MalformedPolicyDocument", message),
            CreateError::SessionLimit { .. } => {
                Self::new(400, "InvalidParameter.MaxSessionDuration", message)
            }
            CreateError::Certificate { .. } => Self::new(400, "InvalidParameter.Certificate", message),
            CreateError::Failed(error) => error.into(),
        }
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Absent { kind, name } => absent(kind, &name),
            ChangeError::Refused(error) => error.into(),
            ChangeError::Failed(error) => error.into(),
        }
    }
}

impl From<DeleteError> for Refusal {
    fn from(error: DeleteError) -> Self {
        let message = error.to_string();
        match error {
            DeleteError::Absent { kind, name } => absent(kind, &name),
            DeleteError::InUse { kind, of, .. } => {
                Self::new(409, format!("DeleteConflict.{}.{}", entity(kind), last(entity(of))), message)
            }
            DeleteError::OwnsResources { .. } => Self::new(409, "DeleteConflict", message),
            DeleteError::Failed(error) => error.into(),
        }
    }
}

/// `AccessKey` of `User.AccessKey`.
fn last(entity: &str) -> &str {
    entity.rsplit('.').next().unwrap_or(entity)
}

impl From<AttachError> for Refusal {
    fn from(error: AttachError) -> Self {
        let message = error.to_string();
        match error {
            AttachError::Absent { kind, name } => absent(kind, &name),
            AttachError::Attached { .. } => Self::new(409, "EntityAlreadyExists.Policy", message),
            AttachError::NotAttached { .. } => Self::new(404, "EntityNotExist.Policy", message),
            AttachError::Limit => Self::new(409, "LimitExceeded.Policy", message),
            AttachError::Failed(error) => error.into(),
        }
    }
}

impl From<AuthenticateError> for Refusal {
    fn from(error: AuthenticateError) -> Self {
        let message = error.to_string();
        match error {
            AuthenticateError::UnknownKey { .. } | AuthenticateError::Gone { .. } => {
                Self::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
            }
            AuthenticateError::InactiveKey { .. } => {
                Self::new(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
            }
            AuthenticateError::AccountDisabled { .. } => Self::new(403, "Forbidden", message),
            AuthenticateError::MissingToken { .. } => Self::new(400, "MissingSecurityToken", message),
            AuthenticateError::WrongToken { .. } => {
                Self::new(400, "InvalidSecurityToken.MismatchWithAccessKey", message)
            }
            AuthenticateError::Expired { .. } => Self::new(400, "InvalidSecurityToken.Expired", message),
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
            | AssumeRoleError::AccountDisabled { .. } => Self::new(403, "NoPermission", message),
            AssumeRoleError::Absent { role } => absent(Kind::Role, &role),
            AssumeRoleError::SessionName { .. } => {
                Self::new(400, "InvalidParameter.RoleSessionName", message)
            }
            AssumeRoleError::Duration { .. } => Self::new(400, "InvalidParameter.DurationSeconds", message),
            AssumeRoleError::NoPolicy { name } => absent(Kind::Policy, &name),
            AssumeRoleError::TooManyPolicies { .. } => Self::new(400, "InvalidParameter.Policy", message),
            AssumeRoleError::Document(_) => Self::new(400, "InvalidParameter.PolicyGrammar", message),
            AssumeRoleError::Failed(error) => error.into(),
        }
    }
}

impl From<PassRoleError> for Refusal {
    fn from(error: PassRoleError) -> Self {
        let message = error.to_string();
        match error {
            PassRoleError::NotAllowed { .. } => {
                Self::new(403, "Forbidden.RAM", format!("{NO_PERMISSION} {message}"))
            }
            PassRoleError::Absent { .. } => {
                Self::new(404, "InvalidRamRole.NotFound", "The specified RamRoleName does not exist.")
            }
            PassRoleError::NotTrusted { .. } => Self::new(
                403,
                "InvalidRamRole.NotEcsRole",
                "The specified RamRole is not authorized for ecs, please check your role policy.",
            ),
            PassRoleError::Failed(error) => error.into(),
        }
    }
}
