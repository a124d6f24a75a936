//! DNS messages of a guest and of its resolver: see `dns`.
#![no_main]

mod dns;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| dns::dns(bytes));
