//! Who calls, and whether they may. The operator by the socket; others by an access key and its secret (HTTP Basic, RFC
//! 7617), temporary ones with their token too. What they may is asked of the core's policy engine.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::access::{self, Context, Principal, Request, authorize as decide};
use compute::capacity::Amounts;
use compute::identity::{Account, AccountId, AuthenticateError, CreateError, LookError, PassRoleError, Role};
use compute::resource::Cloud;
use compute::secrets::Secret;
use hyper::header::{AUTHORIZATION, HeaderMap};
use native_api::{ACCOUNT_HEADER, Access, ErrorBody, ErrorCode, Route, SECURITY_TOKEN_HEADER};

use super::errors::{OrRefuse, Refusal, WRONG, why};
use super::{Call, Inner, Peer};

/// Name of the account that the operator acts for unless another is named.
pub const DEFAULT_ACCOUNT: &str = "default";

/// Who calls.
pub struct Caller {
    /// The account and who of it, as the policy engine knows them. The operator is as the account itself.
    pub access: access::Caller,
    /// The account's number.
    pub account: AccountId,
    /// Whether it is the operator.
    pub is_operator: bool,
    /// Whether it is anybody at all.
    pub is_known: bool,
}

impl Caller {
    /// Whoever asks what everybody may.
    pub fn nobody() -> Self {
        let principal = Principal::User { name: String::new() };
        let access =
            access::Caller { account: String::new(), principal, policies: Vec::new(), session: None };
        Self { access, account: AccountId::new(0), is_operator: false, is_known: false }
    }

    fn operator(account: AccountId) -> Self {
        let (account_text, principal) = (account.to_string(), Principal::Root);
        let access = access::Caller { account: account_text, principal, policies: Vec::new(), session: None };
        Self { access, account, is_operator: true, is_known: true }
    }
}

/// The default account, made if it is missing.
pub async fn default_account(inner: &Inner) -> Result<Account, ErrorBody> {
    loop {
        match inner.identity.account_by_name(DEFAULT_ACCOUNT).await {
            Ok(account) => return Ok(account),
            Err(LookError::Absent { .. }) => {}
            Err(error) => return Err(error.refusal()),
        }
        let now = inner.compute.clock().now();
        match inner.identity.create_account(DEFAULT_ACCOUNT, Amounts::UNLIMITED, now).await {
            Ok(account) => return Ok(account),
            // Somebody else was faster. One in other capitals is in the way for good.
            Err(CreateError::Taken { name, .. }) if name == DEFAULT_ACCOUNT => {}
            Err(error) => return Err(error.refusal()),
        }
    }
}

/// Who sent a request.
pub async fn authenticate(inner: &Arc<Inner>, peer: Peer, headers: &HeaderMap) -> Result<Caller, ErrorBody> {
    match (peer, headers.get(AUTHORIZATION)) {
        (Peer::Stranger { uid }, _) => Err(ErrorCode::AccessDenied.body(
            format!("user {uid} of this host is not its operator"),
            "be root, or a member of the group that the configuration names; or use an access key over the network",
        )),
        (Peer::Operator, None) => operator(inner, headers).await,
        (Peer::Network { .. }, None) => Err(ErrorCode::Unauthenticated.body(
            "there are no credentials",
            "send an access key's id and secret by HTTP Basic",
        )),
        (Peer::Network { address, encrypted: false }, Some(_)) if !address.ip().to_canonical().is_loopback() => {
            Err(ErrorCode::AccessDenied.body(
                "a secret that comes unencrypted over a network is not taken",
                "use https, and take that access key for known to others",
            ))
        }
        (Peer::Operator | Peer::Network { .. }, Some(given)) => {
            let given = given.to_str().unwrap_or_default();
            let (id, secret) = basic(given).ok_or_else(|| {
                ErrorCode::Unauthenticated.body("the credentials cannot be read", "send an access key's id and secret by HTTP Basic")
            })?;
            let token = headers.get(SECURITY_TOKEN_HEADER).map(|token| token.to_str().unwrap_or_default());
            let caller = by_key(inner, &id, &secret, token).await?;
            match headers.get(ACCOUNT_HEADER) {
                Some(account) if account.as_bytes() != caller.access.account.as_bytes() => {
                    let message = "an access key acts for its own account only";
                    Err(ErrorCode::AccessDenied.body(message, format!("leave {ACCOUNT_HEADER} out")))
                }
                Some(_) | None => Ok(caller),
            }
        }
    }
}

async fn operator(inner: &Inner, headers: &HeaderMap) -> Result<Caller, ErrorBody> {
    let Some(named) = headers.get(ACCOUNT_HEADER) else {
        return Ok(Caller::operator(default_account(inner).await?.id));
    };
    let shown: String = String::from_utf8_lossy(named.as_bytes()).chars().take(64).collect();
    let absent = || {
        ErrorCode::AccessDenied.body(
            format!("there is no account {shown:?} to act for"),
            "GET /v1/accounts has all that there are",
        )
    };
    let id: AccountId = named.to_str().ok().and_then(|id| id.parse().ok()).ok_or_else(absent)?;
    match inner.identity.account(id).await {
        Ok(account) => Ok(Caller::operator(account.id)),
        Err(LookError::Absent { .. }) => Err(absent()),
        Err(error) => Err(error.refusal()),
    }
}

async fn by_key(inner: &Inner, id: &str, secret: &Secret, token: Option<&str>) -> Result<Caller, ErrorBody> {
    let now = inner.compute.clock().now();
    let credentials = match inner.identity.find_key(id, token, now).await {
        Ok(credentials) => credentials,
        Err(error @ AuthenticateError::UnknownKey { .. }) => {
            // As long as it takes to find that a secret is wrong.
            std::hint::black_box(*secret == Secret::new("x".repeat(40)));
            return Err(error.refusal());
        }
        Err(error) => return Err(error.refusal()),
    };
    if credentials.secret != *secret {
        return Err(
            ErrorCode::Unauthenticated.body(WRONG, "use an access key that is active, with its secret")
        );
    }
    let access = inner.identity.caller(&credentials.who).await.or_refuse()?;
    Ok(Caller { access, account: credentials.who.account(), is_operator: false, is_known: true })
}

/// The user and the password of HTTP Basic.
fn basic(header: &str) -> Option<(String, Secret)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let text = Secret::new(String::from_utf8(decoded).ok()?);
    let (user, password) = text.expose().split_once(':')?;
    Some((user.to_owned(), Secret::new(password.to_owned())))
}

/// Whether the caller may do this; `word` is what the path says that it is done with.
pub fn authorize(
    inner: &Inner,
    caller: &Caller,
    peer: Peer,
    route: &'static Route,
    word: &str,
) -> Result<(), ErrorBody> {
    match route.access {
        Access::Open | Access::Caller => Ok(()),
        _ if caller.is_operator => Ok(()),
        Access::Operator => {
            Err(ErrorCode::AccessDenied.body("only the operator of the host may do this", "ask the operator"))
        }
        Access::Policy => {
            let resource = resource(inner, caller, kind(route.path), word);
            let context = peer.context(inner.compute.clock().now());
            let request =
                Request { action: route.operation.action(), resource: &resource, context: &context };
            let decision = decide(&caller.access, &request);
            if decision.is_allowed() {
                return Ok(());
            }
            let message = format!("{} is not allowed for {resource}", route.operation.action());
            Err(ErrorCode::AccessDenied.body(message, why(&decision)))
        }
    }
}

/// What policies call a resource of the caller's account.
fn resource(inner: &Inner, caller: &Caller, kind: &str, word: &str) -> String {
    let word = if word.is_empty() { "*" } else { word };
    format!("bothy:{}:{}:{kind}/{word}", inner.compute.config().catalog.region, caller.access.account)
}

/// The kind of resource that a path is about: `/v1/volumes/{volume_id}` is about a `volume`.
fn kind(path: &'static str) -> &'static str {
    let word = path.split('/').nth(2).unwrap_or_default();
    match word {
        "image-imports" => "image",
        "key-pair-imports" => "key-pair",
        "addresses" => "address",
        "policies" => "policy",
        word => word.strip_suffix('s').unwrap_or(word),
    }
}

impl Call<'_> {
    /// What policies call a role.
    pub fn role_resource(&self, account: &str, role: &str) -> String {
        format!("bothy:{}:{account}:role/{role}", self.compute().config().catalog.region)
    }

    /// What the account may have in all.
    pub async fn allowance(&self) -> Result<Amounts, ErrorBody> {
        Ok(self.identity().account(self.caller.account).await.or_refuse()?.quotas)
    }

    /// Whether the caller may give this role to an instance.
    pub async fn pass_role(&self, role: &str) -> Result<Role, ErrorBody> {
        let (resource, context) = (self.role_resource(self.account(), role), Context::default());
        let request = Request { action: "bothy:PassRole", resource: &resource, context: &context };
        let mut refused = None;
        // Ours, and those of the clouds whose documents people have.
        for service in Cloud::ALL.map(Cloud::service) {
            let passed =
                self.identity().pass_role(&self.caller.access, &request, self.caller.account, role, service);
            match passed.await {
                Ok(role) => return Ok(role),
                Err(error @ PassRoleError::NotTrusted { .. }) => refused = refused.or(Some(error)),
                Err(error) => return Err(error.refusal()),
            }
        }
        Err(refused.expect("there are services").refusal())
    }
}

#[cfg(test)]
mod tests {
    use native_api::{Operation, ROUTES};

    use super::*;

    #[test]
    fn basic_credentials_are_read() {
        let (user, password) = basic("bASIC QUtJQTpzZWM6cmV0").unwrap();
        assert_eq!((user.as_str(), password.expose()), ("AKIA", "sec:ret"));
        for header in ["", "Basic", "Basic ?", "Bearer QUtJQTpzZWM6cmV0", "Basic QUtJQQ==", "Basic /w=="] {
            assert!(basic(header).is_none(), "{header}");
        }
    }

    #[test]
    fn kinds_are_singular() {
        let of = |operation: Operation| kind(operation.route().path);
        assert_eq!(of(Operation::GetInstance), "instance");
        assert_eq!(of(Operation::DeletePolicy), "policy");
        assert_eq!(of(Operation::ReleaseAddress), "address");
        assert_eq!(of(Operation::ImportKeyPair), "key-pair");
        for route in ROUTES.iter().flat_map(|rows| rows.iter()) {
            assert!(!kind(route.path).is_empty());
        }
    }
}
