//! The table itself: one flat match over states, and within a state over events. No wildcard over states, so that a new
//! one does not compile until each of its pairs is decided.

use super::Action::{Reboot, RebootForced, Start, Stop, StopForced, Terminate};
use super::Effect::{BootVm, CleanUp, KillVm, Prepare, PressPowerButton, Release, ResetVm};
use super::Event::{Asked, DeadlinePassed, Done, Expired, GaveUp, ReleaseDue, Renewed, Seen};
use super::Report::{Died, GuestRebooted, Lost, PoweredOff, Running as VmRunning};
use super::State::{
    Created, Creating, Failed, Locked, Locking, Rebooting, Running, Starting, Stopped, Stopping, Terminated,
    Terminating,
};
use super::{AfterHostReboot, Effect, Event, OnFailure, OnPowerOff, Refused, Rules, State, Transition};

/// To have no VM, and nothing of one. Killing comes first even after the guest powered off: its VMM may still be there.
const TAKE_DOWN: &[Effect] = &[KillVm, CleanUp];
/// To have a VM, surely a new one.
const BOOT_ANEW: &[Effect] = &[KillVm, CleanUp, BootVm];
/// To have nothing.
const GIVE_BACK: &[Effect] = &[KillVm, Release];

/// What follows from `event` for an instance in `state`. Pure and total: no clock, no I/O, no panic.
///
/// # Errors
///
/// Only what was asked is refused; what happened cannot be.
pub fn step(state: State, event: Event, rules: Rules) -> Result<Transition, Refused> {
    match state {
        Creating => match event {
            Asked(Start | Stop | StopForced | Reboot | RebootForced) => Err(Refused::Busy),
            Asked(Terminate) | ReleaseDue => go(Terminating, &[Release]),
            // The user was told of an instance. What is half made goes, and its record says why.
            GaveUp(Prepare) => go(Terminating, &[Release]),
            Done(Prepare) if rules.start_when_created => go(Starting, &[BootVm]),
            Done(Prepare) => go(Created, &[]),
            Seen(_) | Done(_) | GaveUp(_) | DeadlinePassed | Expired | Renewed => stay(Creating),
        },
        Created => match event {
            Asked(Start) => go(Starting, BOOT_ANEW),
            Asked(Stop | StopForced) => Err(Refused::Already),
            Asked(Reboot | RebootForced) => Err(Refused::WrongState),
            Asked(Terminate) | ReleaseDue => go(Terminating, GIVE_BACK),
            Seen(VmRunning | GuestRebooted) => go(Created, TAKE_DOWN),
            Expired => go(Locked, TAKE_DOWN),
            Seen(PoweredOff | Died | Lost) | Done(_) | GaveUp(_) | DeadlinePassed | Renewed => stay(Created),
        },
        Starting => match event {
            Asked(Start) => Err(Refused::Already),
            Asked(StopForced) => go(Stopping, &[KillVm]),
            Asked(Stop | Reboot | RebootForced) => Err(Refused::Busy),
            Asked(Terminate) | ReleaseDue => go(Terminating, GIVE_BACK),
            Done(BootVm) | Seen(VmRunning | GuestRebooted) => go(Running, &[]),
            Seen(PoweredOff) => powered_off(rules),
            Seen(Died) | GaveUp(BootVm) | DeadlinePassed => not_up(rules),
            // The daemon died before the VM was there, or the host did.
            Seen(Lost) => go(Starting, BOOT_ANEW),
            Expired => go(Locking, &[KillVm]),
            Done(_) | GaveUp(_) | Renewed => stay(Starting),
        },
        Running => match event {
            Asked(Start) => Err(Refused::Already),
            Asked(Stop) => go(Stopping, &[PressPowerButton]),
            Asked(StopForced) => go(Stopping, &[KillVm]),
            Asked(Reboot) => go(Rebooting, &[PressPowerButton]),
            Asked(RebootForced) => go(Rebooting, &[ResetVm]),
            Asked(Terminate) | ReleaseDue => go(Terminating, &[PressPowerButton]),
            Seen(PoweredOff) => powered_off(rules),
            Seen(Died) => died(rules),
            Seen(Lost) => lost(rules),
            Expired => go(Locking, &[PressPowerButton]),
            Seen(VmRunning | GuestRebooted) | Done(_) | GaveUp(_) | DeadlinePassed | Renewed => stay(Running),
        },
        Rebooting => match event {
            Asked(Start) => Err(Refused::Busy),
            Asked(Stop) => go(Stopping, &[PressPowerButton]),
            Asked(StopForced) => go(Stopping, &[KillVm]),
            Asked(Reboot) => Err(Refused::Already),
            Asked(RebootForced) => go(Rebooting, &[ResetVm]),
            Asked(Terminate) | ReleaseDue => go(Terminating, &[PressPowerButton]),
            // That it runs says nothing: it may not have gone down yet.
            Seen(VmRunning) => stay(Rebooting),
            Done(ResetVm | BootVm) | Seen(GuestRebooted) => go(Running, &[]),
            Seen(PoweredOff | Died | Lost) => go(Rebooting, BOOT_ANEW),
            GaveUp(ResetVm) => go(Rebooting, BOOT_ANEW),
            GaveUp(BootVm) => not_up(rules),
            DeadlinePassed => go(Rebooting, &[ResetVm]),
            Expired => go(Locking, &[PressPowerButton]),
            Done(_) | GaveUp(_) | Renewed => stay(Rebooting),
        },
        Stopping => match event {
            Asked(Start | Reboot | RebootForced) => Err(Refused::Busy),
            Asked(Stop) => Err(Refused::Already),
            Asked(StopForced) => go(Stopping, &[KillVm]),
            Asked(Terminate) | ReleaseDue => go(Terminating, &[PressPowerButton]),
            Done(KillVm) | Seen(PoweredOff | Died | Lost) => go(Stopped, TAKE_DOWN),
            DeadlinePassed => go(Stopping, &[KillVm]),
            Expired => go(Locking, &[PressPowerButton]),
            Seen(VmRunning | GuestRebooted) | Done(_) | GaveUp(_) | Renewed => stay(Stopping),
        },
        Stopped => match event {
            Asked(Start) => go(Starting, BOOT_ANEW),
            Asked(Stop | StopForced) => Err(Refused::Already),
            Asked(Reboot | RebootForced) => Err(Refused::WrongState),
            Asked(Terminate) | ReleaseDue => go(Terminating, GIVE_BACK),
            Seen(VmRunning | GuestRebooted) => go(Stopped, TAKE_DOWN),
            Expired => go(Locked, TAKE_DOWN),
            Seen(PoweredOff | Died | Lost) | Done(_) | GaveUp(_) | DeadlinePassed | Renewed => stay(Stopped),
        },
        Locking => match event {
            Asked(Start | Stop | StopForced | Reboot | RebootForced) => Err(Refused::Locked),
            Asked(Terminate) | ReleaseDue => go(Terminating, &[PressPowerButton]),
            Done(KillVm) | Seen(PoweredOff | Died | Lost) => go(Locked, TAKE_DOWN),
            DeadlinePassed => go(Locking, &[KillVm]),
            // The guest was told to go down, and will.
            Renewed => go(Stopping, &[PressPowerButton]),
            Seen(VmRunning | GuestRebooted) | Done(_) | GaveUp(_) | Expired => stay(Locking),
        },
        Locked => match event {
            Asked(Start | Stop | StopForced | Reboot | RebootForced) => Err(Refused::Locked),
            Asked(Terminate) | ReleaseDue => go(Terminating, GIVE_BACK),
            Seen(VmRunning | GuestRebooted) => go(Locked, TAKE_DOWN),
            Renewed => go(Stopped, TAKE_DOWN),
            Seen(PoweredOff | Died | Lost) | Done(_) | GaveUp(_) | DeadlinePassed | Expired => stay(Locked),
        },
        Terminating => match event {
            Asked(Terminate) => Err(Refused::Already),
            Asked(Start | Stop | StopForced | Reboot | RebootForced) => Err(Refused::Gone),
            Seen(PoweredOff | Died | Lost) | DeadlinePassed => go(Terminating, GIVE_BACK),
            Done(Release) => go(Terminated, &[]),
            Seen(VmRunning | GuestRebooted) | Done(_) | GaveUp(_) | Expired | Renewed | ReleaseDue => {
                stay(Terminating)
            }
        },
        Terminated => match event {
            Asked(Terminate) => Err(Refused::Already),
            Asked(Start | Stop | StopForced | Reboot | RebootForced) => Err(Refused::Gone),
            Seen(VmRunning | GuestRebooted) => go(Terminated, GIVE_BACK),
            Seen(PoweredOff | Died | Lost) | Done(_) | GaveUp(_) => stay(Terminated),
            DeadlinePassed | Expired | Renewed | ReleaseDue => stay(Terminated),
        },
        Failed => match event {
            Asked(Start) => go(Starting, BOOT_ANEW),
            Asked(Stop | StopForced) => go(Stopped, TAKE_DOWN),
            Asked(Reboot | RebootForced) => Err(Refused::WrongState),
            Asked(Terminate) | ReleaseDue => go(Terminating, GIVE_BACK),
            Seen(VmRunning | GuestRebooted) => go(Failed, TAKE_DOWN),
            Expired => go(Locked, TAKE_DOWN),
            Seen(PoweredOff | Died | Lost) | Done(_) | GaveUp(_) | DeadlinePassed | Renewed => stay(Failed),
        },
    }
}

fn powered_off(rules: Rules) -> Result<Transition, Refused> {
    match rules.on_power_off {
        OnPowerOff::Stop => go(Stopped, TAKE_DOWN),
        OnPowerOff::Terminate => go(Terminating, GIVE_BACK),
    }
}

fn died(rules: Rules) -> Result<Transition, Refused> {
    match rules.on_failure {
        OnFailure::Report => go(Failed, TAKE_DOWN),
        OnFailure::Restart => go(Starting, BOOT_ANEW),
        OnFailure::Terminate => go(Terminating, GIVE_BACK),
    }
}

/// It has not come up. Restarting what never does would go on for ever.
fn not_up(rules: Rules) -> Result<Transition, Refused> {
    match rules.on_failure {
        OnFailure::Report | OnFailure::Restart => go(Failed, TAKE_DOWN),
        OnFailure::Terminate => go(Terminating, GIVE_BACK),
    }
}

fn lost(rules: Rules) -> Result<Transition, Refused> {
    match rules.after_host_reboot {
        AfterHostReboot::Start => go(Starting, BOOT_ANEW),
        AfterHostReboot::Stop => go(Stopped, TAKE_DOWN),
        AfterHostReboot::Terminate => go(Terminating, GIVE_BACK),
    }
}

/// A new state, or the same one with something new to do.
fn go(state: State, effects: &'static [Effect]) -> Result<Transition, Refused> {
    Ok(Transition { state, effects: Some(effects) })
}

/// Nothing new: what was still to be done stands.
fn stay(state: State) -> Result<Transition, Refused> {
    Ok(Transition { state, effects: None })
}
