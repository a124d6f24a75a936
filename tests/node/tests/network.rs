//! What guests of security groups, of two VPCs with the same addresses, and who is outside, can reach of each other: real
//! guests, the real daemon, and a namespace for the world outside. What single packets do is tested by `hostnet`, and what
//! a guest's own network interface refuses by `metadata.rs`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use native_api::{Address, Instance, InstanceId, InstanceState, Operation};
use node::{BOOT, Images, Network, Node, Shell, on_host, sparse_file};
use serde_json::json;

/// Whence public addresses are.
const PUBLIC: &str = "[network]\npublic_addresses = ['203.0.113.0/28']\n";

/// Each guest says its name on these ports, so that what does not pass is not for want of somebody who listens.
const PORTS: [u16; 3] = [80, 3306, 8000];

/// The three tiers of the walkthrough, two guests that are told of no group, and one in another VPC that has the first's
/// address and a group of the same name.
const GUESTS: [(&str, &str, &str, Option<&str>); 6] = [
    ("web", "front", "10.0.1.10", Some("web")),
    ("app", "front", "10.0.1.11", Some("app")),
    ("db", "back", "10.0.2.10", Some("db")),
    ("one", "front", "10.0.1.21", None),
    ("two", "back", "10.0.2.22", None),
    ("twin", "twin-front", "10.0.1.10", Some("twin-web")),
];

/// Who reaches whom where, and who does not.
const REACHED: [(&str, &str, u16); 6] = [
    ("web", "10.0.1.11", 8000),
    ("app", "10.0.2.10", 3306),
    ("app", "10.0.1.10", 80),
    ("db", "10.0.1.10", 80),
    ("one", "10.0.2.22", 3306),
    ("two", "10.0.1.21", 80),
];
const REFUSED: [(&str, &str, u16); 7] = [
    ("web", "10.0.2.10", 3306),
    ("web", "10.0.1.11", 80),
    ("db", "10.0.1.11", 8000),
    ("app", "10.0.1.10", 8000),
    ("web", "10.0.1.21", 80),
    // Nobody has it in its own VPC.
    ("twin", "10.0.1.11", 8000),
    ("twin", "10.0.2.10", 3306),
];

/// How much is sent each way unless `BOTHY_BLOCKS` says how much, in blocks of 16 MiB. 64 of them take a quarter of an hour
/// where the CPU is emulated.
const BLOCKS: u32 = 8;
/// How long that may take, and how long to sum it up, on a CPU that is emulated and shared.
const PATIENCE: Duration = Duration::from_secs(900);

/// What `udhcpc` runs with a lease.
const LEASE: &str = r#"printf '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip address add $ip/$mask dev eth0\nip route add default via $router\n' >/tmp/lease; chmod +x /tmp/lease; ip link set eth0 up; udhcpc -q -n -t 10 -i eth0 -s /tmp/lease >/tmp/said 2>&1; ip -4 address show eth0 | grep -o "inet [0-9.]*" || cat /tmp/said"#;

#[test]
fn guests_reach_what_their_groups_let_them() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("groups");
    let outside = network.outside("outside", &["198.51.100.2/24"]);
    on_host(&network, images, PUBLIC, async move |images, node| story(images, node, &outside).await);
}

async fn story(images: &Images, node: &mut Node, outside: &Network) {
    node.start().await;
    make_networks(node);
    let mut guests = launch(images, node).await;

    for (from, to, port) in REACHED {
        let said = guests.reach(from, to, port).await;
        let (name, ..) = GUESTS.iter().find(|(_, _, address, _)| *address == to).expect("a guest's");
        assert_eq!(said, *name, "{from} to {to}:{port}");
    }
    for (from, to, port) in REFUSED {
        assert_eq!(guests.reach(from, to, port).await, "", "{from} to {to}:{port}");
    }

    // The scan of the EC2 guide: a hundred ports, of which one is open.
    let address: Address = node.ask(Operation::AllocateAddress, &[], &json!({})).await;
    let public = address.public_address.to_string();
    assert_eq!(scan(outside, &public), "", "nobody has it yet");
    node.bothy(&["address", "associate", &public, "web"]);
    assert_eq!(scan(outside, &public), "80/open/tcp 99 filtered");
    assert_eq!(guests.reach("twin", &public, 80).await, "web", "from another VPC as from anywhere");

    // In force when it is acknowledged, in both directions.
    node.bothy(&["group", "revoke", "web", "--vpc", "shop", "tcp 80 from anywhere"]);
    assert_eq!(scan(outside, &public), "", "nothing is open any more");
    assert_eq!(guests.reach("app", "10.0.1.10", 80).await, "");
    node.bothy(&["group", "allow", "web", "--vpc", "shop", "tcp 8000 from group app, icmp 8 from group app"]);
    assert_eq!(guests.reach("app", "10.0.1.10", 8000).await, "web");
    assert_eq!(guests.reach("db", "10.0.1.10", 8000).await, "");

    large_packets(&mut guests).await;
    neighbours(&mut guests).await;
    false_senders(&mut guests).await;
    much_data(node, &mut guests).await;

    let names: Vec<&str> = GUESTS.iter().map(|(name, ..)| *name).collect();
    node.bothy(&[&["terminate"], &names[..], &["--wait", "--timeout", "120"]].concat());
    node.end();
}

fn make_networks(node: &Node) {
    for (vpc, prefix) in [("shop", ""), ("twin", "twin-")] {
        node.bothy(&["vpc", "create", "10.0.0.0/16", "--name", vpc]);
        node.bothy(&["subnet", "create", vpc, "10.0.1.0/24", "--name", &format!("{prefix}front")]);
    }
    node.bothy(&["subnet", "create", "shop", "10.0.2.0/24", "--name", "back"]);
    for (vpc, group, rules) in [
        ("shop", "web", "tcp 80 from anywhere"),
        ("shop", "app", "tcp 8000 from group web"),
        ("shop", "db", "tcp 3306 from group app"),
        ("twin", "twin-web", "tcp 80 from anywhere"),
    ] {
        node.bothy(&["group", "create", group, "--vpc", vpc, "--allow", rules]);
    }
}

/// Guests by name, with their shells.
struct Guests(BTreeMap<&'static str, Shell>);

impl Guests {
    fn shell(&mut self, name: &str) -> &mut Shell {
        self.0.get_mut(name).expect("a guest's name")
    }

    /// What a guest is told at an address and port; nothing if it does not get there.
    async fn reach(&mut self, from: &str, to: &str, port: u16) -> String {
        self.shell(from).run(&format!("nc -w 3 {to} {port} </dev/null 2>/dev/null")).await
    }
}

/// Boots all guests, and lets them speak.
async fn launch(images: &Images, node: &Node) -> Guests {
    let disk = sparse_file(node.folder.join("disk"), 1 << 20);
    let source = json!({"file_system": {"path": disk, "kernel": images.kernel, "initrd": images.initrd,
        "cmdline": "console=ttyS0 panic=-1 quiet"}});
    node.import(&json!({"name": "tiny", "source": source}), BOOT).await;
    let mut guests = Guests(BTreeMap::new());
    // One after the other: an emulated CPU boots none sooner with others beside it.
    for (name, subnet, address, group) in GUESTS {
        let mut words = vec!["launch", "tiny", "--type", "tiny", "--name", name, "--subnet", subnet];
        words.extend(["--address", address, "--quiet"]);
        words.extend(group.into_iter().flat_map(|group| ["--group", group]));
        let id: InstanceId = node.bothy(&words).trim().parse().expect("an id");
        let runs = |instance: &Instance| instance.state == InstanceState::Running;
        node.wait("a guest", BOOT, Operation::GetInstance, id.as_str(), runs).await;
        let mut shell = Shell::open(node, &id).await;
        assert_eq!(shell.run(LEASE).await, format!("inet {address}"), "{name}");
        for port in PORTS {
            shell.run(&format!("nc -ll -p {port} -e echo {name} >/dev/null 2>&1 &")).await;
        }
        guests.0.insert(name, shell);
    }
    guests
}

/// Which of the first hundred ports nmap finds open, and how many it hears nothing of.
fn scan(outside: &Network, address: &str) -> String {
    let arguments = ["-n", "-Pn", "-p", "1-100", "--max-retries", "2", "-oG", "-", address];
    let output = outside.command("nmap").args(arguments).output().expect("nmap is there");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let open: Vec<&str> =
        said.split(['\t', ' ', ',']).filter_map(|word| word.strip_suffix("//http///")).collect();
    let ignored = said.split("Ignored State: ").nth(1).and_then(|rest| rest.split(['\t', '\n']).next());
    match (&open[..], ignored) {
        ([], _) => String::new(),
        (_, Some(ignored)) => {
            let (state, count) = ignored.split_once(" (").expect("a state and how many");
            format!("{} {} {state}", open.join(" "), count.trim_end_matches(')'))
        }
        (_, None) => open.join(" "),
    }
}

/// Packets as large as the MTU lets them, and larger ones in fragments.
async fn large_packets(guests: &mut Guests) {
    for bytes in [1472, 1473, 4000, 20000] {
        let said = guests.shell("app").run(&format!("ping -c 3 -W 5 -s {bytes} 10.0.1.10")).await;
        assert!(said.contains("3 packets received"), "{bytes} bytes: {said}");
    }
}

/// A guest that says that it is its neighbour, and its router.
async fn neighbours(guests: &mut Guests) {
    for pretended in ["10.0.1.10", "10.0.1.1"] {
        guests.shell("one").run(&format!("arping -U -c 3 -I eth0 -s {pretended} {pretended} 2>&1")).await;
        guests.shell("one").run(&format!("arping -c 3 -w 3 -I eth0 -s {pretended} 10.0.1.11 2>&1")).await;
    }
    assert_eq!(guests.reach("app", "10.0.1.10", 8000).await, "web", "packets go where they did");
    assert_eq!(guests.reach("app", "10.0.2.10", 3306).await, "db");
}

/// A guest that sends as its neighbour, whom a third lets in: by the neighbour's address, and from a MAC address that is not
/// its own.
async fn false_senders(guests: &mut Guests) {
    // The column InEchos.
    let heard = "grep Icmp: /proc/net/snmp | tail -n 1 | cut -d ' ' -f 10";
    let before = guests.shell("web").run(heard).await;
    let ping = "ping -c 3 -W 2 -I 10.0.1.11 10.0.1.10";
    let said = guests.shell("one").run(&format!("ip address add 10.0.1.11/32 dev eth0; {ping}")).await;
    assert!(said.contains(" 0 packets received"), "{said}");
    assert_eq!(guests.shell("web").run(heard).await, before, "they get nowhere");
    let said = guests.shell("app").run(ping).await;
    assert!(said.contains("3 packets received"), "{said}");
    let after = guests.shell("web").run(heard).await;
    assert_eq!(after.parse::<u64>().ok(), before.parse::<u64>().ok().map(|before| before + 3), "{after}");

    guests
        .shell("one")
        .run("ip address del 10.0.1.11/32 dev eth0; own=$(cat /sys/class/net/eth0/address)")
        .await;
    for (mac, expected) in [("02:00:00:00:00:66", ""), ("$own", "two")] {
        let routed = "ip link set eth0 up; ip route add default via 10.0.1.1";
        guests
            .shell("one")
            .run(&format!("ip link set eth0 down; ip link set eth0 address {mac}; {routed}"))
            .await;
        assert_eq!(guests.reach("one", "10.0.2.22", 3306).await, expected, "from {mac}");
    }
}

/// Much, each way at the same time, with the offloads of both guests' kernels. Each end sums up what it sees.
async fn much_data(node: &Node, guests: &mut Guests) {
    for group in ["web", "app"] {
        node.bothy(&["group", "allow", group, "--vpc", "shop", "tcp 9000 from 10.0.0.0/16"]);
    }
    let asked = std::env::var("BOTHY_BLOCKS").ok().and_then(|blocks| blocks.parse().ok());
    let blocks: u32 = asked.unwrap_or(BLOCKS);
    let send =
        format!("echo 'for block in $(seq {blocks}); do echo $block; cat /tmp/block; done' >/tmp/send");
    for name in ["web", "app"] {
        let shell = guests.shell(name);
        shell.run("dd if=/dev/urandom of=/tmp/block bs=1M count=16 2>/dev/null").await;
        shell.run(&send).await;
        shell.run("echo 'md5sum >/tmp/heard' >/tmp/hear").await;
        shell.run("nc -l -p 9000 -e sh /tmp/hear & heard=$!").await;
        shell.run("until netstat -ltn | grep -q :9000; do usleep 50000; done").await;
    }
    for (name, to) in [("web", "10.0.1.11"), ("app", "10.0.1.10")] {
        guests.shell(name).run(&format!("nc {to} 9000 -e sh /tmp/send & sent=$!")).await;
    }
    let mut sums = BTreeMap::new();
    for name in ["web", "app"] {
        let shell = guests.shell(name);
        let started = Instant::now();
        let heard = shell.run_within(PATIENCE, "wait $sent; wait $heard; cat /tmp/heard").await;
        let said = shell.run_within(PATIENCE, "sh /tmp/send | md5sum").await;
        println!("{name} sent and heard it within {:?}", started.elapsed());
        sums.insert(name, (said, heard));
    }
    assert_eq!(sums["web"].0, sums["app"].1, "from web to app");
    assert_eq!(sums["app"].0, sums["web"].1, "from app to web");
}
