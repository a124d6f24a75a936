//! What the configuration says of a network interface's services, in the words of `devices`. Called by `vm`.

use devices::virtio::net::{DhcpConfig, GuardConfig, MetadataConfig, ServiceConfig};
use vmm_api::{Dhcp, Guard, MetadataRelay, Nic};

/// All of them.
pub fn services(nic: &Nic) -> ServiceConfig {
    ServiceConfig {
        dhcp: nic.dhcp.clone().map(lease),
        metadata: nic.metadata.clone().map(metadata),
        guard: nic.guard.clone().map(guard),
    }
}

fn lease(dhcp: Dhcp) -> DhcpConfig {
    DhcpConfig {
        address: dhcp.address,
        prefix_len: dhcp.prefix_len,
        router: dhcp.router,
        dns: dhcp.dns,
        ntp: dhcp.ntp,
        host_name: dhcp.host_name,
        domain: dhcp.domain,
        mtu: dhcp.mtu,
        lease_seconds: dhcp.lease_seconds,
        routes: dhcp.routes.into_iter().map(|route| (route.destination, route.via)).collect(),
    }
}

fn metadata(relay: MetadataRelay) -> MetadataConfig {
    MetadataConfig { socket: relay.socket, addresses: relay.addresses, hop_limit: relay.hop_limit }
}

fn guard(guard: Guard) -> GuardConfig {
    GuardConfig { addresses: guard.addresses, ipv6: guard.ipv6 }
}
