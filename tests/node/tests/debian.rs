//! A stock Debian, from its disk alone to cloud-init's end and back: what a cloud's users would do. Minutes on a nested
//! host, so it is one test.

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;

use node::{Images, LOGIN, Network, Vm, copy, sparse_file};
use vmm_api::{Boot, Disk, DiskBoot, DiskSource, ExitReason, Memory, Nic, TapSource, VmConfig};

/// Run by cloud-init at each boot: makes a file system and a file at the first, which cloud-init ends with a reboot;
/// finds the file at the second.
const USER_DATA: &str = r#"#cloud-config
hostname: bothy-guest
write_files:
  - path: /var/lib/cloud/scripts/per-boot/stage
    permissions: "0755"
    content: |
      #!/bin/sh
      exec >/dev/ttyS0 2>&1
      data=/dev/disk/by-id/virtio-data1
      if ! blkid $data; then
        mkfs.ext4 -q $data && mount $data /mnt
        head -c 16777216 /dev/urandom >/mnt/file
        echo "FIRST $(sha256sum </mnt/file)"
        umount /mnt
        exit
      fi
      mount $data /mnt
      echo "SECOND $(sha256sum </mnt/file)"
      echo "SERIALS $(cd /dev/disk/by-id; echo virtio-*)"
      echo "READONLY $(blockdev --getro /dev/disk/by-id/virtio-seed)"
      dd if=/dev/zero of=/dev/disk/by-id/virtio-seed bs=512 count=1 && echo WRITTEN
      blkdiscard /dev/disk/by-id/virtio-data3 && echo DISCARDED
      echo "PRODUCT $(cat /sys/class/dmi/id/sys_vendor) $(cat /sys/class/dmi/id/chassis_asset_tag)"
      echo "COMPLAINTS"
      dmesg --level=emerg,alert,crit,err
      echo "END OF COMPLAINTS"
power_state:
  mode: reboot
  timeout: 300
"#;

const NETWORK_CONFIG: &str = r"version: 2
ethernets:
  nic0:
    match: {macaddress: '52:54:00:b0:07:01'}
    addresses: [10.8.0.2/24]
";

#[test]
fn debian_from_its_disk_alone() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("debian");
    network.add_tap("tap0", Some("10.8.0.1/24"));
    let folder = images.folder();
    let system = folder.path().join("system");
    copy(&images.debian, &system);
    let seed = make_seed(folder.path());
    let disk = |id: &str, path, read_only, direct| Disk {
        id: id.to_owned(),
        source: DiskSource::Path(path),
        read_only,
        direct,
    };
    let config = VmConfig {
        vcpus: 2,
        threads_per_core: 1,
        memory: Memory { size_mib: 1024, shared: false, huge_pages: false },
        boot: Boot::Disk(DiskBoot::default()),
        disks: vec![
            disk("system", system, false, None),
            disk("data1", sparse_file(folder.path().join("data1"), 1 << 30), false, None),
            disk("seed", seed, true, None),
            disk("data3", sparse_file(folder.path().join("data3"), 256 << 20), false, Some(true)),
        ],
        nics: vec![Nic {
            tap: TapSource::Name("tap0".to_owned()),
            mac: "52:54:00:b0:07:01".parse().ok(),
            mtu: None,
            dhcp: None,
            metadata: None,
            guard: None,
        }],
        console: Default::default(),
        smbios: vmm_api::Smbios { asset_tag: "bothy-test".to_owned(), ..Default::default() },
    };

    let mut vm = Vm::boot(&images, Some(&network), &config);
    vm.wait_for("FIRST ", 1, LOGIN);
    vm.wait_for("END OF COMPLAINTS", 1, LOGIN);
    vm.wait_for("finished at", 2, LOGIN); // cloud-init, of each boot
    vm.wait_for("login: ", 1, LOGIN);
    assert!(vm.console().starts_with("[    0.000000] Linux version"), "the console from its first byte");
    assert_eq!(vm.line("FIRST "), vm.line("SECOND "), "the same bytes after the reboot");
    assert_eq!(vm.line("READONLY "), "1");
    assert!(!vm.console().contains("WRITTEN") && vm.console().contains("DISCARDED"), "{}", vm.console());
    assert_eq!(vm.line("PRODUCT "), "bothy bothy-test");
    for id in ["system", "data1", "seed", "data3"] {
        assert!(vm.line("SERIALS ").contains(&format!("virtio-{id}")), "{}", vm.line("SERIALS "));
    }
    let console = vm.console();
    let (_, complaints) = console.split_once("COMPLAINTS\n").expect("the script ran");
    let (complaints, _) = complaints.split_once("END OF COMPLAINTS").expect("the script ran");
    assert_eq!(complaints, "", "the kernel logs errors about the machine");

    let ping =
        network.command("ping").args(["-c", "3", "-W", "10", "10.8.0.2"]).output().expect("ping is there");
    assert!(ping.status.success(), "{}", String::from_utf8_lossy(&ping.stdout));
    let greeting = network.enter(|| {
        let mut stream = TcpStream::connect("10.8.0.2:22").expect("sshd listens");
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).expect("sshd greets");
        greeting
    });
    assert_eq!(&greeting.join().expect("greeted"), b"SSH-2.0-");

    vm.ask(async |client| client.power_button().await).expect("the button is there");
    let exit = vm.wait_for_end(LOGIN);
    assert_eq!(exit.reason, ExitReason::PowerOff, "{}", vm.console());
    let info = vm.ask(async |client| client.info().await).unwrap();
    assert_eq!(info.boots, 2);
    let console = vm.console();
    assert!(console.contains("Reached target") && console.contains("Power"), "a clean stop: {console}");
}

/// A NoCloud seed: a FAT file system labelled `cidata` with the configuration files in it.
fn make_seed(folder: &std::path::Path) -> std::path::PathBuf {
    let seed = sparse_file(folder.join("seed"), 4 << 20);
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let image = seed.to_str().expect("a plain path");
    run("mkfs.vfat", &["-n", "CIDATA", image]);
    let files = [
        ("user-data", USER_DATA),
        ("meta-data", "instance-id: i-bothy\nlocal-hostname: bothy-guest\n"),
        ("network-config", NETWORK_CONFIG),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("the scratch disk has room");
        run("mcopy", &["-i", image, path.to_str().expect("a plain path"), &format!("::{name}")]);
    }
    seed
}
