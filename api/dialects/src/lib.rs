//! The APIs that the daemon speaks, each a module in front of the core: what callers say becomes calls on `compute`, and what
//! it answers becomes what they expect. So far `native`, our own.
//!
//! Nothing here knows a machine, a disk or a database; a decision that two APIs would share belongs into `compute`.

#![forbid(unsafe_code)]

pub mod native;
