//! DescribeZones: the region's zones, and what can be had there, which is the same in each.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describezones>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::launch::DISK_CATEGORIES;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let catalog = &call.compute().config().catalog;
    let types: Vec<&str> = catalog.instance_types.iter().map(|offered| offered.name.as_str()).collect();
    let zone = |name: &String| {
        json!({
            "ZoneId": name,
            "LocalName": name,
            "ZoneType": "AvailabilityZone",
            "AvailableInstanceTypes": { "InstanceTypes": types },
            "AvailableResourceCreation": { "ResourceTypes": ["VSwitch", "IoOptimized", "Instance", "Disk"] },
            "AvailableDiskCategories": { "DiskCategories": DISK_CATEGORIES },
        })
    };
    let zones: Vec<Value> = catalog.zones.iter().map(|offered| zone(&offered.name)).collect();
    Ok(json!({ "Zones": { "Zone": zones } }))
}
