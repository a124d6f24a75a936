//! Two guests in a VPC, as the daemon makes it: a network namespace with a routed tap for each, and a security group in force
//! that lets them talk to each other and nobody else to them.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use anyhow::Context;
use hostnet::{
    Attachment, Bandwidth, Direction, Group, Member, Network, Outside, Peer, Policy, Protocol, Rule, Vpcs,
    VpcsConfig,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vmm_api::MacAddress;

use super::super::api;
use super::super::guest::PATIENCE;
use super::super::peers::Nic;

/// The VPC's number on this host.
const VPC: u32 = 1;
const CIDR: &str = "10.99.0.0/24";
/// The last numbers of the guests' addresses.
const GUESTS: [u8; 2] = [5, 6];
const GROUP: &str = "bench";

/// The network. Dropping it removes it.
pub struct Routed {
    runtime: Runtime,
    vpcs: Vpcs,
    network: Network,
    _folder: TempDir,
}

impl Routed {
    /// Makes it, with its taps and rules.
    pub fn new() -> anyhow::Result<Self> {
        let runtime = api::runtime()?;
        let folder = tempfile::tempdir_in("/run").context("making a folder")?;
        let config = VpcsConfig { folder: folder.path().join("netns"), ..VpcsConfig::default() };
        let (vpcs, network) = runtime.block_on(async {
            let vpcs = Vpcs::open(config).await.context("preparing the host for VPCs")?;
            let network = vpcs.make(VPC, CIDR.parse()?).await.context("making a VPC")?;
            network.apply(&policy(&network)).await.context("applying a policy")?;
            for attachment in GUESTS.map(|number| attachment(&network, number)) {
                network.attach(&attachment).await.context("making a tap")?;
            }
            anyhow::Ok((vpcs, network))
        })?;
        Ok(Self { runtime, vpcs, network, _folder: folder })
    }

    /// The network interfaces of the two.
    pub fn nics(&self) -> [Nic; 2] {
        GUESTS.map(|number| {
            let Attachment { tap, mac, address, router, .. } = attachment(&self.network, number);
            let namespace = self.network.namespace().map(Into::into);
            Nic { tap, namespace, mac: MacAddress(mac), address, router }
        })
    }

    /// Connects to a guest from its router, past the security group.
    pub fn connect(&self, nic: &Nic, port: u16) -> anyhow::Result<TcpStream> {
        let to = SocketAddrV4::new(nic.address, port);
        let connected = self.runtime.block_on(self.network.connect(&nic.tap, to, PATIENCE));
        let stream = connected.context("connecting to the guest")?.into_std().context("taking the socket")?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(stream)
    }
}

impl Drop for Routed {
    fn drop(&mut self) {
        if let Err(error) = self.runtime.block_on(self.vpcs.remove(VPC)) {
            eprintln!("the VPC is not removed: {error}");
        }
    }
}

fn attachment(network: &Network, number: u8) -> Attachment {
    let [a, b, c, _] = network.router().octets();
    Attachment {
        tap: network.tap_name(number.into()),
        owner: None,
        mac: [0x52, 0x54, 0, 0, 0, number],
        address: Ipv4Addr::new(a, b, c, number),
        router: network.router(),
    }
}

fn policy(network: &Network) -> Policy {
    let member = |number| {
        let Attachment { tap, address, .. } = attachment(network, number);
        let groups = vec![GROUP.to_owned()];
        Member { tap, address, groups, outside: Outside::Shared, bandwidth: Bandwidth::default() }
    };
    let within =
        Rule { direction: Direction::In, protocol: Protocol::All, peer: Peer::Group(GROUP.to_owned()) };
    Policy {
        members: GUESTS.map(member).to_vec(),
        groups: vec![Group { name: GROUP.to_owned(), rules: vec![within, Rule::ALL_OUT] }],
    }
}
