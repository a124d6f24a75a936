//! From a request's parameters to the core's: what CreateInstance and RunInstances have in common.

use std::net::Ipv4Addr;

use compute::charge::{Release, Subscription, Terms};
use compute::compute::{
    DiskRequest, InstanceRequest, InterfaceRequest, Launch, LaunchInterface, Launched, OwnNames,
    PublicAddress, SourceRequest,
};
use compute::lifecycle::{AfterHostReboot, OnFailure, OnPowerOff, Rules};
use compute::resource::{Cloud, MetadataOptions, Tags};
use compute::secrets::Secret;
use serde_json::json;

use super::super::access::pass_role;
use super::super::codec::base64;
use super::super::ids::CloudId;
use super::super::parameters::Parameters;
use super::super::{Call, Refusal, states, time};
use super::{image, period};

/// The cloud's types of disk. All are the same here.
pub const DISK_CATEGORIES: &[&str] = &[
    "cloud",
    "cloud_auto",
    "cloud_efficiency",
    "cloud_essd",
    "cloud_essd_entry",
    "cloud_ssd",
    "ephemeral_ssd",
];

/// Sizes of system disks, in GiB.
const SYSTEM_DISK_GIB: std::ops::RangeInclusive<u64> = 20..=2048;
/// Sizes of data disks, in GiB.
const DATA_DISK_GIB: std::ops::RangeInclusive<u64> = 1..=32768;
/// Most data disks of a request.
const MAX_DATA_DISKS: usize = 16;
/// Most bytes of user data, before it was encoded.
pub const MAX_USER_DATA: usize = 16 << 10;
/// Characters of a password that are neither letters nor digits.
const PASSWORD_SIGNS: &str = "()`~!@#$%^&*-_+=|{}[]:;'<>,.?/";

/// What would make another instance of it than can be had here.
const UNSUPPORTED: &[&str] = &[
    "DedicatedHostId",
    "DeploymentSetId",
    "HpcClusterId",
    "ImageFamily",
    "Ipv6AddressCount",
    "LaunchTemplateId",
    "LaunchTemplateName",
    "StorageSetId",
    "SystemDisk.KMSKeyId",
];

/// How many there are to be, and what is different between the two actions.
pub struct Plan {
    pub min: u32,
    pub max: u32,
    /// What each is called, where they are not all called the same.
    pub own_names: Vec<OwnNames>,
    /// Whether they are started as soon as they are there, and get their public addresses then.
    pub is_started: bool,
}

/// Launches what a request asks for, all at once.
pub async fn launch(call: &Call<'_>, operation: &'static str, plan: &Plan) -> Result<Launched, Refusal> {
    let dry_run = call.dry_run()?;
    let launch = Launch {
        account: call.account().to_owned(),
        token: call.token(operation)?,
        kinds: vec![kind(call, plan).await?],
        allowance: call.allowance().await?,
        dry_run,
    };
    let launched = call.compute().launch(&launch).await?;
    if dry_run { Err(Refusal::dry_run()) } else { Ok(launched) }
}

async fn kind(call: &Call<'_>, plan: &Plan) -> Result<InstanceRequest, Refusal> {
    let parameters = call.parameters;
    for name in UNSUPPORTED {
        if parameters.get(name).is_some() {
            return Err(Refusal::unsupported(name));
        }
    }
    for (name, only) in [("SpotStrategy", "NoSpot"), ("Tenancy", "default"), ("Affinity", "default")] {
        if parameters.get(name).is_some_and(|value| value != only) {
            return Err(Refusal::unsupported(name));
        }
    }
    for name in ["HibernationOptions.Configured", "SystemDisk.Encrypted"] {
        if parameters.flag(name)? == Some(true) {
            return Err(Refusal::unsupported(name));
        }
    }
    let image = image::find(call, parameters.required("ImageId")?).await?.id;
    let instance_type = parameters.required("InstanceType")?.to_owned();
    let role = parameters.get("RamRoleName");
    if let Some(role) = role {
        pass_role(call, role).await?;
    }
    // Of the groups that interfaces can have since, the first interface's are the instance's.
    let interfaces = parameters.groups("NetworkInterface")?;
    if interfaces.len() > 1 {
        return Err(Refusal::unsupported("NetworkInterface.2"));
    }
    let nothing = Parameters::default();
    let interface = interfaces.values().next().unwrap_or(&nothing);
    let mut groups = parameters.list("SecurityGroupIds")?.unwrap_or_default();
    groups.extend(interface.list("SecurityGroupIds")?.unwrap_or_default());
    groups.extend(
        [parameters, interface].into_iter().filter_map(|from| from.get("SecurityGroupId")).map(str::to_owned),
    );
    let security_groups = groups.iter().map(|id| CloudId::read(id)).collect::<Result<_, _>>()?;
    let subnet = parameters.get("VSwitchId").or(interface.get("VSwitchId")).map(CloudId::read).transpose()?;
    let address: Option<Ipv4Addr> = match parameters.parsed("PrivateIpAddress")? {
        None => interface.parsed("PrimaryIpAddress")?,
        address => address,
    };
    let network = bandwidths(parameters)?;
    // What has a place for a number is the name of none.
    let has_own =
        |which: fn(&OwnNames) -> &Option<String>| plan.own_names.iter().any(|own| which(own).is_some());
    Ok(InstanceRequest {
        min: plan.min,
        max: plan.max,
        cloud: Cloud::Alibaba,
        image,
        instance_type,
        name: name(parameters, "InstanceName")?.filter(|_| !has_own(|own| &own.name)).unwrap_or_default(),
        description: description(parameters)?.unwrap_or_default(),
        host_name: parameters.get("HostName").filter(|_| !has_own(|own| &own.host_name)).map(str::to_owned),
        own_names: plan.own_names.clone(),
        key_pair: parameters.get("KeyPairName").map(str::to_owned),
        password: password(parameters)?,
        user_data: user_data(parameters)?.unwrap_or_default(),
        metadata: Default::default(),
        metadata_options: metadata_options(parameters)?,
        config_drive: false,
        role: role.map(str::to_owned),
        system_disk: system_disk(parameters)?,
        disks: data_disks(parameters)?,
        without: Vec::new(),
        zone: parameters.get("ZoneId").map(str::to_owned),
        interfaces: vec![InterfaceRequest::New(LaunchInterface {
            subnet,
            address,
            security_groups,
            ..LaunchInterface::default()
        })],
        public_address: PublicAddress::asked(plan.is_started && network.outgoing > 0),
        tags: parameters.tags()?,
        volume_tags: Tags::default(),
        terms: terms(call)?,
        rules: Rules {
            start_when_created: plan.is_started,
            on_power_off: OnPowerOff::Stop,
            on_failure: OnFailure::Restart,
            after_host_reboot: AfterHostReboot::Start,
        },
        protected: parameters.flag("DeletionProtection")?.unwrap_or(false),
        dialect: json!({
            "InternetChargeType": network.charge_type,
            "InternetMaxBandwidthIn": network.incoming,
            "InternetMaxBandwidthOut": network.outgoing,
        }),
    })
}

struct Bandwidths {
    charge_type: &'static str,
    incoming: i32,
    outgoing: u32,
}

fn bandwidths(parameters: &Parameters) -> Result<Bandwidths, Refusal> {
    const CHARGE_TYPES: &[(&str, &str)] =
        &[("PayByTraffic", "PayByTraffic"), ("PayByBandwidth", "PayByBandwidth")];
    let charge_type = parameters.choice("InternetChargeType", CHARGE_TYPES)?.unwrap_or("PayByTraffic");
    let outgoing: u32 = parameters.parsed("InternetMaxBandwidthOut")?.unwrap_or(0);
    if outgoing > 100 {
        return Err(parameters.invalid("InternetMaxBandwidthOut"));
    }
    let incoming: Option<i32> = parameters.parsed("InternetMaxBandwidthIn")?;
    match incoming {
        None => Ok(Bandwidths { charge_type, incoming: -1, outgoing }),
        Some(incoming @ 1..=200) => Ok(Bandwidths { charge_type, incoming, outgoing }),
        Some(_) => Err(parameters.invalid("InternetMaxBandwidthIn")),
    }
}

/// A name of 2 to 128 characters.
pub fn name(parameters: &Parameters, parameter: &str) -> Result<Option<String>, Refusal> {
    let Some(name) = parameters.get(parameter) else { return Ok(None) };
    if (2..=128).contains(&name.chars().count()) {
        return Ok(Some(name.to_owned()));
    }
    let why = format!("The specified {parameter} is not valid: it has 2 to 128 characters.");
    Err(Refusal::new(400, format!("Invalid{parameter}.Malformed"), why))
}

/// Words of 2 to 256 characters.
pub fn description(parameters: &Parameters) -> Result<Option<String>, Refusal> {
    let Some(words) = parameters.get("Description") else { return Ok(None) };
    if (2..=256).contains(&words.chars().count()) {
        return Ok(Some(words.to_owned()));
    }
    Err(Refusal::new(
        400,
        "InvalidDescription.Malformed",
        "The specified Description is not valid: it has 2 to 256 characters.",
    ))
}

/// A password of 8 to 30 characters, of three kinds of four.
pub fn password(parameters: &Parameters) -> Result<Option<Secret>, Refusal> {
    let Some(password) = parameters.get("Password") else { return Ok(None) };
    let kinds: [fn(char) -> bool; 4] = [
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_uppercase(),
        |c| c.is_ascii_digit(),
        |c| PASSWORD_SIGNS.contains(c),
    ];
    let has = kinds.iter().filter(|is_kind| password.chars().any(is_kind)).count();
    let is_known = password.chars().all(|c| kinds.iter().any(|is_kind| is_kind(c)));
    if (8..=30).contains(&password.len()) && has >= 3 && is_known && !password.starts_with('/') {
        return Ok(Some(Secret::new(password.to_owned())));
    }
    Err(Refusal::new(400, "InvalidPassword.Malformed", "The specified parameter \"Password\" is not valid."))
}

/// User data, decoded.
pub fn user_data(parameters: &Parameters) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(text) = parameters.get("UserData") else { return Ok(None) };
    if parameters.get("IoOptimized") == Some("none") {
        let why = "The specified parameter UserData only support the vpc and IoOptimized Instance.";
        return Err(Refusal::new(400, "InvalidUserData.NotSupported", why));
    }
    let Some(bytes) = base64(text) else {
        let why = "The specified parameter UserData must be base64 encoded.";
        return Err(Refusal::new(400, "InvalidUserData.Base64FormatInvalid", why));
    };
    if bytes.len() > MAX_USER_DATA {
        let why = "The size of the specified UserData exceeds the limit of 16 KB.";
        return Err(Refusal::new(400, "InvalidUserData.SizeExceeded", why));
    }
    Ok(Some(bytes))
}

fn metadata_options(parameters: &Parameters) -> Result<MetadataOptions, Refusal> {
    let usual = MetadataOptions::default();
    let enabled = parameters.choice("HttpEndpoint", &[("enabled", true), ("disabled", false)])?;
    Ok(MetadataOptions {
        enabled: enabled.unwrap_or(usual.enabled),
        tokens: parameters.choice("HttpTokens", states::TOKENS)?.unwrap_or(usual.tokens),
        hop_limit: parameters.parsed("HttpPutResponseHopLimit")?.unwrap_or(usual.hop_limit),
        tags: usual.tags,
    })
}

/// A type of disk, or the usual one.
pub fn category(parameters: &Parameters, name: &str, code: &'static str) -> Result<String, Refusal> {
    match parameters.get(name) {
        None => Ok("cloud_efficiency".to_owned()),
        Some(category) if DISK_CATEGORIES.contains(&category) => Ok(category.to_owned()),
        Some(_) => Err(Refusal::new(400, code, format!("The specified parameter {name:?} is not valid."))),
    }
}

fn system_disk(parameters: &Parameters) -> Result<DiskRequest, Refusal> {
    let size_gib: Option<u64> = parameters.parsed("SystemDisk.Size")?;
    if size_gib.is_some_and(|gib| !SYSTEM_DISK_GIB.contains(&gib)) {
        let why = "The specified parameter \"SystemDisk.Size\" is not valid: it is 20 to 2048 GiB.";
        return Err(Refusal::new(400, "InvalidSystemDiskSize.ValueNotSupported", why));
    }
    Ok(DiskRequest {
        size_gib,
        content: SourceRequest::Blank,
        device: None,
        delete_with_instance: true,
        category: category(parameters, "SystemDisk.Category", "InvalidSystemDiskCategory.ValueNotSupported")?,
        name: parameters.get("SystemDisk.DiskName").unwrap_or_default().to_owned(),
    })
}

fn data_disks(parameters: &Parameters) -> Result<Vec<DiskRequest>, Refusal> {
    let disks = parameters.groups("DataDisk")?;
    if disks.len() > MAX_DATA_DISKS {
        return Err(parameters.invalid("DataDisk"));
    }
    disks.values().map(data_disk).collect()
}

fn data_disk(disk: &Parameters) -> Result<DiskRequest, Refusal> {
    if disk.flag("Encrypted")? == Some(true) || disk.get("KMSKeyId").is_some() {
        return Err(Refusal::unsupported("DataDisk.Encrypted"));
    }
    let content = match disk.get("SnapshotId") {
        None => SourceRequest::Blank,
        Some(snapshot) => SourceRequest::Snapshot(CloudId::read(snapshot)?),
    };
    let size_gib: Option<u64> = disk.parsed("Size")?;
    match size_gib {
        Some(gib) if !DATA_DISK_GIB.contains(&gib) => {
            let why = "The specified DataDisk.n.Size beyond the permitted range.";
            return Err(Refusal::new(400, "InvalidDataDiskSize.ValueNotSupported", why));
        }
        None if content == SourceRequest::Blank => {
            disk.required("Size")?;
        }
        Some(_) | None => {}
    }
    Ok(DiskRequest {
        size_gib,
        content,
        device: disk.get("Device").map(str::to_owned),
        delete_with_instance: disk.flag("DeleteWithInstance")?.unwrap_or(true),
        category: category(disk, "Category", "InvalidDiskCategory.ValueNotSupported")?,
        name: disk.get("DiskName").unwrap_or_default().to_owned(),
    })
}

fn terms(call: &Call<'_>) -> Result<Terms, Refusal> {
    let parameters = call.parameters;
    let is_prepaid = parameters.choice("InstanceChargeType", &[("PostPaid", false), ("PrePaid", true)])?;
    if is_prepaid != Some(true) {
        return Ok(Terms::PayAsYouGo { release: release(call)? });
    }
    if parameters.get("AutoReleaseTime").is_some() {
        return Err(Refusal::charge_type());
    }
    let period = period::bought(parameters)?;
    let auto_renew = match parameters.flag("AutoRenew")? {
        Some(true) => {
            let renewal = period::renewal(parameters, "AutoRenewPeriod")?;
            Some(renewal.unwrap_or(compute::charge::Period::Months(1)))
        }
        Some(false) | None => None,
    };
    let subscription = Subscription::new(call.now(), period, auto_renew);
    subscription
        .map(Terms::Subscription)
        .map_err(|error| Refusal::new(400, "InvalidPeriod", error.to_string()))
}

/// When an instance is to be released by itself, if a request says so.
pub fn release(call: &Call<'_>) -> Result<Option<Release>, Refusal> {
    let Some(text) = call.parameters.get("AutoReleaseTime") else { return Ok(None) };
    let at = time::read_seconds(text).and_then(|at| Release::new(at, call.now()).ok());
    let malformed = || {
        let why = "The specified parameter autoReleaseTime is not valid.";
        Refusal::new(400, "InvalidAutoReleaseTime.Malformed", why)
    };
    at.map(Some).ok_or_else(malformed)
}

/// Those of a launch, in the cloud's words.
pub fn ids(launched: &Launched) -> Vec<String> {
    launched.reservation.instances.iter().map(|id| id.written()).collect()
}
