//! Who may do what: accounts, users, access keys, certificates, roles, policies and sessions.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    AccessKeyId, AccountId, CertificatePem, Description, PageSize, PageToken, PolicyDocument, PrincipalName,
    Quota, SessionName, SessionSeconds, Sha256,
};

/// Body of `POST /v1/accounts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateAccount {
    /// What to call it; unique on the host.
    pub name: PrincipalName,
    /// How much it may have. Default: no limit.
    #[serde(default)]
    pub quotas: Quotas,
}

/// How much an account may have at once. What is left out has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<Quota>,
    /// vCPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vcpus: Option<Quota>,
    /// Guest memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<Quota>,
    /// Disk space as guests see it, in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<Quota>,
}

/// Body of `PATCH /v1/accounts/{account_id}`. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UpdateAccount {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<PrincipalName>,
    /// Whether its credentials are taken. Its instances run on either way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How much it may have, the whole of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotas: Option<Quotas>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What people call it.
    pub name: PrincipalName,
    /// Whether its credentials are taken.
    pub enabled: bool,
    /// How much it may have.
    pub quotas: Quotas,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Body of `POST /v1/users`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// Its name.
    pub name: PrincipalName,
    /// Who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
}

/// A user of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// Its name.
    pub name: PrincipalName,
    /// Whose it is.
    pub account: AccountId,
    /// Who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// The policies that are attached.
    pub policies: Vec<PrincipalName>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Body of `POST /v1/access-keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CreateAccessKey {
    /// The user. Default: the account itself, which may do everything with what is its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<PrincipalName>,
}

/// Body of `PATCH /v1/access-keys/{access_key_id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateAccessKey {
    /// Whether it is taken.
    pub active: bool,
}

/// An access key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccessKey {
    /// Its id.
    pub id: AccessKeyId,
    /// The account.
    pub account: AccountId,
    /// The user; left out for the account's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<PrincipalName>,
    /// Whether it is taken.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An access key that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewAccessKey {
    /// The key.
    pub access_key: AccessKey,
    /// Its secret. Shown here and never again.
    pub secret: String,
}

/// Says nothing of the secret: what is printed for debugging ends up in logs.
impl fmt::Debug for NewAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccessKey").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Query of `GET /v1/access-keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AccessKeyQuery {
    /// Most items on a page. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<PageSize>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Only those of this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<PrincipalName>,
}

/// Body of `POST /v1/certificates`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UploadCertificate {
    /// The certificate. Its private key is never sent.
    pub pem: CertificatePem,
}

/// An X.509 certificate of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Certificate {
    /// What tells it from others: the SHA-256 of its DER.
    pub fingerprint: Sha256,
    /// The account, in whose name its key signs.
    pub account: AccountId,
    /// It itself, as it was uploaded.
    pub pem: String,
    /// When it was uploaded.
    pub created_at: Timestamp,
}

/// Body of `POST /v1/roles`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateRole {
    /// Its name.
    pub name: PrincipalName,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Who may assume it.
    pub trust_policy: PolicyDocument,
    /// Longest session. Default: an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_session_seconds: Option<SessionSeconds>,
}

/// Body of `PATCH /v1/roles/{role_name}`. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UpdateRole {
    /// A new description; an empty one for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Who may assume it. Sessions that are there go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_policy: Option<PolicyDocument>,
    /// Longest session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_session_seconds: Option<SessionSeconds>,
}

/// A role: rights that others may assume for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Role {
    /// Its name.
    pub name: PrincipalName,
    /// Whose it is.
    pub account: AccountId,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Who may assume it.
    pub trust_policy: PolicyDocument,
    /// Longest session.
    pub max_session_seconds: SessionSeconds,
    /// The policies that are attached.
    pub policies: Vec<PrincipalName>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Body of `POST /v1/policies`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreatePolicy {
    /// Its name.
    pub name: PrincipalName,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// What it says.
    pub document: PolicyDocument,
}

/// Body of `PATCH /v1/policies/{policy_name}`. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UpdatePolicy {
    /// A new description; an empty one for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// What it is to say, at once for all who have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<PolicyDocument>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policy {
    /// Its name.
    pub name: PrincipalName,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Whether every account has it and none can change it.
    pub built_in: bool,
    /// What it says.
    pub document: PolicyDocument,
    /// When it was made; not of built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// Body of `POST /v1/sessions`: assumes a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// The role.
    pub role: PrincipalName,
    /// The role's account. Default: the caller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// What to call the session.
    pub session_name: SessionName,
    /// How long it lasts; not longer than the role allows. Default: an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<SessionSeconds>,
    /// Narrows the role's rights for this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyDocument>,
}

/// Temporary credentials.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// The access key's id.
    pub access_key: AccessKeyId,
    /// Its secret.
    pub secret: String,
    /// What goes into the header `Bothy-Security-Token`.
    pub security_token: String,
    /// When they end.
    pub expires_at: Timestamp,
}

/// Says nothing of the secret: what is printed for debugging ends up in logs.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Caller {
    /// The account that is acted for.
    pub account: AccountId,
    /// What that account is called.
    pub account_name: PrincipalName,
    /// Who of it.
    pub principal: Principal,
}

/// Who of an account calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    /// The operator of the host, on the unix socket.
    Operator,
    /// The account itself.
    Account,
    /// This user.
    User(PrincipalName),
    /// Whoever assumed a role.
    Role(RoleSession),
}

/// A role that somebody assumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoleSession {
    /// The role.
    pub role: PrincipalName,
    /// The session.
    pub session_name: SessionName,
}
