//! Accounts, for the operator; and who calls.

use compute::access::Principal;
use compute::identity::AccountChange;
use native_api::{self as api, CreateAccount, ErrorBody, ErrorCode, Page, PageQuery, UpdateAccount};

use super::answer::{Answer, created, done, ok};
use super::auth::DEFAULT_ACCOUNT;
use super::errors::OrRefuse;
use super::request::{after, page_size, token};
use super::{Call, convert};

/// CreateAccount.
pub async fn create(call: &Call<'_>, request: CreateAccount) -> Result<Answer, ErrorBody> {
    let quotas = convert::new_quotas(request.quotas);
    let account =
        call.identity().create_account(request.name.as_str(), quotas, call.now()).await.or_refuse()?;
    created(&convert::an_account(account))
}

/// ListAccounts.
pub async fn list(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed = call.identity().accounts(after.as_deref(), size).await.or_refuse()?;
    let items: Vec<_> = listed.items.into_iter().map(convert::an_account).collect();
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetAccount.
pub async fn get(call: &Call<'_>, id: api::AccountId) -> Result<Answer, ErrorBody> {
    ok(&convert::an_account(call.identity().account(convert::account(&id)?).await.or_refuse()?))
}

/// UpdateAccount. The default account keeps its name, by which it is found, and stays enabled.
pub async fn update(
    call: &Call<'_>,
    id: api::AccountId,
    request: UpdateAccount,
) -> Result<Answer, ErrorBody> {
    let id = convert::account(&id)?;
    let account = call.identity().account(id).await.or_refuse()?;
    let name = request.name.map(String::from);
    let is_renamed = name.as_ref().is_some_and(|name| *name != account.name);
    if account.name == DEFAULT_ACCOUNT && (is_renamed || request.enabled == Some(false)) {
        return Err(stays("keeps its name and stays enabled"));
    }
    let quotas = request.quotas.map(convert::new_quotas);
    let change = AccountChange { name, is_enabled: request.enabled, quotas };
    ok(&convert::an_account(call.identity().update_account(id, &change).await.or_refuse()?))
}

/// DeleteAccount.
pub async fn delete(call: &Call<'_>, id: api::AccountId) -> Result<Answer, ErrorBody> {
    let id = convert::account(&id)?;
    if call.identity().account(id).await.or_refuse()?.name == DEFAULT_ACCOUNT {
        return Err(stays("cannot be deleted"));
    }
    call.compute().delete_account(call.identity(), id).await.or_refuse()?;
    done()
}

fn stays(what: &str) -> ErrorBody {
    ErrorCode::InvalidParameter
        .body(format!("the default account {what}"), "make another account, and use that")
}

/// GetCaller.
pub async fn caller(call: &Call<'_>) -> Result<Answer, ErrorBody> {
    let account = call.identity().account(call.caller.account).await.or_refuse()?;
    let name = |text: &str| convert::fitted(text, 64, "unnamed");
    let principal = match &call.caller.access.principal {
        _ if call.caller.is_operator => api::Principal::Operator,
        Principal::Root => api::Principal::Account,
        Principal::User { name: user } => api::Principal::User(name(user)),
        Principal::Role { name: role, session } => {
            let session_name = convert::fitted(session, 64, "unnamed");
            api::Principal::Role(api::RoleSession { role: name(role), session_name })
        }
    };
    let account_name = convert::fitted(&account.name, 128, "unnamed");
    ok(&api::Caller { account: convert::text(account.id), account_name, principal })
}
