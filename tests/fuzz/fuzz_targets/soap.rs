//! SOAP messages with signatures: see `signed_requests`. Half of the mutations are bytes', the others XML's: those come as far
//! as signatures.
#![no_main]

mod signed_requests;
mod xml_edits;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| signed_requests::soap(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let edited = std::str::from_utf8(&data[..size]).ok().filter(|_| seed % 2 == 0);
    match edited.map(|text| xml_edits::edited(text, u64::from(seed))) {
        Some(text) if text.len() <= max_size => {
            data[..text.len()].copy_from_slice(text.as_bytes());
            text.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});
