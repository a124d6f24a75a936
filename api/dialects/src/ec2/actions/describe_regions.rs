//! DescribeRegions: the one region that this host is.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>

use compute::resource::Tags;

use super::super::filters::Filters;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::refusals::{self, shown};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    parameters.flag("AllRegions")?;
    let names = parameters.list("RegionName")?;
    let filters = Filters::read(parameters, &["endpoint", "opt-in-status", "region-name"])?;
    let region = call.region();
    if let Some(name) = names.iter().find(|name| *name != region) {
        let shown = shown(name);
        return Err(refusals::value(format!("Invalid region: [{shown}]")));
    }
    let endpoint = format!("ec2.{region}.amazonaws.com");
    let field = |name: &str| match name {
        "endpoint" => vec![endpoint.clone()],
        "opt-in-status" => vec!["opt-in-not-required".to_owned()],
        _ => vec![region.to_owned()],
    };
    let is_wanted = filters.pass(&Tags::default(), field);
    let view = Tree::new()
        .text("regionName", region)
        .text("regionEndpoint", &endpoint)
        .text("optInStatus", "opt-in-not-required");
    Ok(Tree::new().list("regionInfo", is_wanted.then_some(view)))
}
