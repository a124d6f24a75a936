//! GetConsoleOutput: the last that a guest printed.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html>

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, time};
use super::act::known;

/// As much as is told.
const MAX_BYTES: usize = 64 << 10;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    call.parameters.flag("Latest")?;
    let id = known(call, call.parameters.required("InstanceId")?).await?.id;
    let output = call.compute().console(call.account(), id, None, MAX_BYTES).await?;
    let output = (!output.bytes.is_empty()).then(|| BASE64_STANDARD.encode(output.bytes));
    Ok(Tree::new()
        .text("instanceId", id.written())
        .text("timestamp", time::written(call.now()))
        .text_if("output", output))
}
