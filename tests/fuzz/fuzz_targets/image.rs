//! Disk images of any format, as any bytes: headers, tables, compressed clusters. Runs in this process, without the
//! confinement, which would hide what goes wrong.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io;
use storage::store::image::{self, MAX_PIECE_BYTES, Sink};

/// Larger files only cost time.
const MAX_FILE_BYTES: usize = 1 << 20;
/// Entries of a table can all lead to the same cluster.
const MAX_DATA_BYTES: u64 = 16 << 20;

/// Checks that the disk is as large as was said.
#[derive(Default)]
struct Check {
    size: u64,
    given: u64,
    data: u64,
}

impl Check {
    fn take(&mut self, bytes: u64) {
        assert!(bytes > 0 && bytes <= self.size - self.given);
        self.given += bytes;
    }
}

impl Sink for Check {
    fn size(&mut self, bytes: u64) -> io::Result<()> {
        assert!(self.size == 0 && bytes > 0 && bytes % 512 == 0);
        self.size = bytes;
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> io::Result<()> {
        assert!(data.len() <= MAX_PIECE_BYTES);
        self.take(data.len() as u64);
        self.data += data.len() as u64;
        if self.data > MAX_DATA_BYTES { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn zeroes(&mut self, bytes: u64) -> io::Result<()> {
        self.take(bytes);
        Ok(())
    }
}

fuzz_target!(|file: &[u8]| {
    if file.len() <= MAX_FILE_BYTES {
        let mut check = Check::default();
        if image::convert(file.to_vec(), &mut check).is_ok() {
            assert_eq!(check.given, check.size);
        }
    }
});
