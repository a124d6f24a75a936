//! The daemon as it is installed, with the fake VMM for a program, in namespaces of its own and driven over its native
//! API: killed at each of its fail points, on a host that was rebooted, with guests that end, on a full disk. Needs the
//! rights of root.

#![expect(clippy::unwrap_used, reason = "all of it is a test, also what is no test function")]

mod faults;
// A guest needs the same in both: taps, and no VMM.
#[path = "../../../../crates/hostnet/tests/namespace/guest.rs"]
mod guest;
#[path = "../host/mod.rs"]
mod host;
mod images;
mod names;
mod networks;
mod node;
mod secrets;
#[path = "../server/mod.rs"]
mod server;
mod start;
mod stories;
mod story;
mod torture;
