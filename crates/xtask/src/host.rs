//! What is on a host that a daemon could leave something on: to be looked at before and after.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// All that is there, a line each.
pub struct Host(BTreeSet<String>);

/// Folders in which a daemon makes files.
const FOLDERS: &[&str] = &["/run", "/etc/bothy", "/var/lib/bothy", "/sys/fs/cgroup", "/dev/shm"];

impl Host {
    /// Looks.
    pub fn look() -> anyhow::Result<Self> {
        let mut all = BTreeSet::new();
        let commands: [(&str, &[&str]); 4] = [
            ("link", &["ip", "-oneline", "-brief", "link"]),
            ("route", &["ip", "-4", "route", "show", "table", "all"]),
            ("rule", &["nft", "list", "ruleset"]),
            ("neighbour", &["ip", "neighbour", "show", "nud", "permanent"]),
        ];
        for (what, command) in commands {
            let output = Command::new(command[0]).args(&command[1..]).output();
            let output = output.with_context(|| format!("running {}", command[0]))?;
            ensure!(
                output.status.success(),
                "{command:?} failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let text = String::from_utf8_lossy(&output.stdout);
            all.extend(text.lines().map(|line| format!("{what}: {}", line.trim())));
        }
        let mounts = std::fs::read_to_string("/proc/mounts").context("reading the mounts")?;
        all.extend(mounts.lines().map(|line| format!("mount: {line}")));
        all.extend(processes()?.into_iter().map(|process| format!("process: {process}")));
        for folder in FOLDERS {
            files(Path::new(folder), &mut all);
        }
        Ok(Self(all))
    }

    /// What has come since.
    pub fn since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// Processes of programs, as `PID COMMAND`. The kernel's own come and go.
pub fn processes() -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc").context("reading the processes")? {
        let name = entry.context("reading the processes")?.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) else {
            continue;
        };
        // It may be gone by now.
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<String> =
            command.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let command = words.join(" ").trim().to_owned();
        if !command.is_empty() {
            all.push(format!("{pid} {command}"));
        }
    }
    Ok(all)
}

/// Folders that are there, and files, however deep.
fn files(folder: &Path, all: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        all.insert(format!("file: {}", path.display()));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files(&path, all);
        }
    }
}
