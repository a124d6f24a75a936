//! The life of an instance, as a pure table: which state follows which event, and what must then be done.
//!
//! `step` is asked by `Progress` alone, which keeps what it answers. Nothing here knows a clock, a store or a VMM. Volumes
//! and network interfaces have lives of their own.
//!
//! The whole table, written by a test:
#![doc = include_str!("table.md")]

mod progress;
mod step;
#[cfg(test)]
mod table;
#[cfg(test)]
mod world;

pub use progress::{Limits, Outcome, Progress, Task};
pub use step::step;

use serde::{Deserialize, Serialize};

/// The state of an instance, as fine as the finest dialect shows. Users ask for actions, never for a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its volumes and network interfaces are being made.
    Creating,
    /// Complete, and never started.
    Created,
    /// Its VM is being booted.
    Starting,
    /// Its VM runs; whether the guest has come up is the guest's affair.
    Running,
    /// The guest was told to go down and will be booted again.
    Rebooting,
    /// The guest was told to go down.
    Stopping,
    /// It has no VM. Its volumes and addresses are kept.
    Stopped,
    /// As `Stopping`, as its subscription expired.
    Locking,
    /// As `Stopped`, as its subscription expired. It can be renewed or terminated.
    Locked,
    /// What it has is being given back.
    Terminating,
    /// Nothing of it is left but its record.
    Terminated,
    /// It could not be booted, or its VM ended by a fault. It can be started, stopped or terminated.
    Failed,
}

/// What a user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Boot it.
    Start,
    /// Let the guest shut down; pull the plug if it does not in time.
    Stop,
    /// Pull the plug.
    StopForced,
    /// Let the guest shut down and boot again; reset it if it does not in time.
    Reboot,
    /// Reset it.
    RebootForced,
    /// Let the guest shut down for a short time, then give back all it has.
    Terminate,
}

/// What was seen of the instance's VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It runs.
    Running,
    /// The guest rebooted by itself and runs again.
    GuestRebooted,
    /// The guest powered off.
    PoweredOff,
    /// It ended by a fault: of the guest, of KVM, or of the VMM.
    Died,
    /// There is no trace of it, as after a reboot of the host.
    Lost,
}

/// What the daemon does to the world outside. Each may run twice: finding its own earlier result is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Make volumes and network interfaces.
    Prepare,
    /// Start a VMM, with its taps and its cgroup, and boot its VM. Done when the VM runs.
    BootVm,
    /// Press the guest's power button. Done when pressed; where there is no VM, that is seen as `Lost`.
    PressPowerButton,
    /// Reset the VM. Done when it runs again.
    ResetVm,
    /// End the VMM. Done when its process is gone, or none was there.
    KillVm,
    /// Remove what a VM leaves on the host: taps, cgroup, socket. Done when nothing of it is left.
    CleanUp,
    /// Give back volumes, interfaces and addresses, and whatever an unfinished `Prepare` made.
    Release,
}

impl Effect {
    /// Whether the daemon may report that it cannot be done. The others are tried until they are: giving one of them up
    /// would leave something behind.
    pub fn may_fail(self) -> bool {
        match self {
            Self::Prepare | Self::BootVm | Self::PressPowerButton | Self::ResetVm => true,
            Self::KillVm | Self::CleanUp | Self::Release => false,
        }
    }
}

/// What happens to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A user asked for this.
    Asked(Action),
    /// This was seen of its VM.
    Seen(Report),
    /// This effect is done.
    Done(Effect),
    /// This effect cannot be done.
    GaveUp(Effect),
    /// The state's time is over; see `Limits`.
    DeadlinePassed,
    /// Its subscription ran out. Told again until it is locked.
    Expired,
    /// Its subscription runs again.
    Renewed,
    /// The time came at which it is to be released: chosen by the user, or for want of payment. Told again until it is.
    ReleaseDue,
}

/// What an instance does by itself; chosen when it is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Start as soon as it is created. EC2 and Huawei do, Alibaba's CreateInstance does not.
    pub start_when_created: bool,
    /// When the guest powers off.
    pub on_power_off: OnPowerOff,
    /// When its VM ends by a fault.
    pub on_failure: OnFailure,
    /// When the host was rebooted while it ran.
    pub after_host_reboot: AfterHostReboot,
}

impl Rules {
    /// Of an instance that is nothing without its VM, as all of EC2's of 2007 were: when that ends, whoever ended it, it is
    /// terminated, and what was on its disks is lost.
    pub const NOTHING_WITHOUT_VM: Self = Self {
        start_when_created: true,
        on_power_off: OnPowerOff::Terminate,
        on_failure: OnFailure::Terminate,
        after_host_reboot: AfterHostReboot::Terminate,
    };
}

/// When the guest powers off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPowerOff {
    /// The instance is stopped.
    Stop,
    /// The instance is terminated, as all were in 2007.
    Terminate,
}

/// When a VM ends by a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The instance is shown as failed.
    Report,
    /// It is booted again.
    Restart,
    /// It is terminated.
    Terminate,
}

/// When the host was rebooted while an instance ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterHostReboot {
    /// It is booted again.
    Start,
    /// It is stopped.
    Stop,
    /// It is terminated, as all were in 2007.
    Terminate,
}

/// Why an action is refused. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// It is so already, or on its way. A dialect whose actions are idempotent takes it for success.
    #[error("the instance already is in the state asked for, or on its way there")]
    Already,
    /// The instance is in the midst of something else; later it may be asked again.
    #[error("the instance is changing its state; try again when it has")]
    Busy,
    /// The action makes no sense in this state.
    #[error("the instance's state does not allow this")]
    WrongState,
    /// Its subscription expired.
    #[error("the instance is locked, as its subscription expired; renew it first")]
    Locked,
    /// It is terminated, or will be.
    #[error("the instance is terminated")]
    Gone,
}

/// Where a step leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The next state, perhaps the same.
    pub state: State,
    /// What is to be done now, in this order, instead of what was still to be done; `None` if that stands.
    pub effects: Option<&'static [Effect]>,
}
