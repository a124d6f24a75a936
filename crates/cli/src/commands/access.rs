//! `bothy user`, `access-key`, `role` and `policy`: who may do what in the account.

use std::path::PathBuf;

use jiff::Timestamp;
use native_api::{
    AccessKey, AccessKeyId, AccessKeyQuery, CreateAccessKey, CreatePolicy, CreateRole, CreateUser,
    Description, Operation, PageQuery, Policy, PrincipalName, Role, SessionSeconds, UpdateAccessKey,
    UpdatePolicy, User,
};

use super::{each, read_policy};
use crate::Context;
use crate::failure::Failure;
use crate::output::{age, maybe, several};

/// What can be done with users.
#[derive(clap::Subcommand)]
pub enum UserCommand {
    /// Make a user, who may do nothing yet
    #[command(
        after_help = "Examples:\n  bothy user create ci\n  bothy user attach ci AdministratorAccess\n  bothy access-key create --user ci"
    )]
    Create {
        /// Its name
        name: PrincipalName,
        /// Who it is
        #[arg(long)]
        description: Option<Description>,
    },
    /// List users
    Ls,
    /// Show a user
    Show {
        /// Its name
        name: PrincipalName,
    },
    /// Attach a policy
    Attach {
        /// The user
        name: PrincipalName,
        /// The policy
        policy: PrincipalName,
    },
    /// Detach a policy
    Detach {
        /// The user
        name: PrincipalName,
        /// The policy
        policy: PrincipalName,
    },
    /// Delete users and their access keys
    Rm {
        /// Their names
        #[arg(required = true)]
        names: Vec<PrincipalName>,
    },
}

/// Does it to users.
pub async fn user(context: &Context, command: &UserCommand) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        UserCommand::Create { name, description } => {
            let request = CreateUser { name: name.clone(), description: description.clone() };
            show_user(context, &client.create_user(&request).await?)
        }
        UserCommand::Ls => {
            let users: Vec<User> = client.all(Operation::ListUsers, &PageQuery::default()).await?;
            let now = Timestamp::now();
            context.output.list(
                &users,
                |user| user.name.to_string(),
                ["NAME", "POLICIES", "AGE"],
                |user| [user.name.to_string(), several(&user.policies), age(user.created_at, now)],
            )
        }
        UserCommand::Show { name } => show_user(context, &client.get_user(name).await?),
        UserCommand::Attach { name, policy } => {
            show_user(context, &client.attach_user_policy(name, policy).await?)
        }
        UserCommand::Detach { name, policy } => {
            show_user(context, &client.detach_user_policy(name, policy).await?)
        }
        UserCommand::Rm { names } => {
            let (_, result) = each(names, async |name: &PrincipalName| {
                client.delete_user(name).await?;
                context.output.say(format!("deleted {name}"))
            })
            .await;
            result
        }
    }
}

fn show_user(context: &Context, user: &User) -> Result<(), Failure> {
    context.output.one(
        user,
        user.name.as_str(),
        &[
            ("name", user.name.to_string()),
            ("description", maybe(user.description.as_ref())),
            ("account", user.account.to_string()),
            ("policies", several(&user.policies)),
            ("created", user.created_at.to_string()),
        ],
    )
}

/// What can be done with access keys.
#[derive(clap::Subcommand)]
pub enum AccessKeyCommand {
    /// Make an access key; its secret is shown here and never again
    Create {
        /// The user. Default: the account itself
        #[arg(long)]
        user: Option<PrincipalName>,
    },
    /// List access keys
    Ls {
        /// Only those of this user
        #[arg(long)]
        user: Option<PrincipalName>,
    },
    /// Take an access key no more
    Deactivate {
        /// Its id
        id: AccessKeyId,
    },
    /// Take an access key again
    Activate {
        /// Its id
        id: AccessKeyId,
    },
    /// Delete access keys
    Rm {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<AccessKeyId>,
    },
}

/// Does it to access keys.
pub async fn access_key(context: &Context, command: &AccessKeyCommand) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        AccessKeyCommand::Create { user } => {
            let made = client.create_access_key(&CreateAccessKey { user: user.clone() }).await?;
            let key = &made.access_key;
            // Its id alone would be of no use, and the secret cannot be asked for again.
            context.output.one(
                &made,
                &format!("{} {}", key.id, made.secret),
                &[
                    ("access key", key.id.to_string()),
                    ("secret", made.secret.clone()),
                    ("user", maybe(key.user.as_ref())),
                    ("account", key.account.to_string()),
                ],
            )
        }
        AccessKeyCommand::Ls { user } => {
            let query = AccessKeyQuery { user: user.clone(), ..AccessKeyQuery::default() };
            let keys: Vec<AccessKey> = client.all(Operation::ListAccessKeys, &query).await?;
            let now = Timestamp::now();
            context.output.list(
                &keys,
                |key| key.id.to_string(),
                ["ID", "USER", "STATE", "AGE"],
                |key| [key.id.to_string(), maybe(key.user.as_ref()), state(key), age(key.created_at, now)],
            )
        }
        AccessKeyCommand::Deactivate { id } => set_active(context, id, false).await,
        AccessKeyCommand::Activate { id } => set_active(context, id, true).await,
        AccessKeyCommand::Rm { ids } => {
            let (_, result) = each(ids, async |id: &AccessKeyId| {
                client.delete_access_key(id).await?;
                context.output.say(format!("deleted {id}"))
            })
            .await;
            result
        }
    }
}

async fn set_active(context: &Context, id: &AccessKeyId, active: bool) -> Result<(), Failure> {
    let key = context.client.update_access_key(id, &UpdateAccessKey { active }).await?;
    context.output.one(
        &key,
        key.id.as_str(),
        &[("access key", key.id.to_string()), ("user", maybe(key.user.as_ref())), ("state", state(&key))],
    )
}

fn state(key: &AccessKey) -> String {
    if key.active { "active" } else { "inactive" }.into()
}

/// What can be done with roles.
#[derive(clap::Subcommand)]
pub enum RoleCommand {
    /// Make a role, which allows nothing yet
    Create {
        /// Its name
        name: PrincipalName,
        /// A file that says who may assume it: a trust policy; - for stdin
        #[arg(long, value_name = "FILE")]
        trust: PathBuf,
        /// What it is for
        #[arg(long)]
        description: Option<Description>,
        /// Longest session, in seconds. Default: an hour
        #[arg(long, value_name = "SECONDS")]
        max_session: Option<SessionSeconds>,
    },
    /// List roles
    Ls,
    /// Show a role
    Show {
        /// Its name
        name: PrincipalName,
    },
    /// Attach a policy
    Attach {
        /// The role
        name: PrincipalName,
        /// The policy
        policy: PrincipalName,
    },
    /// Detach a policy
    Detach {
        /// The role
        name: PrincipalName,
        /// The policy
        policy: PrincipalName,
    },
    /// Delete roles
    Rm {
        /// Their names
        #[arg(required = true)]
        names: Vec<PrincipalName>,
    },
}

/// Does it to roles.
pub async fn role(context: &Context, command: &RoleCommand) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        RoleCommand::Create { name, trust, description, max_session } => {
            let request = CreateRole {
                name: name.clone(),
                description: description.clone(),
                trust_policy: read_policy(trust)?,
                max_session_seconds: *max_session,
            };
            show_role(context, &client.create_role(&request).await?)
        }
        RoleCommand::Ls => {
            let roles: Vec<Role> = client.all(Operation::ListRoles, &PageQuery::default()).await?;
            let now = Timestamp::now();
            context.output.list(
                &roles,
                |role| role.name.to_string(),
                ["NAME", "POLICIES", "AGE"],
                |role| [role.name.to_string(), several(&role.policies), age(role.created_at, now)],
            )
        }
        RoleCommand::Show { name } => show_role(context, &client.get_role(name).await?),
        RoleCommand::Attach { name, policy } => {
            show_role(context, &client.attach_role_policy(name, policy).await?)
        }
        RoleCommand::Detach { name, policy } => {
            show_role(context, &client.detach_role_policy(name, policy).await?)
        }
        RoleCommand::Rm { names } => {
            let (_, result) = each(names, async |name: &PrincipalName| {
                client.delete_role(name).await?;
                context.output.say(format!("deleted {name}"))
            })
            .await;
            result
        }
    }
}

fn show_role(context: &Context, role: &Role) -> Result<(), Failure> {
    context.output.one(
        role,
        role.name.as_str(),
        &[
            ("name", role.name.to_string()),
            ("description", maybe(role.description.as_ref())),
            ("account", role.account.to_string()),
            ("policies", several(&role.policies)),
            ("longest session", format!("{} s", role.max_session_seconds)),
            ("trust policy", role.trust_policy.to_string()),
            ("created", role.created_at.to_string()),
        ],
    )
}

/// What can be done with policies.
#[derive(clap::Subcommand)]
pub enum PolicyCommand {
    /// Make a policy
    Create {
        /// Its name
        name: PrincipalName,
        /// A file with its document; - for stdin
        file: PathBuf,
        /// What it is for
        #[arg(long)]
        description: Option<Description>,
    },
    /// List policies, the built-in ones among them
    Ls,
    /// Show a policy
    Show {
        /// Its name
        name: PrincipalName,
    },
    /// Give a policy another document, at once for all who have it
    Update {
        /// Its name
        name: PrincipalName,
        /// A file with its document; - for stdin
        file: PathBuf,
    },
    /// Delete policies that are attached to nobody
    Rm {
        /// Their names
        #[arg(required = true)]
        names: Vec<PrincipalName>,
    },
}

/// Does it to policies.
pub async fn policy(context: &Context, command: &PolicyCommand) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        PolicyCommand::Create { name, file, description } => {
            let request = CreatePolicy {
                name: name.clone(),
                description: description.clone(),
                document: read_policy(file)?,
            };
            show_policy(context, &client.create_policy(&request).await?)
        }
        PolicyCommand::Ls => {
            let policies: Vec<Policy> = client.all(Operation::ListPolicies, &PageQuery::default()).await?;
            let headers = ["NAME", "BUILT IN", "DESCRIPTION"];
            context.output.list(
                &policies,
                |policy| policy.name.to_string(),
                headers,
                |policy| {
                    let built_in = if policy.built_in { "yes" } else { "no" };
                    [policy.name.to_string(), built_in.into(), maybe(policy.description.as_ref())]
                },
            )
        }
        PolicyCommand::Show { name } => show_policy(context, &client.get_policy(name).await?),
        PolicyCommand::Update { name, file } => {
            let change = UpdatePolicy { description: None, document: Some(read_policy(file)?) };
            show_policy(context, &client.update_policy(name, &change).await?)
        }
        PolicyCommand::Rm { names } => {
            let (_, result) = each(names, async |name: &PrincipalName| {
                client.delete_policy(name).await?;
                context.output.say(format!("deleted {name}"))
            })
            .await;
            result
        }
    }
}

fn show_policy(context: &Context, policy: &Policy) -> Result<(), Failure> {
    context.output.one(
        policy,
        policy.name.as_str(),
        &[
            ("name", policy.name.to_string()),
            ("description", maybe(policy.description.as_ref())),
            ("built in", if policy.built_in { "yes" } else { "no" }.into()),
            ("document", policy.document.to_string()),
            ("created", maybe(policy.created_at.as_ref())),
        ],
    )
}
