//! Instances as EC2 had them in 2007, through the real daemon: an image that is a bare ext3 file system with the host's kernel
//! and initrd, an ephemeral disk and a swap area that the guest's own fstab finds by their names of then, all of it lost with
//! the VM. The guest (`images/bare/guest`) tells what it finds.

use std::path::PathBuf;
use std::process::Command;

use native_api::{Instance, InstanceId, InstanceState, Launched, Operation};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node::{BOOT, Images, LOGIN, Network, Node, on_host, vmms};
use serde_json::{Value, json};

/// An instance type of its own, small enough to be told apart from what is usual: MiB of swap, and GiB of an ephemeral disk.
const TYPE: &str =
    "[[instance_types]]\nname = 'm1.small'\nvcpus = 1\nmemory_mib = 256\nephemeral_gib = 1\nswap_mib = 96\n";
/// KiB of the swap area but for its first page.
const SWAP_KIB: u64 = 96 * 1024 - 4;

#[test]
fn an_instance_of_2007_finds_its_disks_and_loses_them() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("bare");
    on_host(&network, images, TYPE, async move |images, node| story(images, node).await);
}

async fn story(images: &Images, node: &mut Node) {
    node.start().await;
    let source = json!({"file_system": {"path": images.bare_guest, "kernel": images.bare_kernel,
        "initrd": images.bare_initrd, "cmdline": "root=/dev/sda1 ro console=ttyS0 panic=-1"}});
    let image = node.import(&json!({"name": "bare", "source": source}), BOOT).await;
    let key = public_key(node);
    let _: Value = node.ask(Operation::ImportKeyPair, &[], &json!({"name": "pair", "public_key": key})).await;

    let rules =
        json!({"on_power_off": "terminate", "on_failure": "terminate", "after_host_reboot": "terminate"});
    let launch = json!({"image": image, "instance_type": "m1.small", "cloud": "ec2", "rules": rules,
        "data_disks": [{"content": "ephemeral"}, {"content": "swap"}]});
    let mut keyed = launch.clone();
    keyed["key_pair"] = json!("pair");

    // It reboots by itself, keeps what it wrote, and ends for good by powering off.
    let instance = launched(node, &keyed).await;
    let devices: Vec<&str> = instance.disks.iter().map(|disk| disk.device.as_str()).collect();
    assert_eq!(devices, ["sda1", "sda2", "sda3"]);
    let [first, second] = boots(node, &instance.id).await;
    assert_eq!(
        first[..3],
        [
            "mount / /dev/sda1 ext3".to_owned(),
            "mount /mnt /dev/sda2 ext3".to_owned(),
            format!("swap /dev/vdc /dev/vdc {SWAP_KIB}"),
        ]
    );
    let mib: u64 = first[3].strip_prefix("size ").and_then(|size| size.parse().ok()).expect("a size");
    assert!((900..1024).contains(&mib), "{mib} MiB");
    assert_eq!(first[4..6], [format!("key {key}"), "mnt openssh_id.pub".to_owned()]);
    assert_eq!(second[..5], first[..5]);
    assert_eq!(second[5], "mnt boots openssh_id.pub");
    let ended = terminated(node, &instance.id).await;
    assert!(ended.state_reason.is_some_and(|reason| reason.contains("powered off")));

    // The next one has disks of its own, and nothing but its VMM.
    let instance = launched(node, &launch).await;
    let [first, second] = boots(node, &instance.id).await;
    assert_eq!((first[4].as_str(), first[5].trim_end()), ("key", "mnt"));
    assert_eq!(second[5], "mnt boots");
    let vmm = vmms(node)[instance.id.as_str()];
    kill(Pid::from_raw(vmm.cast_signed()), Signal::SIGKILL).expect("it is the VMM's process");
    let ended = terminated(node, &instance.id).await;
    let reason = ended.state_reason.expect("there is one");
    assert!(reason.contains("SIGKILL") || reason.contains("signal"), "{reason}");
    node.end();
}

/// Where the root file system of the Debian image begins and how much of it there is, in MiB; see its maker.
const DEBIAN_ROOT_MIB: (u64, u64) = (128, 895);
/// The fstab that EC2's Developer Guide of 2007 prescribes, as far as it is about disks.
const FSTAB: &str =
    "/dev/sda1 / ext4 defaults 1 1\n/dev/sda2 /mnt ext3 defaults 0 0\n/dev/sda3 swap swap defaults 0 0\n";
/// What systemd says when it has found both by their names, by way of udev: words that a line has together.
const FOUND: [[&str; 2]; 4] = [
    ["Found device", "dev-sda2.device"],
    ["Found device", "dev-sda3.device"],
    ["Mounted", "mnt.mount"],
    ["Activated swap", "dev-sda3.swap"],
];

#[test]
fn a_guest_with_udev_finds_them_too() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("bare-udev");
    on_host(&network, images, TYPE, async move |images, node| with_udev(images, node).await);
}

async fn with_udev(images: &Images, node: &mut Node) {
    node.start().await;
    let root = debian_root(images, node);
    let source = json!({"file_system": {"path": root, "kernel": images.bare_kernel,
        "initrd": images.bare_initrd, "cmdline": "root=/dev/sda1 ro console=ttyS0 net.ifnames=0"}});
    let image = node.import(&json!({"name": "debian", "source": source}), LOGIN).await;
    let launch = json!({"image": image, "instance_type": "m1.small", "cloud": "ec2",
        "data_disks": [{"content": "ephemeral"}, {"content": "swap"}]});
    let instance = launched(node, &launch).await;
    let found = |console: &str| {
        let is_said =
            |words: &[&str; 2]| console.lines().any(|line| words.iter().all(|word| line.contains(word)));
        FOUND.iter().all(is_said).then_some(())
    };
    node.printed("what systemd found", LOGIN, &instance.id, found).await;
    node.bothy(&["terminate", instance.id.as_str(), "--wait", "--timeout", &LOGIN.as_secs().to_string()]);
    node.end();
}

/// The root file system of the Debian image by itself, with an fstab of 2007.
fn debian_root(images: &Images, node: &Node) -> PathBuf {
    let (root, fstab) = (node.folder.join("root.ext4"), node.folder.join("fstab"));
    std::fs::write(&fstab, FSTAB).expect("the scratch disk has room");
    let (from, to) = (images.debian.display(), root.display());
    let (skip, count) = DEBIAN_ROOT_MIB;
    let dd = format!("dd if={from} of={to} bs=1M skip={skip} count={count} conv=sparse status=none");
    let change = |what: &str| format!("/sbin/debugfs -w -R '{what}' {to} 2>&1");
    let rm = change("rm /etc/fstab");
    let write = change(&format!("write {} /etc/fstab", fstab.display()));
    let output =
        Command::new("sh").args(["-ec", &format!("{dd}; {rm}; {write}")]).output().expect("sh is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    root
}

/// A public key, as people have them.
fn public_key(node: &Node) -> String {
    let path = node.folder.join("pair");
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "pair", "-f"])
        .arg(&path)
        .status();
    assert!(status.expect("ssh-keygen is there: package openssh-client").success());
    let text = std::fs::read_to_string(path.with_extension("pub")).expect("it made one");
    text.trim().to_owned()
}

async fn launched(node: &Node, request: &Value) -> Instance {
    let mut launched: Launched = node.ask(Operation::LaunchInstances, &[], request).await;
    launched.instances.remove(0)
}

/// What a guest told at its first two boots: lines without what they begin with.
async fn boots(node: &Node, id: &InstanceId) -> [Vec<String>; 2] {
    let told = |console: &str| {
        let lines = console.lines().filter_map(|line| line.trim().strip_prefix("GUEST "));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        let end = |boot| lines.iter().position(|line| line == boot);
        let (first, second) = (end("boot 1")?, end("boot 2")?);
        Some([lines[..first].to_vec(), lines[first + 1..second].to_vec()])
    };
    node.printed("two boots", LOGIN, id, told).await
}

/// Waits until an instance is terminated, and looks that its disks are gone.
async fn terminated(node: &Node, id: &InstanceId) -> Instance {
    let is_over = |instance: &Instance| instance.state == InstanceState::Terminated;
    let instance: Instance =
        node.wait("the end of an instance", LOGIN, Operation::GetInstance, id.as_str(), is_over).await;
    let volumes =
        std::fs::read_dir(node.folder.join("state/volumes")).expect("the store has a folder for them");
    let left: Vec<_> = volumes.flatten().map(|entry| entry.file_name()).collect();
    assert!(left.is_empty(), "of {id} are left: {left:?}");
    instance
}
