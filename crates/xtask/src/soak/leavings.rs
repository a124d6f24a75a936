//! Whether the host has what the instances, volumes, snapshots and images of all accounts need, and nothing else: no VMM runs
//! twice or without its instance, and no process, file, tap, rule or cgroup is without owner.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use native_api::{ImageState, InstanceState, SnapshotState};

use super::check::View;
use crate::daemon::Node;

/// Where the daemon makes a cgroup for each VMM, where there are cgroups.
const CGROUPS: &str = "/sys/fs/cgroup/bothy";
/// What the names of taps begin with.
const TAPS: &str = "bothy-";

/// A VMM's process, or what is about to become it.
#[derive(Clone, Debug)]
pub struct Vmm {
    pub pid: i32,
    pub instance: String,
}

/// All VMMs of this node.
pub fn vmms(node: &Node) -> anyhow::Result<Vec<Vmm>> {
    Ok(processes()?.into_iter().filter_map(|process| process.vmm(node)).collect())
}

/// A process of the host.
struct Process {
    pid: i32,
    session: i32,
    words: Vec<String>,
}

impl Process {
    fn vmm(&self, node: &Node) -> Option<Vmm> {
        let below = node.run.display().to_string();
        let instance = self.words.windows(4).find_map(|words| match words {
            [option, id, control, path]
                if option == "--id" && control == "--control" && path.starts_with(&below) =>
            {
                Some(id.clone())
            }
            _ => None,
        });
        Some(Vmm { pid: self.pid, instance: instance? })
    }
}

fn processes() -> anyhow::Result<Vec<Process>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc").context("reading the processes")? {
        let name = entry.context("reading the processes")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may be gone by now.
        let Ok(words) = std::fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // Behind the name, which may have blanks: state, parent, group, session.
        let session =
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(3)?.parse().ok());
        let words = words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        all.push(Process { pid, session: session.unwrap_or_default(), words: words.collect() });
    }
    Ok(all)
}

/// What the host should have of something, and what it has.
struct Compared {
    what: &'static str,
    /// What there must be.
    needed: BTreeSet<String>,
    /// What there may be besides.
    allowed: BTreeSet<String>,
    found: BTreeSet<String>,
}

impl Compared {
    fn differences(&self, all: &mut Vec<String>) {
        let missing =
            self.needed.difference(&self.found).map(|name| format!("{}: {name} is missing", self.what));
        let extra = self.found.difference(&self.needed).filter(|name| !self.allowed.contains(*name));
        all.extend(missing);
        all.extend(extra.map(|name| format!("{}: {name} belongs to nobody", self.what)));
    }
}

/// What is not as it should be, a line each, at this moment. `launched` are all instances that there ever were, `kernels`
/// the number of files that images boot by.
pub fn differences(
    node: &Node,
    views: &[View],
    launched: &BTreeSet<String>,
    kernels: usize,
) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    let instances = || views.iter().flat_map(|view| &view.instances);
    let restless: BTreeSet<String> = views.iter().flat_map(|view| view.restless.iter().cloned()).collect();
    let is_running = |instance: &&native_api::Instance| instance.state == InstanceState::Running;
    let running: BTreeSet<String> = instances()
        .filter(is_running)
        .map(|instance| instance.id.to_string())
        .filter(|id| !restless.contains(id))
        .collect();
    let taps = |wanted: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        let interfaces = instances().filter(|instance| wanted(instance.id.as_str()));
        let interfaces = interfaces.flat_map(|instance| &instance.network_interfaces);
        interfaces.map(|it| format!("{TAPS}{}", it.id.as_str().trim_start_matches("eni-"))).collect()
    };

    find_processes(node, &running, &restless, &mut all)?;
    let of_running =
        |what, found| Compared { what, needed: running.clone(), allowed: restless.clone(), found };
    let mut folders = names(&node.run.join("vmms"))?;
    folders.remove("lock");
    of_running("run folders of VMMs", folders).differences(&mut all);
    of_running("notes of taps", names(&node.run.join("taps"))?).differences(&mut all);
    of_running("seed disks", names(&node.run.join("seeds"))?).differences(&mut all);
    if Path::new(CGROUPS).is_dir() {
        let mut cgroups = names(Path::new(CGROUPS))?;
        cgroups.retain(|name| name.starts_with("i-"));
        of_running("cgroups", cgroups).differences(&mut all);
    }
    for (what, found) in [("taps", links()?), ("rules", in_rules()?), ("neighbours", neighbours()?)] {
        let (needed, allowed) = (taps(&|id| running.contains(id)), taps(&|id| restless.contains(id)));
        Compared { what, needed, allowed, found }.differences(&mut all);
    }

    let state = |folder: &str| names(&node.state.join(folder));
    let exactly = |what, needed, found| Compared { what, needed, allowed: BTreeSet::new(), found };
    let consoles = state("consoles")?.into_iter().filter_map(|name| Some(name.split_once('.')?.0.to_owned()));
    let consoles = Compared {
        what: "consoles",
        needed: BTreeSet::new(),
        allowed: launched.clone(),
        found: consoles.collect(),
    };
    consoles.differences(&mut all);
    let volumes = views.iter().flat_map(|view| &view.volumes).map(|volume| volume.id.to_string());
    exactly("files of volumes", volumes.collect(), state("volumes")?).differences(&mut all);
    let snapshots = views.iter().flat_map(|view| &view.snapshots);
    let snapshots = snapshots.filter(|snapshot| snapshot.state == SnapshotState::Available);
    exactly("files of snapshots", snapshots.map(|it| it.id.to_string()).collect(), state("snapshots")?)
        .differences(&mut all);
    let images =
        views.iter().flat_map(|view| &view.images).filter(|image| image.state == ImageState::Available);
    let images = images.filter_map(|image| Some(image.sha256.as_ref()?.to_string()));
    exactly("files of images", images.collect(), state("images")?).differences(&mut all);
    exactly("temporary files", BTreeSet::new(), state("temporary")?).differences(&mut all);
    let kept = state("kernels")?;
    if kept.len() != kernels {
        all.push(format!("kernels: there are {kept:?}, and should be {kernels}"));
    }
    Ok(all)
}

fn find_processes(
    node: &Node,
    running: &BTreeSet<String>,
    restless: &BTreeSet<String>,
    all: &mut Vec<String>,
) -> anyhow::Result<()> {
    let processes = processes()?;
    let mut found = BTreeMap::<String, Vec<i32>>::new();
    for vmm in processes.iter().filter_map(|process| process.vmm(node)) {
        found.entry(vmm.instance).or_default().push(vmm.pid);
    }
    for (id, pids) in found.iter().filter(|(_, pids)| pids.len() > 1) {
        all.push(format!("the VMM of {id} runs {} times: {pids:?}", pids.len()));
    }
    let vmms = Compared {
        what: "VMMs",
        needed: running.clone(),
        allowed: restless.clone(),
        found: found.keys().cloned().collect(),
    };
    vmms.differences(all);
    let sessions: BTreeSet<i32> = found.into_values().flatten().collect();
    let is_helper = |process: &&Process| process.words.iter().any(|word| word.ends_with("helper"));
    for helper in processes.iter().filter(is_helper).filter(|helper| !sessions.contains(&helper.session)) {
        all.push(format!("process {} ({}) outlived its VMM", helper.pid, helper.words.join(" ").trim_end()));
    }
    Ok(())
}

/// Names in a folder; none if there is no folder.
fn names(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.with_context(|| format!("reading {}", folder.display()))?,
    };
    entries
        .map(|entry| Ok(entry.context("reading a folder")?.file_name().to_string_lossy().into_owned()))
        .collect()
}

fn links() -> anyhow::Result<BTreeSet<String>> {
    Ok(tap_names(&said("ip", &["-oneline", "link"])?))
}

fn in_rules() -> anyhow::Result<BTreeSet<String>> {
    Ok(tap_names(&said("nft", &["list", "ruleset"])?))
}

fn neighbours() -> anyhow::Result<BTreeSet<String>> {
    Ok(tap_names(&said("ip", &["neighbour", "show", "nud", "permanent"])?))
}

fn said(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("running {program}"))?;
    ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Names of taps, with the eight digits of their interfaces' ids, that a text has.
fn tap_names(text: &str) -> BTreeSet<String> {
    let digits = |rest: &str| {
        let digits: String =
            rest.chars().take_while(|letter| matches!(letter, '0'..='9' | 'a'..='f')).collect();
        (digits.len() == 8).then_some(digits)
    };
    text.split(TAPS).skip(1).filter_map(digits).map(|digits| format!("{TAPS}{digits}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_found_in_what_programs_say() {
        let text = "7: bothy-00c0ffee: <UP>\n\"bothy-12345678\" . 10.0.0.1 }\nbothy-short bothy_x";
        assert_eq!(tap_names(text), ["bothy-00c0ffee", "bothy-12345678"].map(String::from).into());
    }

    #[test]
    fn what_is_missing_or_extra_is_named() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let mut all = Vec::new();
        let compared = Compared {
            what: "taps",
            needed: set(&["a", "b"]),
            allowed: set(&["c"]),
            found: set(&["b", "c", "d"]),
        };
        compared.differences(&mut all);
        assert_eq!(all, ["taps: a is missing", "taps: d belongs to nobody"]);
    }
}
