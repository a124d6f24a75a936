//! Where an instance is in its life: the state, what is still to be done, and until when. It is part of the instance's
//! record, and is on disk before the first effect runs; so a daemon that was killed goes on where it stopped, by the same
//! code. Its owner is the instance's driver.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Effect, Event, Refused, Rules, State, step};

/// An instance's state, and the way to the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    state: State,
    /// The first one is being done, or is next.
    outstanding: Vec<Effect>,
    deadline: Option<Timestamp>,
    /// Counts the lists of effects, so that the end of an effect that was given up for others is known as such.
    generation: u64,
}

/// How long a state may last before `Event::DeadlinePassed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a VM to run, from the request on.
    pub start: Duration,
    /// For a guest to shut down after the power button.
    pub stop: Duration,
    /// For a guest to shut down and be booted again.
    pub reboot: Duration,
    /// For a guest to shut down before it is terminated, and between two tries to give back what it had.
    pub terminate: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { start: seconds(120), stop: seconds(120), reboot: seconds(120), terminate: seconds(20) }
    }
}

impl Limits {
    fn of(&self, state: State) -> Option<Duration> {
        match state {
            State::Starting => Some(self.start),
            State::Rebooting => Some(self.reboot),
            State::Stopping | State::Locking => Some(self.stop),
            State::Terminating => Some(self.terminate),
            // Copying a big image takes what it takes; that it goes on is seen to where it is done.
            State::Creating => None,
            State::Created | State::Running | State::Stopped => None,
            State::Locked | State::Terminated | State::Failed => None,
        }
    }
}

/// One effect that is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// What to do.
    pub effect: Effect,
    generation: u64,
}

/// How an effect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It cannot be done; only for effects that may fail.
    GaveUp,
}

impl Progress {
    /// An instance that was just asked for.
    pub fn new() -> Self {
        Self { state: State::Creating, outstanding: vec![Effect::Prepare], deadline: None, generation: 0 }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// When to apply `Event::DeadlinePassed`.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// What to do now. The same task again until it is finished or something else became due; a driver that is at
    /// another task then drops that one.
    pub fn task(&self) -> Option<Task> {
        let effect = *self.outstanding.first()?;
        Some(Task { effect, generation: self.generation })
    }

    /// Takes an event that is not the end of a task. What is seen of a VM that is about to be ended says nothing: a
    /// daemon that was killed in between would take the fault that made it restart a guest for one of the new VM.
    ///
    /// # Errors
    ///
    /// What a user asked for may be refused; nothing has changed then.
    pub fn apply(
        &mut self,
        event: Event,
        rules: Rules,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(), Refused> {
        // It is about the VM that is to be ended next, not about the one that may come after it.
        if matches!(event, Event::Seen(_)) && self.outstanding.first() == Some(&Effect::KillVm) {
            return Ok(());
        }
        // Begun again, a reset that a VMM never answers would have its whole time once more, and again.
        let event = match (event, self.outstanding.first()) {
            (Event::DeadlinePassed, Some(Effect::ResetVm)) => Event::GaveUp(Effect::ResetVm),
            (event, _) => event,
        };
        let next = step(self.state, event, rules)?;
        if let Some(effects) = next.effects {
            self.outstanding = effects.to_vec();
            self.generation += 1;
        }
        if next.state != self.state || next.effects.is_some() || event == Event::DeadlinePassed {
            self.deadline =
                limits.of(next.state).map(|limit| now.saturating_add(limit).unwrap_or(Timestamp::MAX));
        }
        self.state = next.state;
        Ok(())
    }

    /// Takes the end of a task. One that was given up for others ends without a consequence.
    pub fn finish(&mut self, task: Task, outcome: Outcome, rules: Rules, limits: &Limits, now: Timestamp) {
        if self.task() != Some(task) {
            return;
        }
        self.outstanding.remove(0);
        let event = match outcome {
            Outcome::Done => Event::Done(task.effect),
            Outcome::GaveUp => Event::GaveUp(task.effect),
        };
        self.apply(event, rules, limits, now).expect("only what was asked is refused");
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
