//! The commands. Each module has its arguments, which are its help, and a function `run`.

mod access;
mod account;
mod address;
mod certificate;
mod completion;
mod connect;
mod console;
mod events;
mod group;
mod image;
mod instance;
mod interface;
mod job;
mod key;
mod launch;
mod node;
mod snapshot;
mod ssh;
mod subnet;
mod volume;
mod vpc;

use std::process::ExitCode;
use std::time::Duration;

use native_api::{TagKey, TagValue, Tags};

use crate::failure::{Exit, Failure};
use crate::{Global, doctor};

/// What can be done.
#[derive(clap::Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    Launch(Box<launch::Arguments>),
    Ls(instance::List),
    Show(instance::Show),
    /// Start instances
    Start(instance::Several),
    /// Stop instances; their disks and addresses are kept
    #[command(
        after_help = "Examples:\n  bothy stop web --wait\n  bothy stop web db --force       as if their power was cut"
    )]
    Stop(instance::MaybeForced),
    /// Reboot instances
    Reboot(instance::MaybeForced),
    /// Terminate instances; disks that are not to be kept go with them
    #[command(
        after_help = "Examples:\n  bothy terminate web db --wait\n  bothy ls -q --tag team=ci | xargs bothy terminate"
    )]
    Terminate(instance::Several),
    Console(console::Arguments),
    Ssh(ssh::Arguments),
    Connect(connect::Arguments),
    /// Images: what instances are launched from
    #[command(subcommand)]
    Image(image::Command),
    /// Volumes: disks
    #[command(subcommand)]
    Volume(volume::Command),
    /// Snapshots: what was on a volume
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    /// Key pairs, to log in by
    #[command(subcommand)]
    Key(key::Command),
    /// VPCs: networks of one's own
    #[command(subcommand)]
    Vpc(vpc::Command),
    /// Subnets of VPCs, which instances are launched into
    #[command(subcommand)]
    Subnet(subnet::Command),
    /// Security groups: what may pass to instances and from them
    #[command(subcommand)]
    Group(group::Command),
    /// Public addresses
    #[command(subcommand)]
    Address(address::Command),
    /// Network interfaces of instances
    #[command(subcommand)]
    Interface(interface::Command),
    /// Accounts; for the operator
    #[command(subcommand)]
    Account(account::Command),
    /// Users of the account
    #[command(subcommand)]
    User(access::UserCommand),
    /// Access keys, by which programs call
    #[command(subcommand)]
    AccessKey(access::AccessKeyCommand),
    /// X.509 certificates, whose keys sign SOAP requests of EC2's API
    #[command(subcommand)]
    Certificate(certificate::Command),
    /// Roles, which instances and users assume
    #[command(subcommand)]
    Role(access::RoleCommand),
    /// Policies: who may do what
    #[command(subcommand)]
    Policy(access::PolicyCommand),
    /// Long operations
    #[command(subcommand)]
    Jobs(job::Command),
    Events(events::Arguments),
    /// List instance types
    Types,
    /// Show the host and what is left of it; for the operator
    Host,
    Doctor(doctor::Arguments),
    Completion(completion::Arguments),
    /// Show the versions of this program and of the daemon
    Version,
}

/// Does what was asked.
pub async fn run(global: &Global, command: Command) -> Result<ExitCode, Failure> {
    // What needs no daemon comes before the client, which may fail for want of credentials.
    let command = match command {
        Command::Doctor(arguments) => return doctor::run(global, &arguments).await,
        Command::Completion(arguments) => {
            completion::run(global.output(), &arguments)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Version => {
            node::version(global).await?;
            return Ok(ExitCode::SUCCESS);
        }
        other => other,
    };
    let context = global.context()?;
    match command {
        Command::Launch(arguments) => launch::run(&context, &arguments).await?,
        Command::Ls(arguments) => instance::list(&context, &arguments).await?,
        Command::Show(arguments) => instance::show(&context, &arguments).await?,
        Command::Start(arguments) => instance::start(&context, &arguments).await?,
        Command::Stop(arguments) => instance::stop(&context, &arguments).await?,
        Command::Reboot(arguments) => instance::reboot(&context, &arguments).await?,
        Command::Terminate(arguments) => instance::terminate(&context, &arguments).await?,
        Command::Console(arguments) => console::run(&context, &arguments).await?,
        Command::Ssh(arguments) => ssh::run(&context, &arguments).await?,
        Command::Connect(arguments) => connect::run(&context, &arguments).await?,
        Command::Image(command) => image::run(&context, &command).await?,
        Command::Volume(command) => volume::run(&context, &command).await?,
        Command::Snapshot(command) => snapshot::run(&context, &command).await?,
        Command::Key(command) => key::run(&context, &command).await?,
        Command::Vpc(command) => vpc::run(&context, &command).await?,
        Command::Subnet(command) => subnet::run(&context, &command).await?,
        Command::Group(command) => group::run(&context, &command).await?,
        Command::Address(command) => address::run(&context, &command).await?,
        Command::Interface(command) => interface::run(&context, &command).await?,
        Command::Account(command) => account::run(&context, &command).await?,
        Command::User(command) => access::user(&context, &command).await?,
        Command::AccessKey(command) => access::access_key(&context, &command).await?,
        Command::Certificate(command) => certificate::run(&context, &command).await?,
        Command::Role(command) => access::role(&context, &command).await?,
        Command::Policy(command) => access::policy(&context, &command).await?,
        Command::Jobs(command) => job::run(&context, &command).await?,
        Command::Events(arguments) => events::run(&context, &arguments).await?,
        Command::Types => node::types(&context).await?,
        Command::Host => node::host(&context).await?,
        Command::Doctor(_) | Command::Completion(_) | Command::Version => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Waiting, for commands after which something goes on in the daemon.
#[derive(clap::Args)]
pub struct Wait {
    /// Wait until it is done
    #[arg(long)]
    wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "wait")]
    timeout: u64,
}

impl Wait {
    fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// Runs `act` on each of several things, says what failed, and goes on with the rest; fails as the first that did.
async fn each<T, R>(
    items: &[T],
    mut act: impl AsyncFnMut(&T) -> Result<R, Failure>,
) -> (Vec<R>, Result<(), Failure>) {
    let mut done = Vec::new();
    let mut exit = None;
    for item in items {
        match act(item).await {
            Ok(result) => done.push(result),
            Err(failure) => {
                failure.report();
                exit = exit.or(Some(failure.exit));
            }
        }
    }
    // What failed was said.
    (done, exit.map_or(Ok(()), |exit| Err(Failure::new(exit, "", ""))))
}

/// Reads `KEY=VALUE`; without a value it is empty.
fn tag(text: &str) -> Result<(TagKey, TagValue), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let key = key.parse().map_err(|error: native_api::TextError| error.to_string())?;
    Ok((key, value.parse().map_err(|error: native_api::TextError| error.to_string())?))
}

fn all_tags(tags: &[(TagKey, TagValue)]) -> Result<Tags, Failure> {
    let tags: std::collections::BTreeMap<_, _> = tags.iter().cloned().collect();
    tags.try_into().map_err(|error: native_api::TagsError| Failure::usage(error.to_string()))
}

/// Reads a file, or stdin for `-`.
fn read_text(path: &std::path::Path, limit: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let failed = |error: &std::io::Error| Failure::local(format!("reading {}", path.display()), error);
    let mut source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(|error| failed(&error))?)
    };
    let mut bytes = Vec::new();
    source.by_ref().take(limit + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > limit {
        let message = format!("{} has more than {limit} bytes", path.display());
        return Err(Failure::new(Exit::Failed, message, "see that it is the right file"));
    }
    Ok(bytes)
}

/// Reads a policy document.
fn read_policy(path: &std::path::Path) -> Result<native_api::PolicyDocument, Failure> {
    let bytes = read_text(path, 64 << 10)?;
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{} is no text", path.display())))?;
    crate::names::given(&text)
}
