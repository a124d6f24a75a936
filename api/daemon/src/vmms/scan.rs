//! All processes of the host, read out of `/proc`: how a VMM is found that is on no record, and what one without a cgroup
//! has left. With a thousand VMMs it takes some ten milliseconds, so that those who ask at the same time share a scan.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use compute::id::{Id, Instance};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::control_path;
use super::process::{Identity, read_stat};

/// A process as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub identity: Identity,
    /// The pid of its session's leader.
    pub session: u32,
    /// Whose VMM it is, or is on its way to become, by its command line. Whoever else takes on such a command line as our
    /// user gets what he asks for.
    pub instance: Option<Id<Instance>>,
}

/// Scans for VMMs with their control sockets below a run folder.
pub(super) struct Scans {
    run_folder: PathBuf,
    /// The last one and when it began.
    last: Mutex<Option<(Instant, Arc<Vec<Seen>>)>>,
}

impl Scans {
    pub fn new(run_folder: &Path) -> Self {
        Self { run_folder: run_folder.to_owned(), last: Mutex::new(None) }
    }

    /// All processes, as they are now or later.
    pub async fn all(&self) -> io::Result<Arc<Vec<Seen>>> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((began, seen)) = &*last
            && *began >= asked
        {
            return Ok(Arc::clone(seen));
        }
        let began = Instant::now();
        let run_folder = self.run_folder.clone();
        let scan = tokio::task::spawn_blocking(move || scan(&run_folder));
        let seen = Arc::new(scan.await.map_err(io::Error::other)??);
        *last = Some((began, Arc::clone(&seen)));
        Ok(seen)
    }

    /// The processes of an instance's VMM, and those on their way to become it.
    pub async fn of(&self, instance: Id<Instance>) -> io::Result<Vec<Identity>> {
        let all = self.all().await?;
        Ok(all.iter().filter(|seen| seen.instance == Some(instance)).map(|seen| seen.identity).collect())
    }

    /// Processes of a session whose leader was `leader`, and has ended.
    pub async fn left_in_session(&self, leader: Identity) -> io::Result<Vec<Identity>> {
        let all = self.all().await?;
        // If its number is another's by now, nobody was left in the session.
        if all.iter().any(|seen| seen.identity.pid == leader.pid && seen.identity != leader) {
            return Ok(vec![]);
        }
        let left = all.iter().filter(|seen| seen.session == leader.pid && seen.identity != leader);
        Ok(left.map(|seen| seen.identity).collect())
    }
}

fn scan(run_folder: &Path) -> io::Result<Vec<Seen>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(command_line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let Some(stat) = read_stat(pid)? else { continue };
        found.push(Seen {
            identity: Identity { pid, started: stat.started },
            session: stat.session,
            instance: instance_of(&command_line, run_folder),
        });
    }
    Ok(found)
}

fn instance_of(command_line: &[u8], run_folder: &Path) -> Option<Id<Instance>> {
    let words: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    words.windows(4).find_map(|words| match words {
        [b"--id", id, b"--control", control] => {
            let id: Id<Instance> = std::str::from_utf8(id).ok()?.parse().ok()?;
            let expected = control_path(run_folder, id);
            (expected.as_os_str().as_encoded_bytes() == *control).then_some(id)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_vmm_of_this_folder_is_found() {
        let folder = Path::new("/run/bothy");
        let find = |words: &[&str]| instance_of(words.join("\0").as_bytes(), folder);
        let id = Id::new(0xab);
        assert_eq!(
            find(&["vmm", "--id", "i-000000ab", "--control", "/run/bothy/i-000000ab/control", ""]),
            Some(id)
        );
        let launcher =
            ["l", "--", "vmm", "--id", "i-000000ab", "--control", "/run/bothy/i-000000ab/control", ""];
        assert_eq!(find(&launcher), Some(id));
        for control in ["/run/other/i-000000ab/control", "/run/bothy/i-000000ac/control", ""] {
            assert_eq!(find(&["vmm", "--id", "i-000000ab", "--control", control]), None, "{control}");
        }
        assert_eq!(find(&["vmm", "--id", "x", "--control", "/run/bothy/x/control"]), None);
        assert_eq!(find(&[]), None);
    }
}
