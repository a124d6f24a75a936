//! Roles of an account, and who assumes them.

use compute::access::Context;
use compute::compute::ComputeError;
use compute::identity::{Assume, AttachedTo, KeyForm, RoleChange};
use compute::resource::Instance;
use native_api::{
    self as api, CreateRole, CreateSession, ErrorBody, ErrorCode, Page, PageQuery, Session, SessionSeconds,
    UpdateRole,
};

use super::answer::{Answer, created, done, ok};
use super::errors::{OrRefuse, Refusal};
use super::request::{after, page_size, token};
use super::{Call, convert, users};

/// How long a session lasts, and may last, if nobody says.
const HOUR_S: u32 = 3600;

fn seconds(given: Option<SessionSeconds>) -> u32 {
    given.map_or(HOUR_S, SessionSeconds::get)
}

/// CreateRole.
pub async fn create(call: &Call<'_>, request: CreateRole) -> Result<Answer, ErrorBody> {
    let (account, description) = (call.caller.account, convert::words(request.description));
    let (name, trust, longest) =
        (request.name.as_str(), request.trust_policy.as_str(), seconds(request.max_session_seconds));
    let role = call
        .identity()
        .create_role(account, name, &description, trust, longest, call.now())
        .await
        .or_refuse()?;
    created(&convert::role(role))
}

/// ListRoles.
pub async fn list(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed = call.identity().roles(call.caller.account, after.as_deref(), size).await.or_refuse()?;
    let items: Vec<_> = listed.items.into_iter().map(convert::role).collect();
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetRole.
pub async fn get(call: &Call<'_>, name: &str) -> Result<Answer, ErrorBody> {
    ok(&convert::role(call.identity().role(call.caller.account, name).await.or_refuse()?))
}

/// UpdateRole.
pub async fn update(call: &Call<'_>, name: &str, request: UpdateRole) -> Result<Answer, ErrorBody> {
    let change = RoleChange {
        description: request.description.map(Into::into),
        trust: request.trust_policy.map(Into::into),
        max_session_s: request.max_session_seconds.map(SessionSeconds::get),
    };
    ok(&convert::role(
        call.identity().update_role(call.caller.account, name, &change, call.now()).await.or_refuse()?,
    ))
}

/// DeleteRole, if no instance has it.
pub async fn delete(call: &Call<'_>, name: &str) -> Result<Answer, ErrorBody> {
    let has = |instance: &Instance| instance.ended.is_none() && instance.role.as_deref() == Some(name);
    let users = call.compute().instance_views(call.account(), None, 1, has).await.or_refuse()?;
    if let Some(user) = users.items.first() {
        let (id, by) = (name.to_owned(), user.instance.id.to_string());
        return Err(ComputeError::InUse { what: "role", id, by }.refusal());
    }
    call.identity().delete_role(call.caller.account, name).await.or_refuse()?;
    done()
}

/// AttachRolePolicy.
pub async fn attach_policy(call: &Call<'_>, role: &str, policy: &str) -> Result<Answer, ErrorBody> {
    users::attach(call, policy, AttachedTo::Role(role)).await?;
    get(call, role).await
}

/// DetachRolePolicy.
pub async fn detach_policy(call: &Call<'_>, role: &str, policy: &str) -> Result<Answer, ErrorBody> {
    users::detach(call, policy, AttachedTo::Role(role)).await?;
    get(call, role).await
}

/// CreateSession.
pub async fn create_session(call: &Call<'_>, request: CreateSession) -> Result<Answer, ErrorBody> {
    let role = request.role.as_str();
    // Nobody learns which accounts there are.
    let other = request.account.as_ref().map(convert::account).transpose();
    let account = other
        .map_err(|_| {
            let message = format!("the role {role:?} does not trust you: be named in its trust policy");
            ErrorCode::AccessDenied.body(message, "ask whoever owns the role")
        })?
        .unwrap_or(call.caller.account);
    let assume = Assume {
        account,
        role,
        resource: &call.role_resource(&account.to_string(), role),
        context: &Context::default(),
        session: request.session_name.as_str(),
        duration_s: seconds(request.duration_seconds),
        policy: request.policy.as_ref().map(api::PolicyDocument::as_str),
        policies: &[],
        form: KeyForm::Asia,
    };
    let made = call.identity().assume_role(&call.caller.access, &assume, call.now()).await.or_refuse()?;
    created(&Session {
        access_key: convert::text(made.id),
        secret: made.secret.expose().to_owned(),
        security_token: made.token.expose().to_owned(),
        expires_at: made.expiration,
    })
}
