//! Policies: the account's own, and those that every account has.

use compute::access::{BUILT_IN, BuiltIn};
use compute::identity::LookError;
use native_api::{self as api, CreatePolicy, ErrorBody, ErrorCode, Page, PageQuery, UpdatePolicy};

use super::answer::{Answer, created, done, ok};
use super::errors::{OrRefuse, Refusal};
use super::request::{after, page_size, token};
use super::{Call, convert};

fn built_in(name: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|policy| policy.name == name)
}

/// CreatePolicy.
pub async fn create(call: &Call<'_>, request: CreatePolicy) -> Result<Answer, ErrorBody> {
    let (account, name) = (call.caller.account, request.name.as_str());
    if BUILT_IN.iter().any(|policy| policy.name.eq_ignore_ascii_case(name)) {
        let message = format!("there is a built-in policy {name:?}");
        return Err(ErrorCode::AlreadyExists.body(message, "choose another name"));
    }
    let (description, document) = (convert::words(request.description), request.document.as_str());
    let made = call.identity().create_policy(account, name, &description, document, call.now()).await;
    created(&convert::policy(made.or_refuse()?))
}

/// ListPolicies: both kinds in one order, that of their names without case.
pub async fn list(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed = call.identity().policies(call.caller.account, after.as_deref(), size).await.or_refuse()?;
    let mut items: Vec<(String, api::Policy)> = Vec::with_capacity(listed.items.len() + BUILT_IN.len());
    for policy in listed.items {
        items.push((policy.name.to_ascii_lowercase(), convert::policy(policy)));
    }
    for policy in BUILT_IN {
        let key = policy.name.to_ascii_lowercase();
        // What is behind the account's own that are on this page is for a later one.
        let is_later = listed.next.as_ref().is_some_and(|next| key > *next);
        if after.as_ref().is_none_or(|after| key > *after) && !is_later {
            items.push((key, convert::built_in(policy)));
        }
    }
    items.sort_by(|one, other| one.0.cmp(&other.0));
    let more = items.len() > size || listed.next.is_some();
    items.truncate(size);
    let next = items.last().filter(|_| more).map(|(key, _)| key.clone());
    let items: Vec<_> = items.into_iter().map(|(_, policy)| policy).collect();
    ok(&Page { items, next_page_token: token(next.as_deref()) })
}

/// GetPolicy.
pub async fn get(call: &Call<'_>, name: &str) -> Result<Answer, ErrorBody> {
    match (call.identity().policy(call.caller.account, name).await, built_in(name)) {
        (Ok(policy), _) => ok(&convert::policy(policy)),
        (Err(LookError::Absent { .. }), Some(policy)) => ok(&convert::built_in(policy)),
        (Err(error), _) => Err(error.refusal()),
    }
}

/// That a built-in policy stays as it is, if only such a one is of this name.
async fn is_own(call: &Call<'_>, name: &str) -> Result<(), ErrorBody> {
    match (call.identity().policy(call.caller.account, name).await, built_in(name)) {
        (Ok(_), _) => Ok(()),
        (Err(LookError::Absent { .. }), Some(_)) => {
            let message = format!("the policy {name:?} is built in, and stays as it is");
            Err(ErrorCode::InvalidParameter.body(message, "make a policy of your own"))
        }
        (Err(error), _) => Err(error.refusal()),
    }
}

/// UpdatePolicy.
pub async fn update(call: &Call<'_>, name: &str, request: UpdatePolicy) -> Result<Answer, ErrorBody> {
    is_own(call, name).await?;
    let description = request.description.as_ref().map(api::Description::as_str);
    let document = request.document.as_ref().map(api::PolicyDocument::as_str);
    let changed =
        call.identity().change_policy(call.caller.account, name, description, document, call.now()).await;
    ok(&convert::policy(changed.or_refuse()?))
}

/// DeletePolicy.
pub async fn delete(call: &Call<'_>, name: &str) -> Result<Answer, ErrorBody> {
    is_own(call, name).await?;
    call.identity().delete_policy(call.caller.account, name).await.or_refuse()?;
    done()
}
