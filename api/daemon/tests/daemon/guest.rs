//! Guests that are network namespaces: with the addresses that an instance's guest has, and a wire of two taps between. So a
//! guest has a kernel's own UDP and TCP, where a VMM would have a machine's.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use native_api::Instance;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};

use crate::node::{Node, run};

/// How often a wire looks whether it is to end, in milliseconds.
const LOOK_MS: u16 = 50;

/// A guest's side of a network interface.
pub struct Guest {
    pub address: Ipv4Addr,
    pub router: Ipv4Addr,
    namespace: Arc<File>,
    is_over: Arc<AtomicBool>,
    wire: Option<JoinHandle<()>>,
}

impl Guest {
    /// Plugs in, as the guest of an instance that runs: in a VPC, or in the host's own network.
    pub fn start(node: &Node, instance: &Instance, vpc: Option<&str>, router: Ipv4Addr) -> Self {
        let interface = instance.network_interfaces[0].id.to_string();
        let (_, digits) = interface.split_once('-').unwrap();
        let tap = format!("bothy-{digits}");
        let address = instance.private_address.unwrap();
        let theirs = in_namespace(vpc.map(|vpc| vpc_namespace(node, vpc)), {
            let tap = tap.clone();
            move || File::from(hostnet::open_tap(&tap).unwrap_or_else(|error| panic!("{tap}: {error}")))
        });
        let mac = instance.network_interfaces[0].mac.to_string();
        let (namespace, ours) = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let ip = |arguments: &str| run("ip", &arguments.split(' ').collect::<Vec<_>>());
            ip("link set lo up");
            ip("tuntap add eth0 mode tap vnet_hdr");
            ip(&format!("link set eth0 address {mac}"));
            ip(&format!("address add {address}/24 dev eth0"));
            ip("link set eth0 up");
            ip(&format!("route add default via {router}"));
            let ours = File::from(hostnet::open_tap("eth0").unwrap());
            (File::open("/proc/thread-self/ns/net").unwrap(), ours)
        })
        .join()
        .unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let wire = std::thread::spawn(move || carry([&ours, &theirs], &ends));
        Self { address, router, namespace: Arc::new(namespace), is_over, wire: Some(wire) }
    }

    /// Does something as a program of the guest's.
    pub fn run<T: Send + 'static>(&self, program: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let namespace = Arc::clone(&self.namespace);
        std::thread::spawn(move || {
            setns(&*namespace, CloneFlags::CLONE_NEWNET).unwrap();
            program()
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(wire) = self.wire.take() {
            let _ = wire.join();
        }
    }
}

fn vpc_namespace(node: &Node, vpc: &str) -> PathBuf {
    let (_, digits) = vpc.split_once('-').unwrap();
    node.path().join("run/netns").join(digits)
}

fn in_namespace<T: Send + 'static>(path: Option<PathBuf>, work: impl FnOnce() -> T + Send + 'static) -> T {
    let enter = |path: &Path| setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
    // A thread of a test is in the host's own.
    let thread = std::thread::spawn(move || {
        if let Some(path) = path {
            enter(&path);
        }
        work()
    });
    thread.join().unwrap()
}

/// Carries frames between two taps, with their headers, until it is over.
fn carry(taps: [&File; 2], is_over: &AtomicBool) {
    let mut frame = vec![0; 1 << 16];
    while !is_over.load(Ordering::SeqCst) {
        let mut waited = taps.map(|tap| PollFd::new(tap.as_fd(), PollFlags::POLLIN));
        if poll(&mut waited, PollTimeout::from(LOOK_MS)).is_err() {
            continue;
        }
        for (mut from, mut to) in [(taps[0], taps[1]), (taps[1], taps[0])] {
            loop {
                match from.read(&mut frame) {
                    // What there is no room for is lost, as on any wire.
                    Ok(length) => drop(to.write(&frame[..length])),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // A tap that is gone, or not up yet.
                    Err(_) => {
                        std::thread::sleep(std::time::Duration::from_millis(LOOK_MS.into()));
                        break;
                    }
                }
            }
        }
    }
}
