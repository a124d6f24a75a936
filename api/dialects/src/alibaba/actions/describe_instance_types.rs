//! DescribeInstanceTypes: what instances can be of, by name, family, vCPUs and memory.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinstancetypes>

use compute::resource::InstanceType;
use serde_json::{Value, json};

use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let names = parameters.list("InstanceTypes")?;
    let family = parameters.get("InstanceTypeFamily");
    let bound = |name| parameters.parsed::<f64>(name);
    let cpus = (bound("MinimumCpuCoreCount")?, bound("MaximumCpuCoreCount")?);
    let memory = (bound("MinimumMemorySize")?, bound("MaximumMemorySize")?);
    let within = |(least, most): (Option<f64>, Option<f64>), value: f64| {
        least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most)
    };
    let wanted = |offered: &&InstanceType| {
        names.as_ref().is_none_or(|names| names.contains(&offered.name))
            && family.is_none_or(|wanted| wanted == self::family(&offered.name))
            && within(cpus, f64::from(offered.vcpus))
            && within(memory, gib(offered))
    };
    let types: Vec<Value> =
        call.compute().config().catalog.instance_types.iter().filter(wanted).map(view).collect();
    Ok(json!({ "InstanceTypes": { "InstanceType": types }, "NextToken": "" }))
}

/// What comes before the size: `ecs.n1` of `ecs.n1.small`.
pub fn family(instance_type: &str) -> &str {
    instance_type.rsplit_once('.').map_or(instance_type, |(family, _)| family)
}

fn gib(offered: &InstanceType) -> f64 {
    // Far fewer than a float has digits for.
    f64::from(u32::try_from(offered.memory_mib).unwrap_or(u32::MAX)) / 1024.0
}

fn view(offered: &InstanceType) -> Value {
    json!({
        "InstanceTypeId": offered.name,
        "InstanceTypeFamily": family(&offered.name),
        "CpuCoreCount": offered.vcpus,
        "MemorySize": gib(offered),
        "CpuArchitecture": "X86",
        "LocalStorageAmount": 0,
        "LocalStorageCapacity": offered.ephemeral_gib,
        "GPUAmount": 0,
        "GPUSpec": "",
        "EniQuantity": compute::compute::MAX_INTERFACES,
        "DiskQuantity": compute::compute::MAX_ATTACHED,
        "NvmeSupport": "unsupported",
    })
}
