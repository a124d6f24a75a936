//! The name service: what guests ask by DNS on their routers, by UDP and TCP. The daemon gives it two sockets for each
//! network ([`Service::serve`]); which of them a question comes in by says in which network it is answered, and the sender's
//! address, which the network's rules pin, who asks. Nothing in a question tells either.
//!
//! | name | in | leads to |
//! |---|---|---|
//! | `ip-10-0-0-5`, `domU-02-B0-…` (EC2 of 2007) | the internal domain, `novalocal` | an interface of this network |
//! | an instance's host name | the internal domain, `novalocal` | its first interface, if it is of the asker's VPC and the only one there of this name |
//! | `ec2-203-0-113-5` | the public domain | the private address, if it leads into this network; else the public one |
//! | the reverse of an address | `in-addr.arpa` | the name of an interface of this network, or of a public address of this host |
//! | anything else | | whatever the host's resolvers say |
//!
//! In these domains, and for reverses of this network's addresses and of the host's public ones, what is not known is not
//! there: nobody else is asked. Names of other VPCs are not known. What leads where is the core's records, which `directory`
//! follows, so that a question costs the store nothing; `zone` is a pure function of that.
//!
//! A guest that floods harms itself: questions to be passed on are bounded for each asker, each network and the host
//! ([`Limits`]), as are connections; and `hostnet` drops what one guest sends too fast before it is a question. The service
//! keeps no cache: the host's resolvers do.
//!
//! Of hickory this has the messages alone. Its server starts a task for each question and answers from whatever address the
//! kernel likes, and here that has to be the one that was asked.

#![forbid(unsafe_code)]

mod datagram;
mod directory;
mod forward;
mod message;
mod places;
mod service;
#[cfg(test)]
mod tests;
mod zone;

pub use forward::Resolvers;
pub use service::{Config, Limits, Network, Service, Sockets};
