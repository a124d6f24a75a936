//! `bothy interface`: network interfaces of instances.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use native_api::{
    AttachNetworkInterface, CreateNetworkInterface, Description, Force, NetworkInterface, NetworkQuery,
    Operation, ResourceName, TagKey, TagValue, UpdateNetworkInterface,
};

use super::{all_tags, tag};
use crate::failure::Failure;
use crate::output::{age, maybe, several, tags};
use crate::{Context, names};

/// What can be done with network interfaces.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a network interface, for an instance to have besides its first
    #[command(
        after_help = "Examples:\n  bothy interface create back --group db --name second\n  bothy interface attach second web"
    )]
    Create {
        /// The subnet, by name or id
        subnet: String,
        /// Its address in the subnet. Default: a free one
        #[arg(long)]
        address: Option<Ipv4Addr>,
        /// A security group, by name or id; may be given several times. Default: the VPC's default one
        #[arg(long)]
        group: Vec<String>,
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
    /// List network interfaces
    Ls {
        /// Only those in this VPC, by name or id
        #[arg(long)]
        vpc: Option<String>,
        /// Only those of this instance, by name or id
        #[arg(long)]
        instance: Option<String>,
    },
    /// Show a network interface
    Show {
        /// The interface, by name or id
        interface: String,
    },
    /// Change a network interface
    #[command(
        after_help = "Examples:\n  bothy interface set eni-1a2b3c4d --group web --group ssh     these, and no others; at once"
    )]
    Set {
        /// The interface, by name or id
        interface: String,
        /// A security group that it is to be in, by name or id; may be given several times. All others are left
        #[arg(long)]
        group: Vec<String>,
        /// What to call it
        #[arg(long)]
        name: Option<ResourceName>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<Description>,
    },
    /// Attach a network interface to an instance that is stopped
    Attach {
        /// The interface, by name or id
        interface: String,
        /// The instance, by name or id
        instance: String,
        /// Delete it when the instance is terminated
        #[arg(long)]
        delete_with_instance: bool,
    },
    /// Detach a network interface from an instance that is stopped
    Detach {
        /// The interface, by name or id
        interface: String,
    },
    /// Delete network interfaces that no instance has
    Rm {
        /// The interfaces, by name or id
        #[arg(required = true)]
        interfaces: Vec<String>,
    },
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Create { subnet, address, group, name, description, tag } => {
            let subnet = names::subnet(client, subnet).await?;
            let request = CreateNetworkInterface {
                security_groups: names::groups_of_subnet(client, group, Some(&subnet)).await?,
                subnet,
                private_address: *address,
                name: name.clone(),
                description: description.clone(),
                tags: all_tags(tag)?,
            };
            show(context, &client.create_network_interface(&request).await?)
        }
        Command::Ls { vpc, instance } => {
            let query = NetworkQuery { vpc: names::some_vpc(client, vpc).await?, ..NetworkQuery::default() };
            let wanted = match instance {
                Some(text) => Some(names::instance(client, text).await?),
                None => None,
            };
            let mut interfaces: Vec<NetworkInterface> =
                client.all(Operation::ListNetworkInterfaces, &query).await?;
            interfaces.retain(|interface| wanted.is_none() || interface.instance == wanted);
            let now = Timestamp::now();
            let headers = ["ID", "NAME", "ADDRESS", "PUBLIC", "INSTANCE", "SUBNET", "GROUPS", "AGE"];
            context.output.list(
                &interfaces,
                |interface| interface.id.to_string(),
                headers,
                |interface| {
                    [
                        interface.id.to_string(),
                        maybe(interface.name.as_ref()),
                        interface.private_address.to_string(),
                        maybe(interface.public_address.as_ref()),
                        maybe(interface.instance.as_ref()),
                        interface.subnet.to_string(),
                        several(&interface.security_groups),
                        age(interface.created_at, now),
                    ]
                },
            )
        }
        Command::Show { interface } => {
            let id = names::interface(client, interface).await?;
            show(context, &client.get_network_interface(&id).await?)
        }
        Command::Set { interface, group, name, description } => {
            let id = names::interface(client, interface).await?;
            let security_groups = if group.is_empty() {
                None
            } else {
                let subnet = client.get_network_interface(&id).await?.subnet;
                Some(names::groups_of_subnet(client, group, Some(&subnet)).await?)
            };
            let change = UpdateNetworkInterface {
                name: name.clone(),
                description: description.clone(),
                security_groups,
            };
            show(context, &client.update_network_interface(&id, &change).await?)
        }
        Command::Attach { interface, instance, delete_with_instance } => {
            let id = names::interface(client, interface).await?;
            let instance = names::instance(client, instance).await?;
            let request = AttachNetworkInterface { instance, delete_with_instance: *delete_with_instance };
            show(context, &client.attach_network_interface(&id, &request).await?)
        }
        Command::Detach { interface } => {
            let id = names::interface(client, interface).await?;
            show(context, &client.detach_network_interface(&id, &Force { force: false }).await?)
        }
        Command::Rm { interfaces } => {
            let (_, result) = super::each(interfaces, async |interface: &String| {
                let id = names::interface(client, interface).await?;
                client.delete_network_interface(&id).await?;
                context.output.say(format!("deleted {id}"))
            })
            .await;
            result
        }
    }
}

fn show(context: &Context, interface: &NetworkInterface) -> Result<(), Failure> {
    let public = interface.public_address.map(|address| match &interface.address {
        Some(id) => format!("{address} ({id})"),
        None => format!("{address}, which goes with it"),
    });
    let instance = interface.instance.as_ref().map(|instance| {
        let fate = if interface.delete_with_instance { "deleted with it" } else { "kept" };
        format!("{instance}, its number {}, {fate}", interface.index.unwrap_or(0))
    });
    context.output.one(
        interface,
        interface.id.as_str(),
        &[
            ("id", interface.id.to_string()),
            ("name", maybe(interface.name.as_ref())),
            ("description", maybe(interface.description.as_ref())),
            ("address", interface.private_address.to_string()),
            ("public address", public.unwrap_or_default()),
            ("mac", interface.mac.to_string()),
            ("instance", instance.unwrap_or_default()),
            ("subnet", interface.subnet.to_string()),
            ("vpc", interface.vpc.to_string()),
            ("groups", several(&interface.security_groups)),
            ("tags", tags(&interface.tags)),
            ("created", interface.created_at.to_string()),
        ],
    )
}
