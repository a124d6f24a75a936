//! CreateSubnet: a part of a VPC's addresses, in a zone.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html>

use compute::compute::{ComputeError, NewSubnet};
use compute::id::VpcId;

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::refusals;
use super::security_group::network;
use super::subnet::view;
use super::words::{refuse, required_id, zone_id};

/// What asks for addresses or places that this host does not have.
const UNSUPPORTED: &[&str] = &[
    "Ipv4IpamPoolId",
    "Ipv4NetmaskLength",
    "Ipv6CidrBlock",
    "Ipv6IpamPoolId",
    "Ipv6NetmaskLength",
    "OutpostArn",
];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    refuse(parameters, UNSUPPORTED)?;
    if parameters.flag("Ipv6Native")? == Some(true) {
        return Err(Refusal::unsupported("Ipv6Native"));
    }
    let vpc: VpcId = required_id(parameters, "VpcId")?;
    let text = parameters.required("CidrBlock")?;
    let cidr = network(text)?;
    let range = || Refusal::new(400, "InvalidSubnet.Range", format!("The CIDR '{text}' is invalid."));
    if !(16..=28).contains(&cidr.prefix_len()) {
        return Err(range());
    }
    let tags = tags::specified(parameters, "subnet", &["subnet"])?;
    let zone = zone(call)?;
    call.compute().vpc(call.account(), vpc).await?;
    let (name, description) = (String::new(), String::new());
    let new = NewSubnet { vpc, cidr, zone, private: false, name, description, tags };
    let made = call.compute().create_subnet(call.account(), &new).await;
    let made = made.map_err(|error| match error {
        ComputeError::Invalid { parameter: "cidr", .. } => range(),
        ComputeError::Exists { .. } => {
            let why = format!("The CIDR '{text}' conflicts with another subnet");
            Refusal::new(400, "InvalidSubnet.Conflict", why)
        }
        ComputeError::Limit { .. } => {
            Refusal::new(400, "SubnetLimitExceeded", "The maximum number of subnets has been reached.")
        }
        error => error.into(),
    })?;
    Ok(Tree::new().tree("subnet", view(call, &made)))
}

/// The zone that a request names, by its name or its id.
fn zone(call: &Call<'_>) -> Result<Option<String>, Refusal> {
    let parameters = call.parameters;
    let zones = &call.compute().config().catalog.zones;
    let known = || zones.iter().map(|zone| zone.name.as_str());
    let (parameter, text, found) =
        match (parameters.get("AvailabilityZone"), parameters.get("AvailabilityZoneId")) {
            (Some(_), Some(_)) => {
                return Err(refusals::combination("AvailabilityZone", "AvailabilityZoneId"));
            }
            (None, None) => return Ok(None),
            (Some(name), None) => ("availabilityZone", name, known().find(|zone| *zone == name)),
            (None, Some(id)) => ("availabilityZoneId", id, known().find(|zone| zone_id(call, zone) == id)),
        };
    match found {
        Some(zone) => Ok(Some(zone.to_owned())),
        None => {
            let all: Vec<&str> = known().collect();
            let why = format!(
                "Subnets can currently only be created in the following availability zones: {}.",
                all.join(", ")
            );
            Err(refusals::parameter(parameter, text, &why))
        }
    }
}
