//! The network interfaces that a launch asks for: one by what is said of the instance itself, or several by a list of their own,
//! new ones and ones that are there.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceNetworkInterfaceSpecification.html>

use compute::compute::{ComputeError, InterfaceRequest, LaunchInterface, PublicAddress};
use compute::id::{InterfaceId, SecurityGroupId, SubnetId};
use compute::resource::Tags;

use super::super::parameters::Parameters;
use super::super::{Call, Refusal};
use super::interface::asked_address;
use super::{refusals, subnet, words};

/// What asks for more addresses than the one that an interface here has, or for another kind of interface. Nothing is nothing.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("AssociateCarrierIpAddress", "false"),
    ("EnaQueueCount", "0"),
    ("InterfaceType", "interface"),
    ("Ipv4PrefixCount", "0"),
    ("Ipv6AddressCount", "0"),
    ("Ipv6PrefixCount", "0"),
    ("NetworkCardIndex", "0"),
    ("PrimaryIpv6", "false"),
    ("SecondaryPrivateIpAddressCount", "0"),
];
/// The same in lists.
const UNSUPPORTED_LISTS: &[&str] = &["Ipv4Prefix", "Ipv6Addresses", "Ipv6Prefix"];

/// What is of a new interface only: of one that is there it is settled.
const OF_NEW: &[&str] = &["SubnetId", "PrivateIpAddress", "Description"];

/// What a launch asks for.
pub struct Wanted {
    /// The interfaces, in the order of their places.
    pub interfaces: Vec<InterfaceRequest>,
    /// Whether the first gets a public address.
    pub public_address: PublicAddress,
}

/// The interfaces of a launch of at most `most` instances; new ones get these tags.
pub async fn wanted(call: &Call<'_>, most: u32, tags: &Tags) -> Result<Wanted, Refusal> {
    let parameters = call.parameters;
    let listed = parameters.groups("NetworkInterface")?;
    let mut wanted = match listed.as_slice() {
        [] => {
            let subnet = words::id(parameters, "SubnetId")?;
            let new = LaunchInterface {
                subnet,
                address: parameters.parsed("PrivateIpAddress")?,
                security_groups: groups(call, parameters, subnet).await?,
                ..LaunchInterface::default()
            };
            Wanted {
                interfaces: vec![InterfaceRequest::New(new)],
                public_address: public_address(call, None, subnet).await?,
            }
        }
        [first, rest @ ..] => {
            check_alone(parameters)?;
            let public = first.flag("AssociatePublicIpAddress")?;
            if !rest.is_empty() && listed.iter().any(|one| one.get("AssociatePublicIpAddress").is_some()) {
                let why = "The associatePublicIPAddress parameter cannot be specified when launching with multiple \
                           network interfaces.";
                return Err(Refusal::combination(why));
            }
            let mut interfaces = Vec::with_capacity(listed.len());
            for one in in_order(&listed)? {
                interfaces.push(interface(call, one).await?);
            }
            let public_address = match interfaces.as_slice() {
                [InterfaceRequest::New(one)] => public_address(call, public, one.subnet).await?,
                // As the cloud has it: several get none by themselves.
                _ => PublicAddress::Never,
            };
            Wanted { interfaces, public_address }
        }
    };
    for interface in &mut wanted.interfaces {
        match interface {
            InterfaceRequest::New(new) => new.tags = tags.clone(),
            InterfaceRequest::Existing { .. } if most > 1 => {
                let why =
                    "Network interfaces that exist may only be specified when a single instance is launched.";
                return Err(Refusal::combination(why));
            }
            InterfaceRequest::Existing { .. } => {}
        }
    }
    Ok(wanted)
}

/// Whether a new interface gets a public address: where nothing is said, as its subnet has it, for as long as there are some.
async fn public_address(
    call: &Call<'_>,
    asked: Option<bool>,
    subnet: Option<SubnetId>,
) -> Result<PublicAddress, Refusal> {
    let by_itself = match (asked, subnet) {
        (Some(asked), _) => return Ok(PublicAddress::asked(asked)),
        // The account's default subnet.
        (None, None) => true,
        (None, Some(id)) => match call.compute().subnet(call.account(), id).await {
            Ok(subnet) => subnet::maps_public(call, &subnet),
            // The launch is refused for it, after what else is wrong.
            Err(ComputeError::NotFound { .. }) => false,
            Err(error) => return Err(error.into()),
        },
    };
    Ok(if by_itself { PublicAddress::IfAny } else { PublicAddress::Never })
}

/// What would be said of the instance is said of its interfaces.
fn check_alone(parameters: &Parameters) -> Result<(), Refusal> {
    let why = |what: &str| {
        let why = format!(
            "Network interfaces and an instance-level {what} may not be specified on the same request"
        );
        Refusal::combination(why)
    };
    for (name, what) in [("SubnetId", "subnet ID"), ("PrivateIpAddress", "private IP address")] {
        if parameters.get(name).is_some() {
            return Err(why(what));
        }
    }
    if parameters.list("SecurityGroupId")?.is_empty() && parameters.list("SecurityGroup")?.is_empty() {
        return Ok(());
    }
    Err(why("security groups"))
}

/// Interfaces in the order of their device indexes, of which none is left out here and none comes twice.
fn in_order(listed: &[Parameters]) -> Result<Vec<&Parameters>, Refusal> {
    let mut ordered: Vec<Option<&Parameters>> = vec![None; listed.len()];
    for one in listed {
        let index: Option<usize> = one.parsed("DeviceIndex")?;
        // A client that has one only sometimes leaves it out.
        let index = match index {
            None if listed.len() > 1 => {
                return Err(refusals::value("Each network interface requires a device index."));
            }
            index => index.unwrap_or(0),
        };
        match ordered.get_mut(index) {
            Some(place @ None) => *place = Some(one),
            Some(Some(_)) => {
                let why = format!(
                    "Each network interface requires a unique device index, and '{index}' is there twice."
                );
                return Err(Refusal::combination(why));
            }
            None => {
                let why =
                    format!("The device indexes are 0 to {}, and none is left out here.", listed.len() - 1);
                return Err(refusals::value(why));
            }
        }
    }
    Ok(ordered.into_iter().flatten().collect())
}

async fn interface(call: &Call<'_>, one: &Parameters) -> Result<InterfaceRequest, Refusal> {
    for (name, only) in UNSUPPORTED {
        if one.get(name).is_some_and(|value| !value.eq_ignore_ascii_case(only)) {
            return Err(Refusal::unsupported(&one.full(name)));
        }
    }
    for name in UNSUPPORTED_LISTS {
        if !one.groups(name)?.is_empty() || !one.list(name)?.is_empty() {
            return Err(Refusal::unsupported(&one.full(name)));
        }
    }
    let delete = one.flag("DeleteOnTermination")?;
    let Some(id) = words::id::<InterfaceId>(one, "NetworkInterfaceId")? else {
        let subnet = words::id(one, "SubnetId")?;
        return Ok(InterfaceRequest::New(LaunchInterface {
            subnet,
            address: asked_address(one)?,
            security_groups: groups(call, one, subnet).await?,
            description: one.get("Description").unwrap_or_default().to_owned(),
            delete_with_instance: delete.unwrap_or(true),
            tags: Tags::default(),
        }));
    };
    let both = |what: &str| {
        let why = format!("A network interface may not specify both a network interface ID and {what}.");
        Err(Refusal::combination(why))
    };
    if let Some(name) = OF_NEW.iter().find(|name| one.get(name).is_some()) {
        return both(name);
    }
    if !one.groups("PrivateIpAddresses")?.is_empty() {
        return both("PrivateIpAddresses");
    }
    if !(one.list("SecurityGroupId")?.is_empty() && one.list("SecurityGroup")?.is_empty()) {
        return both("security groups");
    }
    if one.get("AssociatePublicIpAddress").is_some() {
        return both("AssociatePublicIpAddress");
    }
    if delete == Some(true) {
        let why =
            "A network interface may not specify a network interface ID and delete on termination as true";
        return Err(Refusal::combination(why));
    }
    Ok(InterfaceRequest::Existing { interface: id, delete_with_instance: false })
}

/// Security groups, by ids, and by names in the subnet's VPC.
async fn groups(
    call: &Call<'_>,
    parameters: &Parameters,
    subnet: Option<SubnetId>,
) -> Result<Vec<SecurityGroupId>, Refusal> {
    let mut groups: Vec<SecurityGroupId> = words::ids(parameters, "SecurityGroupId")?;
    for name in parameters.list("SecurityGroup")? {
        let vpc = match subnet {
            None => None,
            Some(subnet) => Some(call.compute().subnet(call.account(), subnet).await?.vpc),
        };
        groups.push(call.compute().security_group_named(call.account(), vpc, &name).await?.id);
    }
    Ok(groups)
}

/// What the core refuses of interfaces, in the words that a launch has for it.
pub fn refusal(error: ComputeError) -> Refusal {
    match error {
        ComputeError::Invalid { parameter: "network_interface", why } => Refusal::combination(format!(
            "You may not launch an instance with network interfaces that are not in the same network and availability zone: {why}."
        )),
        ComputeError::Invalid { parameter: "private_address", ref why }
            if why.ends_with("single instance") =>
        {
            Refusal::combination(
                "A private IP address may only be specified when a single instance is launched.",
            )
        }
        ComputeError::Limit { what: "network interfaces of an instance", most } => {
            let why = format!("Interface count exceeds the limit of {most} for an instance.");
            Refusal::new(400, "AttachmentLimitExceeded", why)
        }
        error => error.into(),
    }
}
