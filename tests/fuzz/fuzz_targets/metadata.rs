//! A guest's packets to its metadata service: whatever they are, what the guest gets is sound, and nothing grows.
#![no_main]

mod virtio;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| virtio::metadata_relay(bytes));
