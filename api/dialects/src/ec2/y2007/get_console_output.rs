//! GetConsoleOutput: the last that a guest printed. Clients of then send the id as a list of one, too.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::actions::act;
use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, time};

/// As much as is told.
const MAX_BYTES: usize = 64 << 10;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let ids = call.parameters.required_list("InstanceId")?;
    let [id] = ids.as_slice() else {
        return Err(Refusal::combination("The console output of one instance can be asked for at a time."));
    };
    let id = act::known(call, id).await?.id;
    let output = call.compute().console(call.account(), id, None, MAX_BYTES).await?;
    Ok(Tree::new()
        .text("instanceId", id.written())
        .text("timestamp", time::written(call.now()))
        .text("output", BASE64_STANDARD.encode(output.bytes)))
}
