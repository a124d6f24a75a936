//! `cargo xtask check`: what can be said of the code without running it.

use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::build::cargo;
use crate::progress::Step;
use crate::run::{quietly, watched};
use crate::tree;

/// Checks formatting, lints, licences and dependencies, documentation, and the rules of the repository.
#[derive(clap::Args)]
pub struct Arguments {
    /// Formats the code first, and applies the lints' suggestions
    #[arg(long)]
    fix: bool,
}

/// Checks everything.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.fix {
        succeed(cargo().args(["clippy", "--fix", "--allow-dirty", "--workspace", "--all-targets"]))?;
        succeed(cargo().args(["fmt", "--all"]))?;
    }
    all()?;
    Ok(ExitCode::SUCCESS)
}

/// The checks, the fast ones first.
pub fn all() -> anyhow::Result<()> {
    succeed(cargo().args(["fmt", "--all", "--check"]))?;
    succeed(cargo().args(["test", "--quiet", "--package", "tidy"]))?;
    succeed(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    succeed(cargo().args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    deny()
}

/// A version that is known to read `deny.toml`.
const CARGO_DENY: &str = "0.20.2";

/// Seconds that fetching the database of advisories may take.
const FETCH_SECONDS: &str = "60";

/// Licences, banned and doubled crates, sources, and advisories. The last come from a repository that a build machine
/// may not reach; it then checks the rest and says so.
fn deny() -> anyhow::Result<()> {
    let tools = tree::target().join("tools");
    let program = tools.join("bin/cargo-deny");
    if !program.exists() {
        let step = Step::new("building cargo-deny, once");
        let mut install = cargo();
        // Not optimized: it takes half as long to build, and what it does here takes it no time.
        install
            .args(["install", "--quiet", "--debug", "--locked", "--no-default-features", "--root"])
            .arg(&tools);
        watched(install.args(["--version", CARGO_DENY, "cargo-deny"]), &step)?;
        step.done();
    }
    let deny = |what: &[&str]| {
        let mut command = Command::new(&program);
        command
            .current_dir(tree::root())
            .args(["--log-level", "error", "check", "--hide-inclusion-graph"])
            .args(what);
        command
    };
    succeed(&mut deny(&["licenses", "bans", "sources"]))?;

    let mut fetch = Command::new("timeout");
    fetch.arg(FETCH_SECONDS).arg(&program).args(["fetch", "db"]).current_dir(tree::root());
    if quietly(&mut fetch).is_err() {
        eprintln!("advisories were not checked: their database cannot be fetched from here");
        return Ok(());
    }
    succeed(&mut deny(&["advisories"]))
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("running {}", command.get_program().display()))?;
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    ensure!(status.success(), "{} failed", arguments.join(" "));
    Ok(())
}
