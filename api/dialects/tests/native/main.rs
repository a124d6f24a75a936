//! The native API over real sockets, in front of a core whose machines and disks are only noted.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod auth;
mod certificates;
mod client;
mod connect;
mod errors;
mod interfaces;
mod life;
mod limits;
mod pages;
mod streams;
mod world;
