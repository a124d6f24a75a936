//! The processes of VMMs: started, found again, watched and ended. What the daemon's `compute::outside::Machines` needs of
//! them is here; taps and disks are made elsewhere, and come as a finished configuration.
//!
//! What is true is on the host, not in memory: a record in each run folder (`record`), the process it names (`process`),
//! its cgroup (`cgroup`), and what the VMM says on its control socket. So a daemon that comes after a killed one does
//! nothing that the killed one would not have done next. A VMM is started in this order: its process, which waits
//! (`launcher`); the record; the word to go on; configuration; boot. Every future here may be dropped at any await.

mod cgroup;
mod console;
mod end;
mod launcher;
mod nics;
mod process;
mod record;
mod scan;
mod stand;
mod start;
mod usage;
mod wait;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use compute::id::{Id, Instance};
use compute::lifecycle::Report;
use compute::outside::{ConsoleOutput, HostError, Sight, Tell};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use storage::ownership;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::task;
use tokio::time::timeout;
use vmm_api::{Client, ClientError, ConsoleStream, ErrorCode, VmInfo, VmState};

pub use cgroup::{CgroupChoice, CgroupLimits};
pub use launcher::{LAUNCHER_WORD, launch};

use cgroup::{Cgroups, Place};
use console::Consoles;
use process::Process;
use record::Record;
use scan::Scans;
use watch::{Watch, death, sight_of_exit};

/// A unix socket's path has at most this many bytes, and a zero behind them (unix(7)).
const MOST_SOCKET_PATH: usize = 107;

/// The control socket's name in a run folder.
const CONTROL_FILE: &str = "control";

/// What a VMM says on standard error, in its run folder.
const STDERR_FILE: &str = "stderr";

/// How many VMMs are looked at at once.
const MOST_LOOKS: usize = 64;

/// How often what tells nothing by itself is looked at again.
const RETRY: Duration = Duration::from_millis(5);

/// How long a process may take to be gone after its connection broke.
const LAST_BREATH: Duration = Duration::from_secs(1);

/// Longest that a VMM is asked how much its guest printed, before it is killed.
const CONSOLE_END_PATIENCE: Duration = Duration::from_millis(300);

/// Most descriptors that the daemon asks for: three for each VMM, and then some for callers.
const WANTED_DESCRIPTORS: u64 = 1 << 20;

/// How VMMs are run.
#[derive(Clone, Debug)]
pub struct VmmsConfig {
    /// The program bothy-vmm; an absolute path.
    pub program: PathBuf,
    /// A command that calls `launch` with the arguments behind it: the daemon itself, with a word for it.
    pub launcher: Vec<OsString>,
    /// The folder of run folders, such as `/run/bothy`: in memory, and ours alone. An absolute path.
    pub run_folder: PathBuf,
    /// The folder of consoles' logs, such as `/var/lib/bothy/consoles`. An absolute path.
    pub console_folder: PathBuf,
    /// When a console's log has this size in bytes a new one begins; one old one is kept.
    pub console_log_bytes: u64,
    /// Which cgroups VMMs get.
    pub cgroup: CgroupChoice,
    /// How long a VMM may take to listen on its control socket, once its process is there.
    pub start_limit: Duration,
    /// How long a VMM may take to answer what needs no work of it.
    pub answer_limit: Duration,
    /// How long it may take for what needs work of it: to stand still, to build its VM anew.
    pub work_limit: Duration,
    /// How long processes may take to end once they are killed.
    pub kill_limit: Duration,
}

impl VmmsConfig {
    /// VMMs of this program, with run folders in `/run/bothy` and consoles in `/var/lib/bothy/consoles`. The launcher is
    /// this program with the word `vmm-launcher`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            // Also when the daemon's file was replaced by a newer one meanwhile, it is this one that is started.
            launcher: vec!["/proc/self/exe".into(), LAUNCHER_WORD.into()],
            run_folder: "/run/bothy".into(),
            console_folder: "/var/lib/bothy/consoles".into(),
            console_log_bytes: 16 << 20,
            cgroup: CgroupChoice::Auto,
            start_limit: Duration::from_secs(30),
            answer_limit: Duration::from_secs(2),
            work_limit: Duration::from_secs(30),
            kill_limit: Duration::from_secs(30),
        }
    }
}

/// Why VMMs cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum OpenVmmsError {
    /// A path that has to be absolute is not.
    #[error("{} is not an absolute path: VMMs have other working folders than the daemon", .0.display())]
    Relative(PathBuf),
    /// The control sockets' paths would be longer than the kernel takes.
    #[error(
        "the run folder {} is too long: a control socket in it has a path of {bytes} bytes, and the kernel takes \
         {MOST_SOCKET_PATH}",
        folder.display()
    )]
    PathTooLong {
        /// The run folder.
        folder: PathBuf,
        /// Bytes of a control socket's path.
        bytes: usize,
    },
    /// Another daemon is at work there.
    #[error("another bothyd uses the run folder {}: end it first, or use another folder", .0.display())]
    InUse(PathBuf),
    /// A folder or file cannot be used.
    #[error("cannot use {}", path.display())]
    Host {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are no cgroups as they were asked for.
    #[error("cannot give VMMs cgroups: {0}")]
    Cgroups(String),
}

/// Lets this process have as many open descriptors as it may, and says how many these are. For the daemon's start: each VMM
/// takes two or three.
///
/// # Errors
///
/// The kernel refuses, which it does not.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(WANTED_DESCRIPTORS, |maximum| maximum.max(WANTED_DESCRIPTORS));
    // More than the administrator's maximum is for root alone, and more than fs.nr_open for nobody.
    let more = Rlimit { current: Some(wanted), maximum: Some(wanted) };
    if setrlimit(Resource::Nofile, more).is_err() {
        setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum })?;
    }
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Where the control socket of an instance's VMM is.
fn control_path(run_folder: &Path, instance: Id<Instance>) -> PathBuf {
    run_folder.join(instance.to_string()).join(CONTROL_FILE)
}

/// The VMMs of this host.
pub struct Vmms {
    config: VmmsConfig,
    boot_id: String,
    cgroups: Cgroups,
    consoles: Consoles,
    tell: Tell,
    slots: Mutex<HashMap<Id<Instance>, Arc<tokio::sync::Mutex<Slot>>>>,
    looks: Semaphore,
    scans: Scans,
    /// Held for as long as this lives, and by a child between fork and exec: whoever has it knows that each process of the
    /// daemon before can be found.
    _lock: File,
}

/// What is in memory of an instance's VMM. Locked for as long as something is done to it.
#[derive(Default)]
struct Slot {
    watch: Option<Watch>,
}

/// What is there of an instance's VMM.
enum Found {
    /// No record that means anything in this boot of the host; the bool is whether there is one of another.
    Nothing { of_another_boot: bool },
    /// The process on record is gone.
    Gone(Record),
    /// It lives; it answered, or it did not for this reason.
    Lives(Record, Arc<Process>, Result<Box<VmInfo>, String>),
}

impl Vmms {
    /// Takes over what a daemon before has left, and waits for it if it is just ending. `tell` is told what happens to
    /// machines that were booted or looked at. Must run in a runtime, which must not end before this does.
    ///
    /// # Errors
    ///
    /// See `OpenVmmsError`; nothing was done to any VMM then.
    pub async fn open(config: VmmsConfig, tell: Tell) -> Result<Self, OpenVmmsError> {
        for path in [&config.program, &config.run_folder, &config.console_folder] {
            if !path.is_absolute() {
                return Err(OpenVmmsError::Relative(path.clone()));
            }
        }
        let longest = control_path(&config.run_folder, Id::new(u32::MAX));
        let bytes = longest.as_os_str().as_bytes().len();
        if bytes > MOST_SOCKET_PATH {
            return Err(OpenVmmsError::PathTooLong { folder: config.run_folder, bytes });
        }
        let host = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenVmmsError::Host { path, source }
        };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&config.run_folder).map_err(host(&config.run_folder))?;
        let lock = lock(&config.run_folder).await?;
        let consoles = Consoles::open(&config.console_folder).map_err(host(&config.console_folder))?;
        let boot_id = record::boot_id().map_err(host(Path::new("/proc/sys/kernel/random/boot_id")))?;
        let cgroups = Cgroups::open(&config.cgroup).map_err(OpenVmmsError::Cgroups)?;
        Ok(Self {
            scans: Scans::new(&config.run_folder),
            config,
            boot_id,
            cgroups,
            consoles,
            tell,
            slots: Mutex::default(),
            looks: Semaphore::new(MOST_LOOKS),
            _lock: lock,
        })
    }

    /// Looks at an instance's machine, and from then on tells what happens to it. One whose VMM does not answer in time is
    /// taken to run, with that for a reason; one that was never booted counts as lost.
    pub async fn look(&self, instance: Id<Instance>) -> Sight {
        let _turn = self.looks.acquire().await.expect("it is never closed");
        let mut slot = self.slot(instance).await;
        let lost = |reason: &str| Sight { report: Report::Lost, reason: reason.to_owned() };
        let found = match self.find(&slot, instance).await {
            Ok(found) => found,
            // Nothing can be said of it. It may well run: to call it lost would boot a second one.
            Err(error) => {
                return Sight { report: Report::Running, reason: format!("cannot look at its VMM: {error}") };
            }
        };
        match found {
            Found::Nothing { of_another_boot: true } => lost("the host was rebooted"),
            Found::Nothing { of_another_boot: false } => lost("there is no VMM"),
            Found::Gone(record) => self.sight_of_gone(&slot, instance, record).await,
            Found::Lives(record, process, Err(reason)) if record.booted => {
                // A process that is about to be gone answers no more. How its machine ended may have been told already.
                let watch = slot.watch.as_ref();
                let watch = watch.filter(|watch| watch.process.identity() == process.identity());
                if let Some(end) = watch.and_then(|watch| watch.end.get()) {
                    return end;
                }
                self.watch(&mut slot, instance, process, record);
                Sight { report: Report::Running, reason }
            }
            Found::Lives(_, _, Err(reason)) => lost(&format!("its VM was not booted yet: {reason}")),
            Found::Lives(mut record, process, Ok(mut info)) => {
                if info.state == VmState::Booting && info.boots == 0 {
                    // The daemon before has asked for it.
                    let client = self.client(instance);
                    let booted =
                        client.wait_for(|now| now.state != VmState::Booting, self.config.answer_limit);
                    *info = booted.await.unwrap_or(*info);
                }
                match (info.state, info.exit) {
                    (VmState::Exited, Some(exit)) => {
                        let sight = sight_of_exit(&exit);
                        let is_news = slot.watch.as_ref().is_none_or(|watch| watch.end.claim(&sight));
                        if is_news && record.end.is_none() {
                            record.end = Some((sight.report, sight.reason.clone()));
                            self.write_record(instance, &record);
                        }
                        sight
                    }
                    (VmState::Running | VmState::Paused, _) => {
                        self.running(&mut slot, instance, process, &mut record)
                    }
                    (VmState::Booting, _) if info.boots > 0 => {
                        self.running(&mut slot, instance, process, &mut record)
                    }
                    _ => lost("its VM was not booted yet"),
                }
            }
        }
    }

    fn running(
        &self,
        slot: &mut Slot,
        instance: Id<Instance>,
        process: Arc<Process>,
        record: &mut Record,
    ) -> Sight {
        self.note_booted(instance, record);
        self.watch(slot, instance, process, record.clone());
        Sight { report: Report::Running, reason: String::new() }
    }

    /// The process is gone: what is known of why.
    async fn sight_of_gone(&self, slot: &Slot, instance: Id<Instance>, record: Record) -> Sight {
        if let Some((report, reason)) = record.end {
            return Sight { report, reason };
        }
        if !record.booted {
            return Sight { report: Report::Lost, reason: "its VMM ended before its VM was booted".into() };
        }
        if let Some(watch) = &slot.watch {
            let reason = death(&self.folder(instance), &watch.process, record.place.as_ref(), false).await;
            let sight = Sight { report: Report::Died, reason };
            watch.end.claim(&sight);
            return watch.end.get().unwrap_or(sight);
        }
        let oom = record.place.as_ref().and_then(Place::oom_kills).is_some_and(|kills| kills > 0);
        let mut reason = "its VMM ended while nobody looked".to_owned();
        if oom {
            reason.push_str(", by the kernel's out-of-memory killer");
        }
        Sight { report: Report::Died, reason }
    }

    /// Presses the power button.
    ///
    /// # Errors
    ///
    /// What was seen instead of a running VM. A VMM that does not answer is seen as running, with that for a reason.
    pub async fn press_power_button(&self, instance: Id<Instance>) -> Result<(), Sight> {
        let pressed = timeout(self.config.answer_limit, self.client(instance).power_button()).await;
        if let Ok(Ok(_)) = pressed {
            return Ok(());
        }
        let mut sight = self.look(instance).await;
        if sight.report == Report::Running && sight.reason.is_empty() {
            sight.reason = match pressed {
                Ok(Err(error)) => format!("its power button cannot be pressed: {error}"),
                _ => "its VMM does not answer".to_owned(),
            };
        }
        Err(sight)
    }

    /// Ends the VMM, and answers when its process and all its children are gone, or none was there. Finds it also when it is
    /// not on record.
    ///
    /// # Errors
    ///
    /// A process does not end in time, as one that hangs in the kernel; or the host does not say what there is.
    pub async fn kill(&self, instance: Id<Instance>) -> Result<(), HostError> {
        let mut slot = self.slot(instance).await;
        if let Some(watch) = &mut slot.watch {
            watch.stop().await;
        }
        self.end(&slot, instance).await?;
        slot.watch = None;
        Ok(())
    }

    /// Removes what a VMM leaves on the host: cgroup, socket, run folder. Its console's output is kept.
    ///
    /// # Errors
    ///
    /// It was not killed, or the host does not let it go.
    pub async fn clean_up(&self, instance: Id<Instance>) -> Result<(), HostError> {
        let slot = self.slot(instance).await;
        let failed = |error: io::Error| host_error("remove what a VMM left", &error);
        if self.has_processes(&slot, instance).await.map_err(failed)? {
            return Err(HostError::Failed(format!("the VMM of {instance} still runs: kill it first")));
        }
        self.remove_leavings(instance).await.map_err(failed)?;
        drop(slot);
        self.drop_slot(instance);
        Ok(())
    }

    /// Removes also the console's log.
    ///
    /// # Errors
    ///
    /// The host does not let it go.
    pub async fn forget(&self, instance: Id<Instance>) -> Result<(), HostError> {
        self.consoles.forget(instance).map_err(|error| host_error("remove the console's log", &error))
    }

    /// The last output of the console, or that from `offset` on; at most `limit` bytes. Of a machine that is there, its VMM
    /// is asked for what it keeps in memory; of one that was, the log is read. Offsets count all the output of an
    /// instance, over its boots, and never go back. After a VMM died that could not be asked how much was printed, and
    /// whose log was rotated, they may go on at less than that.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub async fn console(
        &self,
        instance: Id<Instance>,
        offset: Option<u64>,
        limit: usize,
    ) -> Result<ConsoleOutput, HostError> {
        let live = timeout(self.config.answer_limit, self.live_console(instance, offset, limit)).await;
        match live {
            Ok(Ok(output)) => Ok(output),
            _ => self
                .consoles
                .read(instance, offset, limit)
                .map_err(|error| host_error("read the console's log", &error)),
        }
    }

    async fn live_console(
        &self,
        instance: Id<Instance>,
        offset: Option<u64>,
        limit: usize,
    ) -> Result<ConsoleOutput, ClientError> {
        let client = self.client(instance);
        let base = self.consoles.run(instance).base;
        let mut next = match offset {
            Some(offset) => offset.saturating_sub(base),
            None => console_end(&client).await?.saturating_sub(u64::try_from(limit).unwrap_or(u64::MAX)),
        };
        let mut output = ConsoleOutput::default();
        loop {
            let mut piece = client.wait_console(next, Duration::ZERO).await?;
            if output.bytes.is_empty() {
                output.offset = base + piece.offset;
            }
            // The second: output between two pieces is gone already.
            if piece.bytes.is_empty() || (!output.bytes.is_empty() && piece.offset != next) {
                return Ok(output);
            }
            piece.bytes.truncate(limit - output.bytes.len());
            next = piece.offset + piece.bytes.len() as u64;
            output.bytes.append(&mut piece.bytes);
            if output.bytes.len() == limit {
                return Ok(output);
            }
        }
    }

    /// Attaches to the console in both directions, with the output from `offset` on or from now on.
    ///
    /// # Errors
    ///
    /// No VMM is there, or it does not answer.
    pub async fn attach_console(
        &self,
        instance: Id<Instance>,
        offset: Option<u64>,
    ) -> Result<ConsoleStream, HostError> {
        let offset = offset.map(|offset| offset.saturating_sub(self.consoles.run(instance).base));
        self.ask_running("attach to the console", self.client(instance).attach_console(offset)).await
    }

    /// The VMM's counters as Prometheus text.
    ///
    /// # Errors
    ///
    /// No VMM is there, or it does not answer.
    pub async fn metrics(&self, instance: Id<Instance>) -> Result<String, HostError> {
        self.ask_running("read the VMM's counters", self.client(instance).metrics()).await
    }

    /// All instances of which anything is on the host: a process, a cgroup, a run folder, a console's log.
    ///
    /// # Errors
    ///
    /// The host does not say what there is.
    pub async fn present(&self) -> Result<Vec<Id<Instance>>, HostError> {
        let failed = |error: io::Error| host_error("see which VMMs there are", &error);
        let mut present = BTreeSet::new();
        for entry in fs::read_dir(&self.config.run_folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            present.extend(name.to_str().and_then(|name| name.parse::<Id<Instance>>().ok()));
        }
        present.extend(self.cgroups.found().map_err(failed)?.into_iter().map(|(id, _)| id));
        present.extend(self.scans.all().await.map_err(failed)?.iter().filter_map(|seen| seen.instance));
        present.extend(self.consoles.instances().map_err(failed)?);
        Ok(present.into_iter().collect())
    }

    /// As `ask`, of a VMM that need not be there: that there is none is no failure of the host.
    async fn ask_running<T>(
        &self,
        doing: &str,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, HostError> {
        let mut is_there = true;
        let looked = async {
            let answer = answer.await;
            is_there = !matches!(answer, Err(ClientError::Connect { .. }));
            answer
        };
        match self.ask(doing, looked).await {
            Err(_) if !is_there => Err(HostError::Refused(format!("cannot {doing}: it does not run"))),
            answer => answer,
        }
    }

    async fn ask<T>(
        &self,
        doing: &str,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, HostError> {
        match timeout(self.config.answer_limit, answer).await {
            // Nobody is at fault: an instance that is stopped has no VMM.
            Ok(Err(ClientError::Connect { .. })) => {
                Err(HostError::Refused(format!("cannot {doing}: there is no VMM")))
            }
            Ok(answer) => answer.map_err(|error| client_error(doing, &error)),
            Err(_) => Err(HostError::Failed(format!("cannot {doing}: the VMM does not answer"))),
        }
    }

    /// Waits until nothing else is done to the instance's VMM.
    async fn slot(&self, instance: Id<Instance>) -> OwnedMutexGuard<Slot> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(instance).or_default())
        };
        slot.lock_owned().await
    }

    /// Gives the slot up, if nobody waits for it.
    fn drop_slot(&self, instance: Id<Instance>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.get(&instance).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            slots.remove(&instance);
        }
    }

    fn folder(&self, instance: Id<Instance>) -> PathBuf {
        self.config.run_folder.join(instance.to_string())
    }

    fn client(&self, instance: Id<Instance>) -> Client {
        Client::new(control_path(&self.config.run_folder, instance))
    }

    /// What there is by the record, and what the VMM says of itself.
    async fn find(&self, slot: &Slot, instance: Id<Instance>) -> io::Result<Found> {
        let Some(record) = Record::read(&self.folder(instance))? else {
            return Ok(Found::Nothing { of_another_boot: false });
        };
        if record.boot_id != self.boot_id {
            return Ok(Found::Nothing { of_another_boot: true });
        }
        let Some(process) = self.process(slot, &record)? else { return Ok(Found::Gone(record)) };
        let client = self.client(instance);
        let info = tokio::select! {
            biased;
            info = timeout(self.config.answer_limit, client.info()) => info,
            () = process.gone() => return Ok(Found::Gone(record)),
        };
        let info = match info {
            Ok(Ok(info)) => Ok(Box::new(info)),
            // It closes its socket before it is gone: whoever is asked in between has only to be waited for.
            Ok(Err(_)) if timeout(LAST_BREATH, process.gone()).await.is_ok() => {
                return Ok(Found::Gone(record));
            }
            Ok(Err(error)) => Err(format!("its VMM does not answer: {error}")),
            Err(_) => Err(format!("its VMM does not answer within {:?}", self.config.answer_limit)),
        };
        Ok(Found::Lives(record, process, info))
    }

    /// The process on record, if it lives.
    fn process(&self, slot: &Slot, record: &Record) -> io::Result<Option<Arc<Process>>> {
        let watched = slot.watch.as_ref().filter(|watch| watch.process.identity() == record.process);
        let process = match watched {
            Some(watch) => Some(Arc::clone(&watch.process)),
            None => Process::open(record.process)?.map(Arc::new),
        };
        Ok(process.filter(|process| !process.is_gone()))
    }

    /// Watches a VMM unless that is done already.
    fn watch(&self, slot: &mut Slot, instance: Id<Instance>, process: Arc<Process>, record: Record) {
        if slot.watch.as_ref().is_none_or(|watch| watch.process.identity() != process.identity()) {
            let (folder, client) = (self.folder(instance), self.client(instance));
            slot.watch =
                Some(Watch::start(instance, folder, client, process, record, Arc::clone(&self.tell)));
        }
    }

    /// Puts on record that the VM was seen to run. If that fails, a later daemon that finds the VMM dead calls it lost.
    fn note_booted(&self, instance: Id<Instance>, record: &mut Record) {
        if !record.booted {
            record.booted = true;
            self.write_record(instance, record);
        }
    }

    /// For what is good to know and can do without: it is said if it fails.
    fn write_record(&self, instance: Id<Instance>, record: &Record) {
        if let Err(error) = record.write(&self.folder(instance)) {
            log::warn!("cannot put on record what was seen of {instance}: {error}");
        }
    }

    /// Whether any process of an instance's VMM is there.
    async fn has_processes(&self, slot: &Slot, instance: Id<Instance>) -> io::Result<bool> {
        let record = Record::read(&self.folder(instance))?.filter(|record| record.boot_id == self.boot_id);
        for place in self.places(instance)? {
            if !place.is_empty()? {
                return Ok(true);
            }
        }
        match &record {
            Some(record) => Ok(self.process(slot, record)?.is_some()),
            // Where there are cgroups, it would be in one.
            None if matches!(self.cgroups, Cgroups::None) => Ok(!self.scans.of(instance).await?.is_empty()),
            None => Ok(false),
        }
    }

    /// The cgroups that an instance has.
    fn places(&self, instance: Id<Instance>) -> io::Result<Vec<Place>> {
        let found = self.cgroups.found()?.into_iter().filter(|(id, _)| *id == instance);
        Ok(found.map(|(_, place)| place).collect())
    }
}

/// Waits until no other daemon holds the run folder.
async fn lock(run_folder: &Path) -> Result<File, OpenVmmsError> {
    let path = run_folder.join("lock");
    let host = |source| OpenVmmsError::Host { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(host)?;
    let taken = task::spawn_blocking(move || ownership::take(&file).map(|taken| taken.then_some(file))).await;
    let taken = taken.unwrap_or_else(|error| Err(io::Error::other(error)));
    taken.map_err(host)?.ok_or_else(|| OpenVmmsError::InUse(run_folder.to_owned()))
}

/// How many bytes were printed since the VMM started.
async fn console_end(client: &Client) -> Result<u64, ClientError> {
    Ok(client.wait_console(u64::MAX, Duration::ZERO).await?.offset)
}

/// What the host refused, by whether there may be enough of it later.
fn host_error(doing: &str, error: &io::Error) -> HostError {
    let message = format!("cannot {doing}: {error}");
    // By its kind too: an error that names a path has no number any more.
    let is_short = matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::WouldBlock
    ) || matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE));
    if is_short { HostError::Exhausted(message) } else { HostError::Failed(message) }
}

/// What the VMM refused, with its hint.
fn client_error(doing: &str, error: &ClientError) -> HostError {
    let mut message = format!("cannot {doing}: {error}");
    if let Some(source) = std::error::Error::source(error) {
        message.push_str(&format!(": {source}"));
    }
    let ClientError::Refused(refusal) = error else { return HostError::Failed(message) };
    match refusal.code {
        ErrorCode::OutOfMemory | ErrorCode::TooManyConnections => HostError::Exhausted(message),
        ErrorCode::InvalidConfig
        | ErrorCode::InvalidKernel
        | ErrorCode::InvalidDisk
        | ErrorCode::DiskNotBootable
        | ErrorCode::BodyTooLarge => HostError::Refused(message),
        ErrorCode::MalformedRequest
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::RequestTimeout
        | ErrorCode::WrongState
        | ErrorCode::ShuttingDown
        | ErrorCode::FileUnavailable
        | ErrorCode::DiskInUse
        | ErrorCode::TapUnavailable
        | ErrorCode::KvmUnavailable
        | ErrorCode::HostFailure => HostError::Failed(message),
    }
}
