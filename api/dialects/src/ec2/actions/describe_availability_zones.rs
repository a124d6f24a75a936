//! DescribeAvailabilityZones: the zones of the one region that this host is.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html>

use compute::resource::Tags;

use super::super::filters::Filters;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::refusals::{self, shown};
use super::words::zone_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    parameters.flag("AllAvailabilityZones")?;
    let (names, ids) = (parameters.list("ZoneName")?, parameters.list("ZoneId")?);
    let filters = Filters::read(parameters, FILTERS)?;
    let zones: Vec<&str> =
        call.compute().config().catalog.zones.iter().map(|zone| zone.name.as_str()).collect();
    if let Some(name) = names.iter().find(|name| !zones.contains(&name.as_str())) {
        let shown = shown(name);
        return Err(refusals::value(format!("Invalid availability zone: [{shown}]")));
    }
    if let Some(id) = ids.iter().find(|id| !zones.iter().any(|zone| zone_id(call, zone) == **id)) {
        let shown = shown(id);
        return Err(refusals::value(format!("Invalid availability zone-id: [{shown}]")));
    }
    let no_tags = Tags::default();
    let is_asked = |zone: &str| {
        (names.is_empty() && ids.is_empty())
            || names.iter().any(|name| name == zone)
            || ids.contains(&zone_id(call, zone))
    };
    let wanted = zones
        .into_iter()
        .filter(|zone| is_asked(zone) && filters.pass(&no_tags, |name| fields(call, zone, name)));
    let view = |zone: &str| {
        Tree::new()
            .text("zoneName", zone)
            .text("zoneState", "available")
            .text("regionName", call.region())
            .list("messageSet", [])
            .text("zoneId", zone_id(call, zone))
            .text("groupName", call.region())
            .text("networkBorderGroup", call.region())
            .text("optInStatus", "opt-in-not-required")
            .text("zoneType", "availability-zone")
    };
    Ok(Tree::new().list("availabilityZoneInfo", wanted.map(view)))
}

const FILTERS: &[&str] = &[
    "group-long-name",
    "group-name",
    "message",
    "opt-in-status",
    "parent-zone-id",
    "parent-zone-name",
    "region-name",
    "state",
    "zone-id",
    "zone-name",
    "zone-type",
];

fn fields(call: &Call<'_>, zone: &str, name: &str) -> Vec<String> {
    let field = match name {
        "group-name" | "region-name" => call.region().to_owned(),
        "opt-in-status" => "opt-in-not-required".to_owned(),
        "state" => "available".to_owned(),
        "zone-id" => zone_id(call, zone),
        "zone-name" => zone.to_owned(),
        "zone-type" => "availability-zone".to_owned(),
        _ => return Vec::new(),
    };
    vec![field]
}
