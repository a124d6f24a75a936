//! Disks of an instance as EC2 had them in 2007: sizes of its type, names of then, and a word with them for the kernel.

use compute::compute::{DiskRequest, InstanceRequest, PublicAddress, SourceRequest};
use compute::key_pair::Algorithm;
use compute::outside::{BootPlan, DiskContent};
use compute::resource::{Cloud, Instance, Tags, Volume, VolumeKind};

use super::host::{Host, request};

/// An ephemeral disk and a swap area, of the type's sizes.
fn disks() -> Vec<DiskRequest> {
    [SourceRequest::Ephemeral, SourceRequest::Swap]
        .map(|content| DiskRequest { content, ..DiskRequest::default() })
        .into()
}

async fn volumes(host: &Host, instance: &Instance) -> Vec<Volume> {
    let mut all = Vec::new();
    for disk in &instance.disks {
        all.push(host.compute.volume(&instance.account, disk.volume).await.unwrap());
    }
    all
}

fn cmdline(instance: &Instance) -> String {
    match instance.boot_plan() {
        BootPlan::Kernel { cmdline, .. } => cmdline,
        BootPlan::Disk => panic!("it boots a kernel"),
    }
}

#[tokio::test]
async fn disks_are_of_the_type_and_have_the_names_of_then() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = host.image(Some("root=/dev/sda1 ro")).await;
    let key = host.compute.create_key_pair(account, "my key", Algorithm::Ed25519, Tags::default());
    let key = key.await.unwrap().pair;
    let wanted = InstanceRequest { key_pair: Some(key.name.clone()), disks: disks(), ..request(image) };
    let instance = host.launch(account, wanted).await;
    let volumes = volumes(&host, &instance).await;
    let seen: Vec<_> = volumes.iter().map(|volume| (volume.kind, volume.size_mib)).collect();
    let sizes = [(VolumeKind::System, 1024), (VolumeKind::Ephemeral, 147 * 1024), (VolumeKind::Swap, 896)];
    assert_eq!(seen, sizes);
    let devices: Vec<&str> = instance.disks.iter().map(|disk| disk.device.as_str()).collect();
    assert_eq!(devices, ["/dev/sda1", "/dev/sda2", "/dev/sda3"]);
    assert!(instance.disks.iter().all(|disk| disk.delete_with_instance));
    let public_key = Some(format!("{} my key", key.public_key));
    assert_eq!(volumes[1].content, DiskContent::Ephemeral { public_key });
    assert_eq!(cmdline(&instance), "root=/dev/sda1 ro bothy.disks=sda1,sda2,sda3");
}

#[tokio::test]
async fn what_is_asked_for_goes_before_what_is_usual() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = host.image(Some("")).await;
    let mut wanted = disks();
    (wanted[0].size_gib, wanted[0].device) = (Some(3), Some("/dev/sdb".to_owned()));
    // Somebody else has the usual name already, and one has a name that no word of the command line can have.
    (wanted[1].size_gib, wanted[1].device) = (Some(2), Some("/dev/sda2".to_owned()));
    wanted.push(DiskRequest { content: SourceRequest::Ephemeral, ..DiskRequest::default() });
    let device = Some("/dev/disk one".to_owned());
    wanted.push(DiskRequest { size_gib: Some(1), device, ..DiskRequest::default() });
    let wanted = InstanceRequest { instance_type: "tiny".to_owned(), disks: wanted, ..request(image) };
    let instance = host.launch(account, wanted).await;
    let sizes: Vec<u64> = volumes(&host, &instance).await.iter().map(|volume| volume.size_mib).collect();
    assert_eq!(
        sizes,
        [1024, 3 * 1024, 2 * 1024, 1024, 1024],
        "a type without an ephemeral disk has a small one"
    );
    let devices: Vec<&str> = instance.disks.iter().map(|disk| disk.device.as_str()).collect();
    assert_eq!(devices, ["/dev/sda1", "/dev/sdb", "/dev/sda2", "/dev/vdb", "/dev/disk one"]);
    assert_eq!(cmdline(&instance), "bothy.disks=sda1,sdb,sda2,vdb,-");
}

#[tokio::test]
async fn kernels_of_others_are_told_nothing() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let (bare, disk) = (host.image(Some("quiet")).await, host.image(None).await);
    let native = InstanceRequest { cloud: Cloud::Native, disks: disks(), ..request(bare) };
    let instance = host.launch(account, native).await;
    let devices: Vec<&str> = instance.disks.iter().map(|disk| disk.device.as_str()).collect();
    assert_eq!(
        (devices.as_slice(), cmdline(&instance).as_str()),
        (&["/dev/vda", "/dev/vdb", "/dev/vdc"][..], "quiet")
    );
    let whole = host.launch(account, InstanceRequest { disks: disks(), ..request(disk) }).await;
    assert_eq!((whole.disks[0].device.as_str(), whole.boot_plan()), ("/dev/vda", BootPlan::Disk));
}

#[tokio::test]
async fn an_instance_has_the_names_that_the_name_service_answers() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = host.image(None).await;
    let instance = host
        .launch(account, InstanceRequest { public_address: PublicAddress::Always, ..request(image) })
        .await;
    let view = host.compute.instance_view(account, instance.id).await.unwrap();
    let domains = &host.compute.config().domains;
    let dashed = instance.private_address.unwrap().to_string().replace('.', "-");
    assert_eq!(view.private_name(domains), Some(format!("ip-{dashed}.eu.compute.internal")));
    let public = view.interfaces[0].1.as_ref().unwrap().address.to_string().replace('.', "-");
    assert_eq!(view.public_name(domains), Some(format!("ec2-{public}.eu.example")));
    let plain = host.launch(account, request(image)).await;
    let view = host.compute.instance_view(account, plain.id).await.unwrap();
    assert_eq!(view.public_name(domains), None);
}
