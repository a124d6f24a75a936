//! The network interfaces of instances that are launched: new ones, which come with them, and ones that are there already,
//! which they take. All of an instance are in one network and one zone, as its VMM is.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::{Drawn, InstanceRequest};
use crate::compute::ledger::AddressHold;
use crate::compute::{Compute, ComputeError};
use crate::id::{InstanceId, InterfaceId, SecurityGroupId, SubnetId};
use crate::resource::{Interface, SecurityGroup, Subnet, Tags};
use crate::store::{Kept, Key};

/// A network interface of a new instance. Its place is the one that it has in the list.
#[derive(Clone, Debug)]
pub enum InterfaceRequest {
    /// A new one.
    New(LaunchInterface),
    /// One that no instance has; only for a single instance.
    Existing {
        /// Its id.
        interface: InterfaceId,
        /// Whether it goes with the instance.
        delete_with_instance: bool,
    },
}

/// An interface that is made with an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchInterface {
    /// The subnet; `None` for the account's default.
    pub subnet: Option<SubnetId>,
    /// Its address, only for a single instance; `None` for any.
    pub address: Option<Ipv4Addr>,
    /// Security groups; none for the VPC's default one.
    pub security_groups: Vec<SecurityGroupId>,
    /// Words about it.
    pub description: String,
    /// Whether it goes with the instance.
    pub delete_with_instance: bool,
    /// Tags.
    pub tags: Tags,
}

impl Default for LaunchInterface {
    fn default() -> Self {
        Self {
            subnet: None,
            address: None,
            security_groups: Vec::new(),
            description: String::new(),
            delete_with_instance: true,
            tags: Tags::default(),
        }
    }
}

impl InterfaceRequest {
    /// Whether it says where the instance is.
    pub(super) fn says_where(&self) -> bool {
        match self {
            Self::New(new) => new.subnet.is_some(),
            Self::Existing { .. } => true,
        }
    }

    /// Whether there can be only one such, and so only one instance with it.
    pub(super) fn is_single(&self) -> bool {
        match self {
            Self::New(new) => new.address.is_some(),
            Self::Existing { .. } => true,
        }
    }
}

/// An interface whose parts have all been looked up.
pub(super) struct Nic {
    pub subnet: Subnet,
    pub groups: Vec<SecurityGroup>,
    what: What,
}

enum What {
    New(LaunchInterface),
    Existing { kept: Box<Kept<Interface>>, delete_with_instance: bool },
}

impl Nic {
    /// Where it is on record that the address is taken that was asked for.
    pub fn asked(&self) -> Option<(Ipv4Addr, Key)> {
        match &self.what {
            What::New(new) => {
                let address = new.address?;
                Some((address, Interface::address_key(self.subnet.network, address)))
            }
            What::Existing { .. } => None,
        }
    }
}

/// Refuses interfaces that no instance can have both of: a VMM is in one network, and an instance in one zone.
pub(crate) fn check_together(first: &Subnet, other: &Subnet) -> Result<(), ComputeError> {
    let why = if first.network != other.network {
        format!("{} is of {}, and {} of {}", other.id, other.vpc, first.id, first.vpc)
    } else if first.zone != other.zone {
        format!("{} is in zone {}, and {} in {}", other.id, other.zone, first.id, first.zone)
    } else {
        return Ok(());
    };
    Err(ComputeError::invalid("network_interface", why))
}

impl Compute {
    /// Looks up the interfaces of a kind: at least one.
    pub(super) async fn nics(
        &self,
        account: &str,
        request: &InstanceRequest,
    ) -> Result<Vec<Nic>, ComputeError> {
        let usual = [InterfaceRequest::New(LaunchInterface::default())];
        let wanted = if request.interfaces.is_empty() { &usual[..] } else { &request.interfaces[..] };
        let mut nics: Vec<Nic> = Vec::with_capacity(wanted.len());
        for one in wanted {
            let nic = self.nic_of(account, one).await?;
            if let Some(first) = nics.first() {
                check_together(&first.subnet, &nic.subnet)?;
            }
            nics.push(nic);
        }
        Ok(nics)
    }

    async fn nic_of(&self, account: &str, wanted: &InterfaceRequest) -> Result<Nic, ComputeError> {
        match wanted {
            InterfaceRequest::New(new) => {
                let subnet = match new.subnet {
                    None => self.default_subnet(account).await?,
                    Some(id) => self.get_owned::<Subnet>(account, &id.to_string()).await?.value,
                };
                let groups = self.groups(account, &subnet, &new.security_groups).await?;
                Ok(Nic { subnet, groups, what: What::New(new.clone()) })
            }
            InterfaceRequest::Existing { interface: id, delete_with_instance } => {
                let kept = self.get_owned::<Interface>(account, &id.to_string()).await?;
                if let Some(by) = kept.value.instance {
                    return Err(crate::compute::interfaces::in_use(*id, &by));
                }
                let subnet = self.get_owned::<Subnet>(account, &kept.value.subnet.to_string()).await?.value;
                let groups = self.groups(account, &subnet, &kept.value.security_groups).await?;
                let what =
                    What::Existing { kept: Box::new(kept), delete_with_instance: *delete_with_instance };
                Ok(Nic { subnet, groups, what })
            }
        }
    }

    /// Security groups of a subnet's VPC; its default one where none is wanted.
    pub(crate) async fn groups(
        &self,
        account: &str,
        subnet: &Subnet,
        wanted: &[SecurityGroupId],
    ) -> Result<Vec<SecurityGroup>, ComputeError> {
        if wanted.is_empty() {
            return Ok(vec![self.default_group(account, subnet.vpc).await?]);
        }
        let mut groups = Vec::new();
        for id in wanted {
            let group = self.get_owned::<SecurityGroup>(account, &id.to_string()).await?.value;
            if group.vpc != subnet.vpc {
                let why = format!("{id} is of {}, and the subnet of {}", group.vpc, subnet.vpc);
                return Err(ComputeError::invalid("security_groups", why));
            }
            groups.push(group);
        }
        Ok(groups)
    }

    /// Draws ids and holds addresses for the interfaces of an instance; gives them in their order.
    pub(super) fn draw_interfaces(
        &self,
        account: &str,
        instance: InstanceId,
        nics: &[Nic],
        now: Timestamp,
        drawn: &mut Drawn,
    ) -> Result<Vec<(InterfaceId, Ipv4Addr)>, ComputeError> {
        // Those asked for first, so that no other interface of the same request gets one of them.
        let mut holds: Vec<Option<AddressHold>> = Vec::with_capacity(nics.len());
        for nic in nics {
            let asked = nic.asked().map(|(address, _)| self.ledger.hold_address(&nic.subnet, Some(address)));
            holds.push(asked.transpose()?);
        }
        let mut made = Vec::with_capacity(nics.len());
        for ((index, nic), asked) in (0_u32..).zip(nics).zip(holds) {
            let new = match &nic.what {
                What::New(new) => new,
                What::Existing { kept, delete_with_instance } => {
                    let mut kept = Kept::clone(kept);
                    if drawn.taken.iter().any(|taken| taken.value.id == kept.value.id) {
                        let why = format!("{} is there twice", kept.value.id);
                        return Err(ComputeError::invalid("network_interface", why));
                    }
                    (kept.value.instance, kept.value.index) = (Some(instance), index);
                    kept.value.delete_with_instance = *delete_with_instance;
                    made.push((kept.value.id, kept.value.address));
                    drawn.taken.push(kept);
                    continue;
                }
            };
            let hold = match asked {
                Some(hold) => hold,
                None => self.ledger.hold_address(&nic.subnet, None)?,
            };
            let (id, address) = (InterfaceId::draw(), hold.address());
            drawn.interfaces.push(Interface {
                id,
                account: account.to_owned(),
                name: String::new(),
                description: new.description.clone(),
                subnet: nic.subnet.id,
                vpc: nic.subnet.vpc,
                network: nic.subnet.network,
                address,
                mac: Interface::mac_of(id),
                security_groups: nic.groups.iter().map(|group| group.id).collect(),
                instance: Some(instance),
                index,
                delete_with_instance: new.delete_with_instance,
                tags: new.tags.clone(),
                created: now,
            });
            drawn.addresses.push(hold);
            made.push((id, address));
        }
        Ok(made)
    }
}
