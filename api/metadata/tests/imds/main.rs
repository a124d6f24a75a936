//! The metadata service over real unix sockets, in front of a core whose machines and disks are only noted.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod clients;
mod figures;
mod http;
mod isolation;
mod limits;
mod options;
mod paths;
mod roles;
mod world;
