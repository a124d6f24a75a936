//! The terms of an instance: pay as you go, perhaps until a time, or a subscription that is renewed or runs out.
//!
//! The daemon asks `due` when the time it was last told has come, and does what is answered; it may be late, killed and
//! asked again, and the outcome is the same.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// How soon an automatic release may be (Alibaba ModifyInstanceAutoReleaseTime, Huawei auto_terminate_time).
pub const EARLIEST_RELEASE: SignedDuration = SignedDuration::from_mins(30);
/// How late an automatic release may be, in years.
pub const LATEST_RELEASE: i16 = 3;
/// How far ahead an instance can be paid for, in years.
const MAX_YEARS: i16 = 10;
/// Most periods that can be paid for at once: ten years in weeks.
const MAX_PERIODS: u32 = 10 * 53;

/// How an instance is paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Terms {
    /// By use, until it is terminated.
    PayAsYouGo {
        /// When it is to be terminated, if that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<Release>,
    },
    /// In advance.
    Subscription(Subscription),
}

/// When an instance is to be terminated by itself. Whole minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Release(Timestamp);

/// A time at which an instance cannot be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseTimeError {
    /// Less than `EARLIEST_RELEASE` ahead, or past.
    #[error("the release time is less than 30 minutes ahead")]
    TooSoon,
    /// More than `LATEST_RELEASE` years ahead.
    #[error("the release time is more than 3 years ahead")]
    TooLate,
}

impl Release {
    /// A release at `at`, or at the beginning of its minute.
    ///
    /// # Errors
    ///
    /// That minute is too near or too far from `now`.
    pub fn new(at: Timestamp, now: Timestamp) -> Result<Self, ReleaseTimeError> {
        let second = at.as_second();
        let minute = Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(Timestamp::MIN);
        // The minute that `now` is in counts whole, so that "in 30 minutes" can be said without seconds.
        let this_minute = now.as_second() - now.as_second().rem_euclid(60);
        if minute.as_second() - this_minute < EARLIEST_RELEASE.as_secs() {
            return Err(ReleaseTimeError::TooSoon);
        }
        if minute > later(now, LATEST_RELEASE.years()) {
            return Err(ReleaseTimeError::TooLate);
        }
        Ok(Self(minute))
    }

    /// The time.
    pub fn at(self) -> Timestamp {
        self.0
    }
}

/// A time that is paid for in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Calendar months: from the 31st to the last day of a shorter month.
    Months(u32),
    /// Weeks of seven days.
    Weeks(u32),
}

/// An instance that is paid in advance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Months are counted from here, all at once: one that began on the 31st does not end on the 28th for good, just
    /// because a February was among its renewals. Weeks move it.
    anchor: Timestamp,
    months: u32,
    /// What to renew it by when it comes to its end; `None` to let it run out.
    pub auto_renew: Option<Period>,
}

/// A time that cannot be paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewError {
    /// A period of no length.
    #[error("a subscription is for at least one week or month")]
    Nothing,
    /// More than ten years ahead.
    #[error("a subscription can be paid for at most ten years ahead")]
    TooLong,
}

impl Subscription {
    /// A subscription from `now` on.
    ///
    /// # Errors
    ///
    /// The period is none, or too long.
    pub fn new(now: Timestamp, period: Period, auto_renew: Option<Period>) -> Result<Self, RenewError> {
        let mut new = Self { anchor: now, months: 0, auto_renew };
        new.renew(period, now)?;
        Ok(new)
    }

    /// When it runs out.
    pub fn expires(&self) -> Timestamp {
        let months = jiff::Span::new().try_months(self.months);
        months.map_or(Timestamp::MAX, |months| later(self.anchor, months))
    }

    /// Adds a period, from the end on: what was locked meanwhile is not given back.
    ///
    /// # Errors
    ///
    /// The period is none, or leads too far from `now`. Nothing has changed then.
    pub fn renew(&mut self, period: Period, now: Timestamp) -> Result<(), RenewError> {
        let renewed = match period {
            Period::Months(0) | Period::Weeks(0) => return Err(RenewError::Nothing),
            Period::Months(more @ 1..=MAX_PERIODS) => {
                Self { months: self.months.saturating_add(more), ..self.clone() }
            }
            Period::Weeks(more @ 1..=MAX_PERIODS) => Self {
                anchor: later(self.expires(), (i64::from(more) * 7).days()),
                months: 0,
                ..self.clone()
            },
            Period::Months(_) | Period::Weeks(_) => return Err(RenewError::TooLong),
        };
        if renewed.expires() > later(now, MAX_YEARS.years()) {
            return Err(RenewError::TooLong);
        }
        *self = renewed;
        Ok(())
    }
}

/// How a provider deals with subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long before the end an automatic renewal is tried.
    pub renew_before: Duration,
    /// How long an instance stays locked before it is released.
    pub locked_for: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self { renew_before: day, locked_for: 15 * day }
    }
}

/// What time has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing, until then; `None` for ever.
    Nothing(Option<Timestamp>),
    /// An automatic renewal by this period; if it cannot be paid, what comes then is at `otherwise`.
    Renew {
        /// What to renew by.
        period: Period,
        /// When the instance is locked if it is not renewed.
        otherwise: Timestamp,
    },
    /// To lock the instance, as it expired; it is released at `release` if it is not renewed.
    Lock {
        /// When it is released.
        release: Timestamp,
    },
    /// To release the instance.
    Release,
}

impl Terms {
    /// What is due at `now`. As long as it is not done, the same is due.
    pub fn due(&self, policy: &Policy, now: Timestamp) -> Due {
        match self {
            Self::PayAsYouGo { release: None } => Due::Nothing(None),
            Self::PayAsYouGo { release: Some(release) } if now >= release.at() => Due::Release,
            Self::PayAsYouGo { release: Some(release) } => Due::Nothing(Some(release.at())),
            Self::Subscription(subscription) => subscription.due(policy, now),
        }
    }

    /// When the instance expires; never if it is paid by use.
    pub fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::PayAsYouGo { .. } => None,
            Self::Subscription(subscription) => Some(subscription.expires()),
        }
    }
}

impl Subscription {
    fn due(&self, policy: &Policy, now: Timestamp) -> Due {
        let expires = self.expires();
        let renew = expires.saturating_sub(policy.renew_before).unwrap_or(Timestamp::MIN);
        let release = expires.saturating_add(policy.locked_for).unwrap_or(Timestamp::MAX);
        match self.auto_renew {
            _ if now >= release => Due::Release,
            _ if now >= expires => Due::Lock { release },
            Some(period) if now >= renew => Due::Renew { period, otherwise: expires },
            Some(_) => Due::Nothing(Some(renew)),
            None => Due::Nothing(Some(expires)),
        }
    }
}

/// `time` and a span of the calendar later, in UTC, as all clouds count.
fn later(time: Timestamp, span: jiff::Span) -> Timestamp {
    let end = time.to_zoned(TimeZone::UTC).checked_add(span);
    end.map_or(Timestamp::MAX, |end| end.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn months_are_the_calendars() {
        let mut subscription =
            Subscription::new(at("2027-12-31T10:00:00Z"), Period::Months(1), None).unwrap();
        assert_eq!(subscription.expires(), at("2028-01-31T10:00:00Z"));
        subscription.renew(Period::Months(1), at("2028-01-01T00:00:00Z")).unwrap();
        assert_eq!(subscription.expires(), at("2028-02-29T10:00:00Z"));
        subscription.renew(Period::Months(1), at("2028-01-01T00:00:00Z")).unwrap();
        assert_eq!(subscription.expires(), at("2028-03-31T10:00:00Z"), "back to the 31st");
        subscription.renew(Period::Weeks(2), at("2028-01-01T00:00:00Z")).unwrap();
        assert_eq!(subscription.expires(), at("2028-04-14T10:00:00Z"));
    }

    #[test]
    fn what_cannot_be_paid_for_is_refused_and_changes_nothing() {
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(Subscription::new(now, Period::Months(0), None), Err(RenewError::Nothing));
        assert_eq!(Subscription::new(now, Period::Months(u32::MAX), None), Err(RenewError::TooLong));
        let mut subscription = Subscription::new(now, Period::Months(120), None).unwrap();
        let before = subscription.clone();
        assert!(
            subscription.clone().renew(Period::Months(1), later(now, 1.months())).is_ok(),
            "it is counted from today"
        );
        for period in [Period::Weeks(0), Period::Weeks(u32::MAX), Period::Months(1)] {
            assert!(subscription.renew(period, now).is_err());
            assert_eq!(subscription, before);
        }
    }

    #[test]
    fn a_release_is_in_whole_minutes_from_half_an_hour_to_three_years_ahead() {
        let now = at("2026-11-23T12:00:30Z");
        let cases = [
            ("2026-11-23T12:29:59Z", Err(ReleaseTimeError::TooSoon)),
            ("2026-11-23T12:30:00Z", Ok("2026-11-23T12:30:00Z")),
            ("2026-11-23T12:30:59.9Z", Ok("2026-11-23T12:30:00Z")),
            ("2029-11-23T12:00:59Z", Ok("2029-11-23T12:00:00Z")),
            ("2029-11-23T12:01:00Z", Err(ReleaseTimeError::TooLate)),
            ("1969-01-01T00:00:01Z", Err(ReleaseTimeError::TooSoon)),
        ];
        for (time, expected) in cases {
            assert_eq!(Release::new(at(time), now).map(Release::at), expected.map(at), "{time}");
        }
    }

    /// What happens to an instance in three years, if the daemon does what is due, and the account can pay `renewals`
    /// times. Returns each event with its time.
    fn three_years(mut terms: Terms, mut renewals: u32, begin: Timestamp) -> Vec<(Timestamp, Due)> {
        let (mut now, mut events) = (begin, Vec::new());
        let end = later(begin, 3.years());
        while now < end {
            let due = terms.due(&Policy::default(), now);
            let next = match due {
                Due::Nothing(next) => next,
                Due::Renew { period, otherwise } => match &mut terms {
                    Terms::Subscription(subscription) if renewals > 0 => {
                        renewals -= 1;
                        subscription.renew(period, now).unwrap();
                        Some(now)
                    }
                    Terms::Subscription(_) | Terms::PayAsYouGo { .. } => Some(otherwise),
                },
                Due::Lock { release } => Some(release),
                Due::Release => None,
            };
            if !matches!(due, Due::Nothing(_)) {
                events.push((now, due));
            }
            let Some(next) = next else { return events };
            now = next;
        }
        events
    }

    #[test]
    fn an_unpaid_subscription_is_locked_and_then_released() {
        let begin = at("2026-01-31T08:00:00Z");
        let once = Subscription::new(begin, Period::Months(1), None).unwrap();
        let (expires, release) = (at("2026-02-28T08:00:00Z"), at("2026-03-15T08:00:00Z"));
        assert_eq!(
            three_years(Terms::Subscription(once), 0, begin),
            [(expires, Due::Lock { release }), (release, Due::Release)]
        );
    }

    #[test]
    fn an_automatic_renewal_goes_on_while_there_is_money() {
        let begin = at("2026-01-31T08:00:00Z");
        let month = Period::Months(1);
        let renewed = Subscription::new(begin, month, Some(month)).unwrap();

        let events = three_years(Terms::Subscription(renewed.clone()), u32::MAX, begin);
        assert_eq!(events.len(), 36, "once a month");
        assert!(events.iter().all(|(_, due)| matches!(due, Due::Renew { .. })));

        let events = three_years(Terms::Subscription(renewed), 2, begin);
        let times: Vec<String> = events.iter().map(|(time, _)| time.to_string()).collect();
        assert_eq!(
            times,
            [
                "2026-02-27T08:00:00Z", // renewed
                "2026-03-30T08:00:00Z", // renewed
                "2026-04-29T08:00:00Z", // no money
                "2026-04-30T08:00:00Z", // locked
                "2026-05-15T08:00:00Z", // released
            ]
        );
    }

    #[test]
    fn pay_as_you_go_ends_when_it_was_asked_to() {
        let begin = at("2026-01-31T08:00:00Z");
        let release = Release::new(at("2027-01-01T00:00:00Z"), begin).unwrap();
        let none = Terms::PayAsYouGo { release: None };
        assert_eq!(three_years(none, 0, begin), []);
        assert_eq!(
            three_years(Terms::PayAsYouGo { release: Some(release) }, 0, begin),
            [(release.at(), Due::Release)]
        );
    }

    proptest! {
        #[test]
        fn later_terms_are_never_worse(seconds in 0..4_000_000_000_i64, months in 1..100_u32, more in 1..=20_u32) {
            let begin = Timestamp::from_second(seconds).unwrap();
            let mut subscription = Subscription::new(begin, Period::Months(months), None).unwrap();
            let before = subscription.expires();
            prop_assert!(before > begin);
            subscription.renew(Period::Months(more), begin).unwrap();
            prop_assert!(subscription.expires() > before);
            // Told late, it is told the same.
            let policy = Policy::default();
            let terms = Terms::Subscription(subscription);
            prop_assert_eq!(terms.due(&policy, Timestamp::MAX), Due::Release);
            prop_assert!(matches!(terms.due(&policy, before), Due::Nothing(Some(_))));
        }
    }
}
