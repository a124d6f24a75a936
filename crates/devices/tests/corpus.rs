//! Replays the fuzz targets' corpora, so that what fuzzing found stays found without a fuzzer.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

#[path = "../../../tests/fuzz/fuzz_targets/virtio.rs"]
mod virtio;

use std::fs;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{folder:?} is empty");
    for file in files {
        eprintln!("{}", file.display());
        run(&fs::read(file).unwrap());
    }
}

#[test]
fn block() {
    replay("block", virtio::block);
}

#[test]
fn net() {
    replay("net", virtio::net);
}

#[test]
fn dhcp() {
    replay("dhcp", virtio::dhcp);
}

#[test]
fn metadata() {
    replay("metadata", virtio::metadata_relay);
}

/// Some thousands of inputs made from the corpora by changing bytes: a fuzzer's first minute.
#[test]
fn all_with_bytes_changed() {
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    for (target, run) in [
        ("block", virtio::block as fn(&[u8])),
        ("net", virtio::net),
        ("dhcp", virtio::dhcp),
        ("metadata", virtio::metadata_relay),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
        for file in fs::read_dir(folder).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            for _ in 0..200 {
                let mut bytes = bytes.clone();
                for _ in 0..1 + random() % 8 {
                    let at = random() % bytes.len();
                    bytes[at] = [0, 1, 2, 4, 0x10, 0x7f, 0x80, 0xff, random() as u8][random() % 9];
                }
                run(&bytes);
            }
        }
    }
}
