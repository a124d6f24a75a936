//! Alibaba Cloud's paths, the same under each version.
//!
//! <https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata>

use serde_json::json;

use crate::document::spaced;
use crate::ec2::{lines, nic, openssh_key};
use crate::role::RoleDocument;
use crate::tree::{At, Row, nested};
use crate::view::Part;

/// The versions that Alibaba has.
pub const VERSIONS: &[&str] = &[SINCE];

const SINCE: &str = "2016-01-01";
const RECORD: &[Part] = &[];
const NETWORK: &[Part] = &[Part::Network];
const DISKS: &[Part] = &[Part::Disks];

/// What is under each version.
pub static ROWS: &[Row] = &[
    Row::text("meta-data/dns-conf/nameservers", SINCE, NETWORK, |at| {
        lines(at.view.name_servers.iter().map(ToString::to_string).collect())
    }),
    Row::text("meta-data/eipv4", SINCE, NETWORK, |at| Some(at.view.nic()?.public?.to_string())),
    Row::text("meta-data/hibernation/configured", SINCE, RECORD, |_| Some("false".to_owned())),
    Row::text("meta-data/hostname", SINCE, RECORD, |at| Some(at.view.instance.host_name.clone())),
    Row::text("meta-data/image-id", SINCE, RECORD, |at| Some(at.view.instance.image.with_prefix("m"))),
    Row::text("meta-data/instance-id", SINCE, RECORD, |at| Some(at.view.instance.id.to_string())),
    Row::text("meta-data/instance/instance-name", SINCE, RECORD, instance_name),
    Row::text("meta-data/instance/instance-type", SINCE, RECORD, |at| {
        Some(at.view.instance.instance_type.clone())
    }),
    Row::text("meta-data/disks/{disk}/id", SINCE, DISKS, |at| Some(disk(at)?.id.with_prefix("d"))),
    Row::text("meta-data/disks/{disk}/name", SINCE, DISKS, |at| {
        Some(disk(at)?.name.clone()).filter(|name| !name.is_empty())
    }),
    Row::text("meta-data/mac", SINCE, NETWORK, |at| Some(at.view.nic()?.mac())),
    Row::text("meta-data/network-type", SINCE, RECORD, |_| Some("vpc".to_owned())),
    Row::text(mac!("gateway"), SINCE, NETWORK, |at| Some(nic(at)?.subnet.as_ref()?.router().to_string())),
    Row::text(mac!("netmask"), SINCE, NETWORK, |at| {
        Some(nic(at)?.subnet.as_ref()?.cidr.netmask().to_string())
    }),
    Row::text(mac!("network-interface-id"), SINCE, NETWORK, |at| Some(nic(at)?.interface.id.to_string())),
    Row::text(mac!("primary-ip-address"), SINCE, NETWORK, |at| Some(nic(at)?.interface.address.to_string())),
    Row::text(mac!("private-ipv4s"), SINCE, NETWORK, |at| Some(nic(at)?.interface.address.to_string())),
    Row::text(mac!("vpc-cidr-block"), SINCE, NETWORK, |at| Some(nic(at)?.vpc.as_ref()?.cidr.to_string())),
    Row::text(mac!("vpc-id"), SINCE, NETWORK, |at| Some(nic(at)?.interface.vpc.to_string())),
    Row::text(mac!("vswitch-cidr-block"), SINCE, NETWORK, |at| {
        Some(nic(at)?.subnet.as_ref()?.cidr.to_string())
    }),
    Row::text(mac!("vswitch-id"), SINCE, NETWORK, |at| Some(nic(at)?.interface.subnet.with_prefix("vsw"))),
    Row::text("meta-data/ntp-conf/ntp-servers", SINCE, NETWORK, |at| {
        lines(at.view.time_servers.iter().map(ToString::to_string).collect())
    }),
    Row::text("meta-data/owner-account-id", SINCE, RECORD, |at| Some(at.view.instance.account.clone())),
    Row::text("meta-data/private-ipv4", SINCE, RECORD, |at| {
        Some(at.view.instance.private_address?.to_string())
    }),
    Row::text("meta-data/public-keys/{key}/openssh-key", SINCE, RECORD, openssh_key),
    Row::role("meta-data/ram/security-credentials/{role}", SINCE, RoleDocument::Alibaba),
    Row::text("meta-data/region-id", SINCE, RECORD, |at| Some(at.view.region.clone())),
    // What SMBIOS says, too.
    Row::text("meta-data/serial-number", SINCE, RECORD, |at| Some(at.view.instance.id.to_string())),
    Row::text("meta-data/source-address", SINCE, RECORD, |at| at.view.config.package_mirror.clone()),
    Row::text("meta-data/tags/instance/{tag}", SINCE, RECORD, |at| {
        Some(at.view.tags().nth(*at.bound.first()?)?.1.clone())
    }),
    Row::text("meta-data/vpc-cidr-block", SINCE, NETWORK, |at| {
        Some(at.view.nic()?.vpc.as_ref()?.cidr.to_string())
    }),
    Row::text("meta-data/vpc-id", SINCE, NETWORK, |at| Some(at.view.nic()?.interface.vpc.to_string())),
    Row::text("meta-data/vswitch-cidr-block", SINCE, NETWORK, |at| {
        Some(at.view.nic()?.subnet.as_ref()?.cidr.to_string())
    }),
    Row::text("meta-data/vswitch-id", SINCE, NETWORK, |at| {
        Some(at.view.nic()?.interface.subnet.with_prefix("vsw"))
    }),
    Row::text("meta-data/zone-id", SINCE, RECORD, |at| Some(at.view.instance.zone.clone())),
    // Not listed, so that who walks the listings does not get everything twice.
    Row::json("meta-data/all", SINCE, &[Part::Network, Part::Disks], |at| {
        Some(nested(at, ROWS, "meta-data").to_string())
    })
    .hidden(),
    Row::text("dynamic/instance-identity/document", SINCE, NETWORK, |at| Some(identity_document(at))),
    Row::user_data("user-data", SINCE, |_| "application/octet-stream"),
];

fn disk<'a>(at: &'a At<'_>) -> Option<&'a compute::resource::Volume> {
    at.view.disks.get(*at.bound.first()?)
}

fn instance_name(at: &At<'_>) -> Option<String> {
    let instance = &at.view.instance;
    // An instance that was given none is called by its id.
    Some(if instance.name.is_empty() { instance.id.to_string() } else { instance.name.clone() })
}

/// Who the instance is. Not signed: Alibaba's certificates are Alibaba's.
fn identity_document(at: &At<'_>) -> String {
    let instance = &at.view.instance;
    spaced(&[
        ("owner-account-id", json!(instance.account)),
        ("instance-id", json!(instance.id)),
        ("mac", json!(at.view.nic().map(|nic| nic.mac()))),
        ("region-id", json!(at.view.region)),
        ("serial-number", json!(instance.id)),
        ("zone-id", json!(instance.zone)),
        ("instance-type", json!(instance.instance_type)),
        ("image-id", json!(instance.image.with_prefix("m"))),
        ("private-ipv4", json!(instance.private_address)),
    ])
}
