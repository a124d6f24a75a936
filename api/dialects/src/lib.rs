//! The APIs that the daemon speaks, each a module in front of the core: what callers say becomes calls on `compute`, and what
//! it answers becomes what they expect. `native` is our own, `alibaba` Alibaba Cloud's. `server` is what they all stand behind.
//!
//! Nothing here knows a machine, a disk or a database; a decision that two APIs would share belongs into `compute`.

#![forbid(unsafe_code)]
#![recursion_limit = "256"] // of `json!`, for which each field of a document is a step

pub mod alibaba;
pub mod native;
pub mod server;
