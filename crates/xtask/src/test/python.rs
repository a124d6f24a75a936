//! Pythons with clouds' own SDKs, for tests on hosts without a network.

use std::path::PathBuf;
use std::process::Command;

use crate::progress::Step;
use crate::run::watched;
use crate::tree;

/// A Python of this name that has what a file of requirements in the repository asks for; pip leaves what is there.
pub fn with(name: &str, requirements: &str) -> anyhow::Result<PathBuf> {
    let folder = tree::target().join("python").join(name);
    let python = folder.join("bin/python");
    let step = Step::new(format!("fetching the SDKs of {name}"));
    watched(Command::new("python3").args(["-m", "venv"]).arg(&folder), &step)?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    watched(install.arg(tree::root().join(requirements)), &step)?;
    step.done();
    Ok(python)
}
