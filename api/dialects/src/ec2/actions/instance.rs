//! An instance: what is shown of it, and what it is filtered by.

use std::collections::HashMap;

use compute::compute::{ComputeError, InstanceView};
use compute::id::{ImageId, ReservationId, SecurityGroupId};
use compute::identity::PrincipalId;
use compute::lifecycle::State;
use compute::resource::{Address, Cloud, Instance, InstanceDisk, Interface, MetadataOptions};

use super::super::ids::{CloudId, principal};
use super::super::xml::Tree;
use super::super::{Call, Refusal, states, tags, time};
use super::interface::{self, Known};
use super::words::zone_id;

/// What is shown of instances besides their own records.
pub struct Around {
    known: Known,
    profiles: HashMap<String, PrincipalId>,
    architectures: HashMap<ImageId, &'static str>,
}

impl Around {
    /// What these need.
    pub async fn of(call: &Call<'_>, views: &[InstanceView]) -> Result<Self, Refusal> {
        let known = Known::of(call).await?;
        let mut around = Self { known, profiles: HashMap::new(), architectures: HashMap::new() };
        around.add(call, views).await?;
        Ok(around)
    }

    /// And what these need.
    pub async fn add(&mut self, call: &Call<'_>, views: &[InstanceView]) -> Result<(), Refusal> {
        let Self { profiles, architectures, .. } = self;
        for InstanceView { instance, .. } in views {
            if let Some(name) = &instance.role
                && !profiles.contains_key(name)
                // One that was deleted has no id any more.
                && let Ok(role) = call.identity().role(call.account_id(), name).await
            {
                profiles.insert(name.clone(), role.id);
            }
            if !architectures.contains_key(&instance.image) {
                match call.compute().image(call.account(), instance.image).await {
                    Ok(image) => {
                        architectures.insert(image.id, states::architecture(image.architecture));
                    }
                    // Removed, or not for this account any more.
                    Err(ComputeError::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn architecture(&self, instance: &Instance) -> &'static str {
        self.architectures.get(&instance.image).copied().unwrap_or("x86_64")
    }
}

/// The name of the disk that an instance boots from.
pub fn root_device(instance: &Instance) -> &str {
    instance.disks.first().map_or("", |disk| disk.device.as_str())
}

/// Whether its owner asked for detailed monitoring.
fn monitoring(instance: &Instance) -> &'static str {
    states::enabled(instance.dialect["Monitoring"].as_bool().unwrap_or(false))
}

/// The ARN of an instance profile: the role of the same name.
fn profile_arn(instance: &Instance, role: &str) -> String {
    format!("arn:aws:iam::{}:instance-profile/{role}", instance.account)
}

/// What clients are told of a host that could not do its part; what it says itself is for whoever runs it.
pub const HOST_FAILED: &str = "Server.InternalError: Internal error on launch";

/// Why it is in the state that it is in, if that is anybody's fault or doing.
fn reason(instance: &Instance) -> Option<(&'static str, String)> {
    let reason = instance.reason.as_ref()?;
    if reason.host_failed {
        return Some(("Server.InternalError", HOST_FAILED.to_owned()));
    }
    let code = match instance.state() {
        State::Failed => "Server.InternalError",
        State::Terminating | State::Terminated if reason.message.is_empty() => return None,
        State::Stopped | State::Stopping | State::Terminating | State::Terminated => {
            "Client.UserInitiatedShutdown"
        }
        State::Creating | State::Created | State::Starting | State::Running | State::Rebooting => {
            return None;
        }
        State::Locking | State::Locked => "Server.Suspended",
    };
    Some((code, format!("{code}: {}", reason.message)))
}

/// What is shown of an instance.
pub fn view(call: &Call<'_>, view: &InstanceView, around: &Around) -> Tree {
    let (instance, domains) = (&view.instance, &call.compute().config().domains);
    let first = view.interfaces.first();
    let public = first.and_then(|(_, public)| public.as_ref());
    let groups = first.map(|(interface, _)| interface.security_groups.as_slice()).unwrap_or_default();
    let group = |id: &SecurityGroupId| {
        Tree::new().text("groupId", id.written()).text("groupName", around.known.group_name(*id))
    };
    let profile = instance.role.as_ref().map(|role| {
        let id = around.profiles.get(role).map(|id| principal("AIPA", *id));
        Tree::new().text("arn", profile_arn(instance, role)).text_if("id", id)
    });
    let reason = reason(instance);
    let code = |code: &String| Tree::new().text("productCode", code).text("type", "marketplace");
    let placement = Tree::new()
        .text("availabilityZone", &instance.zone)
        .text("availabilityZoneId", zone_id(call, &instance.zone))
        .text("groupName", "")
        .text("tenancy", "default");
    let interfaces = view.interfaces.iter().map(|(one, public)| nic(call, one, public.as_ref(), around));
    Tree::new()
        .text("instanceId", instance.id.written())
        .text("imageId", instance.image.written())
        .tree("instanceState", states::instance(instance.state()).tree())
        .text("privateDnsName", view.private_name(domains).unwrap_or_default())
        .text("dnsName", view.public_name(domains).unwrap_or_default())
        .text("reason", reason.as_ref().map_or("", |(_, message)| message))
        .text_if("keyName", instance.key_pair.as_ref().map(|key| &key.name))
        .text("amiLaunchIndex", instance.launch_index)
        .list("productCodes", instance.product_codes.iter().map(code))
        .text("instanceType", &instance.instance_type)
        .text("launchTime", time::written(instance.started.unwrap_or(instance.created)))
        .tree("placement", placement)
        .tree("monitoring", Tree::new().text("state", monitoring(instance)))
        .text_if("subnetId", first.map(|(interface, _)| interface.subnet.written()))
        .text_if("vpcId", first.map(|(interface, _)| interface.vpc.written()))
        .text_if("privateIpAddress", first.map(|(interface, _)| interface.address))
        .text_if("ipAddress", public.map(|public| public.address))
        .text("sourceDestCheck", true)
        .list("groupSet", groups.iter().map(group))
        .tree_if(
            "stateReason",
            reason.as_ref().map(|(code, message)| Tree::new().text("code", code).text("message", message)),
        )
        .text("architecture", around.architecture(instance))
        .text("rootDeviceType", "ebs")
        .text("rootDeviceName", root_device(instance))
        .tree("blockDeviceMapping", devices(instance))
        .text("virtualizationType", "hvm")
        .text("clientToken", instance.dialect["ClientToken"].as_str().unwrap_or_default())
        .and(tags::set(Tree::new(), &instance.tags))
        .text("hypervisor", "xen")
        .list("networkInterfaceSet", interfaces)
        .tree_if("iamInstanceProfile", profile)
        .text("ebsOptimized", instance.dialect["EbsOptimized"].as_bool().unwrap_or(false))
        .text("enaSupport", true)
        .tree("cpuOptions", Tree::new().text("coreCount", instance.vcpus).text("threadsPerCore", 1))
        .tree("hibernationOptions", Tree::new().text("configured", false))
        .tree("metadataOptions", metadata_options(instance.metadata_options))
        .tree("enclaveOptions", Tree::new().text("enabled", false))
        .text("platformDetails", "Linux/UNIX")
        .text("usageOperation", "RunInstances")
}

/// An interface, as it is shown with its instance.
fn nic(call: &Call<'_>, one: &Interface, public: Option<&Address>, around: &Around) -> Tree {
    let domains = &call.compute().config().domains;
    let group = |id: &SecurityGroupId| {
        Tree::new().text("groupId", id.written()).text("groupName", around.known.group_name(*id))
    };
    let private_name = domains.of_private(Cloud::Ec2, one.address);
    let leads_here = public.map(|public| {
        Tree::new()
            .text("publicIp", public.address)
            .text("publicDnsName", domains.of_public(public.address))
            .text("ipOwnerId", interface::owner(public))
    });
    let attached = Tree::new()
        .text_if("attachmentId", interface::attachment(one))
        .text("deviceIndex", one.index)
        .text("status", "attached")
        .text("attachTime", time::written(one.created))
        .text("deleteOnTermination", one.delete_with_instance)
        .text("networkCardIndex", 0);
    let address = Tree::new()
        .text("privateIpAddress", one.address)
        .text("privateDnsName", &private_name)
        .text("primary", true)
        .tree_if("association", leads_here.clone());
    Tree::new()
        .text("networkInterfaceId", one.id.written())
        .text("subnetId", one.subnet.written())
        .text("vpcId", one.vpc.written())
        .text("description", &one.description)
        .text("ownerId", &one.account)
        .text("status", "in-use")
        .text("macAddress", interface::mac(one))
        .text("privateIpAddress", one.address)
        .text("privateDnsName", private_name)
        .text("sourceDestCheck", true)
        .list("groupSet", one.security_groups.iter().map(group))
        .tree("attachment", attached)
        .tree_if("association", leads_here)
        .list("privateIpAddressesSet", [address])
        .list("ipv6AddressesSet", [])
        .text("interfaceType", "interface")
}

/// The items of a mapping of devices.
fn devices(instance: &Instance) -> Tree {
    instance.disks.iter().fold(Tree::new(), |list, disk| list.tree("item", device(instance, disk)))
}

/// A disk of an instance.
fn device(instance: &Instance, disk: &InstanceDisk) -> Tree {
    let ebs = Tree::new()
        .text("volumeId", disk.volume.written())
        .text("status", "attached")
        .text("attachTime", time::written(instance.created))
        .text("deleteOnTermination", disk.delete_with_instance);
    Tree::new().text("deviceName", &disk.device).tree("ebs", ebs)
}

/// The devices of an instance, for its attribute of that name.
pub fn block_devices(tree: Tree, instance: &Instance) -> Tree {
    tree.tree("blockDeviceMapping", devices(instance))
}

/// How an instance's guest gets at its metadata.
pub fn metadata_options(options: MetadataOptions) -> Tree {
    Tree::new()
        .text("state", "applied")
        .text("httpTokens", states::tokens(options.tokens))
        .text("httpPutResponseHopLimit", options.hop_limit)
        .text("httpEndpoint", states::enabled(options.enabled))
        .text("httpProtocolIpv6", "disabled")
        .text("instanceMetadataTags", states::enabled(options.tags))
}

/// What instances can be filtered by besides tags.
pub const FILTERS: &[&str] = &[
    "architecture",
    "availability-zone",
    "availability-zone-id",
    "block-device-mapping.delete-on-termination",
    "block-device-mapping.device-name",
    "block-device-mapping.status",
    "block-device-mapping.volume-id",
    "client-token",
    "dns-name",
    "group-id",
    "group-name",
    "host-id",
    "hypervisor",
    "iam-instance-profile.arn",
    "iam-instance-profile.id",
    "image-id",
    "instance-id",
    "instance-lifecycle",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "instance.group-id",
    "instance.group-name",
    "ip-address",
    "kernel-id",
    "key-name",
    "launch-index",
    "launch-time",
    "metadata-options.http-endpoint",
    "metadata-options.http-put-response-hop-limit",
    "metadata-options.http-tokens",
    "metadata-options.instance-metadata-tags",
    "monitoring-state",
    "network-interface.addresses.private-ip-address",
    "network-interface.group-id",
    "network-interface.mac-address",
    "network-interface.network-interface-id",
    "network-interface.private-ip-address",
    "network-interface.subnet-id",
    "network-interface.vpc-id",
    "owner-id",
    "placement-group-name",
    "platform",
    "private-dns-name",
    "private-ip-address",
    "product-code",
    "ramdisk-id",
    "reason",
    "requester-id",
    "reservation-id",
    "root-device-name",
    "root-device-type",
    "source-dest-check",
    "spot-instance-request-id",
    "state-reason-code",
    "state-reason-message",
    "subnet-id",
    "tenancy",
    "virtualization-type",
    "vpc-id",
];

/// What an instance has by the name of a filter.
pub fn fields(call: &Call<'_>, view: &InstanceView, around: &Around, name: &str) -> Vec<String> {
    if let Some(of_interface) = name.strip_prefix("network-interface.") {
        let interfaces = view.interfaces.iter();
        return interfaces
            .flat_map(|(one, _)| interface::fields(call, one, &around.known, of_interface))
            .collect();
    }
    let (instance, domains) = (&view.instance, &call.compute().config().domains);
    let first = view.interfaces.first();
    let groups = || first.into_iter().flat_map(|(interface, _)| interface.security_groups.iter());
    let state = states::instance(instance.state());
    let options = instance.metadata_options;
    let field = match name {
        "block-device-mapping.device-name" => return of_disks(instance, |disk| disk.device.clone()),
        "block-device-mapping.volume-id" => return of_disks(instance, |disk| disk.volume.written()),
        "block-device-mapping.status" => return of_disks(instance, |_| "attached".to_owned()),
        "block-device-mapping.delete-on-termination" => {
            return of_disks(instance, |disk| disk.delete_with_instance.to_string());
        }
        "group-id" | "instance.group-id" => return groups().map(|id| id.written()).collect(),
        "group-name" | "instance.group-name" => {
            return groups().map(|id| around.known.group_name(*id).to_owned()).collect();
        }
        "product-code" => return instance.product_codes.clone(),
        "architecture" => Some(around.architecture(instance).to_owned()),
        "availability-zone" => Some(instance.zone.clone()),
        "availability-zone-id" => Some(zone_id(call, &instance.zone)),
        "client-token" => instance.dialect["ClientToken"].as_str().map(str::to_owned),
        "dns-name" => view.public_name(domains),
        "hypervisor" => Some("xen".to_owned()),
        "iam-instance-profile.arn" => instance.role.as_ref().map(|role| profile_arn(instance, role)),
        "iam-instance-profile.id" => {
            let id = instance.role.as_ref().and_then(|role| around.profiles.get(role));
            id.map(|id| principal("AIPA", *id))
        }
        "image-id" => Some(instance.image.written()),
        "instance-id" => Some(instance.id.written()),
        "instance-state-code" => Some(state.code.to_string()),
        "instance-state-name" => Some(state.name.to_owned()),
        "instance-type" => Some(instance.instance_type.clone()),
        "ip-address" => first.and_then(|(_, public)| Some(public.as_ref()?.address.to_string())),
        "key-name" => instance.key_pair.as_ref().map(|key| key.name.clone()),
        "launch-index" => Some(instance.launch_index.to_string()),
        "launch-time" => Some(time::written(instance.started.unwrap_or(instance.created))),
        "metadata-options.http-endpoint" => Some(states::enabled(options.enabled).to_owned()),
        "metadata-options.http-put-response-hop-limit" => Some(options.hop_limit.to_string()),
        "metadata-options.http-tokens" => Some(states::tokens(options.tokens).to_owned()),
        "metadata-options.instance-metadata-tags" => Some(states::enabled(options.tags).to_owned()),
        "monitoring-state" => Some(monitoring(instance).to_owned()),
        "owner-id" => Some(instance.account.clone()),
        "private-dns-name" => view.private_name(domains),
        "private-ip-address" => first.map(|(interface, _)| interface.address.to_string()),
        "reason" | "state-reason-message" => reason(instance).map(|(_, message)| message),
        "state-reason-code" => reason(instance).map(|(code, _)| code.to_owned()),
        "reservation-id" => Some(instance.reservation.written()),
        "root-device-name" => Some(root_device(instance).to_owned()),
        "root-device-type" => Some("ebs".to_owned()),
        "source-dest-check" => Some("true".to_owned()),
        "subnet-id" => first.map(|(interface, _)| interface.subnet.written()),
        "tenancy" => Some("default".to_owned()),
        "virtualization-type" => Some("hvm".to_owned()),
        "vpc-id" => first.map(|(interface, _)| interface.vpc.written()),
        _ => None,
    };
    field.into_iter().collect()
}

fn of_disks(instance: &Instance, field: impl Fn(&InstanceDisk) -> String) -> Vec<String> {
    instance.disks.iter().map(field).collect()
}

/// Instances in their reservations, as answers have them.
pub fn reservations(call: &Call<'_>, views: &[InstanceView], around: &Around) -> Vec<Tree> {
    let mut reservations: Vec<(ReservationId, Vec<&InstanceView>)> = Vec::new();
    for view in views {
        let id = view.instance.reservation;
        match reservations.iter_mut().find(|(known, _)| *known == id) {
            Some((_, views)) => views.push(view),
            None => reservations.push((id, vec![view])),
        }
    }
    let reservation = |(id, mut views): (ReservationId, Vec<&InstanceView>)| {
        views.sort_by_key(|view| view.instance.launch_index);
        Tree::new()
            .text("reservationId", id.written())
            .text("ownerId", call.account())
            .list("groupSet", [])
            .list("instancesSet", views.into_iter().map(|one| view(call, one, around)))
    };
    reservations.into_iter().map(reservation).collect()
}
