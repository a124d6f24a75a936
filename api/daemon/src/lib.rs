//! The parts of bothyd that stand between the core and the host. What they do for the core is said by its traits.

#![forbid(unsafe_code)]

pub mod host_key;
pub mod records;
pub mod vmms;
