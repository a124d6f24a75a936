//! The cloud-neutral core. Dialects will translate requests into calls on it, and the daemon gives it the outside world.
//!
//! It knows no cloud's words for things, asks the host for nothing but chance, and reads no clock: time is an argument.

#![forbid(unsafe_code)]

pub mod access;
pub mod capacity;
pub mod charge;
pub mod compute;
pub mod dns;
pub mod id;
pub mod identity;
pub mod image_url;
pub mod key_pair;
pub mod lifecycle;
pub mod outside;
pub mod resource;
pub mod secrets;
pub mod store;
