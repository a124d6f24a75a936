//! Copies of kernels and initial RAM disks, for images that are no whole disks. Named by their content, as images are.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::{StoreError, failed};
use super::images::check_hash;
use super::{Store, volumes::bad_name};

/// Largest kernel or initial RAM disk, in bytes.
const MAX_BYTES: u64 = 2 << 30;

/// Bytes copied at once.
const BUFFER_BYTES: usize = 1 << 20;

impl Store {
    /// Keeps a copy of a file, and says where.
    ///
    /// # Errors
    /// When the file cannot be read, or is no file or larger than 2 GiB, or the system refuses.
    pub fn keep_kernel(&self, file: &Path) -> Result<PathBuf, StoreError> {
        let doing = || failed(format!("copy {}", file.display()));
        // Not blocking: a pipe would wait for a writer.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let open = OpenOptions::new().read(true).custom_flags(flags).open(file).map_err(doing())?;
        if !open.metadata().map_err(doing())?.is_file() {
            return Err(bad_name("file", &file.display().to_string()));
        }
        let new = self.temporary("kernel")?;
        let (mut hash, mut at) = (Sha256::new(), 0);
        let (mut source, mut buffer) = (open.take(MAX_BYTES + 1), vec![0; BUFFER_BYTES]);
        loop {
            let read = source.read(&mut buffer).map_err(doing())?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            new.file().write_all_at(&buffer[..read], at).map_err(doing())?;
            at += read as u64;
        }
        if at > MAX_BYTES {
            return Err(bad_name(
                "kernel or initial RAM disk: it is larger than 2 GiB",
                &file.display().to_string(),
            ));
        }
        let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        new.publish(&self.kernels, &name).map_err(doing())?;
        Ok(self.kernels.path().join(name))
    }

    /// Removes such a copy. One that is not there is success.
    ///
    /// # Errors
    /// When it is no copy of ours, or the system refuses.
    pub fn delete_kernel(&self, kept: &Path) -> Result<(), StoreError> {
        let name = kept.strip_prefix(self.kernels.path()).ok().and_then(Path::to_str).unwrap_or_default();
        check_hash(name)?;
        self.kernels.remove(name).map_err(failed(format!("remove {}", kept.display())))
    }
}
