//! `bothy address`: public addresses.

use jiff::Timestamp;
use native_api::{
    Address, AddressTarget, AllocateAddress, AssociateAddress, Operation, PageQuery, ResourceName, TagKey,
    TagValue,
};

use super::{all_tags, tag};
use crate::failure::Failure;
use crate::output::{age, maybe, tags};
use crate::{Context, names};

const ASSOCIATE: &str = "\
Examples:
  bothy address associate front web
  bothy address associate 198.51.100.7 eni-1a2b3c4d --reassociate

What comes for the address is the instance's then, as far as its security groups let it in, and what
the instance sends comes from it: at once, if it runs.";

/// What can be done with public addresses.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Allocate a public address, which is the account's until it is released
    #[command(
        after_help = "Examples:\n  bothy address allocate --name front\n  bothy address associate front web"
    )]
    Allocate {
        /// What to call it
        #[arg(long)]
        name: Option<ResourceName>,
        /// A tag; may be given several times
        #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
        tag: Vec<(TagKey, TagValue)>,
    },
    /// List public addresses
    Ls,
    /// Show a public address
    Show {
        /// The address, by itself, its name or id
        address: String,
    },
    /// Give an address to an instance
    #[command(after_help = ASSOCIATE)]
    Associate {
        /// The address, by itself, its name or id
        address: String,
        /// The instance, by name or id; or the id of a network interface
        target: String,
        /// Take it away from whoever has it
        #[arg(long)]
        reassociate: bool,
    },
    /// Take an address back from whoever has it
    Disassociate {
        /// The address, by itself, its name or id
        address: String,
    },
    /// Release addresses that nobody has
    Release {
        /// The addresses, by themselves, their names or ids
        #[arg(required = true)]
        addresses: Vec<String>,
    },
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Allocate { name, tag } => {
            let request = AllocateAddress { name: name.clone(), tags: all_tags(tag)? };
            show(context, &client.allocate_address(&request).await?)
        }
        Command::Ls => {
            let addresses: Vec<Address> = client.all(Operation::ListAddresses, &PageQuery::default()).await?;
            let now = Timestamp::now();
            let headers = ["ID", "NAME", "ADDRESS", "INSTANCE", "INTERFACE", "AGE"];
            context.output.list(
                &addresses,
                |address| address.id.to_string(),
                headers,
                |address| {
                    [
                        address.id.to_string(),
                        maybe(address.name.as_ref()),
                        address.public_address.to_string(),
                        maybe(address.instance.as_ref()),
                        maybe(address.network_interface.as_ref()),
                        age(address.created_at, now),
                    ]
                },
            )
        }
        Command::Show { address } => {
            let id = names::address(client, address).await?;
            show(context, &client.get_address(&id).await?)
        }
        Command::Associate { address, target, reassociate } => {
            let id = names::address(client, address).await?;
            let target = match target.parse() {
                Ok(interface) => AddressTarget::NetworkInterface(interface),
                Err(_) => AddressTarget::Instance(names::instance(client, target).await?),
            };
            let request = AssociateAddress { target, reassociate: *reassociate };
            show(context, &client.associate_address(&id, &request).await?)
        }
        Command::Disassociate { address } => {
            let id = names::address(client, address).await?;
            show(context, &client.disassociate_address(&id).await?)
        }
        Command::Release { addresses } => {
            let (_, result) = super::each(addresses, async |address: &String| {
                let id = names::address(client, address).await?;
                client.release_address(&id).await?;
                context.output.say(format!("released {id}"))
            })
            .await;
            result
        }
    }
}

fn show(context: &Context, address: &Address) -> Result<(), Failure> {
    context.output.one(
        address,
        address.id.as_str(),
        &[
            ("id", address.id.to_string()),
            ("name", maybe(address.name.as_ref())),
            ("address", address.public_address.to_string()),
            ("instance", maybe(address.instance.as_ref())),
            ("interface", maybe(address.network_interface.as_ref())),
            ("tags", tags(&address.tags)),
            ("created", address.created_at.to_string()),
        ],
    )
}
