//! DescribeInstanceTypes: what instances can be of, by name and filters, in pages.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html>

use compute::compute::{MAX_ATTACHED, MAX_INTERFACES};
use compute::resource::{InstanceType, Tags};

use super::super::filters::Filters;
use super::super::paging::{Paging, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal};

const FILTERS: &[&str] = &[
    "bare-metal",
    "current-generation",
    "ebs-info.nvme-support",
    "free-tier-eligible",
    "hypervisor",
    "instance-storage-info.total-size-in-gb",
    "instance-storage-supported",
    "instance-type",
    "memory-info.size-in-mib",
    "network-info.maximum-network-interfaces",
    "processor-info.supported-architecture",
    "supported-boot-mode",
    "supported-root-device-type",
    "supported-usage-class",
    "supported-virtualization-type",
    "vcpu-info.default-cores",
    "vcpu-info.default-threads-per-core",
    "vcpu-info.default-vcpus",
];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let filters = Filters::read(parameters, FILTERS)?;
    let named = parameters.list("InstanceType")?;
    let paging = Paging::read(parameters, !named.is_empty())?;
    for name in &named {
        call.compute().instance_type(name)?;
    }
    let wanted = |offered: &&InstanceType| {
        (named.is_empty() || named.contains(&offered.name))
            && filters.pass(&Tags::default(), |name| fields(offered, name).into_iter().collect())
    };
    let mut all: Vec<&InstanceType> =
        call.compute().config().catalog.instance_types.iter().filter(wanted).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let (page, more) = paging.cut(all, |offered| offered.name.clone());
    Ok(next(Tree::new().list("instanceTypeSet", page.into_iter().map(view)), more.as_deref()))
}

fn fields(offered: &InstanceType, name: &str) -> Option<String> {
    let field = match name {
        "bare-metal" | "free-tier-eligible" => "false".to_owned(),
        "current-generation" => "true".to_owned(),
        "ebs-info.nvme-support" => "unsupported".to_owned(),
        "hypervisor" => "nitro".to_owned(),
        "instance-storage-info.total-size-in-gb" if offered.ephemeral_gib > 0 => {
            offered.ephemeral_gib.to_string()
        }
        "instance-storage-supported" => (offered.ephemeral_gib > 0).to_string(),
        "instance-type" => offered.name.clone(),
        "memory-info.size-in-mib" => offered.memory_mib.to_string(),
        "network-info.maximum-network-interfaces" => MAX_INTERFACES.to_string(),
        "processor-info.supported-architecture" => "x86_64".to_owned(),
        "supported-boot-mode" => "legacy-bios".to_owned(),
        "supported-root-device-type" => "ebs".to_owned(),
        "supported-usage-class" => "on-demand".to_owned(),
        "supported-virtualization-type" => "hvm".to_owned(),
        "vcpu-info.default-cores" | "vcpu-info.default-vcpus" => offered.vcpus.to_string(),
        "vcpu-info.default-threads-per-core" => "1".to_owned(),
        _ => return None,
    };
    Some(field)
}

fn view(offered: &InstanceType) -> Tree {
    let storage = (offered.ephemeral_gib > 0).then(|| {
        let disk = Tree::new().text("sizeInGB", offered.ephemeral_gib).text("count", 1).text("type", "ssd");
        let size = Tree::new().text("totalSizeInGB", offered.ephemeral_gib);
        size.list("disks", [disk]).text("nvmeSupport", "unsupported").text("encryptionSupport", "unsupported")
    });
    let cpus = Tree::new()
        .text("defaultVCpus", offered.vcpus)
        .text("defaultCores", offered.vcpus)
        .text("defaultThreadsPerCore", 1)
        .texts("validCores", [offered.vcpus])
        .texts("validThreadsPerCore", [1]);
    let disks = Tree::new()
        .text("ebsOptimizedSupport", "unsupported")
        .text("encryptionSupport", "unsupported")
        .text("nvmeSupport", "unsupported")
        .text("maximumEbsAttachments", MAX_ATTACHED);
    let network = Tree::new()
        .text("maximumNetworkInterfaces", MAX_INTERFACES)
        .text("maximumNetworkCards", 1)
        .text("defaultNetworkCardIndex", 0)
        .text("ipv4AddressesPerInterface", 1)
        .text("ipv6AddressesPerInterface", 0)
        .text("ipv6Supported", false)
        .text("enaSupport", "unsupported")
        .text("efaSupported", false);
    Tree::new()
        .text("instanceType", &offered.name)
        .text("currentGeneration", true)
        .text("freeTierEligible", false)
        .texts("supportedUsageClasses", ["on-demand"])
        .texts("supportedRootDeviceTypes", ["ebs"])
        .texts("supportedVirtualizationTypes", ["hvm"])
        .text("bareMetal", false)
        .text("hypervisor", "nitro")
        .tree("processorInfo", Tree::new().texts("supportedArchitectures", ["x86_64"]))
        .tree("vCpuInfo", cpus)
        .tree("memoryInfo", Tree::new().text("sizeInMiB", offered.memory_mib))
        .text("instanceStorageSupported", storage.is_some())
        .tree_if("instanceStorageInfo", storage)
        .tree("ebsInfo", disks)
        .tree("networkInfo", network)
        .tree("placementGroupInfo", Tree::new().texts::<&str>("supportedStrategies", []))
        .text("hibernationSupported", false)
        .text("burstablePerformanceSupported", false)
        .text("dedicatedHostsSupported", false)
        .text("autoRecoverySupported", true)
        .texts("supportedBootModes", ["legacy-bios"])
}
