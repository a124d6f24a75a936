//! DescribeAccountAttributes: what an account may have, and its default VPC.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAccountAttributes.html>

use compute::compute::Compute;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::refusals;

/// All attributes, in EC2's order.
const ATTRIBUTES: &[&str] = &[
    "supported-platforms",
    "default-vpc",
    "max-instances",
    "vpc-max-security-groups-per-interface",
    "max-elastic-ips",
    "vpc-max-elastic-ips",
];
/// Security groups that an interface can have.
const MAX_GROUPS: usize = 16;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let names = call.parameters.list("AttributeName")?;
    if let Some(name) = names.iter().find(|name| !ATTRIBUTES.contains(&name.as_str())) {
        let why = "There is no such attribute.";
        return Err(refusals::parameter("attributeName", name, why));
    }
    let compute: &Compute = call.compute();
    let vpcs = compute.vpcs(call.account(), None, usize::MAX).await?.items;
    let default = vpcs.iter().find(|vpc| vpc.is_default);
    // As many as there are: nobody has a share.
    let pool = compute.config().public_addresses.iter().map(|part| part.hosts().count());
    let pool = pool.sum::<usize>().to_string();
    let instances = call.allowance().await?.instances.min(u64::from(u32::MAX)).to_string();
    let mut views = Vec::new();
    for name in
        ATTRIBUTES.iter().filter(|name| names.is_empty() || names.iter().any(|wanted| wanted == *name))
    {
        let value = match *name {
            "supported-platforms" => "VPC".to_owned(),
            "default-vpc" => default.map_or_else(|| "none".to_owned(), |vpc| vpc.id.to_string()),
            "max-instances" => instances.clone(),
            "vpc-max-security-groups-per-interface" => MAX_GROUPS.to_string(),
            _ => pool.clone(),
        };
        let values = [Tree::new().text("attributeValue", value)];
        views.push(Tree::new().text("attributeName", name).list("attributeValueSet", values));
    }
    Ok(Tree::new().list("accountAttributeSet", views))
}
