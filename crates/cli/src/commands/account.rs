//! `bothy account`: accounts; for the operator.

use jiff::Timestamp;
use native_api::{Account, CreateAccount, Operation, PageQuery, PrincipalName, Quota, Quotas, UpdateAccount};

use crate::failure::Failure;
use crate::output::age;
use crate::{Context, names};

/// What can be done with accounts.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make an account
    #[command(after_help = "Examples:\n  bothy account create ci --instances 20 --memory-mib 65536")]
    Create {
        /// Its name
        name: PrincipalName,
        #[command(flatten)]
        quotas: QuotaArguments,
    },
    /// List accounts
    Ls,
    /// Show an account
    Show {
        /// The account, by name or id
        account: String,
    },
    /// Change how much an account may have; what is not said has no limit
    Quota {
        /// The account, by name or id
        account: String,
        #[command(flatten)]
        quotas: QuotaArguments,
    },
    /// Take no credentials of an account any more; its instances run on
    Disable {
        /// The account, by name or id
        account: String,
    },
    /// Take its credentials again
    Enable {
        /// The account, by name or id
        account: String,
    },
    /// Delete accounts that have no resources
    Rm {
        /// The accounts, by name or id
        #[arg(required = true)]
        accounts: Vec<String>,
    },
}

/// How much an account may have.
#[derive(Clone, Copy, clap::Args)]
pub struct QuotaArguments {
    /// Most instances
    #[arg(long, value_name = "N")]
    instances: Option<Quota>,
    /// Most vCPUs
    #[arg(long, value_name = "N")]
    vcpus: Option<Quota>,
    /// Most guest memory, in MiB
    #[arg(long, value_name = "MIB")]
    memory_mib: Option<Quota>,
    /// Most disk space, in GiB
    #[arg(long, value_name = "GIB")]
    disk_gib: Option<Quota>,
}

impl QuotaArguments {
    fn quotas(self) -> Quotas {
        let Self { instances, vcpus, memory_mib, disk_gib } = self;
        Quotas { instances, vcpus, memory_mib, disk_gib }
    }
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    let client = &context.client;
    let change = async |account: &str, change: UpdateAccount| {
        let id = names::account(client, account).await?;
        show(context, &client.update_account(&id, &change).await?)
    };
    match command {
        Command::Create { name, quotas } => {
            let request = CreateAccount { name: name.clone(), quotas: quotas.quotas() };
            show(context, &client.create_account(&request).await?)
        }
        Command::Ls => {
            let accounts: Vec<Account> = client.all(Operation::ListAccounts, &PageQuery::default()).await?;
            let now = Timestamp::now();
            let headers = ["ID", "NAME", "STATE", "QUOTAS", "AGE"];
            context.output.list(
                &accounts,
                |account| account.id.to_string(),
                headers,
                |account| {
                    [
                        account.id.to_string(),
                        account.name.to_string(),
                        state(account),
                        quotas(&account.quotas),
                        age(account.created_at, now),
                    ]
                },
            )
        }
        Command::Show { account } => {
            let id = names::account(client, account).await?;
            show(context, &client.get_account(&id).await?)
        }
        Command::Quota { account, quotas } => {
            change(account, UpdateAccount { quotas: Some(quotas.quotas()), ..UpdateAccount::default() }).await
        }
        Command::Disable { account } => {
            change(account, UpdateAccount { enabled: Some(false), ..UpdateAccount::default() }).await
        }
        Command::Enable { account } => {
            change(account, UpdateAccount { enabled: Some(true), ..UpdateAccount::default() }).await
        }
        Command::Rm { accounts } => {
            let (_, result) = super::each(accounts, async |account: &String| {
                let id = names::account(client, account).await?;
                client.delete_account(&id).await?;
                context.output.say(format!("deleted {id}"))
            })
            .await;
            result
        }
    }
}

fn show(context: &Context, account: &Account) -> Result<(), Failure> {
    context.output.one(
        account,
        account.id.as_str(),
        &[
            ("id", account.id.to_string()),
            ("name", account.name.to_string()),
            ("state", state(account)),
            ("quotas", quotas(&account.quotas)),
            ("created", account.created_at.to_string()),
        ],
    )
}

fn state(account: &Account) -> String {
    if account.enabled { "enabled" } else { "disabled" }.into()
}

fn quotas(quotas: &Quotas) -> String {
    let limits = [
        (quotas.instances, "instances"),
        (quotas.vcpus, "vCPUs"),
        (quotas.memory_mib, "MiB memory"),
        (quotas.disk_gib, "GiB disk"),
    ];
    let limits = limits.iter().filter_map(|(limit, unit)| limit.map(|limit| format!("{limit} {unit}")));
    let text = crate::output::several(limits);
    if text.is_empty() { "no limit".into() } else { text }
}
