//! `bothy volume`: disks.

use std::time::Duration;

use jiff::Timestamp;
use native_api::{
    AttachVolume, CreateVolume, DeviceName, Force, Operation, ResourceName, SizeGib, TagKey, TagValue,
    UpdateVolume, Volume, VolumeId, VolumeQuery, VolumeState, VolumeType,
};

use super::{Wait, all_tags, tag};
use crate::failure::{Exit, Failure};
use crate::output::{age, maybe, tags, word};
use crate::{Context, names};

/// What can be done with volumes.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a volume
    #[command(
        after_help = "Examples:\n  bothy volume create --size 20 --name data\n  bothy volume create --snapshot nightly"
    )]
    Create {
        /// Its size, in GiB. Default: the snapshot's
        #[arg(long, value_name = "GIB", required_unless_present = "snapshot")]
        size: Option<SizeGib>,
        /// What is on it, by the snapshot's name or id. Default: zeroes
        #[arg(long)]
        snapshot: Option<String>,
        /// What to call it
        #[arg(long)]
        name: Option<ResourceName>,
        /// A tag; may be given several times
        #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
        tag: Vec<(TagKey, TagValue)>,
        #[command(flatten)]
        wait: Wait,
    },
    /// List volumes
    Ls {
        /// Only those of this instance, by name or id
        #[arg(long)]
        instance: Option<String>,
    },
    /// Show a volume
    Show {
        /// The volume, by name or id
        volume: String,
    },
    /// Attach a volume to an instance
    Attach {
        /// The volume, by name or id
        volume: String,
        /// The instance, by name or id
        instance: String,
        /// What the guest is to call it: vdb to vdz. Default: the first that is free
        #[arg(long)]
        device: Option<DeviceName>,
        /// Delete it when the instance is terminated
        #[arg(long)]
        delete_with_instance: bool,
    },
    /// Detach a volume
    Detach {
        /// The volume, by name or id
        volume: String,
        /// Do not ask the guest
        #[arg(long)]
        force: bool,
    },
    /// Make a volume larger
    Grow {
        /// The volume, by name or id
        volume: String,
        /// Its new size, in GiB
        size: SizeGib,
    },
    /// Delete volumes and what is on them
    Rm {
        /// The volumes, by name or id
        #[arg(required = true)]
        volumes: Vec<String>,
    },
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Create { size, snapshot, name, tag, wait } => {
            let request = CreateVolume {
                size_gib: *size,
                snapshot: match snapshot {
                    Some(text) => Some(names::snapshot(client, text).await?),
                    None => None,
                },
                name: name.clone(),
                zone: None,
                volume_type: VolumeType::default(),
                tags: all_tags(tag)?,
                client_token: None,
            };
            let mut volume = client.create_volume(&request).await?;
            if wait.wait {
                volume = wait_for(context, &volume.id, wait.limit()).await?;
            }
            show(context, &volume)
        }
        Command::Ls { instance } => {
            let instance = match instance {
                Some(text) => Some(names::instance(client, text).await?),
                None => None,
            };
            let query = VolumeQuery { instance, ..VolumeQuery::default() };
            let volumes: Vec<Volume> = client.all(Operation::ListVolumes, &query).await?;
            let now = Timestamp::now();
            let headers = ["ID", "NAME", "STATE", "GIB", "INSTANCE", "DEVICE", "AGE"];
            context.output.list(
                &volumes,
                |volume| volume.id.to_string(),
                headers,
                |volume| {
                    let attachment = volume.attachment.as_ref();
                    [
                        volume.id.to_string(),
                        maybe(volume.name.as_ref()),
                        word(&volume.state),
                        volume.size_gib.to_string(),
                        maybe(attachment.map(|attachment| &attachment.instance)),
                        maybe(attachment.map(|attachment| &attachment.device)),
                        age(volume.created_at, now),
                    ]
                },
            )
        }
        Command::Show { volume } => {
            let id = names::volume(client, volume).await?;
            show(context, &client.get_volume(&id).await?)
        }
        Command::Attach { volume, instance, device, delete_with_instance } => {
            let id = names::volume(client, volume).await?;
            let request = AttachVolume {
                instance: names::instance(client, instance).await?,
                device: device.clone(),
                delete_with_instance: *delete_with_instance,
            };
            show(context, &client.attach_volume(&id, &request).await?)
        }
        Command::Detach { volume, force } => {
            let id = names::volume(client, volume).await?;
            show(context, &client.detach_volume(&id, &Force { force: *force }).await?)
        }
        Command::Grow { volume, size } => {
            let id = names::volume(client, volume).await?;
            let change = UpdateVolume { size_gib: Some(*size), ..UpdateVolume::default() };
            show(context, &client.update_volume(&id, &change).await?)
        }
        Command::Rm { volumes } => {
            let (_, result) = super::each(volumes, async |volume: &String| {
                let id = names::volume(client, volume).await?;
                client.delete_volume(&id).await?;
                context.output.say(format!("deleted {id}"))
            })
            .await;
            result
        }
    }
}

async fn wait_for(context: &Context, id: &VolumeId, limit: Duration) -> Result<Volume, Failure> {
    let spinner = context.output.spinner(&format!("making {id}"));
    let look = async || context.client.get_volume(id).await;
    let what = format!("the disk of {id}");
    let seen =
        context.client.wait_until(&what, limit, look, |volume| volume.state != VolumeState::Creating).await;
    spinner.finish_and_clear();
    let volume = seen?;
    if volume.state == VolumeState::Failed {
        let reason = volume.state_reason.as_deref().unwrap_or("the daemon does not say why");
        let message = format!("{id} could not be made: {reason}");
        return Err(Failure::new(Exit::Failed, message, format!("delete it with bothy volume rm {id}")));
    }
    Ok(volume)
}

fn show(context: &Context, volume: &Volume) -> Result<(), Failure> {
    let attachment = volume.attachment.as_ref().map(|attachment| {
        let fate = if attachment.delete_with_instance { "deleted with it" } else { "kept" };
        format!("{} as {}, {fate}", attachment.instance, attachment.device)
    });
    let state = match &volume.state_reason {
        Some(reason) => format!("{}: {reason}", word(&volume.state)),
        None => word(&volume.state),
    };
    context.output.one(
        volume,
        volume.id.as_str(),
        &[
            ("id", volume.id.to_string()),
            ("name", maybe(volume.name.as_ref())),
            ("state", state),
            ("size", format!("{} GiB", volume.size_gib)),
            ("type", word(&volume.volume_type)),
            ("zone", volume.zone.to_string()),
            ("attached to", attachment.unwrap_or_default()),
            ("snapshot", maybe(volume.snapshot.as_ref())),
            ("image", maybe(volume.image.as_ref())),
            ("tags", tags(&volume.tags)),
            ("created", volume.created_at.to_string()),
        ],
    )
}
