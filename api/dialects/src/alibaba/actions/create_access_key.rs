//! CreateAccessKey: makes an access key, and tells its secret, this once.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-createaccesskey>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::access_key::{owner, view};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let made = call.identity().create_access_key(call.account_id(), &owner(call)?, call.now()).await?;
    let mut key = view(&made.key);
    key["AccessKeySecret"] = made.secret.expose().into();
    Ok(json!({ "AccessKey": key }))
}
