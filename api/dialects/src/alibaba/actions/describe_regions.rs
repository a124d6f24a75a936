//! DescribeRegions: the one region that this host is.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeregions>

use serde_json::{Value, json};

use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let region = call.region();
    let endpoint = format!("ecs.{region}.aliyuncs.com");
    let region =
        json!({ "RegionId": region, "LocalName": region, "RegionEndpoint": endpoint, "Status": "available" });
    Ok(json!({ "Regions": { "Region": [region] } }))
}
