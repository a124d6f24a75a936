//! ModifyInstanceAttribute: changes one attribute of an instance, told by its own parameter or, as clients of old do, by
//! `Attribute` and `Value`.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html>

use compute::compute::{ComputeError, InstanceChange, InterfaceChange, VolumeChange};
use compute::id::SecurityGroupId;
use compute::lifecycle::Rules;
use compute::resource::Instance;
use serde_json::json;

use super::super::parameters::Parameters;
use super::super::xml::Tree;
use super::super::{Call, Refusal, states};
use super::act::known;
use super::run_instances::user_data;
use super::words;

/// Attributes with one value, by their names in requests.
const ATTRIBUTES: &[&str] = &[
    "DisableApiStop",
    "DisableApiTermination",
    "EbsOptimized",
    "EnaSupport",
    "InstanceInitiatedShutdownBehavior",
    "InstanceType",
    "Kernel",
    "Ramdisk",
    "SourceDestCheck",
    "SriovNetSupport",
    "UserData",
];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let instance = known(call, parameters.required("InstanceId")?).await?;
    let groups: Vec<SecurityGroupId> = words::ids(parameters, "GroupId")?;
    let devices = parameters.groups("BlockDeviceMapping")?;
    let mut asked = asked(parameters)?;
    let count = asked.len() + usize::from(!groups.is_empty()) + usize::from(!devices.is_empty());
    match (count, asked.pop()) {
        (0, _) => return Err(Refusal::combination("No attributes specified.")),
        (1, Some((name, value))) => attribute(call, &instance, name, &value).await?,
        (1, None) if devices.is_empty() => regroup(call, &instance, groups).await?,
        (1, None) => keep_volumes(call, &instance, &devices).await?,
        (_, _) => {
            let why = "Fields for multiple attribute types specified: change one at a time.";
            return Err(Refusal::combination(why));
        }
    }
    Ok(Tree::done())
}

/// The attributes that a request names, each with its value as the parameter `Value`.
fn asked(parameters: &Parameters) -> Result<Vec<(&'static str, Parameters)>, Refusal> {
    let mut asked: Vec<(&'static str, Parameters)> = Vec::new();
    for name in ATTRIBUTES {
        let group = parameters.group(name);
        // User data may be made empty, and comes without `.Value` from some.
        let is_there =
            parameters.iter().any(|(full, _)| full == *name || full.starts_with(&format!("{name}.")));
        if !is_there {
            continue;
        }
        let value = match parameters.get(name) {
            Some(value) => Parameters::new(vec![("Value".to_owned(), value.to_owned())])?,
            None => group,
        };
        asked.push((name, value));
    }
    if let Some(wanted) = parameters.get("Attribute") {
        let name = ATTRIBUTES.iter().find(|name| name.eq_ignore_ascii_case(wanted));
        let name = name.ok_or_else(|| parameters.invalid("Attribute"))?;
        let value = parameters.iter().find(|(name, _)| *name == "Value").map(|(_, value)| value);
        let value = value.ok_or_else(|| parameters.missing("Value"))?;
        asked.push((name, Parameters::new(vec![("Value".to_owned(), value.to_owned())])?));
    }
    Ok(asked)
}

async fn attribute(
    call: &Call<'_>,
    instance: &Instance,
    name: &str,
    value: &Parameters,
) -> Result<(), Refusal> {
    let flag = || value.flag("Value")?.ok_or_else(|| Refusal::missing(&format!("{name}.Value")));
    let mut change = InstanceChange::default();
    match name {
        "InstanceType" => {
            let wanted = value.required("Value")?;
            call.compute().instance_type(wanted)?;
            change.instance_type = Some(wanted.to_owned());
        }
        "UserData" => {
            stopped(instance, name)?;
            change.user_data = Some(user_data(value, "Value")?.unwrap_or_default());
        }
        "DisableApiTermination" => change.protected = Some(flag()?),
        "InstanceInitiatedShutdownBehavior" => {
            let wanted = value.choice("Value", states::SHUTDOWN_BEHAVIORS)?;
            let on_power_off = wanted.ok_or_else(|| Refusal::missing(&format!("{name}.Value")))?;
            change.rules = Some(Rules { on_power_off, ..instance.rules });
        }
        "EbsOptimized" => {
            let mut dialect = instance.dialect.clone();
            if !dialect.is_object() {
                dialect = json!({});
            }
            dialect["EbsOptimized"] = json!(flag()?);
            change.dialect = Some(dialect);
        }
        // What cannot be otherwise here may be asked for.
        "SourceDestCheck" | "EnaSupport" if flag()? => return Ok(()),
        "DisableApiStop" if !flag()? => return Ok(()),
        _ => return Err(Refusal::unsupported(name)),
    }
    call.compute().change_instance(call.account(), instance.id, &change).await?;
    Ok(())
}

/// Refuses what needs an instance that has no VM.
fn stopped(instance: &Instance, name: &str) -> Result<(), Refusal> {
    match states::instance(instance.state()).name {
        "stopped" => Ok(()),
        _ => Err(Refusal::wrong_state(format!(
            "The instance '{}' is not in the 'stopped' state, in which {name} can be changed.",
            instance.id
        ))),
    }
}

async fn regroup(call: &Call<'_>, instance: &Instance, groups: Vec<SecurityGroupId>) -> Result<(), Refusal> {
    let first = instance.interfaces.first();
    let first = first.ok_or_else(|| Refusal::wrong_state("The instance has no network interface."))?;
    let change = InterfaceChange { security_groups: Some(groups), ..InterfaceChange::default() };
    call.compute().change_interface(call.account(), *first, &change).await?;
    Ok(())
}

/// Changes what becomes of volumes when their instance ends.
async fn keep_volumes(call: &Call<'_>, instance: &Instance, devices: &[Parameters]) -> Result<(), Refusal> {
    let mut changes = Vec::with_capacity(devices.len());
    for device in devices {
        let name = device.required("DeviceName")?;
        let disk = instance.disks.iter().find(|disk| disk.device == name).ok_or_else(|| {
            let why =
                format!("No device is currently mapped at {}", name.chars().take(64).collect::<String>());
            Refusal::new(400, "InvalidInstanceAttributeValue", why)
        })?;
        let delete = device.flag("Ebs.DeleteOnTermination")?;
        let delete = delete.ok_or_else(|| device.missing("Ebs.DeleteOnTermination"))?;
        changes.push((
            disk.volume,
            VolumeChange { delete_with_instance: Some(delete), ..VolumeChange::default() },
        ));
    }
    for (volume, change) in changes {
        let changed: Result<_, ComputeError> =
            call.compute().change_volume(call.account(), volume, &change).await;
        changed?;
    }
    Ok(())
}
