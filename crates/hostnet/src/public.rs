//! Public addresses, as far as the host around a network is concerned: that packets for them come to this host and go on to
//! the network. What is done with them there is in the network's rules.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use tokio::sync::Mutex;

use crate::namespace::Namespace;
use crate::{HostError, Outside, Policy, links};

/// Where a network's public addresses are routed.
#[derive(Debug)]
pub(crate) struct Announcer {
    /// By this link of the host's.
    link: String,
    /// To this address on it.
    gateway: Option<Ipv4Addr>,
    /// Those that are known to be announced.
    announced: Mutex<Option<BTreeSet<Ipv4Addr>>>,
}

impl Announcer {
    /// For the network in the host's own namespace: its rules have put another address in the place before a route is looked
    /// for, so that this one only says that the address is not elsewhere.
    pub(crate) fn host() -> Self {
        Self { link: "lo".to_owned(), gateway: None, announced: Mutex::default() }
    }

    /// For a VPC behind a link.
    pub(crate) fn vpc(link: String, gateway: Ipv4Addr) -> Self {
        Self { link, gateway: Some(gateway), announced: Mutex::default() }
    }

    /// Announces all public addresses of a policy, and no others. One that was another network's is this one's then.
    pub(crate) async fn announce(&self, pool: &[Ipv4Net], policy: &Policy) -> Result<(), HostError> {
        let wanted: BTreeSet<Ipv4Addr> = policy
            .members
            .iter()
            .filter_map(|member| match member.outside {
                Outside::Public(public) => Some(public),
                Outside::Nothing | Outside::Shared => None,
            })
            .collect();
        let mut announced = self.announced.lock().await;
        if pool.is_empty() || announced.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let known = announced.take();
        let netlink = Namespace::default().netlink().await?;
        let Some(link) = links::find(&netlink, &self.link).await? else {
            // Without its link there is nothing left to take back.
            return match wanted.is_empty() {
                true => Ok(()),
                false => {
                    Err(HostError::new(format!("find {}", self.link), std::io::ErrorKind::NotFound.into()))
                }
            };
        };
        let routes = links::routes(&netlink).await?;
        let is_public = |address: &Ipv4Addr| pool.iter().any(|part| part.contains(address));
        let ours = routes.iter().filter(|route| route.is_ours && route.link == Some(link.index));
        let present: BTreeSet<Ipv4Addr> = ours
            .filter(|route| route.destination.prefix_len() == 32)
            .map(|route| route.destination.addr())
            .filter(is_public)
            .collect();
        for gone in present.difference(&wanted) {
            links::delete_proxies(&netlink, *gone).await?;
            links::delete_public_route(&netlink, link.index, *gone).await?;
        }
        for come in &wanted {
            // What was there when this network was opened may lack a part, and is made whole once.
            if known.is_some() && present.contains(come) {
                continue;
            }
            links::add_public_route(&netlink, &link, self.gateway, *come).await?;
            if let Some(towards) = links::link_towards(&routes, *come) {
                links::add_proxy(&netlink, towards, *come).await?;
            }
        }
        *announced = Some(wanted);
        Ok(())
    }
}
