//! Ending a VMM: its process and all it started, and then what it leaves on the host.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use compute::id::{Id, Instance};
use compute::outside::HostError;
use tokio::time::{sleep, timeout};

use super::cgroup::Place;
use super::process::{Identity, Process};
use super::record::Record;
use super::scan::Scans;
use super::{CONSOLE_END_PATIENCE, RETRY, Slot, Vmms, console_end, host_error};
use crate::fail;

impl Vmms {
    /// Ends all processes of an instance's VMM, and removes its record when they are gone.
    pub(super) async fn end(&self, slot: &Slot, instance: Id<Instance>) -> Result<(), HostError> {
        let failed = |error: io::Error| host_error("end the VMM", &error);
        let folder = self.folder(instance);
        let record = Record::read(&folder).map_err(failed)?.filter(|record| record.boot_id == self.boot_id);
        // Of sessions: also a VMM's that died by itself, since what it started may live on.
        let mut leaders: Vec<Identity> = record.iter().map(|record| record.process).collect();
        let (process, place) = match record {
            Some(record) => {
                let process = self.process(slot, &record).map_err(failed)?;
                if process.is_some() && record.booted {
                    self.note_console_end(instance).await;
                }
                (process, record.place)
            }
            None => (None, None),
        };
        let places = match place {
            Some(place) => vec![place],
            // Nothing else tells of it.
            None => self.places(instance).map_err(failed)?,
        };
        let mut processes: Vec<Arc<Process>> = process.into_iter().collect();
        if processes.is_empty() && Record::read(&folder).map_err(failed)?.is_none() {
            leaders = self.scans.of(instance).await.map_err(failed)?;
            for &identity in &leaders {
                processes.extend(Process::open(identity).map_err(failed)?.map(Arc::new));
            }
        }
        fail::point("vmm.killing");
        let all = async {
            end_all(&processes, &places).await?;
            // Without a cgroup, the session is what says who belongs to a VMM.
            if places.is_empty() {
                for leader in leaders {
                    end_session(&self.scans, leader).await?;
                }
            }
            Ok(())
        };
        let ended = timeout(self.config.kill_limit, all).await;
        ended
            .unwrap_or_else(|_| Err(io::Error::other(still_there(&processes, self.config.kill_limit))))
            .map_err(failed)?;
        fail::point("vmm.killed");
        Record::remove(&folder).map_err(failed)?;
        fail::point("vmm.unrecorded");
        Ok(())
    }

    /// Asks how much was printed, so that the next run's offsets can go on there. Not knowing it is no reason not to kill.
    async fn note_console_end(&self, instance: Id<Instance>) {
        let client = self.client(instance);
        if let Ok(Ok(end)) = timeout(CONSOLE_END_PATIENCE, console_end(&client)).await
            && let Err(error) = self.consoles.note_end(instance, end)
        {
            log::warn!("cannot note where the output of {instance} ends: {error}");
        }
    }

    /// Removes what is there for all VMMs and not for one of them, when there are none.
    ///
    /// # Errors
    ///
    /// There are some, or the host does not do its part.
    pub fn clear(&self) -> io::Result<()> {
        self.cgroups.close()
    }

    /// Removes cgroup and run folder of a VMM that is gone.
    pub(super) async fn remove_leavings(&self, instance: Id<Instance>) -> io::Result<()> {
        let folder = self.folder(instance);
        for place in self.places(instance)? {
            place.remove().await?;
        }
        self.cgroups.forget(instance).await;
        fail::point("cgroup.removed");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fail::point("vmm.folder_removed");
        Ok(())
    }
}

/// Sends SIGKILL to processes and to all in their cgroups, and returns when they are gone.
async fn end_all(processes: &[Arc<Process>], places: &[Place]) -> io::Result<()> {
    for process in processes {
        process.kill()?;
    }
    for place in places {
        place.kill()?;
    }
    for process in processes {
        process.gone().await;
        process.reap();
    }
    for place in places {
        // Nothing tells of it, and one that was just forked into it was not killed with the others.
        while !place.is_empty()? {
            sleep(RETRY).await;
            place.kill()?;
        }
    }
    Ok(())
}

/// Ends what a VMM has left behind in its session.
async fn end_session(scans: &Scans, leader: Identity) -> io::Result<()> {
    loop {
        let left = scans.left_in_session(leader).await?;
        let mut found_any = false;
        for identity in left {
            let Some(process) = Process::open(identity)?.filter(|process| !process.is_gone()) else {
                continue;
            };
            found_any = true;
            process.kill()?;
            process.gone().await;
        }
        if !found_any {
            return Ok(());
        }
    }
}

fn still_there(processes: &[Arc<Process>], limit: Duration) -> String {
    let pids = processes
        .iter()
        .filter(|process| !process.is_gone())
        .map(|process| process.identity().pid.to_string());
    let pids: Vec<String> = pids.collect();
    let which = if pids.is_empty() {
        "a process in its cgroup".to_owned()
    } else {
        format!("process {}", pids.join(", "))
    };
    format!(
        "{which} is still there {limit:?} after SIGKILL: it hangs in the kernel, mostly on a disk; look at its stack"
    )
}
