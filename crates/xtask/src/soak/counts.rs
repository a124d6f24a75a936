//! What was done, and what came of it, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use native_api::ErrorCode;

/// Numbers of a soak test so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By operation: asked, and answered with success.
    operations: BTreeMap<&'static str, (u64, u64)>,
    refusals: BTreeMap<&'static str, u64>,
    /// Requests whose answer a killed daemon never gave.
    pub unanswered: u64,
    /// Daemons killed.
    pub kills: u64,
    /// Of them while they took over what was left.
    pub early_kills: u64,
    /// VMMs killed.
    pub vmm_kills: u64,
    /// Daemons started.
    pub starts: u64,
    /// Times that all invariants were checked.
    pub checks: u64,
    /// Instances that were seen as failed, as they were to.
    pub failed: u64,
    /// Snapshots that could not be taken.
    pub failed_snapshots: u64,
}

impl Counts {
    /// An operation was asked and answered.
    pub fn answered(&mut self, operation: &'static str) {
        let (asked, done) = self.operations.entry(operation).or_default();
        (*asked, *done) = (*asked + 1, *done + 1);
    }

    /// An operation was asked and refused.
    pub fn refused(&mut self, operation: &'static str, code: ErrorCode) {
        self.operations.entry(operation).or_default().0 += 1;
        *self.refusals.entry(code.as_str()).or_default() += 1;
    }

    /// How many operations were asked.
    pub fn asked(&self) -> u64 {
        self.operations.values().map(|(asked, _)| asked).sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:24} {:>8} {:>8}", "operation", "asked", "done")?;
        for (name, (asked, done)) in &self.operations {
            writeln!(f, "{name:24} {asked:>8} {done:>8}")?;
        }
        let refusals: Vec<String> =
            self.refusals.iter().map(|(code, count)| format!("{code} {count}")).collect();
        writeln!(
            f,
            "refusals: {}",
            if refusals.is_empty() { "none".to_owned() } else { refusals.join(", ") }
        )?;
        writeln!(
            f,
            "daemons started {}, killed {}, of them while starting {}; VMMs killed {}; requests without an answer {}",
            self.starts, self.kills, self.early_kills, self.vmm_kills, self.unanswered
        )?;
        write!(
            f,
            "instances seen as failed {}, snapshots that failed {}; all invariants checked {} times",
            self.failed, self.failed_snapshots, self.checks
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_asked_and_not_done() {
        let mut counts = Counts::default();
        counts.answered("launch");
        counts.refused("launch", ErrorCode::LimitExceeded);
        counts.refused("stop", ErrorCode::WrongState);
        assert_eq!(counts.asked(), 3);
        let text = counts.to_string();
        assert!(text.contains("launch                          2        1\n"), "{text}");
        assert!(text.contains("refusals: limit_exceeded 1, wrong_state 1\n"), "{text}");
    }
}
