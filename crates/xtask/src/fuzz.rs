//! `cargo xtask fuzz`: builds the fuzz targets in `tests/fuzz` and runs each for a while. What it finds belongs into the
//! target's corpus, which ordinary tests replay.

use std::fs;
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

/// A version that is known to work, so that every machine fuzzes with the same.
const CARGO_FUZZ: &str = "0.13.2";

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
            install.args(["install", "--quiet", "--debug", "--locked", "--root"]).arg(&tools).args([
                "--version",
                CARGO_FUZZ,
                "cargo-fuzz",
            ]),
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
    let listed: Vec<&str> = listed.lines().collect();
    for target in targets {
        ensure!(
            listed.contains(&target.as_str()),
            "there is no fuzz target {target}: the targets are {}",
            listed.join(", ")
        );
    }
    let wanted = |name: &&&str| targets.is_empty() || targets.iter().any(|target| target == **name);
    for target in listed.iter().filter(wanted) {
        let step = Step::new(format!("fuzzing {target} for {seconds} s"));
        // What libFuzzer finds goes into the first folder; the repository's corpus is only read.
        let found = tree::target().join("fuzz-corpus").join(target);
        fs::create_dir_all(&found).with_context(|| format!("making {}", found.display()))?;
        let corpus = tree::root().join("tests/fuzz/corpus").join(target);
        let limit = format!("-max_total_time={seconds}");
        let mut command = fuzz(&["run", target]);
        command.arg(&found).args(Some(corpus).filter(|corpus| corpus.exists()));
        watched(command.args(["--", &limit, "-rss_limit_mb=4096", "-timeout=30"]), &step)?;
        step.done();
    }
    Ok(())
}
