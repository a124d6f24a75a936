//! Writes the table of `step` for people, and keeps the file with it fresh.

use std::fmt::Write;

use super::*;

/// All states, in the order of the enum.
pub const STATES: [State; 12] = [
    State::Creating,
    State::Created,
    State::Starting,
    State::Running,
    State::Rebooting,
    State::Stopping,
    State::Stopped,
    State::Locking,
    State::Locked,
    State::Terminating,
    State::Terminated,
    State::Failed,
];

/// All actions.
pub const ACTIONS: [Action; 6] = [
    Action::Start,
    Action::Stop,
    Action::StopForced,
    Action::Reboot,
    Action::RebootForced,
    Action::Terminate,
];

/// All reports.
pub const REPORTS: [Report; 5] =
    [Report::Running, Report::GuestRebooted, Report::PoweredOff, Report::Died, Report::Lost];

/// All effects.
pub const EFFECTS: [Effect; 7] = [
    Effect::Prepare,
    Effect::BootVm,
    Effect::PressPowerButton,
    Effect::ResetVm,
    Effect::KillVm,
    Effect::CleanUp,
    Effect::Release,
];

/// All events.
pub fn events() -> Vec<Event> {
    let mut events: Vec<Event> = ACTIONS.map(Event::Asked).into();
    events.extend(REPORTS.map(Event::Seen));
    events.extend(EFFECTS.map(Event::Done));
    events.extend(EFFECTS.into_iter().filter(|effect| effect.may_fail()).map(Event::GaveUp));
    events.extend([Event::DeadlinePassed, Event::Expired, Event::Renewed, Event::ReleaseDue]);
    events
}

/// All rules.
pub fn all_rules() -> Vec<Rules> {
    let mut all = Vec::new();
    for start_when_created in [false, true] {
        for on_power_off in [OnPowerOff::Stop, OnPowerOff::Terminate] {
            for on_failure in [OnFailure::Report, OnFailure::Restart, OnFailure::Terminate] {
                for after_host_reboot in
                    [AfterHostReboot::Start, AfterHostReboot::Stop, AfterHostReboot::Terminate]
                {
                    all.push(Rules { start_when_created, on_power_off, on_failure, after_host_reboot });
                }
            }
        }
    }
    all
}

fn describe(state: State, result: Result<Transition, Refused>) -> String {
    match result {
        Err(refused) => format!("refused: {refused:?}"),
        Ok(Transition { effects: None, .. }) => "·".to_owned(),
        Ok(Transition { state: next, effects: Some(effects) }) => {
            let effects: Vec<String> = effects.iter().map(|effect| format!("{effect:?}")).collect();
            let next = if next == state { "stays".to_owned() } else { format!("**{next:?}**") };
            if effects.is_empty() { next } else { format!("{next}: {}", effects.join(", ")) }
        }
    }
}

/// What `event` leads to, for each rule that makes a difference.
fn row(state: State, event: Event) -> String {
    let mut answers: Vec<String> = Vec::new();
    for rules in all_rules() {
        let answer = describe(state, step(state, event, rules));
        if !answers.contains(&answer) {
            answers.push(answer);
        }
    }
    answers.join(" *or by rule* ")
}

fn table() -> String {
    let mut text = String::from(
        "`·` changes nothing. An event that changes nothing in a state, and is refused by none, is left out.\n",
    );
    for state in STATES {
        write!(text, "\n**{state:?}**\n\n| event | leads to |\n|---|---|\n").unwrap();
        for event in events() {
            let row = row(state, event);
            if row != "·" {
                writeln!(text, "| {event:?} | {row} |").unwrap();
            }
        }
    }
    text
}

#[test]
fn the_table_in_the_documentation_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lifecycle/table.md");
    let table = table();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &table).expect("the source is writable");
    }
    let kept = std::fs::read_to_string(path).expect("the table is there");
    assert_eq!(kept, table, "run this test with BLESS=1 and look at what changed");
}

#[test]
fn only_what_was_asked_is_refused() {
    for state in STATES {
        for event in events() {
            for rules in all_rules() {
                let refused = step(state, event, rules).is_err();
                assert!(!refused || matches!(event, Event::Asked(_)), "{state:?} {event:?}");
            }
        }
    }
}

#[test]
fn terminate_is_never_refused_but_for_being_done() {
    for state in STATES {
        for rules in all_rules() {
            match step(state, Event::Asked(Action::Terminate), rules) {
                Ok(transition) => assert_eq!(transition.state, State::Terminating),
                Err(refused) => assert_eq!(refused, Refused::Already, "{state:?}"),
            }
        }
    }
}

#[test]
fn a_terminated_instance_stays_terminated() {
    for event in events() {
        for rules in all_rules() {
            if let Ok(transition) = step(State::Terminated, event, rules) {
                assert_eq!(transition.state, State::Terminated, "{event:?}");
            }
            if let Ok(transition) = step(State::Terminating, event, rules) {
                assert!(matches!(transition.state, State::Terminating | State::Terminated), "{event:?}");
            }
        }
    }
}
