//! Amazon's EC2 API over real sockets, in front of a core whose machines and disks are only noted.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod caller;
mod clients;
mod clients_2007;
mod codes;
mod corpus;
mod fixture;
mod instance_refusals;
mod instances;
mod interfaces;
mod locations;
mod network_refusals;
mod networks;
mod policies;
mod rules;
mod sessions;
mod signing;
mod soap;
mod soap_attacks;
mod soap_bodies;
mod soap_client;
mod table;
mod version_2007;

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
