//! Image files with random bytes changed, and any bytes at all: reading them ends, without a panic, and never gives more
//! than the disk that was announced. In this process, without the confinement, which would hide what goes wrong.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

use proptest::prelude::*;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use storage::store::image::{self, ImageError, MAX_PIECE_BYTES, SECTOR_BYTES, Sink};

/// Data that a damaged image may have: entries of its tables can all lead to the same cluster.
const MAX_DATA_BYTES: u64 = 64 << 20;

#[derive(Default)]
struct Check {
    size: Option<u64>,
    offset: u64,
    data: u64,
    content: Vec<u8>,
}

impl Check {
    fn take(&mut self, bytes: u64) {
        self.offset = self.offset.checked_add(bytes).expect("no overflow");
        assert!(bytes > 0 && self.offset <= self.size.expect("the size comes first"));
    }
}

impl Sink for Check {
    fn size(&mut self, bytes: u64) -> io::Result<()> {
        assert!(self.size.is_none() && bytes > 0 && bytes.is_multiple_of(SECTOR_BYTES));
        self.size = Some(bytes);
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> io::Result<()> {
        assert!(data.len() <= MAX_PIECE_BYTES);
        self.take(data.len() as u64);
        self.data += data.len() as u64;
        self.content.extend_from_slice(data);
        if self.data > MAX_DATA_BYTES { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn zeroes(&mut self, bytes: u64) -> io::Result<()> {
        self.take(bytes);
        if self.offset <= MAX_DATA_BYTES {
            self.content.resize(self.content.len() + bytes as usize, 0);
        }
        Ok(())
    }
}

fn convert(bytes: Vec<u8>) -> Result<Check, ImageError> {
    let mut check = Check::default();
    image::convert(bytes, &mut check)?;
    assert_eq!(Some(check.offset), check.size, "a disk that is done is whole");
    Ok(check)
}

/// Images of one small disk, with tables as small as they can be: so that a random byte often hits one.
static SEEDS: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw");
    fs::write(&raw, disk()).unwrap();
    let formats: [&[&str]; 5] = [
        &["-O", "qcow2", "-o", "cluster_size=512"],
        &["-O", "qcow2", "-o", "cluster_size=512", "-c"],
        &["-O", "qcow2", "-o", "cluster_size=4k,compat=0.10"],
        &["-O", "vpc", "-o", "subformat=fixed,force_size=on"],
        &["-O", "vpc", "-o", "subformat=dynamic,force_size=on"],
    ];
    let made = formats.iter().map(|options| {
        let image = folder.path().join("image");
        let _ = fs::remove_file(&image);
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw"]).args(*options).args([&raw, &image]);
        let status = convert.status().unwrap();
        assert!(status.success());
        (options.join(" "), fs::read(&image).unwrap())
    });
    made.collect()
});

fn disk() -> Vec<u8> {
    let mut disk = vec![0; 96 << 10];
    disk[..5000].copy_from_slice(&b"boot ".repeat(1000));
    for at in (20_000..60_000).step_by(97) {
        disk[at] = at as u8;
    }
    disk
}

#[test]
fn seeds_are_sound() {
    for (name, seed) in &*SEEDS {
        let check = convert(seed.clone()).unwrap();
        assert!(check.content == disk(), "{name}");
    }
}

#[test]
fn the_fuzzers_corpus_ends_without_a_panic() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/image");
    let mut sound = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        sound += u32::from(convert(fs::read(entry.unwrap().path()).unwrap()).is_ok());
    }
    assert!(sound >= 4, "the seeds should be read: a fuzzer that starts from nothing finds nothing");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes(
        seed in 0..5_usize,
        // Near the start, where headers and tables are, and anywhere.
        changes in prop::collection::vec((prop_oneof![0..4096_usize, any::<prop::sample::Index>().prop_map(|at| at.index(1 << 20))], any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = SEEDS[seed].1.clone();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = convert(bytes);
    }

    /// Numbers of eight bytes at their places: what single bytes seldom make.
    #[test]
    fn changed_numbers(seed in 0..5_usize, at in 0..512_usize, number in prop_oneof![any::<u64>(), 0..100_000_u64, Just(u64::MAX), (0..64_u32).prop_map(|bit| 1 << bit)]) {
        let mut bytes = SEEDS[seed].1.clone();
        let at = at * 8 % (bytes.len() - 8);
        bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
        let _ = convert(bytes);
    }

    #[test]
    fn any_bytes(magic in prop::sample::select(vec![&b"QFI\xfb\0\0\0\x02"[..], b"QFI\xfb\0\0\0\x03", b"conectix", b""]), rest in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = convert([magic, &rest].concat());
    }
}
