//! An instance as DescribeInstances shows it, and the filters of its lists.

use std::collections::BTreeSet;

use compute::charge::Terms;
use compute::compute::InstanceView;
use compute::id::InstanceId;
use compute::resource::{Address, Instance, Interface};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::ids::{CloudId, some};
use super::super::parameters::Parameters;
use super::super::{Call, Refusal, states, time};
use super::describe_instance_types::family;
use super::instance_page::Of;
use super::tagged;

/// Whether a text is like a pattern, in which `*` stands for anything.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Which instances a list has.
pub struct Filter<'a> {
    /// Those of these ids, or of what is asked of interfaces; `None` for all.
    ids: Option<BTreeSet<InstanceId>>,
    status: Option<&'a str>,
    zone: Option<&'a str>,
    instance_type: Option<&'a str>,
    family: Option<&'a str>,
    image: Option<String>,
    charge_type: Option<&'a str>,
    name: Option<&'a str>,
    key_pair: Option<&'a str>,
    is_locked: Option<bool>,
    addresses: Option<Vec<String>>,
    tags: Vec<(String, Option<String>)>,
    created: (Option<Timestamp>, Option<Timestamp>),
    expires: (Option<Timestamp>, Option<Timestamp>),
    internet: Option<&'a str>,
    /// What no instance here is.
    nothing: bool,
}

const STATUSES: &[(&str, ())] =
    &[("Pending", ()), ("Starting", ()), ("Running", ()), ("Stopping", ()), ("Stopped", ())];

impl<'a> Filter<'a> {
    /// The filter of a request. All of it must be so.
    pub async fn read(call: &'a Call<'a>) -> Result<Self, Refusal> {
        let parameters = call.parameters;
        parameters.choice("Status", STATUSES)?;
        let (created, expires) = times(parameters)?;
        let image = match parameters.get("ImageId") {
            None => None,
            // An image that is gone still tells those that were launched from it.
            Some(text) => Some(match super::image::find(call, text).await {
                Ok(image) => image.id.written(),
                Err(_) => text.to_owned(),
            }),
        };
        let is_locked = match parameters.get("LockReason") {
            None => None,
            Some("financial") => Some(true),
            Some("security" | "recycling" | "dedicatedhostfinancial" | "refunded") => Some(false),
            Some(_) => return Err(parameters.invalid("LockReason")),
        };
        let is_other = |name, all: &[&str]| parameters.get(name).is_some_and(|value| !all.contains(&value));
        let nothing = is_other("InstanceNetworkType", &["vpc"])
            || is_other("IoOptimized", &["optimized", "true", "True"])
            || parameters.flag("DeviceAvailable")? == Some(false)
            || parameters.get("ResourceGroupId").is_some()
            || parameters.array("InnerIpAddresses")?.is_some_and(|inner| !inner.is_empty())
            || is_locked == Some(false);
        Ok(Self {
            ids: ids(call).await?,
            status: parameters.get("Status"),
            zone: parameters.get("ZoneId"),
            instance_type: parameters.get("InstanceType"),
            family: parameters.get("InstanceTypeFamily"),
            image,
            charge_type: parameters.get("InstanceChargeType"),
            name: parameters.get("InstanceName"),
            key_pair: parameters.get("KeyPairName"),
            is_locked,
            addresses: parameters.array("PrivateIpAddresses")?,
            tags: parameters.tag_pairs()?,
            created,
            expires,
            internet: parameters.get("InternetChargeType"),
            nothing,
        })
    }

    /// Whether it lets all instances through that are not released.
    fn is_open(&self) -> bool {
        let texts = [self.status, self.zone, self.instance_type, self.family, self.charge_type, self.name];
        !self.nothing
            && self.ids.is_none()
            && texts.iter().chain([&self.key_pair, &self.internet]).all(Option::is_none)
            && self.image.is_none()
            && self.is_locked.is_none()
            && self.addresses.is_none()
            && self.tags.is_empty()
            && self.created == (None, None)
            && self.expires == (None, None)
    }

    /// The instances that it lets some of through.
    pub fn of(&self) -> Of {
        match &self.ids {
            Some(ids) => Of::These(ids.iter().copied().collect()),
            None if self.is_open() => Of::All,
            None => Of::Passing,
        }
    }

    /// Whether it lets an instance through. One that is released is in no list.
    pub fn takes(&self, instance: &Instance) -> bool {
        let is = |wanted: Option<&str>, value: &str| wanted.is_none_or(|wanted| wanted == value);
        let within = |(from, to): (Option<Timestamp>, Option<Timestamp>), at: Option<Timestamp>| {
            from.is_none_or(|from| at.is_some_and(|at| at >= from))
                && to.is_none_or(|to| at.is_some_and(|at| at <= to))
        };
        let Some(status) = states::instance(instance.state()) else { return false };
        let address = instance.private_address.map(|address| address.to_string()).unwrap_or_default();
        !self.nothing
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&instance.id))
            && is(self.status, status)
            && is(self.zone, &instance.zone)
            && is(self.instance_type, &instance.instance_type)
            && is(self.family, family(&instance.instance_type))
            && is(self.image.as_deref(), &instance.image.written())
            && is(self.charge_type, charge_type(instance))
            && is(self.key_pair, instance.key_pair.as_ref().map_or("", |key| &key.name))
            && is(self.internet, instance.dialect["InternetChargeType"].as_str().unwrap_or("PayByTraffic"))
            && self.name.is_none_or(|name| is_like(&shown_name(instance), name))
            && self.is_locked.is_none_or(|locked| states::is_locked(instance.state()) == locked)
            && self.addresses.as_ref().is_none_or(|wanted| wanted.contains(&address))
            && tagged::has(&instance.tags, &self.tags)
            && within(self.created, Some(instance.created))
            && within(self.expires, expires(instance))
    }
}

/// The name of an instance that was given none is its id.
fn shown_name(instance: &Instance) -> String {
    if instance.name.is_empty() { instance.id.written() } else { instance.name.clone() }
}

/// How an instance is paid for, in the cloud's words.
pub fn charge_type(instance: &Instance) -> &'static str {
    match instance.terms {
        Terms::PayAsYouGo { .. } => "PostPaid",
        Terms::Subscription(_) => "PrePaid",
    }
}

fn expires(instance: &Instance) -> Option<Timestamp> {
    instance.terms.expires().or_else(|| time::read_minutes(time::NEVER))
}

type Range = (Option<Timestamp>, Option<Timestamp>);

/// When instances are to have been created, and when they are to expire. Any place of the list may say any of it.
fn times(parameters: &Parameters) -> Result<(Range, Range), Refusal> {
    let (mut created, mut expires): (Range, Range) = Default::default();
    for filter in parameters.groups("Filter")?.into_values() {
        let (Some(key), Some(value)) = (filter.get("Key"), filter.get("Value")) else { continue };
        let place = match key {
            "CreationStartTime" => &mut created.0,
            "CreationEndTime" => &mut created.1,
            "ExpiredStartTime" => &mut expires.0,
            "ExpiredEndTime" => &mut expires.1,
            _ => return Err(filter.invalid("Key")),
        };
        *place = Some(time::read_minutes(value).ok_or_else(|| filter.invalid("Value"))?);
    }
    Ok((created, expires))
}

/// The instances that ids, networks, groups and public addresses leave; `None` where none of these is asked for.
async fn ids(call: &Call<'_>) -> Result<Option<BTreeSet<InstanceId>>, Refusal> {
    let (parameters, account) = (call.parameters, call.account());
    let mut left: Option<BTreeSet<InstanceId>> =
        parameters.array("InstanceIds")?.map(|ids| some::<compute::id::Instance>(&ids).into_iter().collect());
    let (vpc, subnet) = (parameters.get("VpcId"), parameters.get("VSwitchId"));
    let group = parameters.get("SecurityGroupId");
    if vpc.is_some() || subnet.is_some() || group.is_some() {
        let mut found = BTreeSet::new();
        // What has not the form of an id is in no network.
        let is_in = |interface: &Interface| {
            vpc.is_none_or(|vpc| interface.vpc.written() == vpc)
                && subnet.is_none_or(|subnet| interface.subnet.written() == subnet)
                && group.is_none_or(|group| interface.security_groups.iter().any(|id| id.written() == group))
        };
        let mut after: Option<String> = None;
        loop {
            let page = call.compute().interfaces(account, after.as_deref(), usize::MAX, is_in).await?;
            found.extend(page.items.iter().filter_map(|interface| interface.instance));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        narrow(&mut left, found);
    }
    for (name, is_own) in [("PublicIpAddresses", true), ("EipAddresses", false)] {
        let Some(wanted) = parameters.array(name)? else { continue };
        let addresses = call.compute().addresses_by_interface(account).await?;
        let mut found = BTreeSet::new();
        for (interface, address) in addresses {
            if address.release_with_interface == is_own && wanted.contains(&address.address.to_string()) {
                found.extend(call.compute().interface(account, interface).await?.instance);
            }
        }
        narrow(&mut left, found);
    }
    Ok(left)
}

fn narrow(left: &mut Option<BTreeSet<InstanceId>>, found: BTreeSet<InstanceId>) {
    *left = Some(match left.take() {
        None => found,
        Some(before) => before.intersection(&found).copied().collect(),
    });
}

/// The instance as lists show it.
pub fn view(call: &Call<'_>, view: &InstanceView) -> Value {
    let instance = &view.instance;
    let first = view.interfaces.first();
    let public = first.and_then(|(_, public)| public.as_ref());
    let (own, eip): (Vec<&Address>, Vec<&Address>) =
        public.into_iter().partition(|public| public.release_with_interface);
    let release = match &instance.terms {
        Terms::PayAsYouGo { release } => release.map(|release| time::minutes(release.at())),
        Terms::Subscription(_) => None,
    };
    let groups: Vec<String> = first
        .map(|(interface, _)| interface.security_groups.iter().map(|id| id.written()).collect())
        .unwrap_or_default();
    let interfaces: Vec<Value> = view.interfaces.iter().map(|(interface, _)| nic(interface)).collect();
    let addresses: Vec<String> = instance.private_address.iter().map(ToString::to_string).collect();
    let locks: Vec<Value> = states::is_locked(instance.state())
        .then(|| json!({ "LockReason": "financial" }))
        .into_iter()
        .collect();
    json!({
        "InstanceId": instance.id.written(),
        "InstanceName": shown_name(instance),
        "Description": instance.description,
        "HostName": instance.host_name,
        "Hostname": instance.host_name,
        "Status": states::instance(instance.state()),
        "RegionId": call.region(),
        "ZoneId": instance.zone,
        "ClusterId": "",
        "ImageId": instance.image.written(),
        "InstanceType": instance.instance_type,
        "InstanceTypeFamily": family(&instance.instance_type),
        "Cpu": instance.vcpus,
        "CPU": instance.vcpus,
        "Memory": instance.memory_mib,
        "OSType": "linux",
        "OSName": "Linux",
        "IoOptimized": true,
        "SerialNumber": instance.id.written(),
        "CreationTime": time::minutes(instance.created),
        "StartTime": instance.started.map(time::minutes).unwrap_or_default(),
        "ExpiredTime": instance.terms.expires().map_or_else(|| time::NEVER.to_owned(), time::minutes),
        "AutoReleaseTime": release.unwrap_or_default(),
        "InstanceChargeType": charge_type(instance),
        "InternetChargeType": instance.dialect["InternetChargeType"].as_str().unwrap_or("PayByTraffic"),
        "InternetMaxBandwidthIn": instance.dialect["InternetMaxBandwidthIn"].as_i64().unwrap_or(-1),
        "InternetMaxBandwidthOut": instance.dialect["InternetMaxBandwidthOut"].as_i64().unwrap_or(0),
        "SaleCycle": "",
        "SpotStrategy": "NoSpot",
        "StoppedMode": "Not-applicable",
        "DeviceAvailable": true,
        "DeletionProtection": instance.protected,
        "InstanceNetworkType": "vpc",
        "VlanId": "",
        "KeyPairName": instance.key_pair.as_ref().map_or("", |key| &key.name),
        "ResourceGroupId": "",
        "CreditSpecification": "",
        "LocalStorageCapacity": 0,
        "SecurityGroupIds": { "SecurityGroupId": groups },
        "PublicIpAddress": { "IpAddress": own.iter().map(|own| own.address.to_string()).collect::<Vec<_>>() },
        "InnerIpAddress": { "IpAddress": [] },
        "VpcAttributes": {
            "VpcId": first.map(|(interface, _)| interface.vpc.written()).unwrap_or_default(),
            "VSwitchId": first.map(|(interface, _)| interface.subnet.written()).unwrap_or_default(),
            "NatIpAddress": "",
            "PrivateIpAddress": { "IpAddress": addresses },
        },
        "EipAddress": eip_view(eip.first().copied()),
        "OperationLocks": { "LockReason": locks },
        "Tags": { "Tag": tagged::view(&instance.tags) },
        "NetworkInterfaces": { "NetworkInterface": interfaces },
        "MetadataOptions": {
            "HttpEndpoint": if instance.metadata_options.enabled { "enabled" } else { "disabled" },
            "HttpTokens": states::tokens(instance.metadata_options.tokens),
            "HttpPutResponseHopLimit": instance.metadata_options.hop_limit,
        },
    })
}

fn eip_view(eip: Option<&Address>) -> Value {
    json!({
        "AllocationId": eip.map(|eip| eip.id.written()).unwrap_or_default(),
        "IpAddress": eip.map(|eip| eip.address.to_string()).unwrap_or_default(),
        "InternetChargeType": eip.map_or("", |_| "PayByTraffic"),
        "Bandwidth": eip.map_or(0, |eip| eip.bandwidth_mbps),
        "IsSupportUnassociate": eip.is_some(),
    })
}

fn nic(interface: &Interface) -> Value {
    json!({
        "NetworkInterfaceId": interface.id.written(),
        "PrimaryIpAddress": interface.address.to_string(),
        "MacAddress": interface.mac.map(|byte| format!("{byte:02x}")).join(":"),
        "Type": if interface.index == 0 { "Primary" } else { "Secondary" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (text, pattern, expected) in [
            ("web-1", "web-1", true),
            ("web-1", "web", false),
            ("web-1", "web*", true),
            ("web-1", "*", true),
            ("web-1", "*-1", true),
            ("web-1", "w*b*1", true),
            ("web-1", "w*x*1", false),
            ("ab", "ab*b", false),
            ("", "*", true),
            ("é*", "é*", true),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }
}
