//! The service in front of a real core: what guests are told, and how it holds out against some of them. What it takes a
//! host for (namespaces, rules, taps) is tested with the daemon.

mod exchange;
mod figures;
mod refusals;
mod world;
mod zones;
