//! GetInstanceConsoleOutput: the last that a guest printed.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-getinstanceconsoleoutput>

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal, time};
use super::act::named;

/// As much as is told.
const MAX_BYTES: usize = 64 << 10;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = named(call).await?.id;
    let output = call.compute().console(call.account(), id, None, MAX_BYTES).await?;
    Ok(json!({
        "InstanceId": id.written(),
        "ConsoleOutput": BASE64_STANDARD.encode(output.bytes),
        "LastUpdateTime": time::seconds(call.now()),
    }))
}
