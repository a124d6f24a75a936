//! The program bothyd. What it does is in the library; this tells apart what the process was started as.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use bothyd::config::{Config, DEFAULT_PATH};
use clap::{Parser, Subcommand};

/// The daemon of a bothy host: runs instances as virtual machines, and serves the APIs that they are asked for by.
///
/// It may be ended, killed and replaced at any moment: guests go on, and the next daemon takes them over.
#[derive(Parser)]
#[command(name = "bothyd", version)]
struct Arguments {
    /// The configuration; without one at the usual place, everything has its default [default: /etc/bothy/bothyd.toml]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Prints the configuration that is in force, defaults included, or says what is wrong with it
    CheckConfig,
    /// Ends every VM of this host and removes what bothyd made on it: taps, rules, cgroups, sockets. Its state stays: a daemon
    /// that is started again boots what was running, where that was chosen
    ClearHost,
    /// Prints which actions of which clouds' APIs are served, as a table
    Dialects,
}

fn main() -> ExitCode {
    // The daemon starts itself anew for what it must not do itself.
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(word) if word == bothyd::vmms::LAUNCHER_WORD => return bothyd::vmms::launch(arguments),
        Some(word) if word == storage::store::CONVERT_ARGUMENT => storage::store::convert_main(),
        Some(_) | None => {}
    }
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bothyd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = || Config::read(arguments.config.as_deref());
    match arguments.command {
        Some(Command::CheckConfig) => {
            let config = config()?;
            let path =
                arguments.config.as_deref().map_or(DEFAULT_PATH.into(), |path| path.display().to_string());
            print!("# What is in force of {path}, defaults included\n{}", config.to_toml());
            Ok(())
        }
        Some(Command::ClearHost) => block_on(bothyd::node::clear(config()?)),
        Some(Command::Dialects) => {
            print!("{}", dialects::coverage());
            Ok(())
        }
        None => block_on(bothyd::node::run(config()?)),
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(work)
}
