//! The boot-disk reader on any bytes: partition tables, file systems, journals and menus. Runs it in this process,
//! without the confinement, which would hide what goes wrong.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::{self, Write};
use storage::boot_disk;

/// Larger disks only cost time.
const MAX_DISK_BYTES: usize = 4 << 20;
/// Files that are mostly holes are large, and all the same.
const MAX_COPY_BYTES: usize = 1 << 20;

/// Takes what it is given, up to a limit.
struct Sink(usize);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|disk: &[u8]| {
    if disk.len() <= MAX_DISK_BYTES {
        let sink = || Sink(MAX_COPY_BYTES);
        let _ = boot_disk::read(Box::new(disk.to_vec()), &mut sink(), &mut sink());
    }
});
