//! `cargo xtask api`: writes the contracts in `api/contracts` anew from the code. A test says when they are stale.

use std::fs;
use std::process::ExitCode;

use anyhow::Context;

use crate::tree;

/// Writes api/contracts anew from the code.
#[derive(clap::Args)]
pub struct Arguments {}

/// Writes them.
pub fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    let path = tree::root().join("api/contracts/vmm.json");
    let text = vmm_api::openapi().to_pretty_json().context("writing the contract as JSON")?;
    fs::write(&path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}
