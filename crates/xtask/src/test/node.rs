//! `cargo xtask test node`: real guests, and what else needs a host whose KVM runs Linux or that has cgroups to give. Each
//! program has a host of its own: if a nested one is lost, only one program's time is.

use std::ffi::OsString;
use std::io::{self, Seek};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, ensure};

use super::python;
use crate::progress::Step;
use crate::{build, host_vm, image, packages, probe};

/// Seconds that the tests on one host may take, before they count as hung. The longest boot four Debians one after the other,
/// for a quarter of an hour where the CPU is emulated and shared.
const HOST_TIMEOUT: u64 = 3600;

/// The programs that take longest, the longest first: they begin before the others, so that no host is idle at the end while the
/// other has much to do.
const LONG: &[&str] = &["clouds", "ec2", "alibaba", "bare", "network"];

/// What a program's tests are on a host. One after the other: guests share a CPU that is emulated itself.
const SCRIPT: &str = r#"filter=$1; shift
for program; do "$program" --test-threads 1 $filter || failed=1; done
exit ${failed:-0}"#;

/// Builds everything here, where there is a network, and runs it on hosts.
pub fn run(filter: Option<&str>) -> anyhow::Result<()> {
    packages::ensure(&[
        "curl",
        "dosfstools",
        "faketime",
        "iproute2",
        "iputils-ping",
        "mtools",
        "nftables",
        "nmap",
        "openssh-client",
        "python3-venv",
    ])?;
    host_vm::prepare()?;
    let environment = environment()?;
    let tests_of = |name: &str, programs: Vec<PathBuf>| {
        let mut command = environment.clone();
        command.extend(["sh", "-c", SCRIPT, "node-tests", filter.unwrap_or("")].map(OsString::from));
        command.extend(programs.into_iter().map(OsString::from));
        Batch { name: name.to_owned(), command }
    };
    let mut batches = Vec::new();
    let mut programs = build::tests("node")?;
    let place = |program: &Path| LONG.iter().position(|name| *name == stem(program)).unwrap_or(LONG.len());
    programs.sort_by_key(|program| place(program));
    for program in programs {
        batches.push(tests_of(stem(&program), vec![program.clone()]));
    }
    batches.push(tests_of("micro", build::tests("micro")?));
    if filter.is_none() {
        batches.push(in_cgroups()?);
    }
    let failed = run_all(batches)?;
    ensure!(failed.is_empty(), "node tests failed: {}", failed.join(", "));
    Ok(())
}

/// What tests have to be told.
fn environment() -> anyhow::Result<Vec<OsString>> {
    let vmm = build::vmm()?;
    let (bothyd, bothy) = build::daemon()?;
    let tiny = image::tiny()?;
    let debian = image::debian()?;
    let bare = image::bare()?;
    let places = [
        ("BOTHY_VMM", vmm),
        ("BOTHY_BOTHYD", bothyd),
        ("BOTHY_BOTHY", bothy),
        ("BOTHY_TINY_KERNEL", tiny.kernel),
        ("BOTHY_TINY_INITRD", tiny.initrd),
        ("BOTHY_TINY_TOOLS", tiny.initrd_with_tools),
        ("BOTHY_DEBIAN", debian),
        ("BOTHY_BARE_KERNEL", bare.kernel),
        ("BOTHY_BARE_INITRD", bare.initrd),
        ("BOTHY_BARE_GUEST", bare.guest),
        ("BOTHY_CLIENTS", python::clients()?),
        ("BOTHY_EC2_PYTHON", python::with("ec2", "api/dialects/tests/clients/ec2-requirements.txt")?),
        ("BOTHY_ALIBABA_PYTHON", python::with("alibaba", "api/dialects/tests/clients/requirements.txt")?),
    ];
    let mut environment: Vec<OsString> = vec!["env".into(), "BOTHY_REQUIRE_KVM=1".into()];
    for (name, path) in places {
        let mut variable = OsString::from(format!("{name}="));
        variable.push(path);
        environment.push(variable);
    }
    Ok(environment)
}

/// The daemon's tests of cgroups: machines that are containers themselves mostly have none to give.
fn in_cgroups() -> anyhow::Result<Batch> {
    let program = build::tests("bothyd")?.into_iter().find(|program| stem(program) == "vmms");
    let mut command = ["env", "BOTHY_REQUIRE_CGROUPS=1"].map(OsString::from).to_vec();
    command.push(program.context("bothyd has no tests of VMMs")?.into());
    command.extend(["in_cgroups", "out_of_memory"].map(OsString::from));
    Ok(Batch { name: "cgroups".to_owned(), command })
}

/// The name of a test program, which cargo gives a hash.
fn stem(program: &Path) -> &str {
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.rsplit_once('-').map_or(name, |(stem, _)| stem)
}

/// Tests that run on one host.
struct Batch {
    name: String,
    command: Vec<OsString>,
}

/// Runs all, and gives the names of those that failed. Two at once where each has a host, and a CPU, to itself.
fn run_all(batches: Vec<Batch>) -> anyhow::Result<Vec<String>> {
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    let at_once = if probe::kvm_runs_linux() { 1 } else { cpus.clamp(1, 2) };
    let queue = Mutex::new(batches.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || -> anyhow::Result<Vec<String>> {
        let mut failed = Vec::new();
        while let Some(batch) = next() {
            if !batch.run()? {
                failed.push(batch.name);
            }
        }
        Ok(failed)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join().expect("a panic has told why"));
        Ok(ended.collect::<anyhow::Result<Vec<_>>>()?.concat())
    })
}

impl Batch {
    /// Runs it, shows what it said, and says whether all passed.
    fn run(&self) -> anyhow::Result<bool> {
        let step = Step::new(format!("node tests: {}", self.name));
        let mut said = tempfile::tempfile().context("making a file")?;
        let to_file = || said.try_clone().context("sharing a file");
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command.args(["host-vm", "--repeatable", "--timeout", &HOST_TIMEOUT.to_string(), "--"]);
        command.args(&self.command).stdin(Stdio::null()).stdout(to_file()?).stderr(to_file()?);
        let passed = command.status().context("running host-vm")?.success();
        if passed {
            step.done();
        } else {
            drop(step);
        }
        // In one piece, so that what two said at the same time is not mixed.
        said.rewind()
            .and_then(|()| io::copy(&mut said, &mut io::stdout().lock()))
            .context("showing output")?;
        Ok(passed)
    }
}
