//! Writes an initramfs: a cpio archive of the "newc" kind, as the kernel's initramfs document describes it. Called by
//! `image`. Times, owners and inode numbers are fixed, so the same contents give the same bytes.

use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive being written.
pub struct Archive<W: Write> {
    writer: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    /// Starts an archive.
    pub fn new(writer: W) -> Self {
        Self { writer, entries: 0 }
    }

    /// Adds a folder. Folders come before what is in them.
    pub fn folder(&mut self, name: &str) -> io::Result<()> {
        self.entry(name, DIRECTORY | 0o755, (0, 0), &[])
    }

    /// Adds a file with these permissions.
    pub fn file(&mut self, name: &str, permissions: u32, contents: &[u8]) -> io::Result<()> {
        self.entry(name, REGULAR | permissions, (0, 0), contents)
    }

    /// Adds a character device by its major and minor number.
    pub fn character_device(&mut self, name: &str, device: (u32, u32)) -> io::Result<()> {
        self.entry(name, CHARACTER_DEVICE | 0o600, device, &[])
    }

    /// Ends the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        Ok(self.writer)
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), contents: &[u8]) -> io::Result<()> {
        self.entries += 1;
        let too_big = |_| io::Error::other(format!("{name} is too big for a cpio archive"));
        let size = u32::try_from(contents.len()).map_err(too_big)?;
        let name_size = u32::try_from(name.len() + 1).map_err(too_big)?;
        // inode, mode, uid, gid, links, mtime, size, device of the file, device it stands for, name's size, checksum
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        header.push_str(name);
        header.push('\0');
        self.padded(header.as_bytes())?;
        self.padded(contents)
    }

    /// Header with name, and contents, each end at a multiple of four bytes.
    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(4) - bytes.len();
        self.writer.write_all(&[0; 3][..padding])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_end_with_a_trailer() {
        let mut archive = Archive::new(Vec::new());
        archive.folder("bin").expect("writes");
        archive.file("bin/a", 0o755, b"hello").expect("writes");
        let bytes = archive.finish().expect("writes");
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8(bytes).expect("ascii");
        assert_eq!(text.matches("070701").count(), 3);
        assert!(
            text.contains("bin/a\0") && text.contains("hello\0\0\x00070701") && text.contains("TRAILER!!!")
        );
    }
}
