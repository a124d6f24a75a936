//! `bothy group`: security groups, which say what may pass to their members and from them.

use jiff::Timestamp;
use native_api::{
    CreateSecurityGroup, Description, Direction, NetworkQuery, Operation, Peer, ResourceName, SecurityGroup,
    SecurityGroupCounts, SecurityGroupId, SecurityRule, TagKey, TagValue, Traffic, UpdateSecurityRules,
    VpcId,
};

use super::{all_tags, tag};
use crate::failure::{Exit, Failure};
use crate::output::{age, bytes, maybe, tags, yes};
use crate::rule::{self, Written, WrittenPeer};
use crate::{Context, names};

const RULES: &str = "\
Rules:
  PROTOCOL [PORTS] from|to PEER, with commas between several
  PROTOCOL  all, tcp, udp or icmp
  PORTS     22 or 8000-8100; of icmp a type, or a type and a code: 8 or 3/4
  PEER      10.0.0.0/8, 10.0.0.5 or anywhere, as the guest sees it; or group and its name or id
  What no rule allows is dropped. Answers to what one allows pass too.

";

const ALLOW: &str = "\
Examples:
  bothy group allow web tcp 22 from 192.0.2.0/24
  bothy group allow web tcp 8000-8100 from group lb, icmp 8 from anywhere
  bothy group allow db --description 'the name server' udp 53 to 10.0.0.2";

const REVOKE: &str = "\
Examples:
  bothy group revoke web tcp 22 from 192.0.2.0/24";

const SHOW: &str = "\
Examples:
  bothy group show web
  bothy group show web --counts

Counters are of packets that begin connections. A rule's begin anew when it is given anew, and all
when the last member has stopped or the host was started anew. They outlive the daemon.";

const CREATE: &str = "\
Examples:
  bothy group create web --allow 'tcp 80 from anywhere, tcp 443 from anywhere'
  bothy group create db --vpc shop --allow 'tcp 5432 from group web' --no-egress

Members may send whatever they want unless another rule about that, with to, is given, or --no-egress.";

/// What can be done with security groups.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a security group
    #[command(after_help = CREATE)]
    Create {
        /// Its name, unique in its VPC
        name: ResourceName,
        /// The VPC, by name or id. Default: the account's default one
        #[arg(long)]
        vpc: Option<String>,
        /// What may pass, as bothy group allow has it; may be given several times
        #[arg(long, value_name = "RULES")]
        allow: Vec<String>,
        /// Let members send nothing by themselves
        #[arg(long)]
        no_egress: bool,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<Description>,
        /// A tag; may be given several times
        #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
        tag: Vec<(TagKey, TagValue)>,
    },
    /// List security groups
    Ls {
        /// Only those of this VPC, by name or id
        #[arg(long)]
        vpc: Option<String>,
    },
    /// Show a security group
    #[command(after_help = SHOW)]
    Show {
        #[command(flatten)]
        which: Which,
        /// With how much each rule let pass, and how much was dropped
        #[arg(long)]
        counts: bool,
    },
    /// Let something pass; in force at once, for members that run too
    #[command(
        visible_alias = "authorize",
        after_help = format!("{RULES}{ALLOW}")
    )]
    Allow {
        #[command(flatten)]
        change: Change,
        /// What they are for
        #[arg(long, value_name = "TEXT")]
        description: Option<Description>,
    },
    /// Take rules away; connections that began by them go on
    #[command(after_help = format!("{RULES}{REVOKE}"))]
    Revoke {
        #[command(flatten)]
        change: Change,
    },
    /// Delete security groups that have no members any more
    Rm {
        /// The VPC that names are looked for in
        #[arg(long)]
        vpc: Option<String>,
        /// The groups, by name or id
        #[arg(required = true)]
        groups: Vec<String>,
    },
}

/// A security group.
#[derive(clap::Args)]
pub struct Which {
    /// The group, by name or id
    group: String,
    /// The VPC that names are looked for in
    #[arg(long)]
    vpc: Option<String>,
}

/// Rules of a group.
#[derive(clap::Args)]
pub struct Change {
    #[command(flatten)]
    which: Which,
    /// The rules
    #[arg(required = true, value_name = "RULE")]
    rules: Vec<String>,
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Create { name, vpc, allow, no_egress, description, tag } => {
            let mut written = Vec::new();
            for rules in allow {
                written.extend(rule::parse(rules).map_err(Failure::usage)?);
            }
            if !no_egress && !written.iter().any(Written::is_egress) {
                written.push(Written::all_out());
            }
            let vpc = names::some_vpc(client, vpc).await?;
            // Those about the group itself come when there is one.
            let is_itself =
                |rule: &Written| matches!(&rule.peer, WrittenPeer::Group(it) if it == name.as_str());
            let (itself, others): (Vec<_>, Vec<_>) = written.into_iter().partition(is_itself);
            let within = match (&vpc, others.iter().any(names_a_group)) {
                (None, true) => Some(names::default_vpc(client).await?),
                _ => vpc.clone(),
            };
            let request = CreateSecurityGroup {
                rules: resolve(context, within.as_ref(), &others).await?,
                vpc,
                name: name.clone(),
                description: description.clone(),
                tags: all_tags(tag)?,
            };
            let mut group = client.create_security_group(&request).await?;
            if !itself.is_empty() {
                let peer = || Peer::SecurityGroup(group.id.clone());
                let add = itself.iter().map(|written| written.rule(peer())).collect();
                let change = UpdateSecurityRules { add, remove: Vec::new() };
                group = client.update_security_group_rules(&group.id, &change).await?;
            }
            show(context, &group, None).await
        }
        Command::Ls { vpc } => {
            let query = NetworkQuery { vpc: names::some_vpc(client, vpc).await?, ..NetworkQuery::default() };
            let groups: Vec<SecurityGroup> = client.all(Operation::ListSecurityGroups, &query).await?;
            let now = Timestamp::now();
            let headers = ["ID", "NAME", "VPC", "IN", "OUT", "DESCRIPTION", "AGE"];
            let count = |group: &SecurityGroup, direction: Direction| {
                group.rules.iter().filter(|rule| rule.direction == direction).count().to_string()
            };
            context.output.list(
                &groups,
                |group| group.id.to_string(),
                headers,
                |group| {
                    [
                        group.id.to_string(),
                        group.name.to_string(),
                        group.vpc.to_string(),
                        count(group, Direction::Ingress),
                        count(group, Direction::Egress),
                        maybe(group.description.as_ref()),
                        age(group.created_at, now),
                    ]
                },
            )
        }
        Command::Show { which, counts } => {
            let id = which.id(context).await?;
            if !counts {
                return show(context, &client.get_security_group(&id).await?, None).await;
            }
            let counts = client.get_security_group_counts(&id).await?;
            if context.output.json {
                return context.output.json(&counts);
            }
            show(context, &client.get_security_group(&id).await?, Some(&counts)).await
        }
        Command::Allow { change, description } => {
            let (group, mut add) = change.rules(context).await?;
            add.iter_mut().for_each(|rule| rule.description.clone_from(description));
            let change = UpdateSecurityRules { add, remove: Vec::new() };
            show(context, &client.update_security_group_rules(&group.id, &change).await?, None).await
        }
        Command::Revoke { change } => {
            let (group, remove) = change.rules(context).await?;
            // The daemon takes one that is not there for taken away: whoever mistyped it should know.
            let same = |one: &SecurityRule, other: &SecurityRule| {
                let what =
                    |rule: &SecurityRule| (rule.direction, rule.protocol, rule.ports, rule.peer.clone());
                what(one) == what(other)
            };
            if let Some(missing) = remove.iter().find(|rule| !group.rules.iter().any(|it| same(it, rule))) {
                let message = format!("{} has no rule {}", group.name, rule::text(missing, |_| None));
                let hint = format!("see bothy group show {}", group.id);
                return Err(Failure::new(Exit::NotFound, message, hint));
            }
            let change = UpdateSecurityRules { add: Vec::new(), remove };
            show(context, &client.update_security_group_rules(&group.id, &change).await?, None).await
        }
        Command::Rm { vpc, groups } => {
            let vpc = names::some_vpc(client, vpc).await?;
            let (_, result) = super::each(groups, async |group: &String| {
                let id = names::group(client, group, vpc.as_ref()).await?;
                client.delete_security_group(&id).await?;
                context.output.say(format!("deleted {id}"))
            })
            .await;
            result
        }
    }
}

impl Which {
    async fn id(&self, context: &Context) -> Result<SecurityGroupId, Failure> {
        let vpc = names::some_vpc(&context.client, &self.vpc).await?;
        names::group(&context.client, &self.group, vpc.as_ref()).await
    }
}

impl Change {
    /// The group, and the rules with those groups in them that its VPC has.
    async fn rules(&self, context: &Context) -> Result<(SecurityGroup, Vec<SecurityRule>), Failure> {
        // What is written wrongly is told before anything is asked.
        let written = rule::parse(&self.rules.join(" ")).map_err(Failure::usage)?;
        let id = self.which.id(context).await?;
        let group = context.client.get_security_group(&id).await?;
        let rules = resolve(context, Some(&group.vpc), &written).await?;
        Ok((group, rules))
    }
}

fn names_a_group(rule: &Written) -> bool {
    matches!(rule.peer, WrittenPeer::Group(_))
}

/// Rules as the API has them, with the groups of this VPC in place of their names.
async fn resolve(
    context: &Context,
    vpc: Option<&VpcId>,
    written: &[Written],
) -> Result<Vec<SecurityRule>, Failure> {
    let mut rules = Vec::with_capacity(written.len());
    for written in written {
        let peer = match &written.peer {
            WrittenPeer::Cidr(cidr) => Peer::Cidr(cidr.clone()),
            WrittenPeer::Group(name) => Peer::SecurityGroup(names::group(&context.client, name, vpc).await?),
        };
        rules.push(written.rule(peer));
    }
    Ok(rules)
}

async fn show(
    context: &Context,
    group: &SecurityGroup,
    counts: Option<&SecurityGroupCounts>,
) -> Result<(), Failure> {
    let refers = |rule: &SecurityRule| matches!(rule.peer, Peer::SecurityGroup(_));
    let is_for_people = !context.output.json && !context.output.quiet;
    let known: Vec<SecurityGroup> = if is_for_people && group.rules.iter().any(refers) {
        let query = NetworkQuery { vpc: Some(group.vpc.clone()), ..NetworkQuery::default() };
        context.client.all(Operation::ListSecurityGroups, &query).await?
    } else {
        Vec::new()
    };
    let name =
        |id: &SecurityGroupId| known.iter().find(|known| known.id == *id).map(|known| known.name.to_string());
    let words = |rule: &SecurityRule| match &rule.description {
        Some(description) => format!("{}  ({description})", rule::text(rule, name)),
        None => rule::text(rule, name),
    };
    let rules: Vec<String> = match counts {
        None => group.rules.iter().map(words).collect(),
        Some(counts) => {
            let lines = counts.rules.iter().map(|count| (words(&count.rule), traffic(count.passed)));
            let lines: Vec<_> = lines.collect();
            let width = lines.iter().map(|(rule, _)| rule.chars().count()).max().unwrap_or(0);
            lines.iter().map(|(rule, passed)| format!("{rule:width$}  {passed}")).collect()
        }
    };
    let dropped = counts.map(|counts| {
        let (ingress, egress) = (traffic(counts.dropped_ingress), traffic(counts.dropped_egress));
        format!("{ingress} to members\n{egress} from members")
    });
    context.output.one(
        group,
        group.id.as_str(),
        &[
            ("id", group.id.to_string()),
            ("name", group.name.to_string()),
            ("description", maybe(group.description.as_ref())),
            ("vpc", group.vpc.to_string()),
            ("default", yes(group.is_default)),
            ("rules", rules.join("\n")),
            ("dropped", dropped.unwrap_or_default()),
            ("tags", tags(&group.tags)),
            ("created", group.created_at.to_string()),
        ],
    )
}

fn traffic(count: Traffic) -> String {
    format!("{} packets, {}", count.packets, bytes(count.bytes))
}
