//! The watch over one VMM: a task that asks it for what happened, one request that waits after the other, and sees when
//! its process ends. It tells each thing once, and goes when its machine has ended.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use compute::id::{Id, Instance};
use compute::lifecycle::Report;
use compute::outside::{Sight, Tell};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use vmm_api::{Client, EventKind, EventPage, Exit, ExitReason, VmState};

use crate::fail;

use super::STDERR_FILE;
use super::cgroup::{OomWatch, Place};
use super::process::Process;
use super::record::Record;

/// How long one request for events waits: the most that a VMM allows.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// After that a VMM is taken not to answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(70);

/// How soon a VMM that does not answer is asked again; twice as late each time.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// Most that is kept of what VMMs say on standard error, in bytes.
const MOST_STDERR: u64 = 1 << 20;

/// Most of it that is read for a reason, in bytes.
const STDERR_TAIL: u64 = 4096;

/// A VMM that is watched.
pub(super) struct Watch {
    /// Its process.
    pub process: Arc<Process>,
    /// How its machine ended: whoever sees it first says so here, and only he tells it.
    pub end: End,
    task: JoinHandle<()>,
}

/// See `Watch::end`.
#[derive(Clone, Default)]
pub(super) struct End(Arc<Mutex<Option<Sight>>>);

impl End {
    /// How it ended, if it did.
    pub fn get(&self) -> Option<Sight> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of the end; false if another did before.
    pub fn claim(&self, sight: &Sight) -> bool {
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = end.is_none();
        end.get_or_insert_with(|| sight.clone());
        is_first
    }
}

impl Watch {
    /// Watches from now on; what happened since the record was written last is told as well.
    pub fn start(
        instance: Id<Instance>,
        folder: PathBuf,
        client: Client,
        process: Arc<Process>,
        record: Record,
        tell: Tell,
    ) -> Self {
        let end = End::default();
        let oom = record.place.as_ref().and_then(Place::watch_oom);
        let watcher = Watcher {
            instance,
            folder,
            client,
            process: Arc::clone(&process),
            record,
            end: end.clone(),
            tell,
            oom,
            was_oom: false,
        };
        Self { process, end, task: tokio::spawn(watcher.run()) }
    }

    /// Ends the watch: nothing is told any more, and nothing written, when this returns.
    pub async fn stop(&mut self) {
        self.task.abort();
        if !self.task.is_finished() {
            // It is an error that it was told to stop.
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watcher {
    instance: Id<Instance>,
    folder: PathBuf,
    client: Client,
    process: Arc<Process>,
    record: Record,
    end: End,
    tell: Tell,
    oom: Option<OomWatch>,
    was_oom: bool,
}

impl Watcher {
    async fn run(mut self) {
        let mut since = self.record.seen;
        let mut guest_resets = false;
        let mut retry = FIRST_RETRY;
        loop {
            let page = tokio::select! {
                biased;
                page = timeout(LONGEST_ANSWER, self.client.events(since, LONGEST_WAIT)) => page.ok().and_then(Result::ok),
                () = self.process.gone() => return self.process_ended().await,
                () = oom_changed(self.oom.as_ref()) => {
                    let kills = self.record.place.as_ref().and_then(Place::oom_kills);
                    self.was_oom |= kills.is_some_and(|kills| kills > 0);
                    continue;
                }
            };
            let Some(page) = page else {
                // It hangs, or has ended.
                tokio::select! {
                    () = sleep(retry) => retry = LAST_RETRY.min(retry * 2),
                    () = self.process.gone() => return self.process_ended().await,
                }
                continue;
            };
            retry = FIRST_RETRY;
            if let Some(exit) = self.take(&page, &mut guest_resets).await {
                return self.ended(sight_of_exit(&exit));
            }
            since = page.next;
            bound_stderr(&self.folder.join(STDERR_FILE));
        }
    }

    /// Deals with some events; gives the machine's end.
    async fn take(&mut self, page: &EventPage, guest_resets: &mut bool) -> Option<Exit> {
        for event in &page.events {
            match &event.kind {
                EventKind::GuestReset => *guest_resets = true,
                EventKind::Booted if std::mem::take(guest_resets) => {
                    fail::point("reboot.telling");
                    self.tell(Sight { report: Report::GuestRebooted, reason: String::new() });
                    fail::point("reboot.told");
                    // After it was told: what is told twice to two daemons does less harm than what is told to none.
                    self.record.seen = event.seq;
                    self.write_record();
                    fail::point("reboot.recorded");
                }
                EventKind::Exited { exit } => return Some(exit.clone()),
                EventKind::DiskError { disk, message, .. } => {
                    log::warn!("{}: disk {disk}: {message}", self.instance);
                }
                EventKind::DeviceNeedsReset { device, message } => {
                    log::info!("{}: {device} gave up on its driver: {message}", self.instance);
                }
                EventKind::ConsoleLogError { message } => log::warn!("{}: {message}", self.instance),
                EventKind::Booted
                | EventKind::Configured
                | EventKind::Booting
                | EventKind::BootFailed { .. }
                | EventKind::Paused
                | EventKind::Resumed
                | EventKind::PowerButton
                | EventKind::Reset => {}
            }
        }
        if page.missed > 0 {
            // The end may be among what is gone.
            let info = self.client.info().await.ok()?;
            return info.exit.filter(|_| info.state == VmState::Exited);
        }
        None
    }

    async fn process_ended(mut self) {
        let reason = death(&self.folder, &self.process, self.record.place.as_ref(), self.was_oom).await;
        self.ended(Sight { report: Report::Died, reason });
    }

    fn ended(&mut self, sight: Sight) {
        if self.end.claim(&sight) {
            self.record.end = Some((sight.report, sight.reason.clone()));
            fail::point("end.telling");
            self.tell(sight);
            fail::point("end.told");
            self.write_record();
            fail::point("end.recorded");
        }
    }

    fn tell(&self, sight: Sight) {
        (self.tell)(self.instance, sight);
    }

    fn write_record(&self) {
        if let Err(error) = self.record.write(&self.folder) {
            log::warn!("cannot write what was seen of {}: {error}", self.instance);
        }
    }
}

async fn oom_changed(watch: Option<&OomWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// What a machine's end is to its instance.
pub(super) fn sight_of_exit(exit: &Exit) -> Sight {
    let report = match exit.reason {
        ExitReason::PowerOff => Report::PoweredOff,
        ExitReason::TripleFault
        | ExitReason::KvmInternalError
        | ExitReason::Killed
        | ExitReason::RebootFailed
        | ExitReason::VmmError => Report::Died,
    };
    Sight { report, reason: exit.message.clone() }
}

/// Why a VMM's process ended, in a line. Takes its zombie away.
pub(super) async fn death(folder: &Path, process: &Process, place: Option<&Place>, was_oom: bool) -> String {
    let status = process.reap();
    // By another signal it would have ended without the kernel's out-of-memory killer.
    let may_be_oom =
        status.is_none_or(|status| std::os::unix::process::ExitStatusExt::signal(&status) == Some(9));
    if may_be_oom && let Some(place) = place {
        let counted = was_oom || place.oom_kills().is_some_and(|kills| kills > 0);
        if counted || place.scope_ran_out_of_memory().await {
            return "the kernel's out-of-memory killer ended its VMM: the guest and what serves it took more than the limit of \
                    their cgroup"
                .to_owned();
        }
    }
    let how =
        status.map_or_else(|| "its VMM ended".to_owned(), |status| format!("its VMM ended with {status}"));
    match last_line(&folder.join(STDERR_FILE)) {
        Some(line) => format!("{how}; it said last: {line}"),
        None => how,
    }
}

/// The last line that a VMM said on standard error.
fn last_line(path: &Path) -> Option<String> {
    let tail = tail(path).ok()?;
    let text = String::from_utf8_lossy(&tail);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().filter(|letter| !letter.is_control()).take(500).collect())
}

fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(STDERR_TAIL)))?;
    let mut tail = Vec::new();
    file.take(STDERR_TAIL).read_to_end(&mut tail)?;
    Ok(tail)
}

/// Starts a VMM's standard error anew when there is much of it; its last lines are kept. The VMM appends, so that it goes on
/// at the new end.
fn bound_stderr(path: &Path) {
    if fs::metadata(path).map_or(0, |metadata| metadata.len()) <= MOST_STDERR {
        return;
    }
    let bounded = tail(path).and_then(|tail| {
        fs::write(path.with_added_extension("1"), tail)?;
        OpenOptions::new().write(true).open(path)?.set_len(0)
    });
    if let Err(error) = bounded {
        log::warn!("cannot shorten {}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_error_stays_small_and_its_last_line_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(STDERR_FILE);
        assert_eq!(last_line(&path), None);
        fs::write(&path, "first\nlast \u{1b}[1m\n\n").unwrap();
        bound_stderr(&path);
        assert_eq!(last_line(&path).unwrap(), "last [1m");
        fs::write(&path, vec![b'x'; 1 + (1 << 20)]).unwrap();
        bound_stderr(&path);
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(fs::metadata(path.with_added_extension("1")).unwrap().len(), STDERR_TAIL);
    }

    #[test]
    fn an_end_is_told_by_one_alone() {
        let end = End::default();
        let sight = |reason: &str| Sight { report: Report::Died, reason: reason.to_owned() };
        assert!(end.claim(&sight("first")) && !end.claim(&sight("second")));
        assert_eq!(end.get(), Some(sight("first")));
    }
}
