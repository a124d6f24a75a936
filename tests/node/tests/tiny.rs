//! The tiny guest: a stock cloud kernel that runs one command. Seconds each.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use node::{BOOT, Images, Network, Vm, kernel_boot, sparse_file};
use sha2::{Digest, Sha256};
use vmm_api::{Dhcp, Disk, DiskSource, EventKind, ExitReason, Nic, TapSource, VmState};

fn disk(id: &str, path: std::path::PathBuf) -> Disk {
    Disk { id: id.to_owned(), source: DiskSource::Path(path), read_only: false, direct: None }
}

fn nic(tap: &str) -> Nic {
    Nic {
        tap: TapSource::Name(tap.to_owned()),
        mac: None,
        mtu: None,
        dhcp: None,
        metadata: None,
        guard: None,
    }
}

#[test]
fn boots_with_one_two_and_four_vcpus() {
    let Some(images) = Images::find() else { return };
    for vcpus in [1, 2, 4] {
        let command = "echo CPUS $(nproc); echo CLOCK $(cat /sys/devices/system/clocksource/*/current_clocksource); \
                       echo ERRORS; dmesg -r | grep -E '^<[0-4]>'; echo END";
        let config = kernel_boot(&images, vcpus, command);
        let mut vm = Vm::boot(&images, None, &config);
        let exit = vm.wait_for_end(BOOT);
        assert_eq!(exit.reason, ExitReason::PowerOff, "{}", vm.console());
        assert_eq!(vm.line("CPUS "), vcpus.to_string());
        assert!(["tsc", "kvm-clock"].contains(&vm.line("CLOCK ").as_str()), "{}", vm.console());
        let console = vm.console();
        assert!(console.starts_with("[    0.000000] Linux version"), "from its first byte: {console}");
        let (_, errors) = console.split_once("ERRORS\n").expect("the command ran");
        let (errors, _) = errors.split_once("END").expect("the command ran");
        let ours: Vec<&str> = errors.lines().filter(|line| !is_not_about_the_machine(line)).collect();
        assert!(ours.is_empty(), "the kernel complains about the machine: {ours:#?}");
    }
}

/// Warnings that a stock kernel prints on any virtual machine of an AMD processor: its power management expects tables
/// that only real machines have.
fn is_not_about_the_machine(line: &str) -> bool {
    line.starts_with("<4>") && line.contains("amd_pstate: the _CPC object is not present")
}

#[test]
fn a_guest_that_reboots_starts_anew_in_the_same_process() {
    let Some(images) = Images::find() else { return };
    let folder = images.folder();
    let path = sparse_file(folder.path().join("disk"), 1 << 20);
    let command = "if [ \"$(head -c 6 /dev/vda)\" = second ]; then echo AGAIN; else echo second >/dev/vda; sync; reboot -f; fi";
    let mut config = kernel_boot(&images, 1, command);
    config.disks = vec![disk("state", path)];
    let mut vm = Vm::boot(&images, None, &config);
    let pid = vm.pid();
    let exit = vm.wait_for_end(2 * BOOT);
    assert_eq!(exit.reason, ExitReason::PowerOff, "{}", vm.console());
    assert!(vm.console().contains("AGAIN"));
    let info = vm.ask(async |client| client.info().await.unwrap());
    assert_eq!((info.boots, info.pids.vmm), (2, pid));
    assert!(vm.events().contains(&EventKind::GuestReset));
}

#[test]
fn pause_stops_the_guest_and_resume_lets_it_go_on() {
    let Some(images) = Images::find() else { return };
    let command = "i=0; while :; do i=$((i+1)); echo TICK $i; head -c 65536 /dev/urandom >/dev/vda; done";
    let folder = images.folder();
    let mut config = kernel_boot(&images, 2, command);
    config.disks = vec![disk("busy", sparse_file(folder.path().join("disk"), 1 << 20))];
    let mut vm = Vm::boot(&images, None, &config);
    vm.wait_for("TICK ", 3, BOOT);
    for _ in 0..3 {
        let info = vm.ask(async |client| client.pause().await).unwrap();
        assert_eq!(info.state, VmState::Paused);
        vm.look();
        let before = vm.console();
        for _ in 0..20 {
            vm.look();
        }
        assert_eq!(vm.console(), before);
        vm.ask(async |client| client.resume().await).unwrap();
        let ticks = before.matches("TICK ").count();
        vm.wait_for("TICK ", ticks + 2, BOOT);
    }
    let info = vm.ask(async |client| client.kill().await).unwrap();
    assert_eq!(info.exit.unwrap().reason, ExitReason::Killed);
}

#[test]
fn sixty_disks_and_twelve_network_interfaces() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("many");
    let folder = images.folder();
    let command = "for d in /sys/block/vd*; do echo DISK $(cat $d/serial) $(cat $d/size) $(cat $d/ro); done; \
                   for n in /sys/class/net/eth*; do echo NIC $(cat $n/address) $(cat $n/mtu); done";
    let mut config = kernel_boot(&images, 1, command);
    for index in 0..60_u64 {
        let path = sparse_file(folder.path().join(format!("disk{index}")), (index + 1) << 20);
        config.disks.push(Disk { read_only: index % 2 == 1, ..disk(&format!("volume-{index}"), path) });
    }
    for index in 0..12 {
        network.add_tap(&format!("tap{index}"), None);
        let mac = format!("52:54:00:00:00:{index:02x}").parse().ok();
        config.nics.push(Nic { mac, mtu: Some(1400 + index), ..nic(&format!("tap{index}")) });
    }
    let mut vm = Vm::boot(&images, Some(&network), &config);
    let exit = vm.wait_for_end(BOOT);
    assert_eq!(exit.reason, ExitReason::PowerOff, "{}", vm.console());
    for index in 0..60_u64 {
        let line = format!("DISK volume-{index} {} {}\n", (index + 1) << 11, index % 2);
        assert!(vm.console().contains(&line), "{line}{}", vm.console());
    }
    for index in 0..12 {
        let line = format!("NIC 52:54:00:00:00:{index:02x} {}\n", 1400 + index);
        assert!(vm.console().contains(&line), "{line}{}", vm.console());
    }
}

#[test]
fn tcp_both_ways_arrives_whole() {
    const BYTES: usize = 8 << 20;
    let Some(images) = Images::find() else { return };
    let network = Network::new("tcp");
    network.add_tap("tap0", Some("10.7.0.1/24"));
    // In the guest's /tmp, which is memory: this is about the network.
    let command = "ip addr add 10.7.0.2/24 dev eth0; ip link set eth0 up; until ping -c 1 -W 1 10.7.0.1; do :; done; \
                   head -c 8388608 /dev/urandom >/tmp/up; echo UP $(sha256sum </tmp/up); \
                   nc 10.7.0.1 5001 </tmp/up; nc 10.7.0.1 5002 </dev/null | sha256sum >/tmp/down; \
                   echo DOWN $(cat /tmp/down); echo PINGME; read line";
    let mut config = kernel_boot(&images, 2, command);
    config.memory.size_mib = 512;
    config.nics = vec![nic("tap0")];

    let listen = |port| move || TcpListener::bind(("10.7.0.1", port)).expect("the address is on the tap");
    let receiver = network.enter(listen(5001)).join().expect("listening");
    let sender = network.enter(listen(5002)).join().expect("listening");
    let data: Vec<u8> =
        (0..BYTES as u32 / 4).flat_map(|index| index.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    let sent = hex(&data);
    let up = std::thread::spawn(move || {
        let (mut stream, _) = receiver.accept().expect("the guest connects");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the guest sends");
        hex(&bytes)
    });
    let down = std::thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = sender.accept().expect("the guest connects");
        stream.write_all(&data).expect("the guest receives");
    });

    let mut vm = Vm::boot(&images, Some(&network), &config);
    vm.wait_for("PINGME\n", 1, 3 * BOOT);
    assert_eq!(vm.line("UP ").split_whitespace().next(), Some(up.join().expect("received").as_str()));
    down.join().expect("sent");
    assert_eq!(vm.line("DOWN ").split_whitespace().next(), Some(sent.as_str()));

    let ping =
        network.command("ping").args(["-c", "3", "-W", "10", "10.7.0.2"]).output().expect("ping is there");
    assert!(ping.status.success(), "{}", String::from_utf8_lossy(&ping.stdout));
    vm.ask(async |client| client.kill().await).unwrap();
}

/// There is no DHCP server on the host: its own VMM answers the guest, also when it renews, by unicast through ARP.
#[test]
fn a_guest_gets_and_renews_its_address_from_its_vmm() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("dhcp");
    network.add_tap("tap0", Some("10.7.0.1/20"));
    let script = "[ $1 = deconfig ] && exit; ip addr add $ip/$mask dev eth0 2>/dev/null; \
                  echo LEASE $1 $ip/$mask $router $dns $domain $hostname $mtu $lease $serverid";
    let command = format!(
        "echo '{script}' >/tmp/s; sed -i '1i #!/bin/sh' /tmp/s; chmod +x /tmp/s; ip link set eth0 up; \
         udhcpc -f -i eth0 -s /tmp/s -x hostname:mine & \
         until ping -c 1 -W 1 10.7.0.1; do sleep 1; done; echo REACHED; kill -USR1 $!; read line"
    );
    let mut config = kernel_boot(&images, 1, &command);
    let dhcp = Dhcp {
        address: [10, 7, 0, 5].into(),
        prefix_len: 20,
        router: [10, 7, 0, 1].into(),
        dns: vec![[9, 9, 9, 9].into(), [1, 1, 1, 1].into()],
        ntp: vec![],
        host_name: Some("web-1".to_owned()),
        domain: Some("compute.internal".to_owned()),
        mtu: Some(1400),
        lease_seconds: 600,
        routes: vec![],
    };
    config.nics = vec![Nic { dhcp: Some(dhcp), ..nic("tap0") }];
    let mut vm = Vm::boot(&images, Some(&network), &config);
    vm.wait_for("REACHED\n", 1, BOOT);
    vm.wait_for("LEASE renew", 1, BOOT);
    let told = "10.7.0.5/20 10.7.0.1 9.9.9.9 1.1.1.1 compute.internal web-1 1400 600 10.7.0.1";
    assert_eq!(vm.line("LEASE bound "), told);
    vm.wait_for(&format!("LEASE renew {told}\n"), 1, BOOT);
    let metrics = vm.ask(async |client| client.metrics().await).expect("the VMM answers");
    let counted = |outcome: &str| -> u64 {
        let name = format!("bothy_vmm_dhcp_messages_total{{device=\"net0\",outcome=\"{outcome}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("no {name}in {metrics}")).parse().expect("a number")
    };
    // DISCOVER, REQUEST and the renewal; on a slow host the client may have asked twice.
    assert!(counted("answered") >= 3, "{metrics}");
    for outcome in ["refused", "malformed", "dropped"] {
        assert_eq!(counted(outcome), 0, "{outcome}");
    }
    vm.ask(async |client| client.kill().await).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_full_file_system_is_an_io_error_and_an_event() {
    let Some(images) = Images::find() else { return };
    let full = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| {
        let status =
            std::process::Command::new(arguments[0]).args(&arguments[1..]).arg(full.path()).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    };
    mount(&["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs"]);
    let path = sparse_file(full.path().join("disk"), 64 << 20);
    let command = "dd if=/dev/zero of=/dev/vda bs=1M count=16 conv=fsync 2>/tmp/dd; echo STATUS $?; \
                   dd if=/dev/zero of=/dev/null bs=1M count=1 && echo ALIVE";
    let mut config = kernel_boot(&images, 1, command);
    config.disks = vec![disk("full", path)];
    let mut vm = Vm::boot(&images, None, &config);
    let exit = vm.wait_for_end(BOOT);
    let events = vm.events();
    drop(vm.ask(async |client| client.metrics().await));
    assert_eq!(exit.reason, ExitReason::PowerOff, "{}", vm.console());
    assert_eq!(vm.line("STATUS "), "1");
    assert!(vm.console().contains("ALIVE"));
    let told = events
        .iter()
        .any(|event| matches!(event, EventKind::DiskError { disk, errno: 28, .. } if disk == "full"));
    assert!(told, "{events:?}");
    drop(vm);
    mount(&["umount"]);
}

#[test]
fn console_input_reaches_a_shell() {
    let Some(images) = Images::find() else { return };
    let mut vm =
        Vm::boot(&images, None, &kernel_boot(&images, 1, "echo TYPE; read line; echo GOT \"$line\""));
    vm.wait_for("TYPE\n", 1, BOOT);
    vm.ask(async |client| {
        let mut console = client.attach_console(None).await.expect("the console takes a stream");
        tokio::io::AsyncWriteExt::write_all(&mut console, b"a bothy is a shelter\n")
            .await
            .expect("it takes input");
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("GOT a bothy is a shelter") {
            let count =
                tokio::io::AsyncReadExt::read_buf(&mut console, &mut seen).await.expect("it gives output");
            assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        }
    });
    assert_eq!(vm.wait_for_end(Duration::from_secs(60)).reason, ExitReason::PowerOff);
}
