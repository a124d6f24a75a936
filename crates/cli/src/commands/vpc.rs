//! `bothy vpc`: networks of one's own.

use jiff::Timestamp;
use native_api::{Cidr, CreateVpc, Description, Operation, PageQuery, ResourceName, TagKey, TagValue, Vpc};

use super::{all_tags, tag};
use crate::failure::Failure;
use crate::output::{age, maybe, tags, yes};
use crate::{Context, names};

/// What can be done with VPCs.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a VPC: a network apart from all others, whatever addresses those have
    #[command(
        after_help = "Examples:\n  bothy vpc create 10.0.0.0/16 --name shop\n  bothy subnet create shop 10.0.1.0/24 --name front\n  bothy launch debian --subnet front --key laptop --wait"
    )]
    Create {
        /// Its addresses: private ones, /8 to /28
        cidr: Cidr,
        /// What to call it
        #[arg(long)]
        name: Option<ResourceName>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<Description>,
        /// A tag; may be given several times
        #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
        tag: Vec<(TagKey, TagValue)>,
    },
    /// List VPCs
    Ls,
    /// Show a VPC
    Show {
        /// The VPC, by name or id
        vpc: String,
    },
    /// Delete VPCs in which nothing is any more
    Rm {
        /// The VPCs, by name or id
        #[arg(required = true)]
        vpcs: Vec<String>,
    },
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Create { cidr, name, description, tag } => {
            let (cidr, name, description) = (cidr.clone(), name.clone(), description.clone());
            let request = CreateVpc { cidr, name, description, tags: all_tags(tag)? };
            show(context, &client.create_vpc(&request).await?)
        }
        Command::Ls => {
            let vpcs: Vec<Vpc> = client.all(Operation::ListVpcs, &PageQuery::default()).await?;
            let now = Timestamp::now();
            let headers = ["ID", "NAME", "ADDRESSES", "DEFAULT", "AGE"];
            context.output.list(
                &vpcs,
                |vpc| vpc.id.to_string(),
                headers,
                |vpc| {
                    [
                        vpc.id.to_string(),
                        maybe(vpc.name.as_ref()),
                        vpc.cidr.to_string(),
                        yes(vpc.is_default),
                        age(vpc.created_at, now),
                    ]
                },
            )
        }
        Command::Show { vpc } => {
            let id = names::vpc(client, vpc).await?;
            show(context, &client.get_vpc(&id).await?)
        }
        Command::Rm { vpcs } => {
            let (_, result) = super::each(vpcs, async |vpc: &String| {
                let id = names::vpc(client, vpc).await?;
                client.delete_vpc(&id).await?;
                context.output.say(format!("deleted {id}"))
            })
            .await;
            result
        }
    }
}

fn show(context: &Context, vpc: &Vpc) -> Result<(), Failure> {
    context.output.one(
        vpc,
        vpc.id.as_str(),
        &[
            ("id", vpc.id.to_string()),
            ("name", maybe(vpc.name.as_ref())),
            ("description", maybe(vpc.description.as_ref())),
            ("addresses", vpc.cidr.to_string()),
            ("default", yes(vpc.is_default)),
            ("tags", tags(&vpc.tags)),
            ("created", vpc.created_at.to_string()),
        ],
    )
}
