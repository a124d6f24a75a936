//! Alibaba Cloud's API over real sockets, in front of a core whose machines and disks are only noted.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod caller;
mod clients;
mod fixture;
mod launches;
mod life;
mod old_clients;
mod pages;
mod resources;
mod roles;
mod rows;
mod table;
mod wire;

#[path = "../python/mod.rs"]
mod python;
#[path = "../recorded/mod.rs"]
mod recorded;

// The world is the native API's tests'; it is talked to here through another door.
#[allow(dead_code)]
#[path = "../native/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../native/world.rs"]
mod world;
