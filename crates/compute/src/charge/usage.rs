//! A usage record: one stretch of time in which an instance was running, for bills and for whoever sells product codes.
//! Opened when it starts to run and closed when it does not any more, in the same transaction as the state's change.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

const HOUR_MS: u64 = 3_600_000;

/// A stretch of use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// The instance's type at that time.
    pub instance_type: String,
    /// Product codes of its image at that time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub product_codes: Vec<String>,
    since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

/// A usage record that cannot be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// It is closed already.
    #[error("the usage record was closed at {until}")]
    Closed {
        /// When.
        until: Timestamp,
    },
}

impl Usage {
    /// Use that began at `since`.
    pub fn open(instance_type: String, product_codes: Vec<String>, since: Timestamp) -> Self {
        Self { instance_type, product_codes, since, until: None }
    }

    /// Ends the use. A clock that went back makes it end when it began.
    ///
    /// # Errors
    ///
    /// It has ended before: usage is never changed afterwards.
    pub fn close(&mut self, until: Timestamp) -> Result<(), UsageError> {
        match self.until {
            Some(until) => Err(UsageError::Closed { until }),
            None => {
                self.until = Some(until.max(self.since));
                Ok(())
            }
        }
    }

    /// When it began.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// When it ended, if it has.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Hours of use in `[from, to)`, at most up to `now`, each begun hour counted whole, as EC2 charged them.
    pub fn hours_between(&self, from: Timestamp, to: Timestamp, now: Timestamp) -> u64 {
        let begin = self.since.max(from);
        let end = self.until.unwrap_or(now).min(to);
        let used = end.duration_since(begin).max(SignedDuration::ZERO);
        u64::try_from(used.as_millis()).unwrap_or(0).div_ceil(HOUR_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-{text}:00Z").parse().unwrap()
    }

    #[test]
    fn begun_hours_count_whole() {
        let mut usage = Usage::open("m1.small".to_owned(), vec![], at("01T10:30"));
        let (from, to, now) = (at("01T00:00"), at("30T00:00"), at("01T12:00"));
        assert_eq!(usage.hours_between(from, to, now), 2);
        assert_eq!(usage.hours_between(from, to, at("01T10:30")), 0, "not begun");
        assert_eq!(usage.hours_between(at("02T00:00"), to, now), 0, "before the time asked for");
        usage.close(at("01T13:31")).unwrap();
        assert_eq!(usage.hours_between(from, to, at("20T00:00")), 4);
        assert_eq!(usage.hours_between(from, at("01T11:00"), at("20T00:00")), 1);
    }

    #[test]
    fn what_is_closed_stays_as_it_is() {
        let mut usage = Usage::open("m1.small".to_owned(), vec![], at("01T10:30"));
        usage.close(at("01T09:00")).unwrap();
        assert_eq!(usage.until(), Some(at("01T10:30")), "the clock went back");
        assert_eq!(usage.close(at("02T09:00")), Err(UsageError::Closed { until: at("01T10:30") }));
    }
}
