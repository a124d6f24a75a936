//! RunInstances: launches instances of one kind, as many as there is room for, or none.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html>

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::charge::Terms;
use compute::compute::{ComputeError, InstanceRequest, Launch, MAX_LAUNCH};
use compute::id::ImageId;
use compute::lifecycle::{AfterHostReboot, OnFailure, OnPowerOff, Rules};
use compute::resource::{Cloud, MetadataChange, MetadataOptions};
use serde_json::json;

use super::super::access::pass_role;
use super::super::ids::CloudId;
use super::super::parameters::Parameters;
use super::super::xml::Tree;
use super::super::{Call, Refusal, states, tags};
use super::devices::{self, LaunchDisks};
use super::instance::{self, Around};
use super::{launch_interfaces, words};

/// Most bytes of user data, before it was encoded.
const MAX_USER_DATA: usize = 16 << 10;

/// Most characters of the core's name of an instance.
const MAX_NAME: usize = 128;

/// The type that is meant where none is named.
const USUAL_TYPE: &str = "m1.small";

/// What would make another instance of it than can be had here.
const UNSUPPORTED: &[&str] = &[
    "AdditionalInfo",
    "InstanceMarketOptions.MarketType",
    "KernelId",
    "LaunchTemplate.LaunchTemplateId",
    "LaunchTemplate.LaunchTemplateName",
    "Placement.GroupId",
    "Placement.GroupName",
    "Placement.HostId",
    "Placement.HostResourceGroupArn",
    "Placement.PartitionNumber",
    "RamdiskId",
];

/// Lists and groups that would.
const UNSUPPORTED_GROUPS: &[&str] = &[
    "ElasticGpuSpecification",
    "ElasticInferenceAccelerator",
    "Ipv6Address",
    "LicenseSpecification",
    "SecondaryInterface",
];

/// What a flag must not say.
const NOT_TRUE: &[&str] =
    &["DisableApiStop", "EnablePrimaryIpv6", "EnclaveOptions.Enabled", "HibernationOptions.Configured"];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let dry_run = call.dry_run()?;
    let launch = Launch {
        account: call.account().to_owned(),
        token: call.token("RunInstances")?,
        kinds: vec![kind(call).await?],
        allowance: call.allowance().await?,
        dry_run,
    };
    let launched = call.compute().launch(&launch).await.map_err(launch_interfaces::refusal)?;
    if dry_run {
        return Err(Refusal::dry_run());
    }
    let ids = &launched.reservation.instances;
    let mut views = call.compute().instance_views_of(call.account(), ids, |_| true).await?;
    views.sort_by_key(|view| view.instance.launch_index);
    // As they were when they were launched, not as they are already.
    for (view, launched) in views.iter_mut().zip(launched.instances) {
        if view.instance.id == launched.id {
            view.instance = launched;
        }
    }
    let around = Around::of(call, &views).await?;
    Ok(Tree::new()
        .text("reservationId", launched.reservation.id.written())
        .text("ownerId", call.account())
        .list("groupSet", [])
        .list("instancesSet", views.iter().map(|view| instance::view(call, view, &around))))
}

async fn kind(call: &Call<'_>) -> Result<InstanceRequest, Refusal> {
    let parameters = call.parameters;
    check_supported(parameters)?;
    let image = ImageId::read(parameters.required("ImageId")?)?;
    let (min, max) = counts(parameters)?;
    let name = parameters.get("InstanceType").unwrap_or(USUAL_TYPE);
    let instance_type = call.compute().instance_type(name).map_err(|_| {
        let name: String = name.chars().take(64).collect();
        Refusal::new(400, "InvalidParameterValue", format!("Invalid value '{name}' for InstanceType."))
    })?;
    let role = role(call).await?;
    // Where there is none, the core says so, unless the same was launched before.
    let of_image = match call.compute().image(call.account(), image).await {
        Ok(image) => image.data_disks,
        Err(ComputeError::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let LaunchDisks { system, others, without } = devices::of_launch(parameters, instance_type, &of_image)?;
    let types = &["instance", "network-interface", "volume"];
    let instance_tags = tags::specified(parameters, "instance", types)?;
    let interface_tags = tags::specified(parameters, "network-interface", types)?;
    let network = launch_interfaces::wanted(call, max, &interface_tags).await?;
    let on_power_off = parameters.choice("InstanceInitiatedShutdownBehavior", states::SHUTDOWN_BEHAVIORS)?;
    let recovery = [("default", OnFailure::Restart), ("disabled", OnFailure::Report)];
    let on_failure = parameters.choice("MaintenanceOptions.AutoRecovery", &recovery)?;
    Ok(InstanceRequest {
        min,
        max,
        cloud: Cloud::Ec2,
        image,
        instance_type: instance_type.name.clone(),
        name: instance_tags
            .0
            .get("Name")
            .map(|name| name.chars().take(MAX_NAME).collect())
            .unwrap_or_default(),
        description: String::new(),
        host_name: None,
        own_names: Vec::new(),
        key_pair: parameters.get("KeyName").map(str::to_owned),
        password: None,
        user_data: user_data(parameters, "UserData")?.unwrap_or_default(),
        metadata: Default::default(),
        metadata_options: MetadataOptions::default()
            .changed(metadata_change(&parameters.group("MetadataOptions"))?),
        config_drive: false,
        role,
        system_disk: system,
        disks: others,
        without,
        zone: parameters.get("Placement.AvailabilityZone").map(str::to_owned),
        interfaces: network.interfaces,
        public_address: network.public_address,
        tags: instance_tags,
        volume_tags: tags::specified(parameters, "volume", types)?,
        terms: Terms::PayAsYouGo { release: None },
        rules: Rules {
            start_when_created: true,
            on_power_off: on_power_off.unwrap_or(OnPowerOff::Stop),
            on_failure: on_failure.unwrap_or(OnFailure::Restart),
            after_host_reboot: AfterHostReboot::Start,
        },
        protected: parameters.flag("DisableApiTermination")?.unwrap_or(false),
        dialect: json!({
            "ClientToken": parameters.get("ClientToken"),
            "EbsOptimized": parameters.flag("EbsOptimized")?.unwrap_or(false),
            "Monitoring": parameters.flag("Monitoring.Enabled")?.unwrap_or(false),
        }),
    })
}

fn check_supported(parameters: &Parameters) -> Result<(), Refusal> {
    words::refuse(parameters, UNSUPPORTED)?;
    for name in UNSUPPORTED_GROUPS {
        if !parameters.group(name).is_empty() {
            return Err(Refusal::unsupported(name));
        }
    }
    for name in NOT_TRUE {
        if parameters.flag(name)? == Some(true) {
            return Err(Refusal::unsupported(name));
        }
    }
    for (name, only) in [
        ("Placement.Tenancy", "default"),
        ("Placement.Affinity", "default"),
        ("PrivateDnsNameOptions.HostnameType", "ip-name"),
        ("Ipv6AddressCount", "0"),
    ] {
        if parameters.get(name).is_some_and(|value| value != only) {
            return Err(Refusal::unsupported(name));
        }
    }
    Ok(())
}

fn counts(parameters: &Parameters) -> Result<(u32, u32), Refusal> {
    let count = |name| -> Result<u32, Refusal> {
        parameters.required(name)?;
        let count: Option<u32> = parameters.parsed(name)?;
        count.filter(|count| *count > 0).ok_or_else(|| parameters.invalid(name))
    };
    let (min, max) = (count("MinCount")?, count("MaxCount")?);
    if min > max {
        let why = "The value of MinCount is greater than that of MaxCount.";
        return Err(Refusal::combination(why));
    }
    if min > MAX_LAUNCH {
        return Err(Refusal::new(
            400,
            "InstanceLimitExceeded",
            format!("At most {MAX_LAUNCH} instances at once."),
        ));
    }
    Ok((min, max.min(MAX_LAUNCH)))
}

/// The role that instances are to have, if the caller may give it: the one that the profile is called like.
async fn role(call: &Call<'_>) -> Result<Option<String>, Refusal> {
    let profile = call.parameters.group("IamInstanceProfile");
    let name = match (profile.get("Name"), profile.get("Arn")) {
        (Some(_), Some(_)) => {
            let why = "Only one of IamInstanceProfile.Name and IamInstanceProfile.Arn may be there.";
            return Err(Refusal::combination(why));
        }
        (Some(name), None) => name,
        (None, Some(arn)) => {
            let mine = format!("arn:aws:iam::{}:instance-profile/", call.account());
            // A path may come before the name.
            let name = arn.strip_prefix(&mine).and_then(|path| path.rsplit('/').next());
            name.ok_or_else(|| profile.invalid("Arn"))?
        }
        (None, None) => return Ok(None),
    };
    pass_role(call, name).await.map_err(|refusal| match &*refusal.code {
        "InvalidParameterValue" => {
            let why = format!("{}: Invalid IAM Instance Profile name", refusal.message);
            Refusal::new(400, "InvalidParameterValue", why)
        }
        _ => refusal,
    })?;
    Ok(Some(name.to_owned()))
}

/// User data of a parameter, decoded.
pub fn user_data(parameters: &Parameters, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    // Line feeds in it are somebody's editor's.
    let text: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let wrong = |why: &str| Refusal::new(400, "InvalidParameterValue", why);
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| wrong("Invalid BASE64 encoding of user data."))?;
    if bytes.len() > MAX_USER_DATA {
        return Err(wrong("User data is limited to 16384 bytes"));
    }
    Ok(Some(bytes))
}

/// How a guest is to get at its metadata; what is not named stays.
pub fn metadata_change(options: &Parameters) -> Result<MetadataChange, Refusal> {
    if options.choice("HttpProtocolIpv6", states::ENABLED)? == Some(true) {
        return Err(Refusal::unsupported(&options.full("HttpProtocolIpv6")));
    }
    let hop_limit: Option<u8> = options.parsed("HttpPutResponseHopLimit")?;
    if hop_limit.is_some_and(|hops| {
        MetadataOptions { hop_limit: hops, ..MetadataOptions::default() }.check().is_err()
    }) {
        return Err(options.invalid("HttpPutResponseHopLimit"));
    }
    Ok(MetadataChange {
        enabled: options.choice("HttpEndpoint", states::ENABLED)?,
        tokens: options.choice("HttpTokens", states::TOKENS)?,
        hop_limit,
        tags: options.choice("InstanceMetadataTags", states::ENABLED)?,
    })
}
