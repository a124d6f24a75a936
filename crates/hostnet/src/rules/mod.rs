//! The rules: a table of our own in nftables, in the JSON of libnftables-json(5). `table` has what is always there, computed
//! whole, with the guests' addresses in a set; `content` what a policy asks for, and the difference of two such; `nft` is
//! the program that makes a transaction of either.
//!
//! Another table that drops what is forwarded (Docker's does, a firewall's may) still drops it: in nftables each table has
//! a say, and others' are not ours to change.

pub(crate) mod content;
pub(crate) mod nft;
pub(crate) mod table;

pub(crate) use content::Content;
pub(crate) use table::{Pin, Table};
