//! What a daemon leaves on a host. A host that was cleared has nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Node;

/// Processes of programs, with their words.
pub fn processes() -> Vec<(u32, Vec<String>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("there is a /proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        found.push((pid, words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()));
    }
    found
}

/// All that a daemon may make outside of its own folders: links, routes, neighbours and rules of this network; cgroups; VMMs.
pub fn leavings() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for command in [
        &["ip", "-oneline", "-brief", "link"][..],
        &["ip", "-4", "route", "show", "table", "all"],
        &["ip", "neighbour", "show", "nud", "permanent"],
        &["nft", "list", "ruleset"],
    ] {
        let output =
            Command::new(command[0]).args(&command[1..]).output().expect("iproute2 and nftables are there");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        all.extend(text.lines().map(|line| format!("{}: {}", command[0], line.trim())));
    }
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        let inside = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        folders.extend(inside.filter(|path| path.is_dir() && !path.is_symlink()));
        if folder.file_name().is_some_and(|name| name.to_string_lossy().contains("bothy")) {
            all.insert(format!("cgroup: {}", folder.display()));
        }
    }
    let is_vmm = |words: &[String]| words.iter().any(|word| word == "--control");
    all.extend(
        processes().into_iter().filter(|(_, words)| is_vmm(words)).map(|(pid, _)| format!("VMM: {pid}")),
    );
    all
}

/// VMMs by instance. None has two.
pub fn vmms(node: &Node) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for (pid, words) in processes() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let [_, "--id", id, "--control", control] = words[..] else { continue };
        if Path::new(control).starts_with(&node.folder) {
            let other = found.insert(id.to_owned(), pid);
            assert!(other.is_none(), "{id} runs twice: {pid} and {other:?}\n{}", node.log());
        }
    }
    found
}
