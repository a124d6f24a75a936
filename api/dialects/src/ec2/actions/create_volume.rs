//! CreateVolume: a volume, empty or of a snapshot.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html>

use compute::compute::NewVolume;
use compute::id::SnapshotId;

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::devices::{check_encryption, size, volume_type};
use super::volume::view;
use super::words::{id, zone_id};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    check_encryption(parameters)?;
    if parameters.flag("MultiAttachEnabled")? == Some(true) {
        return Err(Refusal::unsupported("MultiAttachEnabled"));
    }
    let snapshot: Option<SnapshotId> = id(parameters, "SnapshotId")?;
    let size_gib = size(parameters, "Size")?;
    if snapshot.is_none() && size_gib.is_none() {
        return Err(Refusal::missing("size/snapshot"));
    }
    let new = NewVolume {
        size_gib,
        snapshot,
        name: String::new(),
        description: String::new(),
        category: volume_type(parameters)?.to_owned(),
        zone: Some(zone(call)?),
        tags: tags::specified(parameters, "volume", &["volume"])?,
        token: call.token("CreateVolume")?,
        dialect: serde_json::Value::Null,
    };
    let allowance = call.allowance().await?;
    let volume = call.compute().create_volume(call.account(), &new, allowance).await?;
    Ok(view(call, &volume))
}

/// The zone, by its name or its id.
fn zone(call: &Call<'_>) -> Result<String, Refusal> {
    let Some(wanted) = call.parameters.get("AvailabilityZoneId") else {
        return Ok(call.parameters.required("AvailabilityZone")?.to_owned());
    };
    let zones = &call.compute().config().catalog.zones;
    let zone = zones.iter().find(|zone| zone_id(call, &zone.name) == wanted);
    Ok(zone.ok_or_else(|| Refusal::no_such("zone", wanted))?.name.clone())
}
