//! Access keys of an account and of its users.

use compute::identity::{AccessKey, KeyOwner, LookError, Status};
use native_api::{
    self as api, AccessKeyQuery, CreateAccessKey, ErrorBody, NewAccessKey, Page, UpdateAccessKey,
};

use super::answer::{Answer, created, done, ok};
use super::errors::{OrRefuse, Refusal};
use super::request::{after, no_token, page_size, token};
use super::{Call, convert};

/// Users looked at at a time.
const USERS: usize = 100;

/// CreateAccessKey.
pub async fn create(call: &Call<'_>, request: CreateAccessKey) -> Result<Answer, ErrorBody> {
    let owner = request.user.map_or(KeyOwner::Root, |user| KeyOwner::User(user.into()));
    let made =
        call.identity().create_access_key(call.caller.account, &owner, call.now()).await.or_refuse()?;
    let secret = made.secret.expose().to_owned();
    created(&NewAccessKey { access_key: convert::access_key(made.key), secret })
}

/// ListAccessKeys: the account's own, then its users' by their names. The place in the list is the last user whose keys
/// were shown, and how many of them.
pub async fn list(call: &Call<'_>, query: AccessKeyQuery) -> Result<Answer, ErrorBody> {
    let size = page_size(query.page_size);
    let after = after(query.page_token.as_ref())?;
    let (place, skip) = match &after {
        None => (None, 0),
        Some(after) => {
            let (user, shown) = after.split_once('/').unwrap_or_default();
            let shown = shown.parse().map_err(|_| no_token())?;
            (Some(user), shown)
        }
    };
    let mut page = Keys { items: Vec::new(), size, next: None };
    if let Some(user) = &query.user {
        let keys = keys_of(call, &KeyOwner::User(user.as_str().to_owned())).await?;
        page.add("", keys, skip);
    } else {
        // Nobody is called nothing: that is the account itself.
        if place.is_none_or(str::is_empty) {
            page.add("", keys_of(call, &KeyOwner::Root).await?, skip);
        } else if let Some(user) = place {
            let keys = keys_of(call, &KeyOwner::User(user.to_owned())).await?;
            page.add(user, keys, skip);
        }
        let mut after = place.filter(|user| !user.is_empty()).map(str::to_ascii_lowercase);
        while page.next.is_none() {
            let users =
                call.identity().users(call.caller.account, after.as_deref(), USERS).await.or_refuse()?;
            for user in users.items {
                if page.next.is_none() && !user.keys.is_empty() {
                    let keys = keys_of(call, &KeyOwner::User(user.name.clone())).await?;
                    page.add(&user.name, keys, 0);
                }
            }
            match users.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    ok(&Page { items: page.items, next_page_token: token(page.next.as_deref()) })
}

struct Keys {
    items: Vec<api::AccessKey>,
    size: usize,
    next: Option<String>,
}

impl Keys {
    /// Adds the keys of one user as far as there is room, and notes where to go on if there is not.
    fn add(&mut self, user: &str, keys: Vec<AccessKey>, skip: usize) {
        for (shown, key) in keys.into_iter().enumerate().skip(skip) {
            if self.items.len() == self.size {
                self.next = Some(format!("{user}/{shown}"));
                return;
            }
            self.items.push(convert::access_key(key));
        }
    }
}

/// The keys of somebody; none of somebody who is not there.
async fn keys_of(call: &Call<'_>, owner: &KeyOwner) -> Result<Vec<AccessKey>, ErrorBody> {
    match call.identity().access_keys(call.caller.account, owner).await {
        Ok(keys) => Ok(keys),
        Err(LookError::Absent { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.refusal()),
    }
}

/// UpdateAccessKey.
pub async fn update(call: &Call<'_>, id: &str, request: UpdateAccessKey) -> Result<Answer, ErrorBody> {
    let (identity, account) = (call.identity(), call.caller.account);
    let mut key = identity.access_key(account, id).await.or_refuse()?;
    let status = if request.active { Status::Active } else { Status::Inactive };
    identity.set_access_key_status(account, &key.owner, id, status).await.or_refuse()?;
    key.status = status;
    ok(&convert::access_key(key))
}

/// DeleteAccessKey.
pub async fn delete(call: &Call<'_>, id: &str) -> Result<Answer, ErrorBody> {
    let (identity, account) = (call.identity(), call.caller.account);
    let key = identity.access_key(account, id).await.or_refuse()?;
    identity.delete_access_key(account, &key.owner, id).await.or_refuse()?;
    done()
}
