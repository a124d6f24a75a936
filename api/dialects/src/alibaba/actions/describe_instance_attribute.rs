//! DescribeInstanceAttribute: one instance, with less of it than DescribeInstances shows.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinstanceattribute>

use serde_json::{Map, Value};

use super::super::{Call, Refusal};
use super::act::named;
use super::instance::view;

/// What it has of what lists show.
const SHOWN: &[&str] = &[
    "ClusterId",
    "CreationTime",
    "CreditSpecification",
    "Description",
    "EipAddress",
    "ExpiredTime",
    "HostName",
    "ImageId",
    "InnerIpAddress",
    "InstanceChargeType",
    "InstanceId",
    "InstanceName",
    "InstanceNetworkType",
    "InstanceType",
    "InternetChargeType",
    "InternetMaxBandwidthIn",
    "InternetMaxBandwidthOut",
    "Memory",
    "OperationLocks",
    "PublicIpAddress",
    "RegionId",
    "SecurityGroupIds",
    "SerialNumber",
    "Status",
    "StoppedMode",
    "VlanId",
    "VpcAttributes",
    "ZoneId",
];

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = named(call).await?.id;
    let all = view(call, &call.compute().instance_view(call.account(), id).await?);
    let mut shown: Map<String, Value> =
        SHOWN.iter().map(|name| ((*name).to_owned(), all[*name].clone())).collect();
    shown.insert("Cpu".to_owned(), all["Cpu"].clone());
    // A word here, where lists have a flag.
    shown.insert("IoOptimized".to_owned(), "optimized".into());
    shown.insert("EnableJumboFrame".to_owned(), false.into());
    Ok(Value::Object(shown))
}
