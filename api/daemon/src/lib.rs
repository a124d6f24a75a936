//! The parts of bothyd that stand between the core and the host. What they do for the core is said by its traits.
//!
#![doc = include_str!("../LIFE_OF_A_REQUEST.md")]
#![forbid(unsafe_code)]

pub mod capacity;
pub mod config;
pub mod disks;
mod durable;
pub mod fail;
pub mod fetch;
pub mod host_key;
pub mod listen;
pub mod machines;
pub mod metadata;
pub mod networks;
pub mod node;
pub mod records;
pub mod routers;
pub mod vmms;
