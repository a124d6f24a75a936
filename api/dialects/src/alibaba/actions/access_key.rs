//! Access keys as RAM shows them, and whose a request is about: a user's, or those of whoever calls.

use compute::identity::{AccessKey, KeyOwner, Status, Who};
use serde_json::{Value, json};

use super::super::{Call, Refusal, time};

/// Whose keys a request is about.
pub fn owner(call: &Call<'_>) -> Result<KeyOwner, Refusal> {
    match (call.parameters.get("UserName"), &call.caller.who) {
        (Some(name), _) => Ok(KeyOwner::User(name.to_owned())),
        (None, Who::Root { .. }) => Ok(KeyOwner::Root),
        (None, Who::User { name, .. }) => Ok(KeyOwner::User(name.clone())),
        // Whoever is in a role has no keys of its own.
        (None, Who::Role { .. }) => Err(Refusal::missing("UserName")),
    }
}

/// The same, of a user that is there: who asks for a key of somebody who is not is told that, and not of the key.
pub async fn known_owner(call: &Call<'_>) -> Result<KeyOwner, Refusal> {
    let owner = owner(call)?;
    if let KeyOwner::User(name) = &owner {
        call.identity().user(call.account_id(), name).await?;
    }
    Ok(owner)
}

/// The words for whether a key may be used.
pub const STATUSES: &[(&str, Status)] = &[("Active", Status::Active), ("Inactive", Status::Inactive)];

/// A key, but for its secret.
pub fn view(key: &AccessKey) -> Value {
    let status = match key.status {
        Status::Active => "Active",
        Status::Inactive => "Inactive",
    };
    json!({ "AccessKeyId": key.id.as_str(), "Status": status, "CreateDate": time::seconds(key.created) })
}
