//! Users of an account, and which policies they have.

use compute::identity::{AttachError, AttachedTo, LookError, PolicyRef};
use native_api::{CreateUser, ErrorBody, Page, PageQuery};

use super::answer::{Answer, created, done, ok};
use super::errors::{OrRefuse, Refusal};
use super::request::{after, page_size, token};
use super::{Call, convert};

/// CreateUser.
pub async fn create(call: &Call<'_>, request: CreateUser) -> Result<Answer, ErrorBody> {
    let (account, description) = (call.caller.account, convert::words(request.description));
    let user = call
        .identity()
        .create_user(account, request.name.as_str(), &description, call.now())
        .await
        .or_refuse()?;
    created(&convert::user(user, account))
}

/// ListUsers.
pub async fn list(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed = call.identity().users(call.caller.account, after.as_deref(), size).await.or_refuse()?;
    let items: Vec<_> =
        listed.items.into_iter().map(|user| convert::user(user, call.caller.account)).collect();
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetUser.
pub async fn get(call: &Call<'_>, name: &str) -> Result<Answer, ErrorBody> {
    let user = call.identity().user(call.caller.account, name).await.or_refuse()?;
    ok(&convert::user(user, call.caller.account))
}

/// DeleteUser.
pub async fn delete(call: &Call<'_>, name: &str) -> Result<Answer, ErrorBody> {
    call.identity().delete_user_with_keys(call.caller.account, name).await.or_refuse()?;
    done()
}

/// AttachUserPolicy.
pub async fn attach_policy(call: &Call<'_>, user: &str, policy: &str) -> Result<Answer, ErrorBody> {
    attach(call, policy, AttachedTo::User(user)).await?;
    get(call, user).await
}

/// DetachUserPolicy.
pub async fn detach_policy(call: &Call<'_>, user: &str, policy: &str) -> Result<Answer, ErrorBody> {
    detach(call, policy, AttachedTo::User(user)).await?;
    get(call, user).await
}

/// The policies that a name can mean, the account's own first.
async fn policies(call: &Call<'_>, name: &str) -> Result<Vec<PolicyRef>, ErrorBody> {
    let mut found = Vec::new();
    match call.identity().policy(call.caller.account, name).await {
        Ok(policy) => found.push(PolicyRef::Custom(policy.name)),
        Err(LookError::Absent { .. }) => {}
        Err(error) => return Err(error.refusal()),
    }
    found.push(PolicyRef::BuiltIn(name.to_owned()));
    Ok(found)
}

/// Attaches what a name means. What is attached already is no error.
pub async fn attach(call: &Call<'_>, policy: &str, to: AttachedTo<'_>) -> Result<(), ErrorBody> {
    let policy = policies(call, policy).await?.swap_remove(0);
    match call.identity().attach_policy(call.caller.account, &policy, to).await {
        Ok(()) | Err(AttachError::Attached { .. }) => Ok(()),
        Err(error) => Err(error.refusal()),
    }
}

/// Detaches whatever of this name is attached.
pub async fn detach(call: &Call<'_>, policy: &str, from: AttachedTo<'_>) -> Result<(), ErrorBody> {
    let mut refused = None;
    for policy in policies(call, policy).await? {
        match call.identity().detach_policy(call.caller.account, &policy, from).await {
            Ok(()) => return Ok(()),
            Err(error @ (AttachError::Absent { .. } | AttachError::NotAttached { .. })) => {
                refused = refused.or(Some(error));
            }
            Err(error) => return Err(error.refusal()),
        }
    }
    refused.map_or(Ok(()), |error| Err(error.refusal()))
}
