//! EC2's paths: what of its instance metadata categories there is here, each since the version that brought it.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html>

use compute::resource::{Cloud, VolumeKind, bare_device};
use serde_json::{Value, json};

use crate::document::{spaced, time};
use crate::role::RoleDocument;
use crate::tree::{At, Row};
use crate::view::{Nic, Part};

/// The versions that EC2 has.
pub const VERSIONS: &[&str] = &[
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "2011-01-01",
    "2011-05-01",
    "2012-01-12",
    "2014-02-25",
    "2014-11-05",
    "2015-10-20",
    "2016-04-19",
    "2016-06-30",
    "2016-09-02",
    "2018-03-28",
    "2018-08-17",
    "2018-09-24",
    "2019-10-01",
    "2020-10-27",
    "2021-01-03",
    "2021-03-23",
    "2021-07-15",
    "2022-09-24",
    "2024-04-11",
];

/// How many of them OpenStack has: up to 2009-04-04.
pub const OPENSTACK_VERSIONS: usize = 9;

const RECORD: &[Part] = &[];
const NETWORK: &[Part] = &[Part::Network];
const DISKS: &[Part] = &[Part::Disks];
const IMAGE: &[Part] = &[Part::Image];

/// What is under each version.
pub static ROWS: &[Row] = &[
    Row::text("meta-data/ami-id", "1.0", RECORD, |at| Some(at.view.instance.image.to_string())),
    Row::text("meta-data/ami-launch-index", "1.0", RECORD, |at| {
        Some(at.view.instance.launch_index.to_string())
    }),
    Row::text("meta-data/ami-manifest-path", "1.0", IMAGE, manifest),
    Row::text("meta-data/hostname", "1.0", RECORD, local_hostname),
    Row::text("meta-data/instance-id", "1.0", RECORD, |at| Some(at.view.instance.id.to_string())),
    Row::text("meta-data/local-ipv4", "1.0", RECORD, |at| {
        Some(at.view.instance.private_address?.to_string())
    }),
    Row::text("meta-data/public-keys/{key}/openssh-key", "1.0", RECORD, openssh_key),
    Row::text("meta-data/reservation-id", "1.0", RECORD, |at| Some(at.view.instance.reservation.to_string())),
    Row::text("meta-data/security-groups", "1.0", NETWORK, |at| lines(group_names(at.view.nic()?))),
    Row::user_data("user-data", "1.0", |at| {
        // As its first manuals write it.
        if at.version < "2007-08-29" { "application/x-octetstream" } else { "application/octet-stream" }
    }),
    Row::text("meta-data/local-hostname", "2007-01-19", RECORD, local_hostname),
    Row::text("meta-data/public-hostname", "2007-01-19", NETWORK, |at| public_name(at, at.view.nic()?)),
    Row::text("meta-data/public-ipv4", "2007-01-19", NETWORK, |at| Some(at.view.nic()?.public?.to_string())),
    Row::text("meta-data/product-codes", "2007-03-01", RECORD, |at| {
        lines(at.view.instance.product_codes.clone())
    }),
    Row::text("meta-data/instance-type", "2007-08-29", RECORD, |at| {
        Some(at.view.instance.instance_type.clone())
    }),
    Row::text("meta-data/block-device-mapping/ami", "2007-12-15", RECORD, |at| {
        Some(bare_device(&at.view.instance.disks.first()?.device).to_owned())
    }),
    Row::text("meta-data/block-device-mapping/root", "2007-12-15", RECORD, |at| {
        Some(at.view.instance.disks.first()?.device.clone())
    }),
    Row::text("meta-data/block-device-mapping/ephemeral0", "2007-12-15", DISKS, |at| {
        disk(at, VolumeKind::Ephemeral)
    }),
    Row::text("meta-data/block-device-mapping/swap", "2007-12-15", DISKS, |at| disk(at, VolumeKind::Swap)),
    Row::text("meta-data/placement/availability-zone", "2008-02-01", RECORD, |at| {
        Some(at.view.instance.zone.clone())
    }),
    Row::text("meta-data/instance-action", "2008-09-01", RECORD, |_| Some("none".to_owned())),
    Row::text("dynamic/instance-identity/document", "2009-04-04", RECORD, |at| Some(identity_document(at))),
    Row::text("meta-data/mac", "2011-01-01", NETWORK, |at| Some(at.view.nic()?.mac())),
    Row::text(mac!("device-number"), "2011-01-01", NETWORK, |at| Some(nic(at)?.interface.index.to_string())),
    Row::text(mac!("interface-id"), "2011-01-01", NETWORK, |at| Some(nic(at)?.interface.id.to_string())),
    Row::text(mac!("ipv4-associations/{public}"), "2011-01-01", NETWORK, |at| {
        Some(nic(at)?.interface.address.to_string())
    }),
    Row::text(mac!("local-hostname"), "2011-01-01", NETWORK, nic_hostname),
    Row::text(mac!("local-ipv4s"), "2011-01-01", NETWORK, |at| Some(nic(at)?.interface.address.to_string())),
    Row::text(mac!("mac"), "2011-01-01", NETWORK, |at| Some(nic(at)?.mac())),
    Row::text(mac!("owner-id"), "2011-01-01", NETWORK, |at| Some(nic(at)?.interface.account.clone())),
    Row::text(mac!("public-hostname"), "2011-01-01", NETWORK, |at| public_name(at, nic(at)?)),
    Row::text(mac!("public-ipv4s"), "2011-01-01", NETWORK, |at| Some(nic(at)?.public?.to_string())),
    Row::text(mac!("security-groups"), "2011-01-01", NETWORK, |at| lines(group_names(nic(at)?))),
    Row::text(mac!("security-group-ids"), "2011-01-01", NETWORK, |at| {
        lines(nic(at)?.interface.security_groups.iter().map(ToString::to_string).collect())
    }),
    Row::text(mac!("subnet-id"), "2011-01-01", NETWORK, |at| Some(nic(at)?.interface.subnet.to_string())),
    Row::text(mac!("subnet-ipv4-cidr-block"), "2011-01-01", NETWORK, |at| {
        Some(nic(at)?.subnet.as_ref()?.cidr.to_string())
    }),
    Row::text(mac!("vpc-id"), "2011-01-01", NETWORK, |at| Some(nic(at)?.interface.vpc.to_string())),
    Row::text(mac!("vpc-ipv4-cidr-block"), "2011-01-01", NETWORK, vpc_cidr),
    Row::role("meta-data/iam/info", "2012-01-12", RoleDocument::Ec2Info),
    Row::role("meta-data/iam/security-credentials/{role}", "2012-01-12", RoleDocument::Ec2),
    Row::text("meta-data/services/domain", "2014-02-25", RECORD, |_| Some("amazonaws.com".to_owned())),
    Row::text("meta-data/services/partition", "2015-10-20", RECORD, |_| Some("aws".to_owned())),
    Row::text(mac!("vpc-ipv4-cidr-blocks"), "2016-06-30", NETWORK, vpc_cidr),
    Row::text("meta-data/instance-life-cycle", "2019-10-01", RECORD, |_| Some("on-demand".to_owned())),
    Row::text("meta-data/placement/region", "2020-10-27", RECORD, |at| Some(at.view.region.clone())),
    Row::text("meta-data/tags/instance/{tag}", "2021-03-23", RECORD, |at| {
        Some(at.view.tags().nth(*at.bound.first()?)?.1.clone())
    }),
];

/// The network interface that a path names.
pub fn nic<'a>(at: &'a At<'_>) -> Option<&'a Nic> {
    at.view.nics.get(*at.bound.first()?)
}

/// One thing a line; `None` for none.
pub fn lines(items: Vec<String>) -> Option<String> {
    (!items.is_empty()).then(|| items.join("\n"))
}

/// The public half of the key pair as a line of `authorized_keys`.
pub fn openssh_key(at: &At<'_>) -> Option<String> {
    let key = at.view.instance.key_pair.as_ref()?;
    Some(format!("{} {}", key.public_key, key.name))
}

fn group_names(nic: &Nic) -> Vec<String> {
    nic.groups.iter().map(|group| group.name.clone()).collect()
}

fn manifest(at: &At<'_>) -> Option<String> {
    let location = at.view.image.as_ref().map(|image| image.location.clone());
    // What EC2 says of images without one.
    Some(location.filter(|location| !location.is_empty()).unwrap_or_else(|| "(unknown)".to_owned()))
}

fn local_hostname(at: &At<'_>) -> Option<String> {
    Some(at.view.internal_name(at.view.instance.cloud))
}

fn nic_hostname(at: &At<'_>) -> Option<String> {
    let interface = &nic(at)?.interface;
    match interface.index {
        0 => local_hostname(at),
        _ => Some(at.view.domains.of_private(at.view.instance.cloud, interface.address)),
    }
}

fn public_name(at: &At<'_>, nic: &Nic) -> Option<String> {
    match at.view.instance.cloud {
        Cloud::Huawei => local_hostname(at),
        Cloud::Native | Cloud::Ec2 | Cloud::Alibaba => Some(at.view.domains.of_public(nic.public?)),
    }
}

fn vpc_cidr(at: &At<'_>) -> Option<String> {
    Some(nic(at)?.vpc.as_ref()?.cidr.to_string())
}

fn disk(at: &At<'_>, kind: VolumeKind) -> Option<String> {
    let volume = at.view.disks.iter().find(|volume| volume.kind == kind)?;
    let disk = at.view.instance.disks.iter().find(|disk| disk.volume == volume.id)?;
    Some(bare_device(&disk.device).to_owned())
}

/// Who the instance is. Not signed: EC2's certificates are EC2's.
fn identity_document(at: &At<'_>) -> String {
    let instance = &at.view.instance;
    let codes = match instance.product_codes.as_slice() {
        [] => Value::Null,
        codes => json!(codes),
    };
    spaced(&[
        ("accountId", json!(instance.account)),
        ("architecture", json!("x86_64")),
        ("availabilityZone", json!(instance.zone)),
        ("billingProducts", Value::Null),
        ("devpayProductCodes", codes),
        ("marketplaceProductCodes", Value::Null),
        ("imageId", json!(instance.image)),
        ("instanceId", json!(instance.id)),
        ("instanceType", json!(instance.instance_type)),
        ("kernelId", Value::Null),
        ("pendingTime", json!(time(instance.started.unwrap_or(instance.created)))),
        ("privateIp", json!(instance.private_address)),
        ("ramdiskId", Value::Null),
        ("region", json!(at.view.region)),
        ("version", json!("2017-09-30")),
    ])
}
