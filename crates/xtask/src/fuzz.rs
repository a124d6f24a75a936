//! `cargo xtask fuzz`: builds the fuzz targets in `tests/fuzz` and runs each for a while. What it finds belongs into the
//! target's corpus, which ordinary tests replay.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, ensure};

use crate::progress::Step;
use crate::run::watched;
use crate::tree;

/// Runs the fuzz targets. Needs a nightly toolchain; without one, says so and succeeds.
#[derive(clap::Args)]
pub struct Arguments {
    /// Targets to run [default: all]
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// Runs the targets given.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    fuzz(&arguments.targets, arguments.seconds)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs every target for so many seconds.
pub fn all(seconds: u32) -> anyhow::Result<()> {
    fuzz(&[], seconds)
}

fn fuzz(targets: &[String], seconds: u32) -> anyhow::Result<()> {
    let nightly = Command::new("cargo")
        .args(["+nightly", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !nightly.is_ok_and(|status| status.success()) {
        eprintln!("no fuzzing: there is no nightly toolchain (rustup toolchain install nightly)");
        return Ok(());
    }
    let tools = tree::target().join("tools");
    let program = tools.join("bin/cargo-fuzz");
    if !program.exists() {
        let step = Step::new("building cargo-fuzz, once");
        let mut install = crate::build::cargo();
        watched(
            install.args(["install", "--quiet", "--locked", "--root"]).arg(&tools).arg("cargo-fuzz"),
            &step,
        )?;
        step.done();
    }
    let fuzz = |arguments: &[&str]| {
        let mut cargo = Command::new("cargo");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(tools.join("bin")).chain(std::env::split_paths(&path));
        cargo.env("PATH", std::env::join_paths(paths).unwrap_or(path.clone()));
        // Not the toolchain of the cargo that runs us.
        cargo.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").current_dir(tree::root().join("tests/fuzz"));
        cargo.args(["+nightly", "fuzz"]).args(arguments).args(["--fuzz-dir", "."]);
        cargo
    };
    let listed = fuzz(&["list"]).output().context("listing fuzz targets")?;
    ensure!(listed.status.success(), "cargo fuzz list: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let wanted = |name: &&str| targets.is_empty() || targets.iter().any(|target| target == name);
    for target in listed.lines().filter(wanted) {
        let step = Step::new(format!("fuzzing {target} for {seconds} s"));
        let limit = format!("-max_total_time={seconds}");
        let mut command = fuzz(&["run", target]);
        watched(command.args(["--", &limit, "-rss_limit_mb=4096", "-timeout=30"]), &step)?;
        step.done();
    }
    Ok(())
}
