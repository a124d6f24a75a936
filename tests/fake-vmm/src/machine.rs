//! The state of the machine that is not there: the states, events and console of bothy-vmm's `machine`, and its refusals.

use std::fs::OpenOptions;
use std::io::Write;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::sleep;
use vmm_api::{
    ConsoleHistory, ErrorBody, ErrorCode, Event, EventKind, EventPage, Exit, ExitReason, MAX_CONSOLE_BYTES,
    NicUpdate, Pids, VmConfig, VmInfo, VmState,
};

use crate::behaviour::Behaviour;

/// Events kept, as few as a test needs.
const MOST_EVENTS: usize = 256;

/// An answer to an action.
pub type Answer = Result<VmInfo, ErrorBody>;

/// The machine, shared by the connections of one thread.
pub struct Machine {
    inner: Mutex<Inner>,
    /// Number of the newest event, for those who wait.
    last_event: watch::Sender<u64>,
    /// Bytes printed so far, for those who wait.
    console_end: watch::Sender<u64>,
}

struct Inner {
    info: VmInfo,
    behaviour: Behaviour,
    built: Option<Instant>,
    events: Vec<Event>,
    /// All that was printed, without a limit on `history_bytes` but this one's start.
    console: Vec<u8>,
    console_start: u64,
}

impl Machine {
    /// One without a configuration.
    pub fn new(id: &str) -> Rc<Self> {
        let info = VmInfo {
            id: id.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: VmState::Empty,
            exit: None,
            uptime_ms: 0,
            boots: 0,
            last_event: 0,
            pids: Pids { vmm: std::process::id(), vcpus: vec![] },
            config: None,
        };
        let (events, console) = (vec![], vec![]);
        let inner =
            Inner { info, behaviour: Behaviour::default(), built: None, events, console, console_start: 0 };
        Rc::new(Self {
            inner: Mutex::new(inner),
            last_event: watch::Sender::new(0),
            console_end: watch::Sender::new(0),
        })
    }

    /// Whether requests are answered.
    pub fn hangs(&self) -> bool {
        let inner = self.lock();
        inner.behaviour.hang_socket && inner.info.state == VmState::Running
    }

    /// The VM as it is now.
    pub fn info(&self) -> VmInfo {
        let inner = self.lock();
        let mut info = inner.info.clone();
        info.uptime_ms =
            inner.built.map_or(0, |at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX));
        info
    }

    /// Takes a configuration.
    pub fn configure(&self, config: VmConfig) -> Answer {
        let behaviour = Behaviour::of(&config)
            .map_err(|message| ErrorCode::InvalidConfig.body(message, "see Behaviour"))?;
        let state = self.lock().info.state;
        match state {
            VmState::Empty | VmState::Configured | VmState::Exited => {}
            VmState::Running | VmState::Paused if self.lock().info.config.as_ref() == Some(&config) => {
                return Ok(self.info());
            }
            VmState::Booting | VmState::Running | VmState::Paused => {
                return wrong_state("be configured anew", state);
            }
        }
        if let Some(log) = &config.console.log {
            let opened = OpenOptions::new().append(true).create(true).open(log);
            opened.map_err(|error| {
                let message = format!("cannot open the console's log file {}: {error}", log.display());
                ErrorCode::FileUnavailable.body(message, "check the path and its permissions")
            })?;
        }
        let mut inner = self.lock();
        inner.behaviour = behaviour;
        inner.info.config = Some(config);
        inner.info.exit = None;
        inner.info.state = VmState::Configured;
        drop(inner);
        self.push(EventKind::Configured);
        Ok(self.info())
    }

    /// Changes a network interface that has a metadata service.
    pub fn update_nic(&self, index: usize, update: &NicUpdate) -> Answer {
        let state = self.lock().info.state;
        if !matches!(state, VmState::Configured | VmState::Running | VmState::Paused) {
            return wrong_state("have a network interface changed", state);
        }
        let mut inner = self.lock();
        let nic = inner.info.config.as_mut().and_then(|config| config.nics.get_mut(index));
        let Some(nic) = nic else {
            return Err(ErrorCode::NotFound.body(format!("there is no network interface {index}"), ""));
        };
        let Some(metadata) = &mut nic.metadata else {
            let message = format!("network interface {index} has no metadata service");
            return Err(ErrorCode::InvalidConfig.body(message, ""));
        };
        metadata.hop_limit = update.metadata_hop_limit;
        drop(inner);
        Ok(self.info())
    }

    /// Boots it.
    pub async fn boot(self: &Rc<Self>) -> Answer {
        let state = self.lock().info.state;
        if state != VmState::Configured {
            return wrong_state("boot", state);
        }
        self.change(VmState::Booting, EventKind::Booting);
        let behaviour = self.lock().behaviour.clone();
        if let Some(time) = behaviour.slow_boot {
            sleep(time).await;
        }
        if behaviour.die_on_boot {
            eprintln!("fake-vmm: told to die on boot");
            std::process::exit(7);
        }
        if behaviour.refuse_boot {
            let message = "cannot open /dev/kvm: it was told to refuse".to_owned();
            self.change(VmState::Configured, EventKind::BootFailed { message: message.clone() });
            return Err(ErrorCode::KvmUnavailable.body(message, "tell it otherwise"));
        }
        let helpers = [(behaviour.child, "helper"), (behaviour.stubborn_child, "stubborn-helper")];
        for (_, helper) in helpers.into_iter().filter(|(is_wanted, _)| *is_wanted) {
            let child = std::process::Command::new("/proc/self/exe").arg(helper).spawn();
            drop(child.map_err(|error| ErrorCode::HostFailure.body(error.to_string(), ""))?);
        }
        self.start();
        self.after(behaviour.reboot_after, |machine| machine.reset(EventKind::GuestReset));
        self.after(behaviour.power_off_after, |machine| {
            machine.end(ExitReason::PowerOff, "the guest powered off");
        });
        self.after(behaviour.fault_after, |machine| {
            machine.end(ExitReason::TripleFault, "vCPU 0: triple fault at 0xfa4e");
        });
        self.after(behaviour.die_after, |_| std::process::abort());
        Ok(self.info())
    }

    fn after(self: &Rc<Self>, time: Option<Duration>, happens: impl FnOnce(&Self) + 'static) {
        let Some(time) = time else { return };
        let machine = Rc::clone(self);
        tokio::task::spawn_local(async move {
            sleep(time).await;
            if machine.info().state == VmState::Running {
                happens(&machine);
            }
        });
    }

    fn start(&self) {
        let mut inner = self.lock();
        inner.info.boots += 1;
        inner.info.pids.vcpus = vec![std::process::id()];
        inner.built = Some(Instant::now());
        let (id, boots, bytes) = (inner.info.id.clone(), inner.info.boots, inner.behaviour.print_bytes);
        drop(inner);
        self.print(format!("fake guest of {id}: boot {boots}\r\n").as_bytes());
        self.print(&vec![b'x'; bytes]);
        self.change(VmState::Running, EventKind::Booted);
    }

    /// The guest printed `bytes`.
    pub fn print(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        inner.console.extend_from_slice(bytes);
        let config = inner.info.config.as_ref().map(|config| config.console.clone()).unwrap_or_default();
        let surplus = inner.console.len().saturating_sub(config.history_bytes as usize);
        inner.console.drain(..surplus);
        inner.console_start += surplus as u64;
        let end = inner.console_start + inner.console.len() as u64;
        drop(inner);
        if let Some(log) = &config.log {
            let size = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
            if size > 0 && size + bytes.len() as u64 > config.log_bytes {
                let _ = std::fs::rename(log, log.with_added_extension("1"));
            }
            // As the real one: a disk that fails costs log lines and never stops the guest.
            let file = OpenOptions::new().append(true).create(true).open(log);
            let _ = file.and_then(|mut file| file.write_all(bytes));
        }
        self.console_end.send_replace(end);
    }

    /// Pauses or resumes.
    pub fn pause(&self, pause: bool) -> Answer {
        let state = self.lock().info.state;
        match (state, pause) {
            (VmState::Running, true) => self.change(VmState::Paused, EventKind::Paused),
            (VmState::Paused, false) => self.change(VmState::Running, EventKind::Resumed),
            (VmState::Paused, true) | (VmState::Running, false) => {}
            _ => return wrong_state(if pause { "be paused" } else { "be resumed" }, state),
        }
        Ok(self.info())
    }

    /// Presses the power button; the guest powers off after the answer.
    pub fn press_power_button(self: &Rc<Self>) -> Answer {
        let state = self.lock().info.state;
        if state != VmState::Running {
            return wrong_state("have its power button pressed", state);
        }
        self.push(EventKind::PowerButton);
        if !self.lock().behaviour.ignore_button {
            self.after(Some(Duration::from_millis(1)), |machine| {
                machine.end(ExitReason::PowerOff, "the guest powered off");
            });
        }
        Ok(self.info())
    }

    /// Resets it, as the API asks.
    pub fn api_reset(&self) -> Answer {
        let state = self.lock().info.state;
        if !matches!(state, VmState::Running | VmState::Paused) {
            return wrong_state("be reset", state);
        }
        self.reset(EventKind::Reset);
        Ok(self.info())
    }

    fn reset(&self, why: EventKind) {
        self.change(VmState::Booting, why);
        self.start();
    }

    /// Ends the machine.
    pub fn kill(&self) -> Answer {
        let state = self.lock().info.state;
        match state {
            VmState::Running | VmState::Paused => {
                self.end(ExitReason::Killed, "killed through the control socket");
            }
            VmState::Exited => {}
            VmState::Empty | VmState::Configured | VmState::Booting => {
                return wrong_state("be killed", state);
            }
        }
        Ok(self.info())
    }

    fn end(&self, reason: ExitReason, message: &str) {
        let exit = Exit { reason, message: message.to_owned() };
        let mut inner = self.lock();
        inner.info.exit = Some(exit.clone());
        inner.info.pids.vcpus.clear();
        inner.built = None;
        drop(inner);
        self.change(VmState::Exited, EventKind::Exited { exit });
    }

    /// Events after `since`.
    pub fn events(&self, since: u64) -> EventPage {
        let inner = self.lock();
        let first = inner.events.first().map_or(1, |event| event.seq);
        let events: Vec<Event> = inner.events.iter().filter(|event| event.seq > since).cloned().collect();
        let missed = first.saturating_sub(1).saturating_sub(since);
        EventPage { next: inner.info.last_event.max(since), events, missed }
    }

    /// Waits for an event after `since`.
    pub async fn wait_event(&self, since: u64) {
        let _ = self.last_event.subscribe().wait_for(|last| *last > since).await;
    }

    /// What was printed from `offset` on.
    pub fn console(&self, offset: u64) -> ConsoleHistory {
        let inner = self.lock();
        let end = inner.console_start + inner.console.len() as u64;
        let offset = offset.clamp(inner.console_start, end);
        let skip = usize::try_from(offset - inner.console_start).expect("it is within the history");
        let bytes = inner.console[skip..].iter().copied().take(MAX_CONSOLE_BYTES).collect();
        ConsoleHistory { offset, bytes }
    }

    /// Waits for output beyond `offset`.
    pub async fn wait_console(&self, offset: u64) {
        let _ = self.console_end.subscribe().wait_for(|end| *end > offset).await;
    }

    fn change(&self, state: VmState, event: EventKind) {
        self.lock().info.state = state;
        self.push(event);
    }

    fn push(&self, kind: EventKind) {
        let mut inner = self.lock();
        inner.info.last_event += 1;
        let seq = inner.info.last_event;
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        inner.events.push(Event { seq, at_ms, kind });
        let surplus = inner.events.len().saturating_sub(MOST_EVENTS);
        inner.events.drain(..surplus);
        drop(inner);
        self.last_event.send_replace(seq);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wrong_state(verb: &str, state: VmState) -> Answer {
    Err(ErrorCode::WrongState.body(format!("the VM cannot {verb}: it is {state:?}"), "look at its state"))
}
