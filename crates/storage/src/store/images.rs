//! Images: imported from files, made of snapshots, removed.

use super::error::{ImportError, StoreError, failed};
use super::files::{self, Temporary};
use super::sparse::{Hasher, SparseWriter};
use super::volumes::bad_name;
use super::{Store, convert, file_bytes, is_digit, not_found, snapshots};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// An image that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The SHA-256 of its content as the guest sees it, in lower-case hexadecimal digits: its name.
    pub sha256: String,
    /// Its size as the guest sees it, in bytes.
    pub bytes: u64,
}

/// Told how many bytes are done, of how many; the guest's bytes, not the file's.
pub(super) type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Refuses what is no hash.
pub(super) fn check_hash(text: &str) -> Result<(), StoreError> {
    let is_hash = text.len() == 64 && text.bytes().all(is_digit);
    if is_hash { Ok(()) } else { Err(bad_name("SHA-256 in lower-case hexadecimal digits", text)) }
}

impl Store {
    /// Makes an image of a file: raw, qcow2 or VHD, by what it is. Its bytes are parsed in a confined process, for which
    /// `main` has to call [`convert_main`](super::convert_main).
    ///
    /// `expected` is a SHA-256, in hexadecimal digits of any case: of the content, or of the file. An image that is there
    /// is success.
    ///
    /// # Errors
    /// What is not whole and sound is refused in words, and nothing of it is left.
    pub fn import(
        &self,
        file: &Path,
        expected: Option<&str>,
        progress: Progress<'_>,
    ) -> Result<Imported, ImportError> {
        let expected = expected.map(str::to_ascii_lowercase);
        if let Some(expected) = &expected {
            check_hash(expected)?;
            if let Ok(bytes) = self.image_bytes(expected) {
                self.images.sync().map_err(failed(format!("sync image {expected}")))?;
                return Ok(Imported { sha256: expected.clone(), bytes });
            }
        }
        let open = |source| ImportError::Open { path: file.to_owned(), source };
        // Not blocking: a pipe that somebody gave for a file would wait for a writer.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let input = OpenOptions::new().read(true).custom_flags(flags).open(file).map_err(open)?;
        let before = Version::of(&input).map_err(open)?;
        let new = self.temporary("import")?;
        let (sha256, bytes) = convert::convert(&self.limits, &input, new.file(), progress)?;
        if let Some(expected) = expected.filter(|expected| *expected != sha256) {
            let of_file = hash(&input, &mut |_, _| ()).map_err(open)?;
            if of_file != expected {
                return Err(ImportError::OtherHash { expected, content: sha256, file: of_file });
            }
        }
        // Also what is between the first reading and the second.
        if Version::of(&input).map_err(open)? != before {
            return Err(ImportError::Changed(file.to_owned()));
        }
        Ok(self.publish_image(new, sha256, bytes)?)
    }

    /// Makes an image of a snapshot. One that is there is success.
    ///
    /// # Errors
    /// When there is no such snapshot.
    pub fn image_of(&self, snapshot: &str, progress: Progress<'_>) -> Result<Imported, StoreError> {
        snapshots::check_id(snapshot)?;
        let doing = || failed(format!("make an image of snapshot {snapshot}"));
        let path = self.snapshots.path().join(snapshot);
        let from = File::open(path).map_err(|error| not_found(error, "snapshot", snapshot))?;
        let bytes = from.metadata().map_err(doing())?.len();
        let new = self.temporary("image")?;
        let sha256 = if self.reflinks && files::reflink(&from, new.file()).map_err(doing())? {
            hash(new.file(), progress).map_err(doing())?
        } else {
            let mut writer = SparseWriter::new(new.file());
            read(&from, progress, &mut |piece| match piece {
                Piece::Data(data) => writer.data(data),
                Piece::Zeroes(bytes) => {
                    writer.zeroes(bytes);
                    Ok(())
                }
            })
            .and_then(|()| writer.finish())
            .map_err(doing())?
        };
        self.publish_image(new, sha256, bytes)
    }

    /// Removes an image. One that is not there is success; volumes made of it stay.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn delete_image(&self, sha256: &str) -> Result<(), StoreError> {
        check_hash(sha256)?;
        self.images.remove(sha256).map_err(failed(format!("delete image {sha256}")))
    }

    /// An image's size in bytes.
    ///
    /// # Errors
    /// When there is none.
    pub fn image_bytes(&self, sha256: &str) -> Result<u64, StoreError> {
        check_hash(sha256)?;
        file_bytes(&self.images.path().join(sha256), "image", sha256)
    }

    fn publish_image(&self, new: Temporary, sha256: String, bytes: u64) -> Result<Imported, StoreError> {
        // One that has the name has the content.
        new.publish(&self.images, &sha256).map_err(failed(format!("keep image {sha256}")))?;
        Ok(Imported { sha256, bytes })
    }
}

/// What changes when a file is written to.
#[derive(PartialEq, Eq)]
struct Version {
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

enum Piece<'a> {
    Data(&'a [u8]),
    Zeroes(u64),
}

/// The SHA-256 of a whole file.
fn hash(file: &File, progress: Progress<'_>) -> io::Result<String> {
    let mut hasher = Hasher::new();
    read(file, progress, &mut |piece| {
        match piece {
            Piece::Data(data) => hasher.data(data),
            Piece::Zeroes(bytes) => hasher.zeroes(bytes),
        }
        Ok(())
    })?;
    Ok(hasher.finish())
}

/// Reads a whole file, in pieces; its holes are not read.
fn read(
    file: &File,
    progress: Progress<'_>,
    take: &mut dyn FnMut(Piece<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let size_bytes = file.metadata()?.len();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut offset = 0;
    while offset < size_bytes {
        let data = files::next_data(file, offset, size_bytes)?.unwrap_or(size_bytes..size_bytes);
        while offset < data.start {
            let length = (data.start - offset).min(convert::STEP_BYTES);
            take(Piece::Zeroes(length))?;
            offset += length;
            progress(offset, size_bytes);
        }
        while offset < data.end {
            let length = (data.end - offset).min(buffer.len() as u64) as usize;
            file.read_exact_at(&mut buffer[..length], offset)?;
            take(Piece::Data(&buffer[..length]))?;
            offset += length as u64;
            progress(offset, size_bytes);
        }
    }
    Ok(())
}
