//! What an event makes of an instance's record: its state, and what goes with the state: usage, reason, times, faults. Pure;
//! the driver writes what comes out.

use std::time::Duration;

use jiff::Timestamp;

use crate::charge::Usage;
use crate::lifecycle::{Action, Effect, Event, Limits, OnFailure, Outcome, Refused, Report, State, Task};
use crate::resource::{Faults, Instance, Reason, UsageRecord};

/// Faults in a row after which an instance is not restarted any more.
const MOST_FAULTS: u32 = 5;
/// An instance that ran as long as this has recovered from its faults.
const RECOVERED_AFTER: Duration = Duration::from_secs(600);
/// How long a restart waits after the second fault in a row; twice as long after each further one. All of it is well
/// below the time that a start may take.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Applies an event that is not the end of a task. What is answered is a stretch of use that has ended.
///
/// # Errors
///
/// What a user asked for may be refused; nothing has changed then.
pub fn apply(
    instance: &mut Instance,
    event: Event,
    reason: &str,
    limits: &Limits,
    now: Timestamp,
) -> Result<Option<UsageRecord>, Refused> {
    let before = instance.state();
    let mut rules = instance.rules;
    if event == Event::Seen(Report::Died) && before == State::Running {
        count_fault(instance, now);
        if instance.faults.count >= MOST_FAULTS && rules.on_failure == OnFailure::Restart {
            rules.on_failure = OnFailure::Report;
        }
    }
    instance.progress.apply(event, rules, limits, now)?;
    if matches!(event, Event::Asked(Action::Start | Action::Reboot | Action::RebootForced)) {
        instance.faults = Faults::default();
    }
    Ok(follow(instance, before, event, reason, now))
}

/// Applies the end of a task.
pub fn finish(
    instance: &mut Instance,
    task: Task,
    outcome: Outcome,
    reason: &str,
    limits: &Limits,
    now: Timestamp,
) -> Option<UsageRecord> {
    let before = instance.state();
    let rules = instance.rules;
    instance.progress.finish(task, outcome, rules, limits, now);
    let event = match outcome {
        Outcome::Done => Event::Done(task.effect),
        Outcome::GaveUp => Event::GaveUp(task.effect),
    };
    follow(instance, before, event, reason, now)
}

fn count_fault(instance: &mut Instance, now: Timestamp) {
    let ran = instance.started.map_or(Duration::ZERO, |started| {
        Duration::try_from(now.duration_since(started)).unwrap_or_default()
    });
    let count = if ran >= RECOVERED_AFTER { 1 } else { instance.faults.count.saturating_add(1) };
    let wait = match count {
        0 | 1 => Duration::ZERO,
        more => FIRST_WAIT * 2_u32.saturating_pow(more.min(MOST_FAULTS) - 2),
    };
    let not_before = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
    instance.faults = Faults { count, not_before: Some(not_before) };
}

/// What goes with a change of the state.
fn follow(
    instance: &mut Instance,
    before: State,
    event: Event,
    reason: &str,
    now: Timestamp,
) -> Option<UsageRecord> {
    let after = instance.state();
    let message = if reason.is_empty() { said_of(event) } else { reason };
    if before != after && !message.is_empty() {
        let host_failed = matches!(event, Event::GaveUp(_));
        instance.reason = Some(Reason { message: message.to_owned(), host_failed, at: now });
    }
    if before != after && after == State::Running && before != State::Rebooting {
        instance.started = Some(now);
    }
    if before != after && after == State::Terminated {
        instance.ended = Some(now);
    }
    match (is_used(after), instance.usage.take()) {
        (true, None) => {
            let usage = Usage::open(instance.instance_type.clone(), instance.product_codes.clone(), now);
            instance.usage = Some(usage);
            None
        }
        (false, Some(mut usage)) => {
            // It is open, as it was kept here.
            let _ = usage.close(now);
            Some(UsageRecord { account: instance.account.clone(), instance: instance.id, usage })
        }
        (_, usage) => {
            instance.usage = usage;
            None
        }
    }
}

/// Whether an instance in this state is used, as far as bills go: from when it runs until it is stopped or terminating.
fn is_used(state: State) -> bool {
    match state {
        State::Running | State::Rebooting | State::Stopping | State::Locking => true,
        State::Creating | State::Created | State::Starting | State::Stopped | State::Locked => false,
        State::Terminating | State::Terminated | State::Failed => false,
    }
}

/// What can be said of an event without knowing more. Nothing of those that say themselves.
fn said_of(event: Event) -> &'static str {
    match event {
        Event::Asked(Action::Stop | Action::StopForced) => "stopped by its user",
        Event::Asked(Action::Start) => "started by its user",
        Event::Asked(Action::Terminate) => "terminated by its user",
        Event::Asked(Action::Reboot | Action::RebootForced) => "rebooted by its user",
        Event::Seen(Report::PoweredOff) => "the guest powered off",
        Event::Seen(Report::Died) => "its VM ended by a fault",
        Event::Seen(Report::Lost) => "its VM was gone, as after a reboot of the host",
        Event::GaveUp(Effect::Prepare) => "its volumes could not be made",
        Event::GaveUp(Effect::BootVm) => "its VM could not be booted",
        Event::DeadlinePassed => "it took too long",
        Event::Expired => "its subscription expired",
        Event::Renewed => "its subscription was renewed",
        Event::ReleaseDue => "its time was over",
        Event::Seen(Report::Running | Report::GuestRebooted) | Event::Done(_) | Event::GaveUp(_) => "",
    }
}
