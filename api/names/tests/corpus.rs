//! Replays the fuzz target's corpus, so that what fuzzing found stays found without a fuzzer.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

#[path = "../../../tests/fuzz/fuzz_targets/dns.rs"]
mod dns;

use std::fs;
use std::path::Path;

#[test]
fn names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/names");
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{folder:?} is empty");
    for file in files {
        eprintln!("{}", file.display());
        dns::dns(&fs::read(file).unwrap());
    }
}
