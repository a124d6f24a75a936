//! The core's records as the API shows them, and the API's words as the core takes them. Texts that another API gave to a
//! resource, and that this one's types do not take, are shown as near to it as they can be: a list is never refused for one.

use std::collections::BTreeMap;
use std::fmt::Display;

use compute::access::BuiltIn;
use compute::capacity::Amounts;
use compute::charge::{self, Release, Terms};
use compute::compute::{ComputeError, InstanceView};
use compute::identity;
use compute::lifecycle;
use compute::outside::{GroupCounts, Traffic};
use compute::resource;
use compute::store::Revision;
use ipnet::Ipv4Net;
use jiff::Timestamp;
use native_api as api;
use native_api::{ErrorBody, ErrorCode};

use super::states;

/// A text that is sure to have the form: an id of the core's, an address.
pub fn text<T: TryFrom<String>>(value: impl Display) -> T {
    let text = value.to_string();
    T::try_from(text).ok().expect("the core's ids have the contract's form")
}

/// A text that users chose, perhaps through another API.
pub fn fitted<T: TryFrom<String>>(text: &str, max: usize, otherwise: &str) -> T {
    let printable = || text.chars().filter(|letter| !letter.is_control()).take(max).collect::<String>();
    let plain = || {
        let letters = text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' });
        letters.take(max).collect::<String>().trim_matches('-').to_owned()
    };
    T::try_from(text.to_owned())
        .or_else(|_| T::try_from(printable()))
        .or_else(|_| T::try_from(plain()))
        .or_else(|_| T::try_from(otherwise.to_owned()))
        .ok()
        .expect("what is shown instead has the form")
}

/// A text that may be missing, which the core keeps as an empty one.
pub fn some<T: TryFrom<String>>(text: &str, max: usize) -> Option<T> {
    if text.is_empty() { None } else { Some(fitted(text, max, "unnamed")) }
}

fn name(text: &str) -> Option<api::ResourceName> {
    some(text, 128)
}

fn description(text: &str) -> Option<api::Description> {
    some(text, 255)
}

/// A name of ours as the core keeps it.
pub fn words(text: Option<impl Into<String>>) -> String {
    text.map(Into::into).unwrap_or_default()
}

/// Tags as they are shown.
pub fn tags(tags: resource::Tags) -> api::Tags {
    let shown: BTreeMap<_, _> = (tags.0.into_iter())
        .map(|(key, value)| {
            (fitted::<api::TagKey>(&key.replace('=', "-"), 128, "tag"), fitted(&value, 256, ""))
        })
        .collect();
    shown.try_into().unwrap_or_default()
}

/// Tags as they are kept.
pub fn new_tags(tags: &api::Tags) -> resource::Tags {
    let pairs = tags.get().iter().map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned()));
    resource::Tags(pairs.collect())
}

/// Whether tags meet each filter.
pub fn has_tags(tags: &resource::Tags, filters: &[api::TagFilter]) -> bool {
    filters.iter().all(|filter| match filter.as_str().split_once('=') {
        Some((key, value)) => tags.0.get(key).is_some_and(|known| known == value),
        None => tags.0.contains_key(filter.as_str()),
    })
}

/// Whether a name is the one asked for, if one is.
pub fn is_named(name: &str, wanted: Option<&api::ResourceName>) -> bool {
    wanted.is_none_or(|wanted| wanted.as_str() == name)
}

/// A revision.
pub fn revision(revision: Revision) -> api::Revision {
    revision.0.min(api::Revision::MAX.get()).try_into().expect("it is within bounds")
}

/// A size in GiB.
pub fn gib(gib: u64) -> api::SizeGib {
    let within = gib.clamp(api::SizeGib::MIN.get().into(), api::SizeGib::MAX.get().into());
    within.try_into().expect("it is within bounds")
}

fn mib(mib: u64) -> api::SizeMib {
    let within = mib.clamp(api::SizeMib::MIN.get().into(), api::SizeMib::MAX.get().into());
    within.try_into().expect("it is within bounds")
}

/// An id of the contract's as the core's. Both have the same form.
pub fn id<T: std::str::FromStr>(text: impl AsRef<str>) -> T {
    text.as_ref().parse().ok().expect("the contract's ids have the core's form")
}

/// An account of the contract's. It may have more digits than one here ever has.
pub fn account(id: &api::AccountId) -> Result<identity::AccountId, ErrorBody> {
    id.as_str().parse().map_err(|_| {
        ErrorCode::NotFound.body(format!("there is no account {id}"), "an account is twelve digits")
    })
}

/// An instance.
pub fn instance(view: InstanceView) -> api::Instance {
    let InstanceView { instance, modified, disk_gib, interfaces } = view;
    let state = states::instance(instance.state());
    let interfaces: Vec<api::InstanceInterface> = (0..)
        .zip(interfaces)
        .map(|(index, (it, public))| api::InstanceInterface {
            index,
            id: text(it.id),
            mac: mac(it.mac),
            vpc: text(it.vpc),
            subnet: text(it.subnet),
            private_address: it.address,
            public_address: public.as_ref().map(|public| public.address),
            address: public.filter(|public| !public.release_with_interface).map(|public| text(public.id)),
            security_groups: it.security_groups.into_iter().map(text).collect(),
        })
        .collect();
    let disks = instance
        .disks
        .iter()
        .zip(disk_gib)
        .map(|(disk, size)| api::InstanceDisk {
            device: device(&disk.device),
            volume: text(disk.volume),
            size_gib: gib(size),
            delete_with_instance: disk.delete_with_instance,
        })
        .collect();
    api::Instance {
        id: text(instance.id),
        account: text(&instance.account),
        reservation: text(instance.reservation),
        launch_index: instance.launch_index,
        name: name(&instance.name),
        state,
        state_reason: instance.reason.map(|reason| reason.message),
        revision: revision(modified),
        image: text(instance.image),
        instance_type: fitted(&instance.instance_type, 40, "unknown"),
        vcpus: instance.vcpus,
        memory_mib: mib(instance.memory_mib),
        key_pair: instance.key_pair.and_then(|key| some(&key.name, 64)),
        host_name: fitted(&instance.host_name, 63, "unnamed"),
        zone: fitted(&instance.zone, 64, "unknown"),
        disks,
        private_address: instance.private_address,
        public_address: interfaces.first().and_then(|first| first.public_address),
        network_interfaces: interfaces,
        tags: tags(instance.tags),
        rules: rules(instance.rules),
        charge: charge(&instance.terms),
        role: instance.role.and_then(|role| some(&role, 64)),
        metadata_options: metadata_options(instance.metadata_options),
        cloud: states::cloud(instance.cloud),
        config_drive: instance.config_drive,
        product_codes: instance.product_codes.iter().map(|code| fitted(code, 64, "unknown")).collect(),
        created_at: instance.created,
        started_at: instance.started,
        terminated_at: instance.ended,
    }
}

/// What guests call a disk.
fn device(device: &str) -> String {
    resource::bare_device(device).to_owned()
}

fn mac(octets: [u8; 6]) -> api::MacAddress {
    let [a, b, c, d, e, f] = octets;
    text(format_args!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"))
}

fn rules(rules: lifecycle::Rules) -> api::Rules {
    api::Rules {
        start: rules.start_when_created,
        on_power_off: states::on_power_off(rules.on_power_off),
        on_failure: states::on_failure(rules.on_failure),
        after_host_reboot: states::after_host_reboot(rules.after_host_reboot),
    }
}

/// Rules that were asked for.
pub fn new_rules(rules: api::Rules) -> lifecycle::Rules {
    lifecycle::Rules {
        start_when_created: rules.start,
        on_power_off: states::new_on_power_off(rules.on_power_off),
        on_failure: states::new_on_failure(rules.on_failure),
        after_host_reboot: states::new_after_host_reboot(rules.after_host_reboot),
    }
}

fn metadata_options(options: resource::MetadataOptions) -> api::MetadataOptions {
    let hops = u64::from(options.hop_limit);
    let hops = hops.clamp(api::HopLimit::MIN.get().into(), api::HopLimit::MAX.get().into());
    api::MetadataOptions {
        enabled: options.enabled,
        tokens: states::metadata_tokens(options.tokens),
        hop_limit: hops.try_into().expect("it is within bounds"),
        tags: options.tags,
    }
}

/// How a guest is to get at its metadata.
pub fn new_metadata_options(options: api::MetadataOptions) -> resource::MetadataOptions {
    resource::MetadataOptions {
        enabled: options.enabled,
        tokens: states::new_metadata_tokens(options.tokens),
        hop_limit: options.hop_limit.get(),
        tags: options.tags,
    }
}

fn charge(terms: &Terms) -> api::ChargeState {
    match terms {
        Terms::PayAsYouGo { release } => {
            api::ChargeState::PayAsYouGo(api::PayAsYouGo { release_at: release.map(Release::at) })
        }
        Terms::Subscription(subscription) => api::ChargeState::Subscription(api::Subscription {
            expires_at: subscription.expires(),
            auto_renew: subscription.auto_renew.map(period),
        }),
    }
}

fn period(period: charge::Period) -> api::Period {
    let count = |count: u32| {
        let within = u64::from(count.clamp(1, api::PeriodCount::MAX.get()));
        within.try_into().expect("it is within bounds")
    };
    match period {
        charge::Period::Weeks(weeks) => api::Period::Weeks(count(weeks)),
        charge::Period::Months(months) => api::Period::Months(count(months)),
    }
}

/// A period that was asked for.
pub fn new_period(period: api::Period) -> charge::Period {
    match period {
        api::Period::Weeks(weeks) => charge::Period::Weeks(weeks.get()),
        api::Period::Months(months) => charge::Period::Months(months.get()),
    }
}

/// Terms that were asked for.
pub fn new_terms(charge: &api::Charge, now: Timestamp) -> Result<Terms, ComputeError> {
    match charge {
        api::Charge::PayAsYouGo(pay) => Ok(Terms::PayAsYouGo { release: release(pay.release_at, now)? }),
        api::Charge::Subscription(new) => {
            let auto_renew = new.auto_renew.map(new_period);
            let subscription = charge::Subscription::new(now, new_period(new.period), auto_renew);
            let invalid = |error: charge::RenewError| ComputeError::invalid("charge", error.to_string());
            subscription.map(Terms::Subscription).map_err(invalid)
        }
    }
}

/// A time of release that was asked for.
pub fn release(at: Option<Timestamp>, now: Timestamp) -> Result<Option<Release>, ComputeError> {
    let release = at.map(|at| Release::new(at, now)).transpose();
    release.map_err(|error| ComputeError::invalid("release_at", error.to_string()))
}

/// A reservation.
pub fn reservation(it: resource::Reservation) -> api::Reservation {
    api::Reservation {
        id: text(it.id),
        account: text(it.account),
        created_at: it.created,
        instances: it.instances.into_iter().map(text).collect(),
    }
}

/// An image, as `account` sees it; `None` if it was deregistered.
pub fn image(it: resource::Image, account: &str) -> Option<api::Image> {
    let is_own = it.account == account;
    Some(api::Image {
        id: text(it.id),
        account: text(&it.account),
        name: fitted(&it.name, 128, "unnamed"),
        description: description(&it.description),
        state: states::image(it.state)?,
        job: it.job.filter(|_| is_own).map(text),
        architecture: states::architecture(it.architecture),
        boot: match it.boot {
            resource::ImageBoot::Disk {} => api::BootKind::Disk,
            resource::ImageBoot::Kernel { .. } => api::BootKind::Kernel,
        },
        bytes: it.disk.as_ref().map(|disk| disk.bytes),
        sha256: it.disk.and_then(|disk| disk.sha256.try_into().ok()),
        data_disks: it.data_disks.iter().map(image_disk).collect(),
        public: it.public,
        launch_permissions: is_own.then(|| it.launch_permissions.iter().map(text).collect()),
        product_codes: it.product_codes.iter().map(|code| fitted(code, 64, "unknown")).collect(),
        tags: if is_own { tags(it.tags) } else { api::Tags::default() },
        created_at: it.created,
    })
}

fn image_disk(it: &resource::ImageDisk) -> api::ImageDisk {
    api::ImageDisk {
        device: device(&it.device),
        snapshot: it.snapshot.map(text),
        size_gib: gib(it.size_mib.div_ceil(1024)),
        delete_with_instance: it.delete_with_instance,
    }
}

/// A volume; why it failed is in its job.
pub fn volume(it: resource::Volume, state_reason: Option<String>) -> api::Volume {
    let size = it.size_gib();
    api::Volume {
        id: text(it.id),
        account: text(&it.account),
        name: name(&it.name),
        state: states::volume(it.state),
        state_reason,
        size_gib: gib(size),
        volume_type: api::VolumeType::Local,
        zone: fitted(&it.zone, 64, "unknown"),
        snapshot: match it.content {
            compute::outside::DiskContent::Snapshot { snapshot } => Some(text(snapshot)),
            _ => None,
        },
        image: it.image.map(text),
        attachment: it.attachment.map(|attachment| api::Attachment {
            instance: text(attachment.instance),
            device: device(&attachment.device),
            delete_with_instance: attachment.delete_with_instance,
            attached_at: attachment.since,
        }),
        tags: tags(it.tags),
        created_at: it.created,
    }
}

/// A snapshot; why it failed is in its job.
pub fn snapshot(it: resource::Snapshot, state_reason: Option<String>) -> api::Snapshot {
    api::Snapshot {
        id: text(it.id),
        account: text(&it.account),
        name: name(&it.name),
        description: description(&it.description),
        state: states::snapshot(it.state),
        state_reason,
        volume: text(it.volume),
        size_gib: gib(it.size_mib.div_ceil(1024)),
        tags: tags(it.tags),
        created_at: it.created,
    }
}

/// A key pair.
pub fn key_pair(it: resource::KeyPair) -> api::KeyPair {
    api::KeyPair {
        id: text(it.id),
        name: fitted(&it.name, 64, "unnamed"),
        algorithm: states::algorithm(it.public_key.algorithm()),
        public_key: it.public_key.to_string(),
        fingerprints: api::Fingerprints {
            md5: it.fingerprints.md5,
            sha256: it.fingerprints.sha256,
            der_md5: it.fingerprints.der_md5,
            private_sha1: it.fingerprints.private_sha1,
        },
        tags: tags(it.tags),
        created_at: it.created,
    }
}

/// A VPC.
pub fn vpc(it: resource::Vpc) -> api::Vpc {
    api::Vpc {
        id: text(it.id),
        account: text(it.account),
        name: name(&it.name),
        description: description(&it.description),
        cidr: text(it.cidr),
        is_default: it.is_default,
        tags: tags(it.tags),
        created_at: it.created,
    }
}

/// A subnet, with how many addresses are taken in it.
pub fn subnet(it: resource::Subnet, taken: u64) -> api::Subnet {
    let all = it.assignable();
    api::Subnet {
        id: text(it.id),
        account: text(&it.account),
        vpc: text(it.vpc),
        name: name(&it.name),
        description: description(&it.description),
        cidr: text(it.cidr),
        zone: fitted(&it.zone, 64, "unknown"),
        private: it.private,
        free_addresses: u64::from(all.end.saturating_sub(all.start)).saturating_sub(taken),
        is_default: it.is_default,
        tags: tags(it.tags),
        created_at: it.created,
    }
}

/// A network interface, with its public address.
pub fn interface(it: resource::Interface, public: Option<&resource::Address>) -> api::NetworkInterface {
    api::NetworkInterface {
        id: text(it.id),
        account: text(&it.account),
        name: name(&it.name),
        description: description(&it.description),
        vpc: text(it.vpc),
        subnet: text(it.subnet),
        mac: mac(it.mac),
        private_address: it.address,
        public_address: public.map(|public| public.address),
        address: public.filter(|public| !public.release_with_interface).map(|public| text(public.id)),
        security_groups: it.security_groups.into_iter().map(text).collect(),
        index: it.instance.map(|_| it.index),
        instance: it.instance.map(text),
        delete_with_instance: it.delete_with_instance && it.instance.is_some(),
        tags: tags(it.tags),
        created_at: it.created,
    }
}

/// A security group.
pub fn security_group(it: resource::SecurityGroup) -> api::SecurityGroup {
    api::SecurityGroup {
        id: text(it.id),
        account: text(&it.account),
        vpc: text(it.vpc),
        is_default: it.name == "default",
        name: fitted(&it.name, 128, "unnamed"),
        description: description(&it.description),
        rules: it.rules.into_iter().map(rule).collect(),
        tags: tags(it.tags),
        created_at: it.created,
    }
}

/// What a security group's rules did.
pub fn counts(group: resource::SecurityGroup, counts: GroupCounts) -> api::SecurityGroupCounts {
    let traffic = |it: Traffic| api::Traffic { packets: it.packets, bytes: it.bytes };
    let rules = group.rules.into_iter().zip(counts.rules);
    api::SecurityGroupCounts {
        rules: rules
            .map(|(it, passed)| api::SecurityRuleCount { rule: rule(it), passed: traffic(passed) })
            .collect(),
        dropped_ingress: traffic(counts.dropped_in),
        dropped_egress: traffic(counts.dropped_out),
    }
}

fn rule(rule: resource::SecurityRule) -> api::SecurityRule {
    let range = |from: u16, to: u16| {
        let port = |port: u16| u64::from(port).try_into().expect("a port is within bounds");
        Some(api::PortRange { from: port(from), to: port(to) })
    };
    let (protocol, ports) = match rule.protocol {
        resource::Protocol::All => (api::Protocol::All, None),
        resource::Protocol::Tcp { from: 0, to: u16::MAX } => (api::Protocol::Tcp, None),
        resource::Protocol::Tcp { from, to } => (api::Protocol::Tcp, range(from, to)),
        resource::Protocol::Udp { from: 0, to: u16::MAX } => (api::Protocol::Udp, None),
        resource::Protocol::Udp { from, to } => (api::Protocol::Udp, range(from, to)),
        resource::Protocol::Icmp { kind: None, .. } => (api::Protocol::Icmp, None),
        resource::Protocol::Icmp { kind: Some(kind), code } => {
            (api::Protocol::Icmp, range(kind.into(), code.map_or(ANY_CODE, u16::from)))
        }
    };
    api::SecurityRule {
        direction: states::direction(rule.direction),
        protocol,
        ports,
        peer: match rule.peer {
            resource::Peer::Cidr(cidr) => api::Peer::Cidr(text(cidr)),
            resource::Peer::Group { group, .. } => api::Peer::SecurityGroup(text(group)),
        },
        verdict: api::Verdict::Accept,
        priority: api::Priority::default(),
        description: description(&rule.description),
    }
}

/// What the contract writes for every code of an ICMP type.
const ANY_CODE: u16 = u16::MAX;

/// A rule that was asked for.
pub fn new_rule(rule: &api::SecurityRule, account: &str) -> Result<resource::SecurityRule, ComputeError> {
    let invalid = |why: &str| Err(ComputeError::invalid("rules", why));
    // What no rule allows is dropped, so that neither says anything yet that a rule less would not.
    if rule.verdict == api::Verdict::Drop || rule.priority != api::Priority::default() {
        return invalid("of verdict `drop` or with a priority are not taken: what no rule allows is dropped");
    }
    let ports = rule.ports.map(|ports| (ports.from.get(), ports.to.get()));
    let (from, to) = ports.unwrap_or((0, u16::MAX));
    let byte = |number: u16| u8::try_from(number).ok();
    let protocol = match rule.protocol {
        api::Protocol::All if ports.is_some() => return invalid("of every protocol have no ports"),
        api::Protocol::All => resource::Protocol::All,
        api::Protocol::Tcp => resource::Protocol::Tcp { from, to },
        api::Protocol::Udp => resource::Protocol::Udp { from, to },
        api::Protocol::Icmp if ports.is_none() => resource::Protocol::Icmp { kind: None, code: None },
        api::Protocol::Icmp => match (byte(from), byte(to)) {
            (Some(kind), code) if code.is_some() || to == ANY_CODE => {
                resource::Protocol::Icmp { kind: Some(kind), code }
            }
            _ => return invalid("of ICMP have a type and a code up to 255, or 65535 for every code"),
        },
    };
    let peer = match &rule.peer {
        api::Peer::Cidr(cidr) => {
            let cidr: Ipv4Net = id(cidr);
            if cidr.addr() != cidr.network() {
                let why = format!("{cidr} has bits behind its mask: {} is meant", cidr.trunc());
                return Err(ComputeError::invalid("rules", why));
            }
            resource::Peer::Cidr(cidr)
        }
        api::Peer::SecurityGroup(group) => {
            resource::Peer::Group { account: account.to_owned(), group: id(group) }
        }
    };
    let direction = states::new_direction(rule.direction);
    let description = rule.description.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default();
    Ok(resource::SecurityRule { direction, protocol, peer, description, id: None })
}

/// A public address, with the instance that its interface is of.
pub fn address(it: resource::Address, instance: Option<compute::id::InstanceId>) -> api::Address {
    api::Address {
        id: text(it.id),
        account: text(&it.account),
        name: name(&it.name),
        public_address: it.address,
        instance: instance.map(text),
        network_interface: it.interface.map(text),
        tags: tags(it.tags),
        created_at: it.created,
    }
}

/// A job, if it is one that is shown; `bytes` is the size of what it made.
pub fn job(it: resource::Job, bytes: Option<u64>) -> Option<api::Job> {
    let (kind, image) = match &it.kind {
        resource::JobKind::ImportImage { image, .. } => (api::JobKind::ImportImage, image),
        resource::JobKind::CopyImage { image, .. } => (api::JobKind::CreateImage, image),
        _ => return None,
    };
    let image = Some(text(image));
    let (state, done_bytes, total_bytes, error) = match it.state {
        resource::JobState::Running { done } => {
            (api::JobState::Running, done.bytes, Some(done.of).filter(|of| *of > 0), None)
        }
        resource::JobState::Succeeded {} => (api::JobState::Succeeded, bytes.unwrap_or(0), bytes, None),
        resource::JobState::Failed(error) => {
            let code = match error.code.as_str() {
                "refused" => ErrorCode::InvalidParameter,
                "exhausted" => ErrorCode::StorageFull,
                _ => ErrorCode::Internal,
            };
            let error = code.body(error.message, "put that right, then ask anew");
            (api::JobState::Failed, 0, None, Some(error))
        }
    };
    Some(api::Job {
        id: text(it.id),
        account: text(&it.account),
        kind,
        state,
        done_bytes,
        total_bytes,
        error,
        image,
        created_at: it.created,
        ended_at: it.ended,
    })
}

/// An account.
pub fn an_account(it: identity::Account) -> api::Account {
    api::Account {
        id: text(it.id),
        name: fitted(&it.name, 128, "unnamed"),
        enabled: it.is_enabled,
        quotas: quotas(it.quotas),
        created_at: it.created,
    }
}

fn quotas(amounts: Amounts) -> api::Quotas {
    let quota = |amount: u64| amount.try_into().ok();
    api::Quotas {
        instances: quota(amounts.instances),
        vcpus: quota(amounts.vcpus),
        memory_mib: quota(amounts.memory_mib),
        disk_gib: quota(amounts.disk_gib),
    }
}

/// Quotas that were asked for.
pub fn new_quotas(quotas: api::Quotas) -> Amounts {
    let amount = |quota: Option<api::Quota>| quota.map_or(u64::MAX, api::Quota::get);
    Amounts {
        instances: amount(quotas.instances),
        vcpus: amount(quotas.vcpus),
        memory_mib: amount(quotas.memory_mib),
        disk_gib: amount(quotas.disk_gib),
    }
}

/// Amounts of the host.
pub fn amounts(amounts: Amounts) -> api::Amounts {
    api::Amounts {
        instances: Some(amounts.instances).filter(|instances| *instances != u64::MAX),
        vcpus: amounts.vcpus,
        memory_mib: amounts.memory_mib,
        disk_gib: amounts.disk_gib,
    }
}

fn policies(policies: &[identity::PolicyRef]) -> Vec<api::PrincipalName> {
    policies.iter().map(|policy| fitted(policy.name(), 64, "unnamed")).collect()
}

/// A user.
pub fn user(it: identity::User, account: identity::AccountId) -> api::User {
    api::User {
        name: fitted(&it.name, 64, "unnamed"),
        account: text(account),
        description: description(&it.description),
        policies: policies(&it.policies),
        created_at: it.created,
    }
}

/// A role.
pub fn role(it: identity::Role) -> api::Role {
    let seconds = it.max_session_s.clamp(api::SessionSeconds::MIN.get(), api::SessionSeconds::MAX.get());
    api::Role {
        name: fitted(&it.name, 64, "unnamed"),
        account: text(it.account),
        description: description(&it.description),
        trust_policy: fitted(it.trust.text(), 6144, "{}"),
        max_session_seconds: u64::from(seconds).try_into().expect("it is within bounds"),
        policies: policies(&it.policies),
        created_at: it.created,
    }
}

/// A policy of the account.
pub fn policy(it: identity::Policy) -> api::Policy {
    api::Policy {
        name: fitted(&it.name, 64, "unnamed"),
        description: description(&it.description),
        built_in: false,
        document: fitted(it.document.text(), 6144, "{}"),
        created_at: Some(it.created),
    }
}

/// A policy that every account has.
pub fn built_in(it: &BuiltIn) -> api::Policy {
    let (name, document) = (fitted(it.name, 64, "unnamed"), fitted(it.text, 6144, "{}"));
    api::Policy { name, description: None, built_in: true, document, created_at: None }
}

/// An access key.
pub fn access_key(it: identity::AccessKey) -> api::AccessKey {
    api::AccessKey {
        id: text(it.id),
        account: text(it.account),
        user: match it.owner {
            identity::KeyOwner::Root => None,
            identity::KeyOwner::User(name) => some(&name, 64),
        },
        active: it.status == identity::Status::Active,
        created_at: it.created,
    }
}

/// A certificate.
pub fn certificate(it: identity::Certificate) -> api::Certificate {
    api::Certificate {
        fingerprint: text(it.fingerprint),
        account: text(it.account),
        pem: it.pem,
        created_at: it.created,
    }
}

/// A stretch of use.
pub fn usage(
    instance: compute::id::InstanceId,
    account: &str,
    usage: &charge::Usage,
    hours: u64,
) -> api::UsageRecord {
    api::UsageRecord {
        instance: text(instance),
        account: text(account),
        instance_type: fitted(&usage.instance_type, 40, "unknown"),
        product_codes: usage.product_codes.iter().map(|code| fitted(code, 64, "unknown")).collect(),
        since: usage.since(),
        until: usage.until(),
        hours,
    }
}
