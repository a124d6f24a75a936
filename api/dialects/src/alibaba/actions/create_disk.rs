//! CreateDisk: makes a data disk, empty or of what a snapshot has.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createdisk>

use compute::compute::NewVolume;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::launch::{category, description, name};

/// Sizes that can be asked for, in GiB.
const GIB: std::ops::RangeInclusive<u64> = 1..=32768;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    if parameters.flag("Encrypted")? == Some(true) {
        return Err(Refusal::unsupported("Encrypted"));
    }
    for name in ["InstanceId", "KMSKeyId", "StorageSetId"] {
        if parameters.get(name).is_some() {
            return Err(Refusal::unsupported(name));
        }
    }
    let snapshot = parameters.get("SnapshotId").map(CloudId::read).transpose()?;
    let size_gib: Option<u64> = parameters.parsed("Size")?;
    if size_gib.is_none() && snapshot.is_none() {
        return Err(Refusal::missing("Size"));
    }
    if size_gib.is_some_and(|gib| !GIB.contains(&gib)) {
        let why = "The specified Size beyond the permitted range.";
        return Err(Refusal::new(400, "InvalidDiskSize.ValueNotSupported", why));
    }
    let new = NewVolume {
        size_gib,
        snapshot,
        name: name(parameters, "DiskName")?.unwrap_or_default(),
        description: description(parameters)?.unwrap_or_default(),
        category: category(parameters, "DiskCategory", "InvalidDiskCategory.ValueNotSupported")?,
        zone: parameters.get("ZoneId").map(str::to_owned),
        tags: parameters.tags()?,
        token: call.token("alibaba/CreateDisk")?,
        dialect: Value::Null,
    };
    let made = call.compute().create_volume(call.account(), &new, call.allowance().await?).await?;
    Ok(json!({ "DiskId": made.id.written() }))
}
