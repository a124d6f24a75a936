//! Builds the programs that other commands run.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::progress::Step;
use crate::tree;

/// How a program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As it would be installed.
    Release,
    /// Sooner there, and many times slower.
    Debug,
}

/// Builds bothy-vmm as it would be installed, and says where it is.
pub fn vmm() -> anyhow::Result<PathBuf> {
    program("vmm", "bothy-vmm", Profile::Release)
}

/// Builds a program of a package, and says where it is. Each apart: what one needs of a crate is not in the others.
pub fn program(package: &str, name: &str, profile: Profile) -> anyhow::Result<PathBuf> {
    let step = Step::new(format!("building {name}"));
    let (option, folder): (&[&str], _) = match profile {
        Profile::Release => (&["--release"], "release"),
        Profile::Debug => (&[], "debug"),
    };
    let status =
        cargo().args(["build", "--quiet", "--package", package, "--bin", name]).args(option).status();
    ensure!(status.context("running cargo")?.success(), "{name} does not build");
    step.done();
    Ok(tree::target().join(folder).join(name))
}

/// Builds the daemon, the command line and the fake VMM for tests, quickly and with all checks, and says where the first two
/// are. All at once: what they have in common is built once, for whoever asks.
pub fn daemon() -> anyhow::Result<(PathBuf, PathBuf)> {
    let step = Step::new("building bothyd, bothy and fake-vmm for tests");
    let packages = ["--package", "bothyd", "--package", "cli", "--package", "fake-vmm"];
    let status = cargo().args(["build", "--quiet"]).args(packages).status();
    ensure!(status.context("running cargo")?.success(), "the programs do not build");
    step.done();
    let debug = tree::target().join("debug");
    Ok((debug.join("bothyd"), debug.join("bothy")))
}

/// The programs as they would be installed.
pub struct Programs {
    /// The command line.
    pub bothy: PathBuf,
    /// The daemon.
    pub bothyd: PathBuf,
    /// The VMM.
    pub vmm: PathBuf,
}

/// Builds all programs as they would be installed.
pub fn programs() -> anyhow::Result<Programs> {
    Ok(Programs {
        vmm: vmm()?,
        bothyd: program("bothyd", "bothyd", Profile::Release)?,
        bothy: program("cli", "bothy", Profile::Release)?,
    })
}

/// Builds the test programs of a package, and says where they are.
pub fn tests(package: &str) -> anyhow::Result<Vec<PathBuf>> {
    let step = Step::new(format!("building the tests of {package}"));
    let output = cargo()
        .args([
            "test",
            "--no-run",
            "--tests",
            "--message-format",
            "json-render-diagnostics",
            "--package",
            package,
        ])
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo")?;
    ensure!(output.status.success(), "the tests of {package} do not build");
    let mut programs = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).context("reading cargo's messages")?;
        let kinds = message["target"]["kind"].as_array();
        let is_test = kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "test"));
        if let (true, Some(program)) = (is_test, message["executable"].as_str()) {
            programs.push(PathBuf::from(program));
        }
    }
    step.done();
    Ok(programs)
}

/// The cargo that runs us, in the repository.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(tree::root());
    cargo
}
