//! CreateVpc: a network of its own, apart from all others.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpc.html>

use compute::compute::{ComputeError, NewVpc};

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::refusals;
use super::security_group::network;
use super::vpc::view;
use super::words::refuse;

/// What asks for addresses that this host does not have.
const UNSUPPORTED: &[&str] = &[
    "Ipv4IpamPoolId",
    "Ipv4NetmaskLength",
    "Ipv6CidrBlock",
    "Ipv6CidrBlockNetworkBorderGroup",
    "Ipv6IpamPoolId",
    "Ipv6NetmaskLength",
    "Ipv6Pool",
    "VpcEncryptionControl.Mode",
];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    refuse(parameters, UNSUPPORTED)?;
    if parameters.flag("AmazonProvidedIpv6CidrBlock")? == Some(true) {
        return Err(Refusal::unsupported("AmazonProvidedIpv6CidrBlock"));
    }
    if let Some(tenancy) = parameters.get("InstanceTenancy")
        && tenancy != "default"
    {
        return Err(refusals::parameter("instanceTenancy", tenancy, "Only default is offered."));
    }
    let text = parameters.required("CidrBlock")?;
    let cidr = network(text)?;
    let range = || Refusal::new(400, "InvalidVpc.Range", format!("The CIDR '{text}' is invalid."));
    if !(16..=28).contains(&cidr.prefix_len()) {
        return Err(range());
    }
    let tags = tags::specified(parameters, "vpc", &["vpc"])?;
    let (name, description) = (String::new(), String::new());
    let made = call.compute().create_vpc(call.account(), &NewVpc { cidr, name, description, tags }).await;
    let made = made.map_err(|error| match error {
        ComputeError::Invalid { parameter: "cidr", .. } => range(),
        ComputeError::Limit { .. } => {
            Refusal::new(400, "VpcLimitExceeded", "The maximum number of VPCs has been reached.")
        }
        error => error.into(),
    })?;
    Ok(Tree::new().tree("vpc", view(&made)))
}
