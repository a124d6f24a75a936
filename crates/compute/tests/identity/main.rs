//! Identities on a store in memory: what is allowed, refused and kept; who sees what; and that nothing is ever half made.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod authenticate;
mod manage;
mod races;
mod random;
mod sessions;
mod support;
