//! `bothy launch`: instances of an image.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use jiff::{Timestamp, ToSpan};
use native_api::{
    AfterHostReboot, Charge, ClientToken, Cloud, Count, DataDisk, DiskContent, ExistingLaunchInterface,
    HostName, Instance, InstanceState, InstanceType, InstanceTypeName, KeyPairName, LaunchCount,
    LaunchInterface, LaunchPreview, LaunchRequest, Launched, MAX_USER_DATA_BYTES, MetadataOptions,
    NetworkInterfaceId, NewLaunchInterface, OnPowerOff, Operation, PageQuery, PayAsYouGo, PrincipalName,
    ResourceName, Rules, SizeGib, SnapshotId, SystemDisk, TagKey, TagValue, UserData, VolumeType,
};

use super::{Wait, all_tags, instance, read_text, tag};
use crate::failure::{Exit, Failure};
use crate::{Context, names};

const EXAMPLES: &str = "\
Examples:
  bothy launch debian --key laptop --name web --wait
  bothy launch ami-1a2b3c4d --type m1.small --count 3 --tag team=storage
  bothy launch debian --ephemeral --user-data job.sh       gone when it powers off
  bothy launch debian --disk 20 --data-disk 100 --data-disk snap-1a2b3c4d,keep
  bothy launch debian --subnet front --group web --public-address
  bothy launch debian --interface front --interface back:10.0.2.9,keep
  bothy launch debian --for 2h                             terminated after that
  bothy launch debian --cloud ec2                          its cloud-init believes to be in EC2";

/// Launch instances
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The image, by name or id
    image: String,
    /// The instance type. Default: the smallest
    #[arg(long = "type", env = "BOTHY_TYPE", value_name = "TYPE")]
    instance_type: Option<InstanceTypeName>,
    /// The key pair to log in by
    #[arg(long, value_name = "NAME")]
    key: Option<KeyPairName>,
    /// What to call it
    #[arg(long)]
    name: Option<ResourceName>,
    /// What the guest is to call itself
    #[arg(long, value_name = "NAME")]
    host_name: Option<HostName>,
    /// How many: N, or MIN-MAX for as many as there is room for
    #[arg(long, value_name = "N", value_parser = count, default_value = "1")]
    count: Count,
    /// Size of the system disk, in GiB. Default: as the image is
    #[arg(long, value_name = "GIB")]
    disk: Option<SizeGib>,
    /// Another disk: GIB, swap:GIB, ephemeral:GIB, SNAPSHOT or SNAPSHOT:GIB; with ,keep behind it, it outlives the instance
    #[arg(long, value_name = "DISK", value_parser = data_disk)]
    data_disk: Vec<DataDisk>,
    /// A file that cloud-init or its like reads at the first boot; - for stdin
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// The subnet, by name or id. Default: the account's default one
    #[arg(long)]
    subnet: Option<String>,
    /// Its address in the subnet. Default: a free one
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Ipv4Addr>,
    /// A network interface: SUBNET or SUBNET:ADDRESS for a new one, by the subnet's name or id, or the id of one that is
    /// there; may be given several times, in their order. With ,keep behind it a new one outlives the instance, as others do
    #[arg(long, value_name = "INTERFACE", value_parser = interface, conflicts_with_all = ["subnet", "address"])]
    interface: Vec<Wanted>,
    /// Give it a public address, or none
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    public_address: Option<bool>,
    /// A security group, by name or id; may be given several times. Default: the VPC's default one
    #[arg(long, visible_alias = "security-group")]
    group: Vec<String>,
    /// A tag; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
    tag: Vec<(TagKey, TagValue)>,
    /// The role that the guest can assume
    #[arg(long, value_name = "NAME")]
    role: Option<PrincipalName>,
    /// The cloud that the guest is to believe to be in: ec2, alibaba or huawei. Default: native, which is none of them
    #[arg(long, value_name = "CLOUD", default_value = "native", hide_default_value = true, value_parser = cloud)]
    cloud: Cloud,
    /// Give it its metadata and user data on a disk, too, as OpenStack does
    #[arg(long)]
    config_drive: bool,
    /// Terminate it when the guest powers off, or the host reboots
    #[arg(long)]
    ephemeral: bool,
    /// Terminate it after this time, as 90m, 2h or 3d: at least 30 minutes
    #[arg(long = "for", value_name = "TIME", value_parser = span_minutes)]
    minutes: Option<i64>,
    /// Do not start it
    #[arg(long, conflicts_with = "wait")]
    no_start: bool,
    /// Makes it safe to ask again with the same token
    #[arg(long, value_name = "TOKEN")]
    client_token: Option<ClientToken>,
    /// Only say what would be launched
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    #[command(flatten)]
    wait: Wait,
}

/// Launches.
pub async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let request = request(context, arguments).await?;
    if arguments.dry_run {
        let preview: LaunchPreview =
            context.client.call(Operation::LaunchInstances, &[], None::<&()>, Some(&request)).await?;
        return context.output.one(
            &preview,
            &preview.count.to_string(),
            &[("would launch", preview.count.to_string())],
        );
    }
    let mut launched: Launched = context.client.launch_instances(&request).await?;
    if arguments.wait.wait {
        let (instances, result) = super::each(&launched.instances, async |instance: &Instance| {
            instance::wait_for(context, &instance.id, InstanceState::Running, arguments.wait.limit()).await
        })
        .await;
        // What runs is shown also where others do not.
        launched.instances = instances;
        show(context, &launched)?;
        return result;
    }
    show(context, &launched)
}

fn show(context: &Context, launched: &Launched) -> Result<(), Failure> {
    if context.output.json {
        context.output.json(launched)
    } else {
        instance::table(context, &launched.instances)
    }
}

async fn request(context: &Context, arguments: &Arguments) -> Result<LaunchRequest, Failure> {
    let user_data = match &arguments.user_data {
        Some(path) => {
            let bytes = read_text(path, MAX_USER_DATA_BYTES as u64)?;
            Some(UserData::of(&bytes).map_err(|error| Failure::usage(error.to_string()))?)
        }
        None => None,
    };
    let rules = if arguments.ephemeral {
        Rules {
            on_power_off: OnPowerOff::Terminate,
            after_host_reboot: AfterHostReboot::Terminate,
            ..Rules::default()
        }
    } else {
        Rules::default()
    };
    let release_at = match arguments.minutes {
        Some(minutes) => {
            // A release is in whole minutes, and what was asked for is the least.
            let at = Timestamp::now().checked_add((minutes + 1).minutes());
            Some(at.map_err(|_| Failure::usage("that is too far in the future"))?)
        }
        None => None,
    };
    let system_disk = arguments.disk.map(|size| SystemDisk {
        size_gib: Some(size),
        delete_with_instance: true,
        volume_type: VolumeType::default(),
    });
    let client = &context.client;
    let image = names::image(client, &arguments.image).await?;
    let subnet = match &arguments.subnet {
        Some(text) => Some(names::subnet(client, text).await?),
        None => None,
    };
    let mut network_interfaces = Vec::with_capacity(arguments.interface.len());
    for wanted in &arguments.interface {
        network_interfaces.push(named(context, wanted, &arguments.group).await?);
    }
    let security_groups = match network_interfaces.is_empty() {
        true => names::groups_of_subnet(client, &arguments.group, subnet.as_ref()).await?,
        // Each of the interfaces has them.
        false => Vec::new(),
    };
    Ok(LaunchRequest {
        image,
        instance_type: match &arguments.instance_type {
            Some(name) => name.clone(),
            None => smallest(context).await?,
        },
        count: Some(arguments.count),
        key_pair: arguments.key.clone(),
        name: arguments.name.clone(),
        user_data,
        host_name: arguments.host_name.clone(),
        system_disk,
        data_disks: arguments.data_disk.clone(),
        network_interfaces,
        subnet,
        private_address: arguments.address,
        security_groups,
        public_address: arguments.public_address,
        tags: all_tags(&arguments.tag)?,
        rules: Rules { start: !arguments.no_start, ..rules },
        charge: Charge::PayAsYouGo(PayAsYouGo { release_at }),
        role: arguments.role.clone(),
        metadata_options: MetadataOptions::default(),
        cloud: arguments.cloud,
        config_drive: arguments.config_drive,
        client_token: arguments.client_token.clone(),
        dry_run: arguments.dry_run,
    })
}

async fn smallest(context: &Context) -> Result<InstanceTypeName, Failure> {
    let types: Vec<InstanceType> =
        context.client.all(Operation::ListInstanceTypes, &PageQuery::default()).await?;
    types.into_iter().next().map(|first| first.name).ok_or_else(|| {
        Failure::new(Exit::NotFound, "the daemon has no instance types", "add some to its configuration")
    })
}

fn count(text: &str) -> Result<Count, String> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    let count = Count { min: min.parse::<LaunchCount>()?, max: max.parse::<LaunchCount>()? };
    if count.min > count.max { Err("the first number is above the second".into()) } else { Ok(count) }
}

fn cloud(text: &str) -> Result<Cloud, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected native, ec2, alibaba or huawei".into())
}

/// A network interface as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Existing(NetworkInterfaceId),
    New { subnet: String, address: Option<Ipv4Addr>, keep: bool },
}

fn interface(text: &str) -> Result<Wanted, String> {
    let (what, keep) = text.strip_suffix(",keep").map_or((text, false), |what| (what, true));
    if what.starts_with("eni-") {
        if keep {
            return Err("one that is there outlives the instance anyway".into());
        }
        return what.parse().map(Wanted::Existing).map_err(|error: native_api::TextError| error.to_string());
    }
    let (subnet, address) = match what.split_once(':') {
        Some((subnet, address)) => (subnet, Some(address.parse().map_err(|_| "expected an IPv4 address")?)),
        None => (what, None),
    };
    if subnet.is_empty() {
        return Err("expected the name or the id of a subnet".into());
    }
    Ok(Wanted::New { subnet: subnet.to_owned(), address, keep })
}

/// The interface with its subnet and its groups by their ids.
async fn named(context: &Context, wanted: &Wanted, groups: &[String]) -> Result<LaunchInterface, Failure> {
    let client = &context.client;
    match wanted {
        Wanted::Existing(id) => Ok(LaunchInterface::Existing(ExistingLaunchInterface {
            id: id.clone(),
            delete_with_instance: false,
        })),
        Wanted::New { subnet, address, keep } => {
            let subnet = names::subnet(client, subnet).await?;
            let security_groups = names::groups_of_subnet(client, groups, Some(&subnet)).await?;
            Ok(LaunchInterface::New(NewLaunchInterface {
                subnet: Some(subnet),
                private_address: *address,
                security_groups,
                delete_with_instance: !keep,
            }))
        }
    }
}

fn data_disk(text: &str) -> Result<DataDisk, String> {
    let (what, keep) = text.strip_suffix(",keep").map_or((text, false), |what| (what, true));
    let (content, size) = match what.split_once(':') {
        Some(("swap", size)) => (DiskContent::Swap, Some(size)),
        Some(("ephemeral", size)) => (DiskContent::Ephemeral, Some(size)),
        Some((snapshot, size)) => (DiskContent::Snapshot(snapshot_id(snapshot)?), Some(size)),
        None if what.starts_with("snap-") => (DiskContent::Snapshot(snapshot_id(what)?), None),
        None => (DiskContent::Blank, Some(what)),
    };
    if keep && matches!(content, DiskContent::Swap | DiskContent::Ephemeral) {
        return Err("swap areas and ephemeral disks cannot outlive the instance".into());
    }
    let size_gib = size.map(str::parse::<SizeGib>).transpose()?;
    Ok(DataDisk { content, size_gib, delete_with_instance: !keep, volume_type: VolumeType::default() })
}

fn snapshot_id(text: &str) -> Result<SnapshotId, String> {
    text.parse().map_err(|error: native_api::TextError| error.to_string())
}

/// Minutes, of `90m`, `2h` or `3d`.
fn span_minutes(text: &str) -> Result<i64, String> {
    let expected = || "expected a number with m, h or d behind it, as 90m".to_owned();
    let unit = text.chars().last().ok_or_else(expected)?;
    let number: u32 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| expected())?;
    let minutes = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        _ => return Err(expected()),
    };
    let minutes = i64::from(number) * minutes;
    if minutes < 30 { Err("an instance lives for at least 30 minutes then".into()) } else { Ok(minutes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_read_as_they_are_written() {
        let disk = |text| data_disk(text).expect(text);
        assert_eq!(disk("10").content, DiskContent::Blank);
        assert!(disk("10").delete_with_instance && !disk("10,keep").delete_with_instance);
        assert_eq!((disk("swap:1").content, disk("swap:1").size_gib.unwrap().get()), (DiskContent::Swap, 1));
        assert_eq!(disk("snap-1a2b3c4d").size_gib, None);
        assert_eq!(disk("snap-1a2b3c4d:20,keep").size_gib.unwrap().get(), 20);
        for text in ["", "0", "70000", "swap", "swap:1,keep", "snap-1", "disk:5", "10,", "-1"] {
            assert!(data_disk(text).is_err(), "{text}");
        }
    }

    #[test]
    fn interfaces_are_read_as_they_are_written() {
        let new = |subnet: &str, address: Option<&str>, keep| Wanted::New {
            subnet: subnet.to_owned(),
            address: address.map(|address| address.parse().unwrap()),
            keep,
        };
        assert_eq!(interface("front"), Ok(new("front", None, false)));
        assert_eq!(interface("back:10.0.2.9,keep"), Ok(new("back", Some("10.0.2.9"), true)));
        assert_eq!(interface("eni-1a2b3c4d"), Ok(Wanted::Existing("eni-1a2b3c4d".parse().unwrap())));
        for text in ["", ":10.0.2.9", "front:10.0.2", "eni-1", "eni-1a2b3c4d,keep", ",keep"] {
            assert!(interface(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_and_times_are_bounded() {
        assert_eq!(count("2-5").map(|count| (count.min.get(), count.max.get())), Ok((2, 5)));
        assert!(["0", "101", "5-2", "", "-", "1-"].iter().all(|text| count(text).is_err()));
        assert_eq!(
            (span_minutes("90m"), span_minutes("2h"), span_minutes("1d")),
            (Ok(90), Ok(120), Ok(1440))
        );
        assert!(["", "m", "29m", "2w", "h2", "5ü"].iter().all(|text| span_minutes(text).is_err()));
    }
}
