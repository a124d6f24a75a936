//! A guest and the services of its network interface: the lease with its routes, the metadata service on a unix socket of
//! the host, and what happens to a guest that speaks for others. The tiny guest, with busybox's own clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use node::{BOOT, Images, Network, Vm, kernel_boot};
use vmm_api::{Boot, Dhcp, DhcpRoute, Guard, MetadataRelay, Nic, NicUpdate, TapSource};

/// Answers each request with its path, on a thread that ends with the test.
fn serve(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("the folder is ours");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut lines = stream.by_ref().lines().map(|line| line.expect("a request of text"));
            let request = lines.next().unwrap_or_default();
            assert!(lines.any(|line| line.is_empty()), "a head ends: {request}");
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", path.len());
            stream.get_mut().write_all((head + &path).as_bytes()).expect("the guest listens");
        }
    });
}

/// A network interface with all services.
fn nic(socket: &Path) -> Nic {
    Nic {
        tap: TapSource::Name("tap0".to_owned()),
        mac: None,
        mtu: None,
        dhcp: Some(Dhcp {
            address: [10, 7, 0, 5].into(),
            prefix_len: 24,
            router: [10, 7, 0, 1].into(),
            dns: vec![],
            ntp: vec![],
            host_name: None,
            domain: None,
            mtu: None,
            lease_seconds: 600,
            routes: vec![DhcpRoute {
                destination: "169.254.169.254/32".parse().expect("a network"),
                via: [0, 0, 0, 0].into(),
            }],
        }),
        metadata: Some(MetadataRelay {
            socket: socket.to_owned(),
            addresses: vec![[169, 254, 169, 254].into(), [100, 100, 100, 200].into()],
            hop_limit: 64,
        }),
        guard: Some(Guard { addresses: vec!["10.7.0.5/32".parse().expect("a network")], ipv6: false }),
    }
}

#[test]
fn a_guest_finds_its_metadata_and_speaks_for_nobody_else() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("metadata");
    network.add_tap("tap0", Some("10.7.0.1/24"));
    let folder = images.folder();
    let socket = folder.path().join("metadata");
    serve(&socket);

    let script = "[ $1 = bound ] || exit; ip addr add $ip/$mask dev eth0; echo LEASE $ip $staticroutes";
    let get = "wget -q -O -";
    let command = format!(
        "echo '{script}' >/tmp/s; sed -i '1i #!/bin/sh' /tmp/s; chmod +x /tmp/s; ip link set eth0 up; \
         udhcpc -q -i eth0 -s /tmp/s -O staticroutes; \
         ip route add 169.254.169.254 dev eth0; echo LINK $({get} http://169.254.169.254/latest/meta-data); \
         ip route del 169.254.169.254; ip route add default via 10.7.0.1; \
         echo ROUTER $({get} http://169.254.169.254/by-router) $({get} http://100.100.100.200/other); \
         {get} http://169.254.169.254:81/ 2>&1; \
         ping -c 1 -W 5 10.7.0.1 >/dev/null && echo OWN passes; \
         ip addr add 10.7.0.66/24 dev eth0; \
         ping -c 1 -W 2 -I 10.7.0.66 10.7.0.1 >/dev/null || echo IP gets nowhere; \
         ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:66; ip link set eth0 up; \
         ping -c 1 -W 2 10.7.0.1 >/dev/null || echo MAC gets nowhere; \
         echo DONE; read line"
    );
    let mut config = kernel_boot(&images, 1, &command);
    config.nics = vec![nic(&socket)];
    let mut vm = Vm::boot(&images, Some(&network), &config);
    vm.wait_for("LINK ", 1, BOOT);
    let update = NicUpdate { metadata_hop_limit: 2 };
    vm.ask(async |client| client.update_nic(0, &update).await).expect("it is changed while it runs");
    vm.wait_for("DONE\n", 1, 2 * BOOT);
    assert_eq!(vm.line("LEASE "), "10.7.0.5 169.254.169.254/32 0.0.0.0 0.0.0.0/0 10.7.0.1");
    assert_eq!(vm.line("LINK "), "/latest/meta-data");
    assert_eq!(vm.line("ROUTER "), "/by-router /other");
    assert!(vm.console().contains("Connection refused"), "{}", vm.console());
    for line in ["OWN passes", "IP gets nowhere", "MAC gets nowhere"] {
        assert!(vm.console().contains(&format!("{line}\n")), "no {line}: {}", vm.console());
    }
    let metrics = vm.ask(async |client| client.metrics().await).expect("the VMM answers");
    let counted = |name: &str| -> u64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().expect("a number")
    };
    assert_eq!(counted("bothy_vmm_metadata_connections_total{device=\"net0\",outcome=\"opened\"}"), 3);
    for reason in ["mac", "ipv4"] {
        let name = format!("bothy_vmm_guard_dropped_total{{device=\"net0\",reason=\"{reason}\"}}");
        assert!(counted(&name) >= 1, "{metrics}");
    }
    vm.ask(async |client| client.kill().await).expect("it ends");
}

/// As `udhcpc` above and systemd-networkd in Debian do: the client of the Internet Systems Consortium, which asks for every
/// option by name, renews, and gives the lease back.
#[test]
fn dhclient_takes_the_lease_renews_it_and_gives_it_back() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("dhclient");
    network.add_tap("tap0", Some("10.7.0.1/24"));
    let folder = images.folder();
    let socket = folder.path().join("metadata");
    serve(&socket);

    let config =
        "option routes code 121 = array of unsigned integer 8; request subnet-mask, routers, routes;";
    let script = "echo DHCLIENT $reason $new_ip_address $new_subnet_mask $new_routers $new_routes; \
                  case $reason in BOUND) ip addr add $new_ip_address/24 dev eth0; ip route add default via 10.7.0.1;; esac";
    let files = "-sf /tmp/script -cf /tmp/config -lf /tmp/leases -pf /tmp/pid";
    let command = format!(
        "echo '{config}' >/tmp/config; echo '#!/bin/sh' >/tmp/script; echo '{script}' >>/tmp/script; chmod +x /tmp/script; \
         ip link set eth0 up; dhclient -1 {files} eth0; kill $(cat /tmp/pid); dhclient -1 {files} eth0; \
         wget -q -O - http://169.254.169.254/found; echo; dhclient -r {files} eth0; echo DONE; read line"
    );
    let mut config = kernel_boot(&images, 1, &command);
    let Boot::Kernel(kernel) = &mut config.boot else { unreachable!("it boots a kernel") };
    kernel.initrd = Some(images.initrd_with_tools.clone());
    config.memory.size_mib = 512;
    config.nics = vec![nic(&socket)];
    let mut vm = Vm::boot(&images, Some(&network), &config);
    vm.wait_for("DONE\n", 1, 2 * BOOT);
    let lease = "10.7.0.5 255.255.255.0 10.7.0.1 32 169 254 169 254 0 0 0 0 0 10 7 0 1";
    for line in [format!("BOUND {lease}"), format!("REBOOT {lease}"), "RELEASE".to_owned()] {
        assert!(vm.console().contains(&format!("DHCLIENT {line}")), "no {line}: {}", vm.console());
    }
    assert!(vm.console().contains("/found\n"), "{}", vm.console());
    vm.ask(async |client| client.kill().await).expect("it ends");
}
