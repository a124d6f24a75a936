//! OpenStack's paths, with what Huawei Cloud adds to them.
//!
//! <https://docs.openstack.org/nova/latest/user/metadata.html>,
//! <https://support.huaweicloud.com/intl/en-us/usermanual-ecs/ecs_03_0166.html>

use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::charge::Terms;
use compute::compute::uuid_of;
use compute::resource::Cloud;
use serde_json::{Map, Value, json};

use crate::role::RoleDocument;
use crate::tree::{At, Row};
use crate::view::Part;

/// The versions that OpenStack has.
pub const VERSIONS: &[&str] = &[
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
];

/// Bytes of chance that a guest gets to begin with, as OpenStack gives.
const SEED_BYTES: usize = 512;

/// What is under each version.
pub static ROWS: &[Row] = &[
    Row::json("meta_data.json", "2012-08-10", &[Part::Network, Part::Image, Part::Account], |at| {
        Some(meta_data(at).to_string())
    }),
    Row::user_data("user_data", "2012-08-10", |_| "application/octet-stream"),
    // Of guests that make one and tell it; none is told here.
    Row::text("password", "2013-04-04", &[], |_| Some(String::new())),
    Row::json("vendor_data.json", "2013-10-17", &[], |_| Some("{}".to_owned())),
    Row::json("network_data.json", "2015-10-15", &[Part::Network], |at| Some(network_data(at).to_string())),
    Row::json("vendor_data2.json", "2016-10-06", &[], |_| Some("{}".to_owned())),
    // Huawei's.
    Row::role("securitykey", "2012-08-10", RoleDocument::Huawei).hidden(),
];

fn meta_data(at: &At<'_>) -> Value {
    let view = at.view;
    let instance = &view.instance;
    let hostname = view.internal_name(Cloud::Huawei);
    let name = if instance.name.is_empty() { &instance.host_name } else { &instance.name };
    let mut seed = [0; SEED_BYTES];
    // Fails only where the system has no chance to give, and there the token key was not drawn either.
    rand::fill(&mut seed).expect("the system gives random bytes");
    let mut document = json!({
        "uuid": uuid_of(instance.id),
        "hostname": hostname,
        "name": name,
        "launch_index": instance.launch_index,
        "availability_zone": instance.zone,
        "region_id": view.region,
        "project_id": view.account.as_ref().map(|account| &account.project_id),
        "random_seed": BASE64_STANDARD.encode(seed),
        "meta": meta(at),
        "devices": [],
    });
    if let Some(key) = &instance.key_pair {
        let line = format!("{} {}", key.public_key, key.name);
        document["keys"] = json!([{ "name": key.name, "type": "ssh", "data": line }]);
        document["public_keys"] = json!({ &key.name: line });
    }
    document
}

/// What the user gave in pairs, and what Huawei tells in the same place.
fn meta(at: &At<'_>) -> Map<String, Value> {
    let instance = &at.view.instance;
    let charging_mode = match instance.terms {
        Terms::PayAsYouGo { .. } => "0",
        Terms::Subscription(_) => "1",
    };
    let is_public = at.view.image.as_ref().is_some_and(|image| image.public);
    let given = instance.metadata.iter();
    let mut meta: Map<String, Value> =
        given.map(|(key, value)| (key.clone(), value.clone().into())).collect();
    let mut tell = |key: &str, value: String| meta.insert(key.to_owned(), value.into());
    tell("metering.image_id", instance.image.to_string());
    tell("metering.imagetype", if is_public { "gold" } else { "private" }.to_owned());
    tell("metering.resourcespeccode", format!("{}.linux", instance.instance_type));
    tell("charging_mode", charging_mode.to_owned());
    tell("os_bit", "64".to_owned());
    tell("os_type", "Linux".to_owned());
    if let Some(image) = &at.view.image {
        tell("image_name", image.name.clone());
    }
    if let Some(nic) = at.view.nic() {
        tell("vpc_id", nic.interface.vpc.to_string());
    }
    meta
}

/// Every network interface gets its address by DHCP, which tells it the rest.
fn network_data(at: &At<'_>) -> Value {
    let (mut links, mut networks) = (Vec::new(), Vec::new());
    for nic in &at.view.nics {
        let (interface, index) = (&nic.interface, nic.interface.index);
        let link = format!("tap{:08x}", interface.id.number());
        networks.push(json!({
            "id": format!("network{index}"),
            "type": "ipv4_dhcp",
            "link": link,
            "network_id": interface.vpc,
        }));
        links.push(json!({
            "id": link,
            "type": "phy",
            "ethernet_mac_address": nic.mac(),
            "mtu": at.view.mtu,
            "vif_id": interface.id,
        }));
    }
    let services: Vec<Value> =
        at.view.name_servers.iter().map(|address| json!({ "type": "dns", "address": address })).collect();
    json!({ "links": links, "networks": networks, "services": services })
}
