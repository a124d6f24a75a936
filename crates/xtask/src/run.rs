//! Runs programs whose output is of interest only when they fail, or as progress.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::progress::Step;

/// Most lines of a failed program's output that are shown.
const SHOWN_LINES: usize = 40;

/// Runs a program; all it printed is in the error if it fails.
pub fn quietly(command: &mut Command) -> anyhow::Result<()> {
    watched(command, &Step::hidden())
}

/// As `quietly`, and shows each line as the step's message meanwhile.
pub fn watched(command: &mut Command, step: &Step) -> anyhow::Result<()> {
    let name = command.get_program().to_owned();
    let what = || format!("running {}", name.display());
    let (reader, writer) = std::io::pipe().context("making a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().context("making a pipe")?).stderr(writer);
    let mut child = command.spawn().with_context(what)?;
    // Its copies of the pipe's end are closed with this, so that reading ends with the program.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut lines = Vec::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line.with_context(what)?).trim_end().to_owned();
        step.say(&line);
        lines.push(line);
    }
    let status = child.wait().with_context(what)?;
    if !status.success() {
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        bail!("{} failed ({status}):\n{}", name.display(), shown.join("\n"));
    }
    Ok(())
}
