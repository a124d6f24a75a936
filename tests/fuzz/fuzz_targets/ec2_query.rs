//! Query requests with signatures of every version: see `signed_requests`.
#![no_main]

mod signed_requests;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| signed_requests::query(bytes));
