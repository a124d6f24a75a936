//! A guest with a network stack of its own: the kernel's, in a namespace where a tap is, whose frames go to the guest's tap and
//! come from there. So it does what a real guest does: it answers a connection, or says that nobody listens.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};

/// The name of its link, inside.
const LINK: &str = "eth0";

/// Longest frame, with its virtio-net header: the MTU is the usual one.
const MAX_FRAME: usize = 2048;

/// A guest; it goes with the last of its threads.
pub struct Guest {
    pub address: Ipv4Addr,
    pub router: Ipv4Addr,
    namespace: Arc<File>,
}

impl Guest {
    /// A guest with these addresses on a tap that is open, in whatever namespace that is.
    pub fn new(tap: File, mac: [u8; 6], address: Ipv4Addr, router: Ipv4Addr) -> Self {
        let made = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        };
        let namespace = Arc::new(std::thread::spawn(made).join().unwrap());
        let guest = Self { address, router, namespace };
        let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let link = guest.run(move || {
            ip(&format!("tuntap add {LINK} mode tap vnet_hdr"));
            let link: File = hostnet::open_tap(LINK).unwrap().into();
            ip(&format!("link set {LINK} address {} addrgenmode none", mac.join(":")));
            ip(&format!("link set {LINK} up"));
            ip(&format!("address add {address}/32 dev {LINK}"));
            ip(&format!("route add {router} dev {LINK}"));
            ip(&format!("route add default via {router}"));
            link
        });
        std::thread::spawn(move || carry(&tap, &link));
        guest
    }

    /// Does something in the guest, and waits for it.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.spawn(work).join().unwrap()
    }

    /// Does something in the guest meanwhile.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let namespace = Arc::clone(&self.namespace);
        std::thread::spawn(move || {
            setns(&*namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Carries frames both ways until one of the taps is deleted.
fn carry(one: &File, other: &File) {
    assert_ne!(one.as_raw_fd(), other.as_raw_fd());
    loop {
        for (mut from, mut to) in [(one, other), (other, one)] {
            let mut frame = [0; MAX_FRAME];
            loop {
                match from.read(&mut frame) {
                    // One that there is no room for is lost, as on a wire.
                    Ok(length) => drop(to.write(&frame[..length])),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => return,
                }
            }
        }
        let mut waited = [one, other].map(|tap| PollFd::new(tap.as_fd(), PollFlags::POLLIN));
        poll(&mut waited, PollTimeout::NONE).unwrap();
    }
}
