//! A network namespace with taps in it, for the guests of one test.

use std::process::{Command, Output};
use std::thread;

use nix::sched::{CloneFlags, setns};

/// A namespace of this test's own. Dropping it removes it and what is in it.
pub struct Network {
    name: String,
}

impl Network {
    /// Makes the namespace. `name` must not be used by a test that runs at the same time.
    pub fn new(name: &str) -> Self {
        let network = Self { name: format!("bothy-{name}-{}", std::process::id()) };
        run(Command::new("ip").args(["netns", "add", &network.name]));
        network.ip(&["link", "set", "lo", "up"]);
        network
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The world outside of this one, a namespace of its own with these addresses of 198.51.100.0/24 from the second on, where
    /// public addresses, 203.0.113.0/28, are known to be behind this one.
    pub fn outside(&self, name: &str, addresses: &[&str]) -> Self {
        let outside = Self::new(name);
        self.ip(&["link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", outside.name()]);
        self.ip(&["address", "add", "198.51.100.1/24", "dev", "up0"]);
        self.ip(&["link", "set", "up0", "up"]);
        for address in addresses {
            outside.ip(&["address", "add", address, "dev", "eth0"]);
        }
        outside.ip(&["link", "set", "eth0", "up"]);
        outside.ip(&["route", "add", "203.0.113.0/28", "via", "198.51.100.1"]);
        outside
    }

    /// Makes a tap; with `address`, as in `10.0.0.1/24`, it also gets that and is up.
    pub fn add_tap(&self, tap: &str, address: Option<&str>) {
        self.ip(&["tuntap", "add", tap, "mode", "tap", "vnet_hdr"]);
        if let Some(address) = address {
            self.ip(&["addr", "add", address, "dev", tap]);
        }
        self.ip(&["link", "set", tap, "up"]);
    }

    /// Runs `ip` in it.
    pub fn ip(&self, arguments: &[&str]) {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments));
    }

    /// A command that will run in it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `body` on a thread in it.
    pub fn enter<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let namespace =
            std::fs::File::open(format!("/run/netns/{}", self.name)).expect("the namespace is there");
        thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter the namespace");
            body()
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("iproute2 is there");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
