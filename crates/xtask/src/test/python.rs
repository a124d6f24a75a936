//! Pythons with clouds' own SDKs, for tests on hosts without a network.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

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

/// A folder that a guest can be given: clouds' own clients of the metadata service, and `clients.py`, which asks as they do.
pub fn clients() -> anyhow::Result<PathBuf> {
    let source = "api/metadata/tests/clients";
    let python = with("clients", &format!("{source}/requirements.txt"))?;
    let output =
        Command::new(&python).args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).output();
    let output = output.with_context(|| format!("running {}", python.display()))?;
    ensure!(output.status.success(), "{} does not say where its packages are", python.display());
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    fs::copy(tree::root().join(source).join("clients.py"), folder.join("clients.py"))
        .context("copying clients.py")?;
    Ok(folder)
}
