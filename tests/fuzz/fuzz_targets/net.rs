//! A virtio network card whose driver is the input: it must answer or refuse, and never panic, hang or leave guest memory.
#![no_main]

mod virtio;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| virtio::net(bytes));
