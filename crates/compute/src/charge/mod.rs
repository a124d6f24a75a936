//! What an instance costs, as far as time is concerned: until when it is paid, when it is locked or released, and how long
//! it was used. The clock is always an argument.
//!
//! Prices are not known here. Whoever renews takes the money first.

mod terms;
mod usage;

pub use terms::{
    Due, EARLIEST_RELEASE, LATEST_RELEASE, Period, Policy, Release, ReleaseTimeError, RenewError,
    Subscription, Terms,
};
pub use usage::{Usage, UsageError};
