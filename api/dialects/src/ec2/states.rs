//! The core's states in the cloud's words: tables without a wildcard.
#![deny(clippy::wildcard_enum_match_arm)]

use compute::lifecycle::State;

use super::xml::Tree;

/// The state of an instance: a number, of which only the low byte means anything, and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceState {
    /// The number.
    pub code: u16,
    /// The name.
    pub name: &'static str,
}

impl InstanceState {
    /// As all answers have it.
    pub fn tree(self) -> Tree {
        Tree::new().text("code", self.code).text("name", self.name)
    }
}

/// Of instances. One that reboots is running all the while; what failed can be started, as what is stopped.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html>
pub fn instance(state: State) -> InstanceState {
    let (code, name) = match state {
        State::Creating | State::Starting => (0, "pending"),
        State::Running | State::Rebooting => (16, "running"),
        State::Terminating => (32, "shutting-down"),
        State::Terminated => (48, "terminated"),
        State::Stopping | State::Locking => (64, "stopping"),
        State::Created | State::Stopped | State::Locked | State::Failed => (80, "stopped"),
    };
    InstanceState { code, name }
}
