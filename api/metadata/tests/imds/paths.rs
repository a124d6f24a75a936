//! Every path of every dialect, with what is there: walked as clients walk, by the listings, and compared with tables.

use std::collections::BTreeMap;

use compute::compute::InstanceRequest;
use compute::resource::{Cloud, Instance};

use super::http::Guest;
use super::world::{Host, KEY, TRUST, USER_DATA};

/// What is not listed by a row of its own: where secrets are.
const NOT_COMPARED: &[&str] = &["iam/", "ram/"];

/// Walks a folder to its ends, as cloud-init does: whatever is listed is asked for, a folder by its slash.
async fn walk(guest: &Guest, folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(below) = folders.pop() {
        let listing = guest.get(&format!("{folder}{below}")).await;
        let slashless = guest.get(format!("{folder}{below}").trim_end_matches('/')).await;
        assert_eq!(slashless.body, listing.body, "{folder}{below} is the same without its slash");
        assert!(!listing.ok().is_empty() && !listing.text().ends_with('\n'), "{below}: {listing:?}");
        for name in listing.text().split('\n') {
            assert!(!name.is_empty(), "{below}: {listing:?}");
            if let Some((index, _)) = name.split_once('=') {
                folders.push(format!("{below}{index}/"));
            } else if name.ends_with('/') {
                folders.push(format!("{below}{name}"));
            } else {
                let leaf = guest.get(&format!("{folder}{below}{name}")).await;
                assert!(!leaf.ok().ends_with('\n'), "{below}{name}: {leaf:?}");
                assert_eq!(leaf.headers["content-type"], "text/plain", "{below}{name}");
                assert_eq!(leaf.headers["content-length"], leaf.body.len().to_string());
                found.insert(format!("{below}{name}"), leaf.text().to_owned());
            }
        }
    }
    found
}

/// Lines of `path = value`, with an instance's own ids put in.
fn table(text: &str, instance: &Instance) -> BTreeMap<String, String> {
    let interface = instance.interfaces[0];
    let [a, b, c, d] = interface.number().to_be_bytes();
    let mac = format!("02:b0:{a:02x}:{b:02x}:{c:02x}:{d:02x}");
    // What Alibaba's paths tell to a guest that is in no cloud is named as ours is.
    let name = match instance.cloud {
        Cloud::Alibaba => format!("iZ{:08x}Z", instance.id.number()),
        Cloud::Native | Cloud::Ec2 | Cloud::Huawei => "ip-10-98-0-9".to_owned(),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs = lines.map(|line| line.split_once(" = ").expect("a path and a value"));
    let fill = |text: &str| {
        text.replace("MAC", &mac)
            .replace("INTERFACE", &interface.to_string())
            .replace("INSTANCE", &instance.id.to_string())
            .replace("RESERVATION", &instance.reservation.to_string())
            .replace("ALIBABAS_NAME", &name)
            .replace("ALIBABAS_IMAGE", &instance.image.with_prefix("m"))
            .replace("IMAGE", &instance.image.to_string())
            .replace("ACCOUNT", &instance.account)
            .replace("KEY", KEY)
            .replace("DISK_0", &instance.disks[0].volume.with_prefix("d"))
            .replace("DISK_1", &instance.disks[1].volume.with_prefix("d"))
            .replace("DISK_2", &instance.disks[2].volume.with_prefix("d"))
            .replace("SYSTEM", &instance.disks[0].volume.to_string())
            .replace("EPHEMERAL", &instance.disks[1].volume.to_string())
            .replace("SWAP", &instance.disks[2].volume.to_string())
    };
    pairs.map(|(path, value)| (fill(path), fill(value).replace("\\n", "\n"))).collect()
}

fn without_secrets(mut found: BTreeMap<String, String>) -> BTreeMap<String, String> {
    found.retain(|path, _| !NOT_COMPARED.iter().any(|secret| path.starts_with(secret)));
    found
}

/// The subnet, the VPC and the group are the account's default ones.
async fn with_networks(host: &Host, text: &str) -> String {
    let subnet = host.compute.default_subnet(&host.account.to_string()).await.unwrap();
    let group = host.compute.default_group(&host.account.to_string(), subnet.vpc).await.unwrap();
    let vpc = host.compute.vpc(&host.account.to_string(), subnet.vpc).await.unwrap();
    text.replace("SUBNET_CIDR", &subnet.cidr.to_string())
        .replace("SUBNET", &subnet.id.to_string())
        .replace("VSWITCH", &subnet.id.with_prefix("vsw"))
        .replace("VPC_CIDR", &vpc.cidr.to_string())
        .replace("VPC", &vpc.id.to_string())
        .replace("GROUP", &group.id.to_string())
        .replace("NETMASK", &subnet.cidr.netmask().to_string())
        .replace("ROUTER", &subnet.router().to_string())
}

const EC2: &str = "
    ami-id = IMAGE
    ami-launch-index = 0
    ami-manifest-path = my-amis/spamd-image.manifest.xml
    block-device-mapping/ami = sda1
    block-device-mapping/ephemeral0 = sda2
    block-device-mapping/root = /dev/sda1
    block-device-mapping/swap = sda3
    hostname = ip-10-98-0-9.compute.internal
    instance-action = none
    instance-id = INSTANCE
    instance-life-cycle = on-demand
    instance-type = m1.small
    local-hostname = ip-10-98-0-9.compute.internal
    local-ipv4 = 10.98.0.9
    mac = MAC
    network/interfaces/macs/MAC/device-number = 0
    network/interfaces/macs/MAC/interface-id = INTERFACE
    network/interfaces/macs/MAC/ipv4-associations/PUBLIC = 10.98.0.9
    network/interfaces/macs/MAC/local-hostname = ip-10-98-0-9.compute.internal
    network/interfaces/macs/MAC/local-ipv4s = 10.98.0.9
    network/interfaces/macs/MAC/mac = MAC
    network/interfaces/macs/MAC/owner-id = ACCOUNT
    network/interfaces/macs/MAC/public-hostname = ec2-DASHED.compute.example
    network/interfaces/macs/MAC/public-ipv4s = PUBLIC
    network/interfaces/macs/MAC/security-group-ids = GROUP
    network/interfaces/macs/MAC/security-groups = default
    network/interfaces/macs/MAC/subnet-id = SUBNET
    network/interfaces/macs/MAC/subnet-ipv4-cidr-block = SUBNET_CIDR
    network/interfaces/macs/MAC/vpc-id = VPC
    network/interfaces/macs/MAC/vpc-ipv4-cidr-block = VPC_CIDR
    network/interfaces/macs/MAC/vpc-ipv4-cidr-blocks = VPC_CIDR
    placement/availability-zone = eu-west-1a
    placement/region = eu-west-1
    product-codes = 774F4FF8
    public-hostname = ec2-DASHED.compute.example
    public-ipv4 = PUBLIC
    public-keys/0/openssh-key = KEY my key
    reservation-id = RESERVATION
    security-groups = default
    services/domain = amazonaws.com
    services/partition = aws
";

/// The whole of 2007-03-01, in which the manual has it.
const EC2_OF_2007: &[&str] = &[
    "ami-id",
    "ami-launch-index",
    "ami-manifest-path",
    "hostname",
    "instance-id",
    "local-hostname",
    "local-ipv4",
    "product-codes",
    "public-hostname",
    "public-ipv4",
    "public-keys/",
    "reservation-id",
    "security-groups",
];

const ALIBABA: &str = "
    disks/SYSTEM/id = DISK_0
    disks/EPHEMERAL/id = DISK_1
    disks/EPHEMERAL/name = a disk
    disks/SWAP/id = DISK_2
    disks/SWAP/name = a disk
    dns-conf/nameservers = 10.98.0.2\\n10.98.0.3
    eipv4 = PUBLIC
    hibernation/configured = false
    hostname = ALIBABAS_NAME
    image-id = ALIBABAS_IMAGE
    instance-id = INSTANCE
    instance/instance-name = web-1
    instance/instance-type = m1.small
    mac = MAC
    network-type = vpc
    network/interfaces/macs/MAC/gateway = ROUTER
    network/interfaces/macs/MAC/netmask = NETMASK
    network/interfaces/macs/MAC/network-interface-id = INTERFACE
    network/interfaces/macs/MAC/primary-ip-address = 10.98.0.9
    network/interfaces/macs/MAC/private-ipv4s = 10.98.0.9
    network/interfaces/macs/MAC/vpc-cidr-block = VPC_CIDR
    network/interfaces/macs/MAC/vpc-id = VPC
    network/interfaces/macs/MAC/vswitch-cidr-block = SUBNET_CIDR
    network/interfaces/macs/MAC/vswitch-id = VSWITCH
    ntp-conf/ntp-servers = 10.98.0.2
    owner-account-id = ACCOUNT
    private-ipv4 = 10.98.0.9
    public-keys/0/openssh-key = KEY my key
    region-id = eu-west-1
    serial-number = INSTANCE
    source-address = http://mirror.example
    vpc-cidr-block = VPC_CIDR
    vpc-id = VPC
    vswitch-cidr-block = SUBNET_CIDR
    vswitch-id = VSWITCH
    zone-id = eu-west-1a
";

const HUAWEI_EC2: &str = "
    ami-id = IMAGE
    ami-launch-index = 0
    ami-manifest-path = my-amis/spamd-image.manifest.xml
    block-device-mapping/ami = sda1
    block-device-mapping/ephemeral0 = sda2
    block-device-mapping/root = /dev/sda1
    block-device-mapping/swap = sda3
    hostname = ip-10-98-0-9.novalocal
    instance-action = none
    instance-id = INSTANCE
    instance-type = m1.small
    local-hostname = ip-10-98-0-9.novalocal
    local-ipv4 = 10.98.0.9
    placement/availability-zone = eu-west-1a
    product-codes = 774F4FF8
    public-hostname = ip-10-98-0-9.novalocal
    public-ipv4 = PUBLIC
    public-keys/0/openssh-key = KEY my key
    reservation-id = RESERVATION
    security-groups = default
";

async fn expected(host: &Host, instance: &Instance, text: &str) -> BTreeMap<String, String> {
    let view = host.compute.instance_view(&instance.account, instance.id).await.unwrap();
    let public = view.interfaces[0].1.as_ref().unwrap().address.to_string();
    let text = with_networks(host, text).await;
    let text = text.replace("DASHED", &public.replace('.', "-")).replace("PUBLIC", &public);
    table(&text, instance)
}

#[tokio::test]
async fn all_of_ec2() {
    let host = Host::start().await;
    host.role(TRUST).await;
    let (instance, guest) = host.guest(host.request(Cloud::Ec2)).await;
    let expected = expected(&host, &instance, EC2).await;
    let newest = guest.get("/").await.ok().lines().rev().nth(1).unwrap().to_owned();
    for version in ["latest", &newest] {
        assert_eq!(without_secrets(walk(&guest, &format!("/{version}/meta-data/")).await), expected);
        let top = guest.get(&format!("/{version}/")).await;
        assert_eq!(top.ok(), "dynamic\nmeta-data\nuser-data");
    }
    for (version, content_type) in [
        ("1.0", "application/x-octetstream"),
        ("2007-03-01", "application/x-octetstream"),
        ("2009-04-04", "application/octet-stream"),
        ("latest", "application/octet-stream"),
    ] {
        let data = guest.get(&format!("/{version}/user-data")).await;
        assert_eq!((data.status, &*data.body), (200, USER_DATA), "{version}");
        assert_eq!(data.headers["content-type"], content_type, "{version}");
    }
    let identity = guest.get("/latest/dynamic/instance-identity/").await;
    assert_eq!(identity.ok(), "document");
    let document = guest.get("/2009-04-04/dynamic/instance-identity/document/").await.json();
    assert_eq!(document["instanceId"], instance.id.to_string());
    assert_eq!(document["privateIp"], "10.98.0.9");
    assert_eq!(document["accountId"], instance.account);
    assert_eq!(document["region"], "eu-west-1");
    assert_eq!(document["devpayProductCodes"][0], "774F4FF8");
}

#[tokio::test]
async fn each_version_of_ec2_has_what_it_brought() {
    let host = Host::start().await;
    let (_, guest) = host.guest(host.request(Cloud::Ec2)).await;
    let root = guest.get("/").await;
    let versions: Vec<&str> = root.ok().split('\n').collect();
    for wanted in ["1.0", "2007-01-19", "2007-03-01", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23"]
    {
        assert!(versions.contains(&wanted), "{wanted}: {versions:?}");
    }
    assert_eq!(versions.last(), Some(&"latest"));
    let mut before: Vec<String> = Vec::new();
    for version in &versions {
        let listing = guest.get(&format!("/{version}/meta-data/")).await;
        let names: Vec<String> = listing.ok().split('\n').map(str::to_owned).collect();
        assert!(before.iter().all(|name| names.contains(name)), "{version} has what the one before has");
        match *version {
            "2007-03-01" => assert_eq!(names, EC2_OF_2007),
            "1.0" => assert!(!names.iter().any(|name| ["public-ipv4", "product-codes"].contains(&&**name))),
            _ => {}
        }
        before = names;
    }
    for absent in
        ["/1.0/meta-data/public-ipv4", "/2007-01-19/meta-data/product-codes", "/2008-09-01/dynamic/"]
    {
        assert_eq!(guest.get(absent).await.status, 404, "{absent}");
    }
}

#[tokio::test]
async fn all_of_alibaba() {
    let host = Host::start().await;
    host.role(TRUST).await;
    let (instance, guest) = host.guest(host.request(Cloud::Alibaba)).await;
    let expected = expected(&host, &instance, ALIBABA).await;
    assert_eq!(guest.get("/").await.ok(), "2016-01-01\nlatest");
    for version in ["2016-01-01", "latest"] {
        assert_eq!(without_secrets(walk(&guest, &format!("/{version}/meta-data/")).await), expected);
        assert_eq!(guest.get(&format!("/{version}/user-data")).await.body, USER_DATA);
        let all = guest.get(&format!("/{version}/meta-data/all")).await;
        assert_eq!(all.headers["content-type"], "application/json");
        let all = all.json();
        for (path, value) in &expected {
            let found = path.split('/').fold(&all, |object, word| &object[word]);
            let found = match found {
                serde_json::Value::Array(lines) => {
                    lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
                }
                other => other.as_str().unwrap_or_else(|| panic!("{path}: {other}")).to_owned(),
            };
            assert_eq!(found, *value, "{path}");
        }
        assert!(!all.to_string().contains("security-credentials"), "{all}");
    }
    let document = guest.get("/latest/dynamic/instance-identity/document").await.json();
    assert_eq!(document["instance-id"], instance.id.to_string());
    assert_eq!(document["private-ipv4"], "10.98.0.9");
    for absent in ["/1.0/meta-data/", "/openstack", "/latest/meta-data/ami-id", "/latest/meta-data/iam/"] {
        assert_eq!(guest.get(absent).await.status, 404, "{absent}");
    }
}

#[tokio::test]
async fn all_of_huawei() {
    let host = Host::start().await;
    host.role(TRUST).await;
    let (instance, guest) = host.guest(host.request(Cloud::Huawei)).await;
    let versions = "2012-08-10\n2013-04-04\n2013-10-17\n2015-10-15\n2016-06-30\n2016-10-06\n2017-02-22\n\
                    2018-08-27\nlatest";
    assert_eq!(guest.get("/openstack").await.ok(), versions);
    assert_eq!(guest.get("/openstack/").await.ok(), versions);
    assert_eq!(guest.get("/openstack/2012-08-10/").await.ok(), "meta_data.json\nuser_data");
    let newest = guest.get("/openstack/latest").await;
    let files = "meta_data.json\nnetwork_data.json\npassword\nuser_data\nvendor_data.json\nvendor_data2.json";
    assert_eq!(newest.ok(), files);
    for file in files.split('\n') {
        let reply = guest.get(&format!("/openstack/latest/{file}")).await;
        assert_eq!(reply.status, 200, "{file}");
        let is_json = file.ends_with(".json");
        assert_eq!(reply.headers["content-type"] == "application/json", is_json, "{file}");
        assert!(!is_json || reply.json().is_object(), "{file}");
    }
    assert_eq!(guest.get("/openstack/2018-08-27/user_data").await.body, USER_DATA);

    let meta = guest.get("/openstack/latest/meta_data.json").await.json();
    assert_eq!(meta["uuid"], compute::compute::uuid_of(instance.id).to_string());
    assert_eq!(meta["hostname"], "ip-10-98-0-9.novalocal");
    assert_eq!((&meta["name"], &meta["launch_index"]), (&"web-1".into(), &0.into()));
    assert_eq!(meta["public_keys"]["my key"], format!("{KEY} my key"));
    let account = host.identity.account(host.account).await.unwrap();
    assert_eq!(meta["project_id"], account.project_id);
    assert_eq!(meta["meta"]["a key"], "a value");
    assert_eq!((&meta["meta"]["charging_mode"], &meta["meta"]["os_bit"]), (&"0".into(), &"64".into()));
    assert_eq!(meta["meta"]["image_name"], "spamd");
    let seed = |meta: &serde_json::Value| meta["random_seed"].as_str().unwrap().to_owned();
    let again = guest.get("/openstack/latest/meta_data.json").await.json();
    assert!(seed(&meta).len() > 512 && seed(&meta) != seed(&again), "chance is chance each time");

    let network = guest.get("/openstack/latest/network_data.json").await.json();
    let expected = expected(&host, &instance, HUAWEI_EC2).await;
    let mac = table("mac = MAC", &instance)["mac"].clone();
    assert_eq!(network["links"][0]["ethernet_mac_address"], mac);
    assert_eq!((&network["links"][0]["type"], &network["links"][0]["mtu"]), (&"phy".into(), &1500.into()));
    assert_eq!(network["networks"][0]["type"], "ipv4_dhcp");
    assert_eq!(network["networks"][0]["link"], network["links"][0]["id"]);
    assert_eq!(network["services"][1]["address"], "10.98.0.3");

    // The EC2 tree, of which OpenStack's client reads all.
    assert_eq!(walk(&guest, "/latest/meta-data/").await, expected);
    assert_eq!(guest.get("/latest/user-data").await.body, USER_DATA);
    assert!(guest.get("/").await.ok().ends_with("\n2009-04-04\nlatest"));
    for absent in
        ["/2011-01-01/meta-data/", "/latest/meta-data/iam/", "/latest/meta-data/mac", "/2016-01-01/"]
    {
        assert_eq!(guest.get(absent).await.status, 404, "{absent}");
    }
}

#[tokio::test]
async fn a_config_drive_says_what_the_service_says() {
    let host = Host::start().await;
    host.role(TRUST).await;
    for cloud in [Cloud::Huawei, Cloud::Native] {
        let request = InstanceRequest { interfaces: vec![], ..host.request(cloud) };
        let (instance, guest) = host.guest(request).await;
        let files = host.service.config_drive(instance.id).await.unwrap();
        for file in &files {
            let reply = guest.get(&format!("/{}", file.path)).await;
            assert_eq!(reply.status, 200, "{}", file.path);
            // Chance is another each time.
            let without_chance = |bytes: &[u8]| match serde_json::from_slice::<serde_json::Value>(bytes) {
                Ok(mut document) => {
                    document.as_object_mut().unwrap().remove("random_seed");
                    document.to_string().into_bytes()
                }
                Err(_) => bytes.to_vec(),
            };
            assert_eq!(without_chance(&file.bytes), without_chance(&reply.body), "{}", file.path);
        }
        let there = |path: &str| files.iter().any(|file| file.path == path);
        let versions = guest.get("/openstack").await;
        for version in versions.ok().split('\n') {
            let documents = guest.get(&format!("/openstack/{version}/")).await;
            for document in documents.ok().split('\n') {
                let path = format!("openstack/{version}/{document}");
                assert_eq!(there(&path), document != "password", "{path}");
            }
        }
        assert!(!files.iter().any(|file| file.path.contains("securitykey")), "no credentials");
    }
    // As it is with the service off, and without user data.
    let mut request = host.bare_request(Cloud::Huawei);
    request.metadata_options.enabled = false;
    let instance = host.launch(request).await;
    let files = host.service.config_drive(instance.id).await.unwrap();
    assert!(files.iter().any(|file| file.path == "openstack/latest/meta_data.json"));
    assert!(!files.iter().any(|file| file.path.ends_with("user_data")));
    let nobody = host.service.config_drive(compute::id::InstanceId::new(1)).await;
    assert!(matches!(nobody, Err(compute::compute::ComputeError::NotFound { .. })));
}

#[tokio::test]
async fn an_instance_of_our_own_api_hears_all_of_them() {
    let host = Host::start().await;
    host.role(TRUST).await;
    let (instance, guest) = host.guest(host.request(Cloud::Native)).await;
    let mut both = expected(&host, &instance, ALIBABA).await;
    both.extend(expected(&host, &instance, EC2).await);
    assert_eq!(without_secrets(walk(&guest, "/latest/meta-data/").await), both);
    assert_eq!(
        without_secrets(walk(&guest, "/2016-01-01/meta-data/").await),
        expected(&host, &instance, ALIBABA).await
    );
    assert_eq!(
        without_secrets(walk(&guest, "/2024-04-11/meta-data/").await),
        expected(&host, &instance, EC2).await
    );
    assert!(guest.get("/").await.ok().contains("\n2016-01-01\n"));
    guest.get("/openstack/latest/meta_data.json").await.ok();
}

#[tokio::test]
async fn what_an_instance_has_not_is_not_there() {
    let host = Host::start().await;
    let absent = [
        (Cloud::Ec2, "/latest/user-data"),
        (Cloud::Ec2, "/latest/meta-data/public-keys/"),
        (Cloud::Ec2, "/latest/meta-data/public-keys/0/openssh-key"),
        (Cloud::Ec2, "/latest/meta-data/public-ipv4"),
        (Cloud::Ec2, "/latest/meta-data/public-hostname"),
        (Cloud::Ec2, "/latest/meta-data/iam/"),
        (Cloud::Ec2, "/latest/meta-data/iam/security-credentials/"),
        (Cloud::Ec2, "/latest/meta-data/tags/"),
        (Cloud::Ec2, "/latest/meta-data/block-device-mapping/swap"),
        (Cloud::Ec2, "/latest/meta-data/spot/instance-action"),
        (Cloud::Ec2, "/latest/meta-data/product-codes/x"),
        (Cloud::Ec2, "/2007-04-01/meta-data/"),
        (Cloud::Ec2, "/meta-data/"),
        (Cloud::Alibaba, "/latest/user-data"),
        (Cloud::Alibaba, "/2016-01-01/vendor-data"),
        (Cloud::Alibaba, "/latest/meta-data/eipv4"),
        (Cloud::Alibaba, "/latest/meta-data/ram/security-credentials/"),
        (Cloud::Alibaba, "/latest/meta-data/ram/security-credentials/EcsRamRoleTest"),
        (Cloud::Huawei, "/openstack/latest/user_data"),
        (Cloud::Huawei, "/openstack/2012-08-10/network_data.json"),
        (Cloud::Huawei, "/latest/user-data"),
    ];
    for cloud in [Cloud::Ec2, Cloud::Alibaba, Cloud::Huawei] {
        let (_, guest) = host.guest(host.bare_request(cloud)).await;
        for (_, path) in absent.iter().filter(|(of, _)| *of == cloud) {
            assert_eq!(guest.get(path).await.status, 404, "{cloud:?}: {path}");
        }
        let folder = "/latest/meta-data/";
        assert!(!walk(&guest, folder).await.is_empty());
    }
}

#[tokio::test]
async fn tags_are_shown_where_that_is_chosen() {
    let host = Host::start().await;
    let mut request = host.request(Cloud::Ec2);
    request.metadata_options.tags = true;
    let (_, guest) = host.guest(request).await;
    // Keys that can be no word of a path are not.
    assert_eq!(guest.get("/latest/meta-data/tags/instance/").await.ok(), "Name");
    assert_eq!(guest.get("/latest/meta-data/tags/instance/Name").await.ok(), "web");
    assert_eq!(guest.get("/latest/meta-data/tags/instance/two%20words").await.status, 404);
    assert_eq!(guest.get("/2020-10-27/meta-data/tags/").await.status, 404);
}

#[tokio::test]
async fn a_second_interface_is_told_of_on_both() {
    let host = Host::start().await;
    let account = host.account.to_string();
    let mut request = host.request(Cloud::Ec2);
    request.rules.start_when_created = false;
    let instance = host.launch(request).await;
    super::options::until_made(&host, &instance).await;
    let subnet = host.compute.default_subnet(&account).await.unwrap().id;
    let new = compute::compute::NewInterface {
        subnet,
        address: Some("10.98.0.77".parse().unwrap()),
        security_groups: vec![],
        name: String::new(),
        description: String::new(),
        tags: Default::default(),
        token: None,
    };
    let second = host.compute.create_interface(&account, &new).await.unwrap();
    host.compute.attach_interface(&account, second.id, instance.id, true).await.unwrap();
    let macs = format!("{}/", mac(&second.mac));
    for interface in [instance.interfaces[0], second.id] {
        let guest = host.bind(&instance, interface);
        let listed = guest.get("/latest/meta-data/network/interfaces/macs/").await;
        assert_eq!(listed.ok().lines().count(), 2);
        assert!(listed.text().lines().any(|line| line == macs), "{listed:?}");
        let folder = format!("/latest/meta-data/network/interfaces/macs/{macs}");
        assert_eq!(guest.get(&format!("{folder}device-number")).await.ok(), "1");
        assert_eq!(guest.get(&format!("{folder}local-ipv4s")).await.ok(), "10.98.0.77");
        assert_eq!(
            guest.get(&format!("{folder}local-hostname")).await.ok(),
            "ip-10-98-0-77.compute.internal"
        );
        assert_eq!(guest.get("/latest/meta-data/local-ipv4").await.ok(), "10.98.0.9");
    }
}

fn mac(octets: &[u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}
