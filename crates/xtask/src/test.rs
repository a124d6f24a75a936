//! `cargo xtask test`: all tests, tier by tier, the cheap ones first.

mod contract;
mod node;
mod python;

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::ValueEnum;

use crate::build::cargo;
use crate::{check, fuzz, packages};

/// Runs all tests, or those of the tiers given.
///
///   check     formatting, lints, licences, documentation, rules of the repository
///   unit      unit and property tests, replay of what fuzzing found
///   contract  the daemon against the contract of its native API, by schemathesis
///   sdk       clouds' own clients and SDKs, as PyPI has them, against the metadata service and the APIs
///   micro     guests of a few instructions on this machine's /dev/kvm, of whatever kind; skipped without one
///   fuzz      a few seconds of each fuzz target, where there is a nightly toolchain
///   node      real guests on a host whose KVM runs Linux: this one, else a nested host
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Tiers to run [default: all]
    tiers: Vec<Tier>,
    /// Only tests of the tiers unit, sdk, micro and node whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tier {
    Check,
    Unit,
    Contract,
    Sdk,
    Micro,
    Fuzz,
    Node,
}

/// Seconds that each fuzz target runs.
const FUZZ_SECONDS: u32 = 5;

/// Runs the tiers, and stops at the first that fails.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let all = if arguments.tiers.is_empty() { Tier::value_variants() } else { &arguments.tiers };
    let filter = arguments.filter.as_deref();
    for tier in all {
        let started = std::time::Instant::now();
        eprintln!("── {tier:?}");
        match tier {
            Tier::Check => check::all()?,
            Tier::Unit => unit(filter)?,
            Tier::Contract => contract::run()?,
            Tier::Sdk => sdk(filter)?,
            Tier::Micro => cargo_test(&["--package", "micro"], filter)?,
            Tier::Fuzz => fuzz::all(FUZZ_SECONDS)?,
            Tier::Node => node::run(filter)?,
        }
        eprintln!("── {tier:?} passed ({:.0} s)", started.elapsed().as_secs_f64());
    }
    Ok(ExitCode::SUCCESS)
}

/// Also installs the programs that read what we write, and write what we read.
fn unit(filter: Option<&str>) -> anyhow::Result<()> {
    packages::ensure(&[
        "btrfs-progs",
        "e2fsprogs",
        "file",
        "genisoimage",
        "iproute2",
        "nftables",
        "openssh-client",
        "openssl",
        "qemu-utils",
        "util-linux",
        "xfsprogs",
    ])?;
    // The daemon's own test lets it die where no daemon that is installed can.
    let features = ["--features", "bothyd/fail-points"];
    cargo_test(&[&["--workspace", "--exclude", "micro", "--exclude", "node"][..], &features].concat(), filter)
}

/// Those of the metadata service run in a network namespace of their own.
fn sdk(filter: Option<&str>) -> anyhow::Result<()> {
    packages::ensure(&["iproute2", "python3-venv", "util-linux"])?;
    for (package, test) in [("metadata", "imds"), ("dialects", "alibaba"), ("dialects", "ec2")] {
        let mut command = cargo();
        command.args(["test", "--package", package, "--test", test, "--"]);
        let status = command.arg(filter.unwrap_or("clients")).env("BOTHY_REQUIRE_CLIENTS", "1").status();
        ensure!(
            status.context("running cargo")?.success(),
            "clouds' own clients do not get what they ask for"
        );
    }
    Ok(())
}

fn cargo_test(what: &[&str], filter: Option<&str>) -> anyhow::Result<()> {
    let status = cargo().arg("test").args(what).arg("--").args(filter).status().context("running cargo")?;
    ensure!(status.success(), "cargo test {} failed", what.join(" "));
    Ok(())
}
