//! ResizeDisk: makes a disk larger; a guest that runs sees it when it is next booted.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-resizedisk>

use compute::id::VolumeId;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let disk = VolumeId::read(parameters.required("DiskId")?)?;
    let size: u64 = parameters.parsed("NewSize")?.ok_or_else(|| Refusal::missing("NewSize"))?;
    if size < call.compute().volume(call.account(), disk).await?.size_gib() {
        let why = "The specified new disk size is less than the original disk size.";
        return Err(Refusal::new(400, "InvalidDiskSize.TooSmall", why));
    }
    call.compute().grow_volume(call.account(), disk, size, call.allowance().await?).await?;
    Ok(json!({}))
}
