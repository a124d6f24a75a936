//! An instance as rows look at it: its record, and as much of what belongs to it as they need.

use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::compute::{Compute, ComputeError};
use compute::dns::Domains;
use compute::id::{ImageId, VolumeId};
use compute::identity::{Account, Identity, LookError};
use compute::resource::{Cloud, Image, Instance, Interface, SecurityGroup, Subnet, Volume, Vpc};

use crate::service::Config;

/// Something that is looked up only where a row needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its network interfaces, with their networks, groups and public addresses.
    Network,
    /// Its volumes.
    Disks,
    /// Its image.
    Image,
    /// Its account.
    Account,
}

/// An instance with what was looked up.
pub struct View {
    /// Its record.
    pub instance: Instance,
    /// The service's configuration.
    pub config: Arc<Config>,
    /// The region.
    pub region: String,
    /// The domains of names.
    pub domains: Domains,
    /// Name servers that it is told; none while its network is not looked up.
    pub name_servers: Vec<Ipv4Addr>,
    /// Time servers that it is told; none while its network is not looked up.
    pub time_servers: Vec<Ipv4Addr>,
    /// The MTU that guests are told, in bytes.
    pub mtu: u16,
    /// Its network interfaces in the order of their slots.
    pub nics: Vec<Nic>,
    /// Its volumes in the order of their slots.
    pub disks: Vec<Volume>,
    /// Its image, unless that is gone.
    pub image: Option<Image>,
    /// Its account.
    pub account: Option<Account>,
}

/// A network interface with what it is in.
pub struct Nic {
    /// Its record.
    pub interface: Interface,
    /// Its public address.
    pub public: Option<Ipv4Addr>,
    /// Its subnet.
    pub subnet: Option<Subnet>,
    /// Its VPC.
    pub vpc: Option<Vpc>,
    /// Its security groups.
    pub groups: Vec<SecurityGroup>,
}

impl Nic {
    /// Its MAC address as guests write it.
    pub fn mac(&self) -> String {
        self.interface.mac.map(|octet| format!("{octet:02x}")).join(":")
    }
}

impl View {
    /// An instance with these parts.
    ///
    /// # Errors
    ///
    /// The record store does not do its part.
    pub async fn load(
        compute: &Compute,
        identity: &Identity,
        config: Arc<Config>,
        instance: Instance,
        parts: &[Part],
    ) -> Result<Self, ComputeError> {
        let chosen = compute.config();
        let mut view = Self {
            instance,
            config,
            region: chosen.catalog.region.clone(),
            domains: chosen.domains.clone(),
            name_servers: Vec::new(),
            time_servers: Vec::new(),
            mtu: chosen.mtu,
            nics: Vec::new(),
            disks: Vec::new(),
            image: None,
            account: None,
        };
        if parts.contains(&Part::Network) {
            view.nics = nics(compute, &view.instance).await?;
            if let Some(subnet) = view.nic().and_then(|nic| nic.subnet.clone()) {
                view.name_servers = chosen.name_servers(&subnet);
                view.time_servers = chosen.time_servers(&subnet);
            }
        }
        if parts.contains(&Part::Disks) {
            let ids: Vec<VolumeId> = view.instance.disks.iter().map(|disk| disk.volume).collect();
            for id in ids {
                view.disks.extend(there(compute.volume(&view.instance.account, id).await)?);
            }
        }
        if parts.contains(&Part::Image) {
            let id: ImageId = view.instance.image;
            view.image = there(compute.image(&view.instance.account, id).await)?;
        }
        if parts.contains(&Part::Account)
            && let Ok(id) = view.instance.account.parse()
        {
            view.account = match identity.account(id).await {
                Ok(account) => Some(account),
                Err(LookError::Absent { .. }) => None,
                Err(error @ LookError::Failed(_)) => {
                    // The core's error has no such row; whoever sees it only tells that it failed.
                    return Err(ComputeError::Host(compute::outside::HostError::Failed(error.to_string())));
                }
            };
        }
        Ok(view)
    }

    /// Its first network interface.
    pub fn nic(&self) -> Option<&Nic> {
        self.nics.first()
    }

    /// What the user gave to it; `None` for nothing.
    pub fn user_data(&self) -> Option<Vec<u8>> {
        // It was put in by the core, in this form.
        let bytes = BASE64_STANDARD.decode(&self.instance.user_data).unwrap_or_default();
        (!bytes.is_empty()).then_some(bytes)
    }

    /// The tags that it may see: those whose keys can be a word of a path and a line of a list, as EC2 has it.
    pub fn tags(&self) -> impl Iterator<Item = (&String, &String)> {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "+-=.,_:@".contains(letter);
        let is_word = move |key: &str| key.chars().all(is_letter) && ![".", "..", "_index"].contains(&key);
        let is_shown = self.instance.metadata_options.tags;
        self.instance.tags.0.iter().filter(move |(key, _)| is_shown && is_word(key))
    }

    /// Its internal name in a cloud.
    pub fn internal_name(&self, cloud: Cloud) -> String {
        self.domains.of_host(cloud, &self.instance.host_name)
    }
}

async fn nics(compute: &Compute, instance: &Instance) -> Result<Vec<Nic>, ComputeError> {
    let account = &instance.account;
    let Some(whole) = there(compute.instance_view(account, instance.id).await)? else {
        return Ok(Vec::new());
    };
    let mut nics = Vec::new();
    for (interface, public) in whole.interfaces {
        let mut groups = Vec::new();
        for group in &interface.security_groups {
            groups.extend(there(compute.security_group(account, *group).await)?);
        }
        nics.push(Nic {
            public: public.map(|public| public.address),
            subnet: there(compute.subnet(account, interface.subnet).await)?,
            vpc: there(compute.vpc(account, interface.vpc).await)?,
            groups,
            interface,
        });
    }
    Ok(nics)
}

/// What is not there is none: whatever is looked up may go at any time.
fn there<T>(result: Result<T, ComputeError>) -> Result<Option<T>, ComputeError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ComputeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
