//! The part of `cargo xtask bench net` that is without guests and peers: how long changes of rules and requests for metadata
//! take, next to what we want. In a network of its own, on this machine as it is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::super::api;
use super::super::table::{AIM, Table};
use super::{daemon, rules};
use crate::build::{self, Profile};
use crate::isolation::{self, Folders};
use crate::{packages, tree};

/// The half that is isolated.
#[derive(clap::Args)]
pub struct Arguments {
    pub bothyd: PathBuf,
    pub vmm: PathBuf,
    pub folder: PathBuf,
}

/// How many guests there are whose rules change.
pub const MEMBERS: [u32; 3] = [10, 100, 1000];
/// Longest time for a change to be in force, in seconds.
pub const UPDATE_AIM: f64 = 0.2;
/// Time within which 99 of 100 requests for metadata are answered, in seconds.
pub const METADATA_AIM: f64 = 0.1;

/// Builds, and runs the part.
pub fn run() -> anyhow::Result<ExitCode> {
    packages::ensure(&["iproute2", "nftables", "util-linux"])?;
    let bothyd = build::program("bothyd", "bothyd", Profile::Release)?;
    let fake = build::program("fake-vmm", "fake-vmm", Profile::Release)?;
    let folder = tree::target().join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let ourselves: OsString = std::env::current_exe().context("finding this program")?.into();
    let mut words = vec![ourselves, "bench-net-story".into()];
    words.extend([bothyd, fake, folder].map(OsString::from));
    let status = isolation::run(&words)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures.
pub fn tell(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    isolation::settle(Folders::Own)?;
    let mut table = Table::new(vec!["bothy", AIM]);
    let netns = tempfile::tempdir_in("/run").context("making a folder")?;
    api::runtime()?.block_on(async {
        rules::measure(&netns.path().join("netns"), &mut table).await?;
        daemon::measure(arguments, &mut table).await
    })?;
    let output = arguments.folder.join("bench-net-aims.json");
    let report = serde_json::json!({"benchmark": "net", "what": "without guests", "figures": table.json()});
    let text = serde_json::to_string_pretty(&report).context("writing JSON")?;
    std::fs::write(&output, text + "\n").with_context(|| format!("writing {}", output.display()))?;
    println!("\nnet, without guests: ratio = what there is over what we want");
    println!("{}\nevery sample: {}", table.text(), output.display());
    Ok(ExitCode::SUCCESS)
}
