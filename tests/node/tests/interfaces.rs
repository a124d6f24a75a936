//! Guests with two network interfaces, each in a subnet of its own: both get their leases, and both addresses of both guests
//! answer on their wires. One of them is an interface that was there before, and outlives its guest.

use base64::prelude::{BASE64_STANDARD, Engine};
use native_api::{Instance, InstanceId, InstanceState, Launched, NetworkInterface, Operation, Subnet, Vpc};
use node::{BOOT, Images, Network, Node, on_host, sparse_file};
use serde_json::{Value, json};

/// Each guest asks for both leases, and then for all four addresses and both routers until they answer.
const COMMAND: &str = r#"
printf '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip address add $ip/$mask dev $interface\n' >/tmp/lease
chmod +x /tmp/lease
for nic in eth0 eth1; do
    ip link set $nic up
    until udhcpc -q -n -t 10 -i $nic -s /tmp/lease >/tmp/said 2>&1; do cat /tmp/said; done
    echo LEASE $nic $(ip -4 address show $nic | grep -o "inet [0-9./]*")
done
for at in 10.1.1.1 10.1.2.1 10.1.1.11 10.1.1.12 10.1.2.11 10.1.2.12; do
    until ping -c 1 -W 2 $at >/dev/null; do sleep 1; done
    echo ANSWERS $at
done
echo ALL-ANSWER
while sleep 60; do :; done"#;

#[test]
fn both_addresses_of_a_guest_answer() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("interfaces");
    on_host(&network, images, "", async move |images, node| story(images, node).await);
}

async fn story(images: &Images, node: &mut Node) {
    node.start().await;
    let disk = sparse_file(node.folder.join("disk"), 1 << 20);
    let (kernel, initrd) = (&images.kernel, &images.initrd);
    let cmdline = format!(
        "console=ttyS0 panic=-1 net.ifnames=0 bothy.run={}",
        BASE64_STANDARD.encode(COMMAND.trim_start())
    );
    let source =
        json!({"file_system": {"path": disk, "kernel": kernel, "initrd": initrd, "cmdline": cmdline}});
    let image = node.import(&json!({"name": "tiny", "source": source}), BOOT).await;
    let vpc: Vpc = node.ask(Operation::CreateVpc, &[], &json!({"cidr": "10.1.0.0/16"})).await;
    let mut subnets = Vec::new();
    for cidr in ["10.1.1.0/24", "10.1.2.0/24"] {
        let new = json!({"vpc": vpc.id, "cidr": cidr});
        let subnet: Subnet = node.ask(Operation::CreateSubnet, &[], &new).await;
        subnets.push(subnet.id);
    }
    let new = json!({"subnet": subnets[1], "private_address": "10.1.2.11"});
    let made: NetworkInterface = node.ask(Operation::CreateNetworkInterface, &[], &new).await;
    let second = [
        json!({"existing": {"id": made.id}}),
        json!({"new": {"subnet": subnets[1], "private_address": "10.1.2.12"}}),
    ];
    let mut ids: Vec<InstanceId> = Vec::new();
    for (second, number) in second.iter().zip([11, 12]) {
        let first = json!({"new": {"subnet": subnets[0], "private_address": format!("10.1.1.{number}")}});
        let launch = json!({"image": image, "instance_type": "tiny", "network_interfaces": [first, second]});
        let launched: Launched = node.ask(Operation::LaunchInstances, &[], &launch).await;
        ids.push(launched.instances[0].id.clone());
    }
    for (id, number) in ids.iter().zip([11, 12]) {
        let all = |console: &str| console.contains("ALL-ANSWER").then(|| console.to_owned());
        let console = node.printed("all answers", BOOT, id, all).await;
        for (nic, subnet) in [("eth0", 1), ("eth1", 2)] {
            let lease = format!("LEASE {nic} inet 10.1.{subnet}.{number}/24");
            assert!(console.contains(&lease), "{lease} in {console}");
        }
    }

    // What outlives its guest is the next one's.
    let terminate = async |id: &InstanceId| {
        let _: Value = node.ask(Operation::TerminateInstance, &[id.as_str()], &Value::Null).await;
        let is_gone = |instance: &Instance| instance.state == InstanceState::Terminated;
        node.wait("the end of a guest", BOOT, Operation::GetInstance, id.as_str(), is_gone).await;
    };
    terminate(&ids[0]).await;
    let left: NetworkInterface =
        node.ask(Operation::GetNetworkInterface, &[made.id.as_str()], &Value::Null).await;
    assert_eq!((left.instance, left.private_address), (None, made.private_address));
    let first = json!({"new": {"subnet": subnets[0], "private_address": "10.1.1.11"}});
    let again = json!({"existing": {"id": made.id}});
    let launch = json!({"image": image, "instance_type": "tiny", "network_interfaces": [first, again]});
    let launched: Launched = node.ask(Operation::LaunchInstances, &[], &launch).await;
    let next = launched.instances[0].id.clone();
    let answers = |console: &str| console.contains("ANSWERS 10.1.2.12").then_some(());
    node.printed("the other guest's answer", BOOT, &next, answers).await;
    for id in [&ids[1], &next] {
        terminate(id).await;
    }
    node.end();
}
