//! DHCP messages and packets of a guest: what is answered is sound and says no more than the guest's own lease.
#![no_main]

mod virtio;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| virtio::dhcp(bytes));
