//! `bothy doctor`: whether this host is fit for bothyd, and what to turn where it is not. Asks the host itself; the daemon
//! only at the end, if it answers.

mod checks;
mod kvm;

use std::path::PathBuf;
use std::process::ExitCode;

use native_api::ClientError;
use serde::Serialize;

use crate::Global;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  bothy doctor
  bothy doctor --state /srv/bothy --json

Exit code 1 if something is missing without which no instance can run.";

/// See whether this host is ready, and say what to turn
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Where the daemon keeps disks and records
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/bothy")]
    state: PathBuf,
    /// Only run the guest that tries KVM, in this process
    #[arg(long, hide = true)]
    probe_kvm: bool,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could, or not everything.
    Warning,
    /// Without this no instance can run.
    Missing,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at.
    check: &'static str,
    verdict: Verdict,
    /// How it is.
    found: String,
    /// What to do; empty if nothing.
    advice: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), advice: String::new() }
    }

    fn warning(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, found: found.into(), advice: advice.into() }
    }

    fn missing(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Missing, found: found.into(), advice: advice.into() }
    }
}

/// Looks at everything and tells.
pub async fn run(global: &Global, arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.probe_kvm {
        return Ok(kvm_probe::report());
    }
    let host = checks::Host::this();
    let mut findings = vec![host.architecture(), host.virtualization(), kvm::look(), host.nested()];
    findings.extend([
        host.cgroups(),
        host.nftables(),
        host.forwarding(),
        host.tun(),
        host.space(&arguments.state),
        host.reflink(&arguments.state),
        host.clock(),
        host.open_files(),
        host.systemd(),
    ]);
    findings.push(daemon(global).await);
    let is_fit = findings.iter().all(|finding| finding.verdict != Verdict::Missing);
    let output = global.output();
    if output.json {
        output.json(&findings)?;
    } else {
        for finding in findings.iter().filter(|finding| !output.quiet || finding.verdict != Verdict::Ok) {
            let mark = match finding.verdict {
                Verdict::Ok => "ok      ",
                Verdict::Warning => "warning ",
                Verdict::Missing => "MISSING ",
            };
            output.line(format!(
                "{mark}  {:16}  {}",
                finding.check,
                crate::output::printable(&finding.found)
            ))?;
            if !finding.advice.is_empty() {
                output.line(format!("{:28}{}", "", finding.advice))?;
            }
        }
        let end = if is_fit { "this host can run instances" } else { "this host cannot run instances yet" };
        output.say(format!("\n{end}"))?;
    }
    Ok(if is_fit { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the daemon answers. One that does not is no fault of the host.
async fn daemon(global: &Global) -> Finding {
    const CHECK: &str = "bothyd";
    let client = match global.client() {
        Ok(client) => client,
        Err(failure) => return Finding::warning(CHECK, failure.message, failure.hint),
    };
    match client.get_health().await {
        Ok(health) => {
            Finding::ok(CHECK, format!("answers at {}, version {}", global.endpoint, health.version))
        }
        Err(error @ ClientError::Connect { .. }) => {
            Finding::warning(CHECK, error.to_string(), "start it: systemctl start bothyd")
        }
        Err(error) => {
            let failure = Failure::from(error);
            Finding::warning(CHECK, failure.message, failure.hint)
        }
    }
}
