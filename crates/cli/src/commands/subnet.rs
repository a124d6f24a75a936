//! `bothy subnet`: parts of VPCs, which instances are launched into.

use jiff::Timestamp;
use native_api::{
    Cidr, CreateSubnet, Description, NetworkQuery, Operation, PlaceName, ResourceName, Subnet, TagKey,
    TagValue,
};

use super::{all_tags, tag};
use crate::failure::Failure;
use crate::output::{age, maybe, tags, yes};
use crate::{Context, names};

const CREATE: &str = "\
Examples:
  bothy subnet create shop 10.0.1.0/24 --name front
  bothy subnet create shop 10.0.2.0/24 --name back --private

From a private subnet nothing goes out of the VPC unless the instance has a public address of its
own. Its router answers it, names of the outside too; it gets its metadata, and bothy ssh gets to it,
all the same.";

/// What can be done with subnets.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a subnet of a VPC
    #[command(after_help = CREATE)]
    Create {
        /// The VPC, by name or id
        vpc: String,
        /// Its addresses, a part of the VPC's
        cidr: Cidr,
        /// What to call it
        #[arg(long)]
        name: Option<ResourceName>,
        /// Let nothing out of the VPC but by public addresses of instances' own
        #[arg(long)]
        private: bool,
        /// Where it is. Default: the only zone, or the first
        #[arg(long)]
        zone: Option<PlaceName>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<Description>,
        /// A tag; may be given several times
        #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
        tag: Vec<(TagKey, TagValue)>,
    },
    /// List subnets
    Ls {
        /// Only those of this VPC, by name or id
        #[arg(long)]
        vpc: Option<String>,
    },
    /// Show a subnet
    Show {
        /// The subnet, by name or id
        subnet: String,
    },
    /// Delete subnets in which nothing is any more
    Rm {
        /// The subnets, by name or id
        #[arg(required = true)]
        subnets: Vec<String>,
    },
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Create { vpc, cidr, name, private, zone, description, tag } => {
            let request = CreateSubnet {
                vpc: names::vpc(client, vpc).await?,
                cidr: cidr.clone(),
                zone: zone.clone(),
                private: *private,
                name: name.clone(),
                description: description.clone(),
                tags: all_tags(tag)?,
            };
            show(context, &client.create_subnet(&request).await?)
        }
        Command::Ls { vpc } => {
            let query = NetworkQuery { vpc: names::some_vpc(client, vpc).await?, ..NetworkQuery::default() };
            let subnets: Vec<Subnet> = client.all(Operation::ListSubnets, &query).await?;
            let now = Timestamp::now();
            let headers = ["ID", "NAME", "VPC", "ADDRESSES", "FREE", "PRIVATE", "DEFAULT", "AGE"];
            context.output.list(
                &subnets,
                |subnet| subnet.id.to_string(),
                headers,
                |subnet| {
                    [
                        subnet.id.to_string(),
                        maybe(subnet.name.as_ref()),
                        subnet.vpc.to_string(),
                        subnet.cidr.to_string(),
                        subnet.free_addresses.to_string(),
                        yes(subnet.private),
                        yes(subnet.is_default),
                        age(subnet.created_at, now),
                    ]
                },
            )
        }
        Command::Show { subnet } => {
            let id = names::subnet(client, subnet).await?;
            show(context, &client.get_subnet(&id).await?)
        }
        Command::Rm { subnets } => {
            let (_, result) = super::each(subnets, async |subnet: &String| {
                let id = names::subnet(client, subnet).await?;
                client.delete_subnet(&id).await?;
                context.output.say(format!("deleted {id}"))
            })
            .await;
            result
        }
    }
}

fn show(context: &Context, subnet: &Subnet) -> Result<(), Failure> {
    context.output.one(
        subnet,
        subnet.id.as_str(),
        &[
            ("id", subnet.id.to_string()),
            ("name", maybe(subnet.name.as_ref())),
            ("description", maybe(subnet.description.as_ref())),
            ("vpc", subnet.vpc.to_string()),
            ("addresses", format!("{}, {} free", subnet.cidr, subnet.free_addresses)),
            ("zone", subnet.zone.to_string()),
            ("private", yes(subnet.private)),
            ("default", yes(subnet.is_default)),
            ("tags", tags(&subnet.tags)),
            ("created", subnet.created_at.to_string()),
        ],
    )
}
