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
    let vmm = vmm_api::openapi().to_pretty_json().context("writing the contract as JSON")?;
    let native =
        serde_json::to_string_pretty(&native_api::openapi()).context("writing the contract as JSON")?;
    for (name, text) in [("vmm.json", vmm), ("native.json", native)] {
        let path = tree::root().join("api/contracts").join(name);
        fs::write(&path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
