//! Replays the corpora of the fuzz targets `soap` and `ec2_query`, so that what fuzzing found stays found without a fuzzer; and
//! what attackers make of signed messages, the same at each run.

#[path = "../../../../tests/fuzz/fuzz_targets/signed_requests.rs"]
mod signed_requests;
#[path = "../../../../tests/fuzz/fuzz_targets/xml_edits.rs"]
mod xml_edits;

use std::fs;
use std::path::Path;

use dialects::ec2::reading;
use signed_requests::MESSAGES;

fn replay(target: &str, take: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{folder:?} is empty");
    for file in files {
        eprintln!("{}", file.display());
        take(&fs::read(file).unwrap());
    }
}

#[test]
fn requests_that_fuzzing_found_are_taken() {
    replay("soap", signed_requests::soap);
    replay("ec2_query", signed_requests::query);
}

#[test]
fn no_edit_makes_a_message_that_nobody_signed() {
    let (mut wrong, mut right) = (0, 0);
    for seed in 0..4000 {
        let message = str::from_utf8(MESSAGES[usize::try_from(seed).unwrap() % MESSAGES.len()]).unwrap();
        let edited = xml_edits::edited(message, seed);
        signed_requests::soap(edited.as_bytes());
        match reading::soap(edited.as_bytes()) {
            Ok(_) => right += u32::from(edited != message),
            Err(code) => wrong += u32::from(code == "SignatureDoesNotMatch"),
        }
    }
    // Not each edit is an attack, and what means the same is as good as what was sent.
    assert!(wrong > 100 && right > 100, "{wrong} came as far as their signatures, {right} were as good");
}
