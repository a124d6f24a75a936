//! The kernel loader: the input as a kernel, its head as an initrd. Either they load within guest
//! memory or they are refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = vmm::boot::load_bytes(bytes);
});
