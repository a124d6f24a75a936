//! Writes a disk's content to a file from start to end: hashed as the guest would see it, with holes for zeroes.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Unit of holes: the block of common file systems. Smaller ones would not be holes.
const BLOCK_BYTES: usize = 4096;

static ZEROES: [u8; 1 << 16] = [0; 1 << 16];

/// Hashes zeroes too.
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn new() -> Self {
        Self(Sha256::new())
    }

    pub(super) fn data(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub(super) fn zeroes(&mut self, mut bytes: u64) {
        while bytes > 0 {
            let length = bytes.min(ZEROES.len() as u64);
            self.0.update(&ZEROES[..length as usize]);
            bytes -= length;
        }
    }

    /// In 64 lower-case hexadecimal digits.
    pub(super) fn finish(self) -> String {
        self.0.finalize().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes all");
            text
        })
    }
}

/// A new file that grows from start to end.
pub(super) struct SparseWriter<'a> {
    file: &'a File,
    hasher: Hasher,
    offset: u64,
}

impl<'a> SparseWriter<'a> {
    /// `file` is empty.
    pub(super) fn new(file: &'a File) -> Self {
        Self { file, hasher: Hasher::new(), offset: 0 }
    }

    /// Bytes taken.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn data(&mut self, data: &[u8]) -> io::Result<()> {
        self.hasher.data(data);
        let mut rest = data;
        while !rest.is_empty() {
            // Pieces end at the file's blocks.
            let is_zero = |piece: &[u8]| piece == &ZEROES[..piece.len()];
            let piece_at = |rest: &[u8], offset: u64| {
                rest.len().min(BLOCK_BYTES - (offset % BLOCK_BYTES as u64) as usize)
            };
            let mut length = piece_at(rest, self.offset);
            let zero = is_zero(&rest[..length]);
            while length < rest.len() {
                let next = piece_at(&rest[length..], self.offset + length as u64);
                if is_zero(&rest[length..][..next]) != zero {
                    break;
                }
                length += next;
            }
            if !zero {
                self.file.write_all_at(&rest[..length], self.offset)?;
            }
            self.offset += length as u64;
            rest = &rest[length..];
        }
        Ok(())
    }

    /// For many, call it often: it takes as long as hashing them.
    pub(super) fn zeroes(&mut self, bytes: u64) {
        self.hasher.zeroes(bytes);
        self.offset += bytes;
    }

    /// Gives the file its size, and answers the hash.
    pub(super) fn finish(self) -> io::Result<String> {
        self.file.set_len(self.offset)?;
        Ok(self.hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_for_zeroes_and_the_hash_of_all() {
        let file = tempfile::tempfile().unwrap();
        let mut content = vec![0_u8; 300_000];
        content[100_000] = 1;
        content[299_999] = 2;
        let mut writer = SparseWriter::new(&file);
        // Pieces of odd sizes, and zeroes told apart.
        for piece in content[..200_000].chunks(7777) {
            writer.data(piece).unwrap();
        }
        writer.zeroes(50_000);
        writer.data(&content[250_000..]).unwrap();
        assert_eq!(writer.offset(), 300_000);
        let hash = writer.finish().unwrap();
        let mut read = vec![0; 300_000];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read, content);
        let mut whole = Hasher::new();
        whole.data(&content);
        assert_eq!(hash, whole.finish());
        let allocated = std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512;
        assert!(allocated <= 64 << 10, "{allocated}");
    }

    #[test]
    fn the_hash_is_sha256() {
        let mut hasher = Hasher::new();
        hasher.data(b"abc");
        assert_eq!(hasher.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
