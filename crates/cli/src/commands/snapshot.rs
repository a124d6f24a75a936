//! `bothy snapshot`: what was on a volume.

use std::time::Duration;

use jiff::Timestamp;
use native_api::{
    CreateSnapshot, Description, Operation, ResourceName, Snapshot, SnapshotId, SnapshotQuery, SnapshotState,
    Tags,
};

use super::Wait;
use crate::failure::{Exit, Failure};
use crate::output::{age, maybe, tags, word};
use crate::{Context, names};

/// What can be done with snapshots.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Keep what is on a volume now
    #[command(after_help = "Examples:\n  bothy snapshot create data --name nightly --wait")]
    Create {
        /// The volume, by name or id
        volume: String,
        /// What to call it
        #[arg(long)]
        name: Option<ResourceName>,
        /// What it is
        #[arg(long)]
        description: Option<Description>,
        #[command(flatten)]
        wait: Wait,
    },
    /// List snapshots
    Ls {
        /// Only those of this volume, by name or id
        #[arg(long)]
        volume: Option<String>,
    },
    /// Show a snapshot
    Show {
        /// The snapshot, by name or id
        snapshot: String,
    },
    /// Delete snapshots
    Rm {
        /// The snapshots, by name or id
        #[arg(required = true)]
        snapshots: Vec<String>,
    },
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Create { volume, name, description, wait } => {
            let request = CreateSnapshot {
                volume: names::volume(client, volume).await?,
                name: name.clone(),
                description: description.clone(),
                tags: Tags::default(),
                client_token: None,
            };
            let mut snapshot = client.create_snapshot(&request).await?;
            if wait.wait {
                snapshot = wait_for(context, &snapshot.id, wait.limit()).await?;
            }
            show(context, &snapshot)
        }
        Command::Ls { volume } => {
            let volume = match volume {
                Some(text) => Some(names::volume(client, text).await?),
                None => None,
            };
            let query = SnapshotQuery { volume, ..SnapshotQuery::default() };
            let snapshots: Vec<Snapshot> = client.all(Operation::ListSnapshots, &query).await?;
            let now = Timestamp::now();
            let headers = ["ID", "NAME", "STATE", "GIB", "VOLUME", "AGE"];
            context.output.list(
                &snapshots,
                |snapshot| snapshot.id.to_string(),
                headers,
                |snapshot| {
                    [
                        snapshot.id.to_string(),
                        maybe(snapshot.name.as_ref()),
                        word(&snapshot.state),
                        snapshot.size_gib.to_string(),
                        snapshot.volume.to_string(),
                        age(snapshot.created_at, now),
                    ]
                },
            )
        }
        Command::Show { snapshot } => {
            let id = names::snapshot(client, snapshot).await?;
            show(context, &client.get_snapshot(&id).await?)
        }
        Command::Rm { snapshots } => {
            let (_, result) = super::each(snapshots, async |snapshot: &String| {
                let id = names::snapshot(client, snapshot).await?;
                client.delete_snapshot(&id).await?;
                context.output.say(format!("deleted {id}"))
            })
            .await;
            result
        }
    }
}

async fn wait_for(context: &Context, id: &SnapshotId, limit: Duration) -> Result<Snapshot, Failure> {
    let spinner = context.output.spinner(&format!("making {id}"));
    let look = async || context.client.get_snapshot(id).await;
    let what = format!("the snapshot {id}");
    let seen = context
        .client
        .wait_until(&what, limit, look, |snapshot| snapshot.state != SnapshotState::Creating)
        .await;
    spinner.finish_and_clear();
    let snapshot = seen?;
    if snapshot.state == SnapshotState::Failed {
        let reason = snapshot.state_reason.as_deref().unwrap_or("the daemon does not say why");
        let message = format!("{id} could not be made: {reason}");
        return Err(Failure::new(Exit::Failed, message, format!("delete it with bothy snapshot rm {id}")));
    }
    Ok(snapshot)
}

fn show(context: &Context, snapshot: &Snapshot) -> Result<(), Failure> {
    let state = match &snapshot.state_reason {
        Some(reason) => format!("{}: {reason}", word(&snapshot.state)),
        None => word(&snapshot.state),
    };
    context.output.one(
        snapshot,
        snapshot.id.as_str(),
        &[
            ("id", snapshot.id.to_string()),
            ("name", maybe(snapshot.name.as_ref())),
            ("description", maybe(snapshot.description.as_ref())),
            ("state", state),
            ("volume", snapshot.volume.to_string()),
            ("size", format!("{} GiB", snapshot.size_gib)),
            ("tags", tags(&snapshot.tags)),
            ("created", snapshot.created_at.to_string()),
        ],
    )
}
