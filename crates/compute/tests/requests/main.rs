//! The core on a host that does whatever it is asked: what requests lead to, as the records and the rules in force have it.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod addresses;
mod groups;
mod host;
mod images;
mod interfaces;
mod launches;
mod lists;
