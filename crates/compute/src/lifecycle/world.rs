//! A world of one instance, in which anything may happen at any moment: requests, guests that obey or do not, effects
//! that fail, a daemon that is killed between any two steps, a host that is rebooted. Whatever happened, an instance comes
//! to rest where it should, and when it is terminated nothing of it is left.

use proptest::prelude::*;

use super::table::{ACTIONS, all_rules};
use super::*;

/// What is really there, and what the daemon has on disk.
#[derive(Debug)]
struct World {
    progress: Progress,
    rules: Rules,
    now: Timestamp,
    /// Volumes and interfaces were made.
    has_resources: bool,
    /// A VMM process with its VM.
    vm: Option<Vm>,
    /// A tap and a cgroup.
    has_leavings: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vm {
    Running,
    /// The VMM is still there, its guest is not.
    Ended(Report),
}

use jiff::Timestamp;

#[derive(Clone, Debug)]
enum Move {
    Ask(Action),
    Guest(Report),
    /// The effect is done, and the daemon takes note.
    Work,
    /// The effect is done, and the daemon is killed before it takes note.
    WorkAndCrash,
    /// The effect fails, if it may.
    Fail,
    /// The daemon is killed and comes back.
    Crash,
    HostReboot,
    TimePasses,
    Expire,
    Renew,
    ReleaseDue,
}

fn moves() -> impl Strategy<Value = Move> {
    let guest = [Report::GuestRebooted, Report::PoweredOff, Report::Died];
    prop_oneof![
        4 => prop::sample::select(&ACTIONS[..]).prop_map(Move::Ask),
        3 => prop::sample::select(guest.to_vec()).prop_map(Move::Guest),
        8 => Just(Move::Work),
        2 => Just(Move::WorkAndCrash),
        2 => Just(Move::Fail),
        1 => Just(Move::Crash),
        1 => Just(Move::HostReboot),
        2 => Just(Move::TimePasses),
        1 => Just(Move::Expire),
        1 => Just(Move::Renew),
        1 => Just(Move::ReleaseDue),
    ]
}

impl World {
    fn new(rules: Rules) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        let progress = Progress::new();
        Self { progress, rules, now, has_resources: false, vm: None, has_leavings: false }
    }

    fn apply(&mut self, event: Event) -> Result<(), Refused> {
        self.progress.apply(event, self.rules, &Limits::default(), self.now)
    }

    fn tell(&mut self, event: Event) {
        self.apply(event).expect("only what was asked is refused");
    }

    /// Does what the task says, as the daemon would, and says what it saw or how it ended.
    fn act(&mut self, effect: Effect) -> Result<Outcome, Event> {
        match effect {
            Effect::Prepare => self.has_resources = true,
            Effect::BootVm => {
                assert!(self.has_resources, "booted without volumes");
                self.has_leavings = true;
                match self.vm {
                    None => self.vm = Some(Vm::Running),
                    Some(Vm::Running) => {}
                    Some(Vm::Ended(report)) => return Err(Event::Seen(report)),
                }
            }
            // Whether the guest obeys is another move.
            Effect::PressPowerButton => match self.vm {
                Some(Vm::Running) => {}
                Some(Vm::Ended(report)) => return Err(Event::Seen(report)),
                None => return Err(Event::Seen(Report::Lost)),
            },
            Effect::ResetVm => match self.vm {
                Some(Vm::Running) => {}
                Some(Vm::Ended(_)) | None => return Ok(Outcome::GaveUp),
            },
            Effect::KillVm => self.vm = None,
            Effect::CleanUp => {
                assert!(self.vm.is_none(), "took the tap from a VM");
                self.has_leavings = false;
            }
            Effect::Release => {
                assert!(self.vm.is_none(), "took the volumes from a VM");
                self.has_leavings = false;
                self.has_resources = false;
            }
        }
        Ok(Outcome::Done)
    }

    fn work(&mut self) {
        let Some(task) = self.progress.task() else { return };
        match self.act(task.effect) {
            Ok(outcome) => {
                self.progress.finish(task, outcome, self.rules, &Limits::default(), self.now);
            }
            Err(event) => self.tell(event),
        }
    }

    /// What a daemon does when it starts: it reads the record and looks at the VM.
    fn restart_daemon(&mut self) {
        let record = serde_json::to_string(&self.progress).unwrap();
        self.progress = serde_json::from_str(&record).unwrap();
        self.look();
    }

    fn look(&mut self) {
        self.tell(Event::Seen(match self.vm {
            Some(Vm::Running) => Report::Running,
            Some(Vm::Ended(report)) => report,
            None => Report::Lost,
        }));
    }

    fn make(&mut self, what: &Move) {
        match what {
            Move::Ask(action) => {
                let before = self.progress.clone();
                if self.apply(Event::Asked(*action)).is_err() {
                    assert_eq!(self.progress, before, "a refused action changed something");
                }
            }
            Move::Guest(report) if self.vm == Some(Vm::Running) => {
                if *report != Report::GuestRebooted {
                    self.vm = Some(Vm::Ended(*report));
                }
                self.tell(Event::Seen(*report));
            }
            Move::Guest(_) => {}
            Move::Work => self.work(),
            Move::WorkAndCrash => {
                if let Some(task) = self.progress.task() {
                    let _ = self.act(task.effect);
                }
                self.restart_daemon();
            }
            Move::Fail => {
                if let Some(task) = self.progress.task().filter(|task| task.effect.may_fail()) {
                    self.progress.finish(task, Outcome::GaveUp, self.rules, &Limits::default(), self.now);
                }
            }
            Move::Crash => self.restart_daemon(),
            Move::HostReboot => {
                (self.vm, self.has_leavings) = (None, false);
                self.restart_daemon();
            }
            Move::TimePasses => self.pass_time(),
            Move::Expire => self.tell(Event::Expired),
            Move::Renew => self.tell(Event::Renewed),
            Move::ReleaseDue => self.tell(Event::ReleaseDue),
        }
    }

    fn pass_time(&mut self) {
        if let Some(deadline) = self.progress.deadline() {
            self.now = deadline;
            self.tell(Event::DeadlinePassed);
        }
    }

    /// Nothing more happens from outside: effects succeed, time passes, guests ignore the power button.
    fn settle(&mut self) {
        for _ in 0..32 {
            while self.progress.task().is_some() {
                self.work();
            }
            if self.progress.deadline().is_none() {
                return;
            }
            self.pass_time();
        }
        panic!("no rest: {self:?}");
    }

    fn check_at_rest(&self) {
        match self.progress.state() {
            State::Running => {
                assert_eq!(self.vm, Some(Vm::Running), "{self:?}");
                assert!(self.has_resources && self.has_leavings);
            }
            State::Created | State::Stopped | State::Locked | State::Failed => {
                assert!(self.has_resources && !self.has_leavings && self.vm.is_none(), "{self:?}");
            }
            State::Terminated => {
                assert!(!self.has_resources && !self.has_leavings && self.vm.is_none(), "{self:?}");
            }
            State::Creating
            | State::Starting
            | State::Rebooting
            | State::Stopping
            | State::Locking
            | State::Terminating => panic!("stranded: {self:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn whatever_happens_nothing_is_stranded_and_nothing_leaks(
        rules in prop::sample::select(all_rules()),
        moves in prop::collection::vec(moves(), 0..40),
    ) {
        let mut world = World::new(rules);
        for what in &moves {
            world.make(what);
        }
        world.settle();
        world.check_at_rest();

        if world.progress.state() == State::Locked {
            world.tell(Event::Renewed);
            world.settle();
        }
        if matches!(world.progress.state(), State::Created | State::Stopped | State::Failed) {
            world.apply(Event::Asked(Action::Start)).expect("what is at rest can be started");
            world.settle();
            world.check_at_rest();
            prop_assert_eq!(world.progress.state(), State::Running);
        }
        let _ = world.apply(Event::Asked(Action::Terminate));
        world.settle();
        world.check_at_rest();
        prop_assert_eq!(world.progress.state(), State::Terminated);
    }
}

#[test]
fn the_end_of_a_task_given_up_for_another_says_nothing() {
    let rules = all_rules()[0];
    let mut world = World::new(rules);
    let prepare = world.progress.task().expect("it is being made");
    world.apply(Event::Asked(Action::Terminate)).unwrap();
    let before = world.progress.clone();
    world.progress.finish(prepare, Outcome::Done, rules, &Limits::default(), world.now);
    assert_eq!(world.progress, before);
}

#[test]
fn a_guest_that_ignores_the_power_button_is_stopped_all_the_same() {
    let rules = Rules { start_when_created: true, ..all_rules()[0] };
    let mut world = World::new(rules);
    world.settle();
    assert_eq!(world.progress.state(), State::Running);
    world.apply(Event::Asked(Action::Stop)).unwrap();
    world.work();
    assert_eq!((world.progress.state(), world.progress.task()), (State::Stopping, None));
    world.pass_time();
    world.settle();
    world.check_at_rest();
    assert_eq!(world.progress.state(), State::Stopped);
}

#[test]
fn a_reset_that_never_ends_is_followed_by_a_new_vm() {
    let rules = Rules { start_when_created: true, ..all_rules()[0] };
    let mut world = World::new(rules);
    world.settle();
    world.apply(Event::Asked(Action::Reboot)).unwrap();
    world.apply(Event::DeadlinePassed).unwrap();
    let effect = |world: &World| world.progress.task().map(|task| task.effect);
    assert_eq!((world.progress.state(), effect(&world)), (State::Rebooting, Some(Effect::ResetVm)));
    world.apply(Event::DeadlinePassed).unwrap();
    assert_eq!((world.progress.state(), effect(&world)), (State::Rebooting, Some(Effect::KillVm)));
    world.settle();
    assert_eq!(world.progress.state(), State::Running);
}
