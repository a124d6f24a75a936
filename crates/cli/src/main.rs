//! bothy: instances from the command line. Every command is a module of `commands`, with its arguments and its help; all
//! but `doctor` do nothing but ask the daemon.

#![forbid(unsafe_code)]

mod commands;
mod config;
mod doctor;
mod failure;
mod names;
mod output;
mod rule;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use native_api::{AccessKeyId, AccountId, Client, Credentials, Endpoint, Options};

use commands::Command;
use failure::{Exit, Failure};
use output::Output;

const AFTER_HELP: &str = "\
Examples:
  bothy doctor                                      is this host ready?
  bothy image import debian-12.qcow2 --name debian --wait
  bothy key create laptop
  bothy launch debian --key laptop --name web --wait
  bothy ls
  bothy ssh web --wait
  bothy console web                                 Ctrl-A x leaves
  bothy group allow default tcp 80 from anywhere
  bothy terminate web --wait

A name may stand for an id where only one has it.

Exit codes:
  0  done              3  no such thing               5  timed out waiting
  1  failed, refused   4  cannot reach the daemon     6  not permitted
  2  wrong usage";

/// Virtual machines on this host, as a cloud has them.
#[derive(Parser)]
#[command(name = "bothy", version, after_help = AFTER_HELP, propagate_version = false)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Where the daemon is: unix:PATH, http://HOST:PORT or https://HOST:PORT
    #[arg(
        long,
        global = true,
        env = "BOTHY_ENDPOINT",
        value_name = "ENDPOINT",
        default_value = "unix:/run/bothy/api.sock"
    )]
    endpoint: Endpoint,
    /// An access key's id; its secret is in BOTHY_SECRET. Default: those in ~/.config/bothy/credentials. Not needed on the
    /// unix socket
    #[arg(long, global = true, env = "BOTHY_ACCESS_KEY", value_name = "ID")]
    access_key: Option<AccessKeyId>,
    /// The account to act for, as the operator
    // With an id of its own, as commands have arguments that are called so too.
    #[arg(id = "acting_account", long = "account", global = true, env = "BOTHY_ACCOUNT", value_name = "ID")]
    account: Option<AccountId>,
    /// Certificate authorities to believe for https, as PEM, instead of the host's
    #[arg(long, global = true, env = "BOTHY_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print the API's objects as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print ids only, and no progress
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Show no progress
    #[arg(long, global = true)]
    no_progress: bool,
}

/// What a command works with.
struct Context {
    client: Client,
    output: Output,
    /// By which another `bothy` asks the same daemon in the same name.
    environment: Vec<(&'static str, OsString)>,
}

impl Global {
    fn output(&self) -> Output {
        Output { json: self.json, quiet: self.quiet, no_progress: self.no_progress }
    }

    fn context(&self) -> Result<Context, Failure> {
        let mut environment = vec![("BOTHY_ENDPOINT", self.endpoint.to_string().into())];
        environment.extend(self.access_key.as_ref().map(|id| ("BOTHY_ACCESS_KEY", id.as_str().into())));
        environment.extend(self.account.as_ref().map(|id| ("BOTHY_ACCOUNT", id.as_str().into())));
        environment.extend(self.ca.as_ref().map(|path| ("BOTHY_CA", path.clone().into())));
        Ok(Context { client: self.client()?, output: self.output(), environment })
    }

    fn client(&self) -> Result<Client, Failure> {
        let ca_pem = match &self.ca {
            Some(path) => {
                let read = fs::read(path);
                Some(read.map_err(|error| Failure::local(format!("reading {}", path.display()), &error))?)
            }
            None => None,
        };
        let options = Options { credentials: self.credentials()?, account: self.account.clone(), ca_pem };
        Client::new(self.endpoint.clone(), options).map_err(|error| {
            let cause =
                std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            Failure::new(Exit::Failed, format!("{error}{cause}"), "name a PEM file with --ca")
        })
    }

    /// Those of the environment; else those of the file, unless the socket tells who calls.
    fn credentials(&self) -> Result<Option<Credentials>, Failure> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(access_key) = &self.access_key {
            let secret = variable("BOTHY_SECRET").ok_or_else(|| {
                Failure::new(Exit::Usage, "an access key was given without its secret", "set BOTHY_SECRET")
            })?;
            let security_token = variable("BOTHY_SECURITY_TOKEN");
            return Ok(Some(Credentials { access_key: access_key.clone(), secret, security_token }));
        }
        if matches!(self.endpoint, Endpoint::Unix(_)) { Ok(None) } else { config::credentials() }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::local("starting", &error).report(),
    };
    let result = runtime.block_on(commands::run(&arguments.global, arguments.command));
    // Reading stdin cannot be given up; it is left to the process's end.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
