//! The walkthroughs of EC2's guides of 2007 on real guests, asked by Amazon's own SDKs of today and of then
//! (`ec2/walkthroughs.py`): a key pair, an instance, who gets in, a page, an image of it, and a service of three tiers.

use base64::prelude::{BASE64_STANDARD, Engine};
use native_api::Operation;
use node::{BOOT, EC2, Images, LOGIN, Network, Node, Python, on_host, sparse_file};
use serde_json::{Value, json};

/// Whence public addresses are, and an instance type that Debian fits in.
const CONFIG: &str = "[network]\npublic_addresses = ['203.0.113.0/28']\n\
    [[instance_types]]\nname = 'm1.small'\nvcpus = 1\nmemory_mib = 384\nephemeral_gib = 1\nswap_mib = 96\n";
/// The customer's workstation, and somebody else beside it.
const OUTSIDE: [&str; 2] = ["198.51.100.2/24", "198.51.100.3/24"];

/// What guests of the small image do with what they are told: they get their address, and run their user data. Before
/// that they say so.
const RUN: &str = r#"printf '#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add $ip/$mask dev eth0; ip route add default via $router
for server in $dns; do echo nameserver $server; done >/etc/resolv.conf
' >/tmp/lease; chmod +x /tmp/lease; mkdir -p /etc; ip link set eth0 up
udhcpc -q -t 20 -i eth0 -s /tmp/lease
wget -q -O /tmp/run http://169.254.169.254/2007-03-01/user-data && echo BOTHY-TOLD && sh /tmp/run"#;

#[test]
fn the_guides_walkthroughs_work_on_real_guests() {
    let Some(images) = Images::find() else { return };
    let Some(python) = Python::find("BOTHY_EC2_PYTHON") else { return };
    let network = Network::new("ec2");
    let outside = network.outside("workstation", &OUTSIDE);
    on_host(&network, images, CONFIG, async move |images, node| story(images, node, &python, &outside).await);
}

async fn story(images: &Images, node: &mut Node, python: &Python, outside: &Network) {
    node.start().await;
    let disk = json!({"disk": {"path": images.debian}});
    // It is read as a whole, by a daemon that is built for tests.
    node.import(&json!({"name": "debian", "source": disk}), 2 * LOGIN).await;
    let blank = sparse_file(node.folder.join("disk"), 1 << 20);
    let small = json!({"file_system": {"path": blank, "kernel": images.kernel, "initrd": images.initrd,
        "cmdline": format!("console=ttyS0 panic=-1 quiet bothy.run={}", BASE64_STANDARD.encode(RUN))}});
    node.import(&json!({"name": "small", "source": small}), BOOT).await;

    let made: Value = node.ask(Operation::CreateAccessKey, &[], &json!({})).await;
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let mut command = python.script("ec2/walkthroughs.py");
    command.arg(EC2.port().to_string()).arg(&node.folder).arg(outside.name());
    command.env("AWS_ACCESS_KEY_ID", text(&made["access_key"]["id"]));
    command.env("AWS_SECRET_ACCESS_KEY", text(&made["secret"]));
    let status = command.status().expect("Python starts");
    assert!(status.success(), "the walkthroughs: {status}\n{}", node.log());
    node.end();
}
