//! The machine's thread: the one owner of the VM's state. It takes what is asked through `Handle` and what the guest and
//! its devices report, one message after the other.
//!
//! ```text
//!   Empty ──configure──► Configured ──boot──► Booting ──► Running ◄──resume/pause──► Paused
//!                             ▲  ▲               │          │ │                        │
//!                             │  └────failed─────┘          │ └──guest or API resets───┤ (built anew, Running)
//!                             └───configure─── Exited ◄─────┴──power off, fault, kill──┘
//! ```

mod errors;
mod handle;

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use devices::events::DeviceEvent;
use devices::power::PowerRequest;
use tokio::sync::oneshot;
use vmm_api::{
    Boot, ErrorBody, ErrorCode, EventKind, Exit, ExitReason, NicUpdate, Pids, VmConfig, VmInfo, VmState,
};

use crate::boot::BootFiles;
use crate::console::Console;
use crate::events::EventLog;
use crate::host::HostResources;
use crate::metrics::{Metrics, Sources};
use crate::validate;
use crate::vcpu::VcpuEnd;
use crate::vm::{Outside, Vm};
use errors::BootError;
use handle::Shared;
pub use handle::{Action, Answer, Handle};

/// How long reading a disk's boot files may take, before the disk is said to be unreadable.
const READ_BOOT_DISK_TIMEOUT: Duration = Duration::from_secs(120);

/// What reaches the machine's thread.
pub(crate) enum Message {
    Asked(Action, oneshot::Sender<Answer>),
    /// From the machine that was built as number so-and-so; an older one's is of no interest any more.
    Guest(u64, GuestEvent),
    Device(DeviceEvent),
    ShutDown,
}

#[derive(Debug)]
pub(crate) enum GuestEvent {
    Power(PowerRequest),
    Ended(VcpuEnd),
}

/// Starts the thread of a machine that has no configuration yet. It ends after `Handle::shut_down`.
pub fn start(id: String) -> std::io::Result<(Handle, JoinHandle<()>)> {
    let (sender, messages) = channel();
    let info = VmInfo {
        id: id.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state: VmState::Empty,
        exit: None,
        uptime_ms: 0,
        boots: 0,
        last_event: 0,
        pids: Pids { vmm: std::process::id(), vcpus: vec![] },
        config: None,
    };
    let events = Arc::new(EventLog::new());
    let shared = Arc::new(Shared {
        info: Mutex::new(info),
        built: Mutex::new(None),
        console: Arc::new(Console::new(Arc::clone(&events))),
        events,
        metrics: Metrics::default(),
    });
    let handle = Handle::new(sender.clone(), Arc::clone(&shared));
    let machine =
        Machine { id, shared, sender, config: None, state: VmState::Empty, boots: 0, running: None };
    let thread = thread::Builder::new().name("machine".into()).spawn(move || machine.run(&messages))?;
    Ok((handle, thread))
}

/// A machine that exists, and what it holds of the host. The machine goes first.
struct Running {
    vm: Vm,
    host: HostResources,
}

struct Machine {
    id: String,
    shared: Arc<Shared>,
    sender: Sender<Message>,
    config: Option<VmConfig>,
    state: VmState,
    boots: u64,
    running: Option<Running>,
}

impl Machine {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Asked(action, reply) => {
                    let answer = self.handle(action);
                    let _ = reply.send(answer);
                }
                Message::Guest(boot, event) if boot == self.boots && self.running.is_some() => {
                    self.guest(event)
                }
                Message::Guest(..) => {}
                Message::Device(event) => self.device(event),
                Message::ShutDown => break,
            }
        }
        if self.running.is_some() {
            self.end(ExitReason::Killed, "the VMM was told to end".into());
        }
        self.shared.console.close_log();
    }

    /// What is asked, in which state.
    fn handle(&mut self, action: Action) -> Answer {
        use VmState::{Booting, Configured, Empty, Exited, Paused, Running};
        match (action, self.state) {
            (Action::Configure(config), Empty | Configured | Exited) => self.configure(*config)?,
            // The same configuration again is a caller who did not hear the first answer.
            (Action::Configure(config), Running | Paused) if self.config.as_ref() == Some(&*config) => {}
            (Action::UpdateNic(index, update), Configured | Running | Paused) => {
                self.update_nic(index, &update)?;
            }
            (Action::Boot, Configured) => self.boot()?,
            (Action::Pause, Running) => self.pause(),
            (Action::Resume, Paused) => self.resume(),
            (Action::Pause, Paused) | (Action::Resume, Running) => {}
            (Action::PowerButton, Running) => self.press_power_button()?,
            (Action::Reset, Running | Paused) => self.reset(EventKind::Reset),
            (Action::Kill, Running | Paused) => {
                self.end(ExitReason::Killed, "killed through the control socket".into())
            }
            (Action::Kill, Exited) => {}
            (refused, Empty | Configured | Booting | Running | Paused | Exited) => {
                return Err(errors::wrong_state(&refused, self.state));
            }
        }
        Ok(self.info())
    }

    fn info(&self) -> VmInfo {
        Handle::new(self.sender.clone(), Arc::clone(&self.shared)).info()
    }

    fn configure(&mut self, config: VmConfig) -> Result<(), ErrorBody> {
        validate::config(&config)?;
        if self.state == VmState::Configured && self.config.as_ref() == Some(&config) {
            return Ok(());
        }
        self.shared.console.configure(&config.console).map_err(|error| {
            let path = config.console.log.as_deref().unwrap_or(Path::new("")).display();
            let message = format!("cannot open the console's log file {path}: {error}");
            ErrorCode::FileUnavailable.body(message, "check the path and its permissions")
        })?;
        self.config = Some(config.clone());
        self.change(VmState::Configured, EventKind::Configured, |info| {
            info.config = Some(config);
            info.exit = None;
        });
        Ok(())
    }

    /// Changes the configuration, which a reset takes up again, and the machine that there may be.
    fn update_nic(&mut self, index: usize, update: &NicUpdate) -> Result<(), ErrorBody> {
        let config = self.config.as_mut().expect("configured machines have a configuration");
        validate::update_nic(config, index, update)?;
        if let Some(metadata) = config.nics.get_mut(index).and_then(|nic| nic.metadata.as_mut()) {
            metadata.hop_limit = update.metadata_hop_limit;
        }
        if let Some(running) = &self.running {
            running.vm.set_metadata_hop_limit(index, update.metadata_hop_limit);
        }
        let config = Some(config.clone());
        self.shared.info.lock().unwrap_or_else(PoisonError::into_inner).config = config;
        Ok(())
    }

    fn boot(&mut self) -> Result<(), ErrorBody> {
        self.change(VmState::Booting, EventKind::Booting, |_| {});
        let config = self.config.clone().expect("configured machines have a configuration");
        let started =
            HostResources::open(&config).map_err(BootError::from).and_then(|host| self.start(&config, host));
        started.map_err(|error| {
            let body = errors::body(&error);
            let message = body.message.clone();
            self.change(VmState::Configured, EventKind::BootFailed { message }, |_| {});
            body
        })
    }

    /// Builds the machine and lets it run. Files to boot are read anew each time.
    fn start(&mut self, config: &VmConfig, host: HostResources) -> Result<(), BootError> {
        let files = boot_files(config, &host)?;
        // Counts only if it succeeds; nothing is reported in the name of this one before.
        let boot = self.boots + 1;
        let vm = Vm::build(&self.id, config, &host, files, self.outside(boot))?;
        self.boots = boot;
        self.shared.metrics.set(vm.metrics());
        let (boots, vcpus) = (self.boots, vm.vcpu_tids());
        *self.shared.built.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        // Before the guest runs: who hears from a boot may ask about it.
        self.change(VmState::Running, EventKind::Booted, |info| {
            info.boots = boots;
            info.pids.vcpus = vcpus;
        });
        vm.run();
        self.running = Some(Running { vm, host });
        Ok(())
    }

    fn outside(&self, boot: u64) -> Outside {
        let (power, ended, events) = (self.sender.clone(), self.sender.clone(), self.sender.clone());
        // Sending fails only when the machine's thread is gone, and with it everybody who could care.
        Outside {
            power: Arc::new(move |request| {
                drop(power.send(Message::Guest(boot, GuestEvent::Power(request))))
            }),
            ended: Arc::new(move |end| drop(ended.send(Message::Guest(boot, GuestEvent::Ended(end))))),
            events: Arc::new(move |event| drop(events.send(Message::Device(event)))),
            console: Arc::clone(&self.shared.console),
        }
    }

    fn pause(&mut self) {
        if let Some(running) = &self.running {
            running.vm.pause();
        }
        self.change(VmState::Paused, EventKind::Paused, |_| {});
    }

    fn resume(&mut self) {
        if let Some(running) = &self.running {
            running.vm.resume();
        }
        self.change(VmState::Running, EventKind::Resumed, |_| {});
    }

    fn press_power_button(&mut self) -> Result<(), ErrorBody> {
        let Some(running) = &self.running else { return Ok(()) };
        running.vm.press_power_button().map_err(|error| {
            ErrorCode::HostFailure
                .body(format!("the power button's interrupt cannot be raised: {error}"), "try again")
        })?;
        self.shared.events.push(EventKind::PowerButton);
        Ok(())
    }

    /// Builds the machine anew from the same host resources. What was in guest memory and devices is gone.
    fn reset(&mut self, why: EventKind) {
        let Some(Running { vm, host }) = self.running.take() else { return };
        drop(vm);
        self.change(VmState::Booting, why, |info| info.pids.vcpus.clear());
        let config = self.config.clone().expect("a running machine has a configuration");
        if let Err(error) = self.start(&config, host) {
            self.end(ExitReason::RebootFailed, errors::body(&error).message);
        }
    }

    fn guest(&mut self, event: GuestEvent) {
        match event {
            GuestEvent::Power(PowerRequest::Off) => {
                self.end(ExitReason::PowerOff, "the guest powered off".into())
            }
            GuestEvent::Power(PowerRequest::Reset) => self.reset(EventKind::GuestReset),
            GuestEvent::Ended(VcpuEnd::TripleFault(message)) => self.end(ExitReason::TripleFault, message),
            GuestEvent::Ended(VcpuEnd::InternalError(message)) => {
                self.end(ExitReason::KvmInternalError, message)
            }
            GuestEvent::Ended(VcpuEnd::Failed(message)) => self.end(ExitReason::VmmError, message),
        }
    }

    fn device(&mut self, event: DeviceEvent) {
        let kind = match event {
            DeviceEvent::DiskError { disk, errno } => {
                let message = std::io::Error::from_raw_os_error(errno).to_string();
                EventKind::DiskError { disk, errno, message }
            }
            DeviceEvent::NeedsReset { device, message } => EventKind::DeviceNeedsReset { device, message },
        };
        self.shared.events.push(kind);
    }

    /// Takes the machine apart; disks and taps are free when the new state is seen.
    fn end(&mut self, reason: ExitReason, message: String) {
        drop(self.running.take());
        *self.shared.built.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.shared.metrics.set(Sources::default());
        let exit = Exit { reason, message };
        self.change(VmState::Exited, EventKind::Exited { exit: exit.clone() }, |info| {
            info.exit = Some(exit);
            info.pids.vcpus.clear();
        });
    }

    /// The state first, then the event: who waits for events finds the new state.
    fn change(&mut self, state: VmState, event: EventKind, update: impl FnOnce(&mut VmInfo)) {
        self.state = state;
        let mut info = self.shared.info.lock().unwrap_or_else(PoisonError::into_inner);
        info.state = state;
        update(&mut info);
        drop(info);
        self.shared.events.push(event);
    }
}

/// Opens the kernel and initrd of this boot, or reads them out of the first disk.
fn boot_files(config: &VmConfig, host: &HostResources) -> Result<BootFiles, BootError> {
    match &config.boot {
        Boot::Kernel(boot) => {
            let open = |path: &Path| {
                let opened = std::fs::File::open(path).and_then(|file| match file.metadata()?.is_file() {
                    true => Ok(file),
                    false => Err(std::io::Error::other("it is not a regular file")),
                });
                opened.map_err(|source| BootError::OpenFile { path: path.to_owned(), source })
            };
            let kernel = open(&boot.kernel)?;
            let initrd = boot.initrd.as_deref().map(open).transpose()?;
            Ok(BootFiles { kernel, initrd, cmdline: boot.cmdline.clone() })
        }
        Boot::Disk(boot) => {
            let disk = host.disks.first().expect("checked when it was configured");
            let files =
                storage::read_boot_files(disk.file(), READ_BOOT_DISK_TIMEOUT).map_err(BootError::ReadDisk)?;
            let cmdline = format!("{} {}", files.entry.cmdline, boot.append_cmdline);
            Ok(BootFiles {
                kernel: files.kernel,
                initrd: files.initrd,
                cmdline: cmdline.trim_end().to_owned(),
            })
        }
    }
}
