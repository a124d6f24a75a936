//! Disk images of several formats, read as the guest would see them. Plain computation over hostile bytes: runs in the
//! confined helper (`store::convert`), and in fuzzing.
//!
//! A format is told by what the file is, never by its name. What is neither qcow2 nor VHD, and no other format that we
//! know of, is raw.

mod qcow2;
mod raw;
mod vhd;

use crate::boot_disk::ReadAt;
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Disks have whole sectors; what is missing at the end of an image's last one reads as zeroes.
pub const SECTOR_BYTES: u64 = 512;

/// Most bytes given to a sink at once.
pub const MAX_PIECE_BYTES: usize = 256 << 10;

/// The bytes of an image file.
pub trait Source: ReadAt + Debug + Send + Sync + 'static {
    /// Where the next data is at or after `offset`; all before it are zeroes. `None` if there is none.
    ///
    /// # Errors
    /// What the file system says.
    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        Ok((offset < self.size_bytes()).then(|| offset..self.size_bytes()))
    }
}

impl Source for Vec<u8> {}

/// An image file. Its file position is moved: it must be nobody else's.
#[derive(Debug)]
pub struct ImageFile {
    file: File,
    size_bytes: u64,
}

impl ImageFile {
    /// Takes the file and asks for its size once.
    ///
    /// # Errors
    /// When it is no regular file, or what the system says.
    pub fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(Self { file, size_bytes: metadata.len() })
    }
}

impl ReadAt for ImageFile {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

impl Source for ImageFile {
    fn next_data(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        crate::store::files::next_data(&self.file, offset, self.size_bytes)
    }
}

/// Takes a disk's content, from its start to its end.
pub trait Sink {
    /// Size of the whole disk in bytes, before anything else: a multiple of [`SECTOR_BYTES`].
    ///
    /// # Errors
    /// Ends the conversion.
    fn size(&mut self, bytes: u64) -> io::Result<()>;
    /// The next bytes, at most [`MAX_PIECE_BYTES`].
    ///
    /// # Errors
    /// Ends the conversion.
    fn data(&mut self, data: &[u8]) -> io::Result<()>;
    /// So many zeroes.
    ///
    /// # Errors
    /// Ends the conversion.
    fn zeroes(&mut self, bytes: u64) -> io::Result<()>;
}

/// Why an image is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A format of which nothing is read; the second tells how to get to another.
    #[error("the file is {0}: {1}")]
    OtherFormat(&'static str, &'static str),
    /// Something that the format has and we do not take.
    #[error("the {0} image {1}")]
    Unsupported(&'static str, &'static str),
    /// It contradicts itself, or a part is missing.
    #[error("the {0} image is damaged: {1}")]
    Damaged(&'static str, String),
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// The file could not be read.
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    /// The content could not be passed on.
    #[error("cannot pass on the content")]
    Sink(#[source] io::Error),
}

const CONVERT: &str = "convert it first, with qemu-img convert -O qcow2";
const UNPACK: &str = "unpack it first";

/// What begins with these bytes would be taken for raw, and would never boot.
const OTHER_FORMATS: &[(&[u8], &str, &str)] = &[
    (b"KDMV", "a VMDK image", CONVERT),
    (b"COWD", "a VMDK image", CONVERT),
    (b"# Disk DescriptorFile", "a VMDK description without the disk", CONVERT),
    (b"vhdxfile", "a VHDX image", CONVERT),
    (b"QED\0", "a QED image", CONVERT),
    (b"\x1f\x8b", "compressed with gzip", UNPACK),
    (b"BZh", "compressed with bzip2", UNPACK),
    (b"\xfd7zXZ\0", "compressed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", UNPACK),
    (b"PK\x03\x04", "a ZIP archive", UNPACK),
];

/// Reads the image and gives all of its content to `sink`.
///
/// # Errors
/// Why the image is refused; the sink then has a part of the content.
pub fn convert(source: impl Source, sink: &mut impl Sink) -> Result<(), ImageError> {
    let mut start = [0; 128];
    let size_bytes = source.size_bytes();
    let known = size_bytes.min(start.len() as u64) as usize;
    source.read_exact_at(&mut start[..known], 0).map_err(ImageError::Read)?;
    if let Some((_, what, help)) = OTHER_FORMATS.iter().find(|(magic, ..)| start[..known].starts_with(magic))
    {
        return Err(ImageError::OtherFormat(what, help));
    }
    match () {
        () if size_bytes == 0 => Err(ImageError::Empty),
        () if start.starts_with(qcow2::MAGIC) => qcow2::convert(source, sink),
        // VDI's signature stands behind a text.
        () if start[64..68] == [0x7f, 0x10, 0xda, 0xbe] => {
            Err(ImageError::OtherFormat("a VDI image", CONVERT))
        }
        () if start.starts_with(vhd::COOKIE) => vhd::convert_dynamic(&source, sink),
        () => match vhd::fixed_size(&source)? {
            Some(bytes) => raw::convert(&source, bytes, sink),
            None => raw::convert(&source, size_bytes, sink),
        },
    }
}

/// The part of a disk that is not given yet, and its sink.
struct Remaining<'a, S> {
    sink: &'a mut S,
    bytes: u64,
    /// Bytes of the file that are not copied yet. No sound image has a part of it in two places; one that has, by which
    /// a small file becomes a disk full of data, is found when there is nothing left.
    unused: u64,
}

impl<'a, S: Sink> Remaining<'a, S> {
    /// Begins a disk of `bytes`, rounded up to whole sectors.
    fn begin(sink: &'a mut S, bytes: u64, source: &impl ReadAt) -> Result<Self, ImageError> {
        let whole = bytes.checked_next_multiple_of(SECTOR_BYTES);
        let bytes = whole.ok_or(ImageError::Unsupported("disk", "has a size that no disk has"))?;
        if bytes == 0 {
            return Err(ImageError::Empty);
        }
        sink.size(bytes).map_err(ImageError::Sink)?;
        Ok(Self { sink, bytes, unused: source.size_bytes() })
    }

    /// Gives as much of `data` as belongs to the disk.
    fn data(&mut self, data: &[u8]) -> Result<(), ImageError> {
        let length = (data.len() as u64).min(self.bytes);
        self.bytes -= length;
        self.sink.data(&data[..length as usize]).map_err(ImageError::Sink)
    }

    /// Gives `bytes` zeroes, or as many as belong to the disk.
    fn zeroes(&mut self, bytes: u64) -> Result<(), ImageError> {
        let length = bytes.min(self.bytes);
        self.bytes -= length;
        if length == 0 { Ok(()) } else { self.sink.zeroes(length).map_err(ImageError::Sink) }
    }

    /// Copies a range of the source.
    fn copy(&mut self, source: &impl ReadAt, range: Range<u64>, buffer: &mut [u8]) -> Result<(), CopyError> {
        let unused = self.unused.checked_sub(range.end - range.start);
        self.unused = unused.ok_or(CopyError::Repeated)?;
        let mut offset = range.start;
        while offset < range.end {
            let length = (range.end - offset).min(buffer.len() as u64) as usize;
            source.read_exact_at(&mut buffer[..length], offset).map_err(CopyError::Read)?;
            self.data(&buffer[..length]).map_err(CopyError::Given)?;
            offset += length as u64;
        }
        Ok(())
    }
}

/// Why a range was not copied: each format has its own word for what it cannot read.
enum CopyError {
    Read(io::Error),
    Given(ImageError),
    Repeated,
}

impl CopyError {
    /// For a range that the image says is there.
    fn of(self, format: &'static str) -> ImageError {
        match self {
            Self::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                ImageError::Damaged(format, "it ends before its data does; was it cut off?".to_owned())
            }
            Self::Read(error) => ImageError::Read(error),
            Self::Given(error) => error,
            Self::Repeated => {
                ImageError::Damaged(format, "it has the same part of the file in several places".to_owned())
            }
        }
    }
}
