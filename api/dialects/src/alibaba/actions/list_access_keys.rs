//! ListAccessKeys: the keys of a user, without their secrets.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-listaccesskeys>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::access_key::{owner, view};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let keys = call.identity().access_keys(call.account_id(), &owner(call)?).await?;
    Ok(json!({ "AccessKeys": { "AccessKey": keys.iter().map(view).collect::<Vec<_>>() } }))
}
