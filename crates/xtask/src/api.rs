//! `cargo xtask api`: writes the contracts in `api/contracts` anew from the code. A test says when they are stale.
//!
//! Those of our own APIs are generated from their types. Those of clouds are exchanges with the real thing, recorded by the
//! tests that compare them.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::build::cargo;
use crate::tree;

/// Tests of the crate `dialects` that record exchanges: one for each cloud, which has a folder of this name.
const RECORDED: &[&str] = &["alibaba", "ec2"];

/// Writes api/contracts anew from the code.
#[derive(clap::Args)]
pub struct Arguments {}

/// Writes them.
pub fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    let vmm = vmm_api::openapi().to_pretty_json().context("writing the contract as JSON")?;
    let native =
        serde_json::to_string_pretty(&native_api::openapi()).context("writing the contract as JSON")?;
    for (name, text) in [("vmm.json", vmm), ("native.json", native)] {
        let path = tree::root().join("api/contracts").join(name);
        fs::write(&path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
        println!("{}", path.display());
    }
    for cloud in RECORDED {
        record(cloud)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the test that compares a cloud's exchanges write them.
fn record(cloud: &str) -> anyhow::Result<()> {
    let mut command = cargo();
    command.args(["test", "--quiet", "--package", "dialects", "--test", cloud, "--", "are_as_recorded"]);
    let status = command.env("BOTHY_WRITE_CONTRACTS", "1").status().context("running cargo")?;
    ensure!(status.success(), "the exchanges of {cloud} are not recorded");
    println!("{}", tree::root().join("api/contracts").join(cloud).display());
    Ok(())
}
