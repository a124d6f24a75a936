//! What an instance's role gives: temporary credentials, as each cloud's clients read them. They are the core's, which makes
//! new ones long before the old ones end.

use compute::compute::Compute;
use compute::id::InstanceId;
use compute::identity::{
    AccountId, Identity, InstanceCredentialsError, KeyForm, StoreFailed, TemporaryCredentials,
};
use compute::resource::{Cloud, Instance};
use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::json;

use crate::document::{fine_time, spaced, time};
use crate::tree::{JSON, TEXT};

/// A document that a role gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleDocument {
    /// EC2's credentials.
    Ec2,
    /// What EC2 tells of the role itself.
    Ec2Info,
    /// Alibaba's credentials.
    Alibaba,
    /// Huawei's credentials.
    Huawei,
}

/// What is answered: its status, its type, and what it says.
pub type Written = (StatusCode, &'static str, String);

impl RoleDocument {
    /// Whether something is told of it even to an instance without a role.
    pub fn is_always_there(self) -> bool {
        self == Self::Huawei
    }

    /// The cloud whose clients read it.
    fn cloud(self) -> Cloud {
        match self {
            Self::Ec2 | Self::Ec2Info => Cloud::Ec2,
            Self::Alibaba => Cloud::Alibaba,
            Self::Huawei => Cloud::Huawei,
        }
    }

    fn form(self) -> KeyForm {
        match self {
            Self::Ec2 | Self::Ec2Info | Self::Huawei => KeyForm::Asia,
            Self::Alibaba => KeyForm::Sts,
        }
    }

    /// The document for an instance as it is now. That the role gives nothing is a document, too: clients tell by what it
    /// says, and would try for long if there were none.
    ///
    /// # Errors
    ///
    /// The record store does not do its part.
    pub async fn write(
        self,
        compute: &Compute,
        identity: &Identity,
        instance: &Instance,
    ) -> Result<Written, StoreFailed> {
        let now = compute.clock().now();
        let (Some(role), Ok(account)) = (&instance.role, instance.account.parse::<AccountId>()) else {
            return Ok((
                StatusCode::UNAUTHORIZED,
                TEXT,
                "Please configure Cloud Service Agency first".to_owned(),
            ));
        };
        let found = credentials(identity, account, instance, role, self, now).await;
        let error = match found {
            Ok(credentials) => {
                let info = match self {
                    Self::Ec2Info => Some(profile(account, role, &credentials)),
                    Self::Ec2 | Self::Alibaba | Self::Huawei => None,
                };
                let text = info.unwrap_or_else(|| self.text(&credentials));
                return Ok((StatusCode::OK, self.content_type(), text));
            }
            Err(InstanceCredentialsError::Failed(error)) => return Err(error),
            Err(error) => error,
        };
        log::debug!("{}: no credentials of its role: {error}", instance.id);
        Ok(match self {
            Self::Huawei => (StatusCode::UNAUTHORIZED, TEXT, error.to_string()),
            Self::Ec2 | Self::Ec2Info | Self::Alibaba => {
                let fields = [
                    ("Code", json!(self.code(&error))),
                    ("Message", json!(error.to_string())),
                    ("LastUpdated", json!(time(now))),
                ];
                (StatusCode::OK, self.content_type(), spaced(&fields))
            }
        })
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Huawei => JSON,
            Self::Ec2 | Self::Ec2Info | Self::Alibaba => TEXT,
        }
    }

    fn code(self, error: &InstanceCredentialsError) -> &'static str {
        let is_absent = matches!(error, InstanceCredentialsError::Absent { .. });
        match (self, is_absent) {
            (Self::Alibaba | Self::Huawei, true) => "EntityNotExist.Role",
            (Self::Alibaba | Self::Huawei, false) => "NoPermission",
            (Self::Ec2 | Self::Ec2Info, true) => "InstanceProfileNotFound",
            (Self::Ec2 | Self::Ec2Info, false) => "AssumeRoleUnauthorizedAccess",
        }
    }

    fn text(self, credentials: &TemporaryCredentials) -> String {
        let id = json!(credentials.id.as_str());
        let (secret, token) = (json!(credentials.secret.expose()), json!(credentials.token.expose()));
        let (issued, expiration) = (json!(time(credentials.issued)), json!(time(credentials.expiration)));
        match self {
            Self::Ec2 | Self::Ec2Info => spaced(&[
                ("Code", json!("Success")),
                ("LastUpdated", issued),
                ("Type", json!("AWS-HMAC")),
                ("AccessKeyId", id),
                ("SecretAccessKey", secret),
                ("Token", token),
                ("Expiration", expiration),
            ]),
            Self::Alibaba => spaced(&[
                ("AccessKeyId", id),
                ("AccessKeySecret", secret),
                ("Expiration", expiration),
                ("SecurityToken", token),
                ("LastUpdated", issued),
                ("Code", json!("Success")),
            ]),
            Self::Huawei => json!({ "credential": {
                "access": id,
                "secret": secret,
                "securitytoken": token,
                "expires_at": fine_time(credentials.expiration),
            } })
            .to_string(),
        }
    }
}

/// An instance profile has its role's name, as consoles make them.
fn profile(account: AccountId, role: &str, credentials: &TemporaryCredentials) -> String {
    spaced(&[
        ("Code", json!("Success")),
        ("LastUpdated", json!(time(credentials.issued))),
        ("InstanceProfileArn", json!(format!("arn:aws:iam::{account}:instance-profile/{role}"))),
        ("InstanceProfileId", json!(format!("AIPA{}", credentials.role_id))),
    ])
}

/// Credentials of a role that trusts the document's cloud or us. An instance that was launched through our own API may have
/// been given a role that trusts any of the clouds.
async fn credentials(
    identity: &Identity,
    account: AccountId,
    instance: &Instance,
    role: &str,
    document: RoleDocument,
    now: Timestamp,
) -> Result<TemporaryCredentials, InstanceCredentialsError> {
    let own = [document.cloud(), Cloud::Native];
    let others =
        Cloud::ALL.into_iter().filter(|cloud| instance.cloud == Cloud::Native && !own.contains(cloud));
    let id: InstanceId = instance.id;
    let mut refused = None;
    for cloud in own.into_iter().chain(others) {
        let given =
            identity.credentials_for_instance(account, id, role, cloud.service(), document.form(), now).await;
        match given {
            Err(error @ InstanceCredentialsError::NotTrusted { .. }) => refused = refused.or(Some(error)),
            given => return given,
        }
    }
    Err(refused.expect("there are services"))
}
