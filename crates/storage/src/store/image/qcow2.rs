//! qcow2 images, versions 2 and 3 (QEMU, docs/interop/qcow2.txt), read by the crate imago.
//!
//! imago looks at less of the header than we need: it takes the bytes of an encrypted image for plain ones, and a table
//! beyond the file's end for zeroes. So the header is checked here first, and the file is read through a [`Storage`] for
//! which a missing part is an error.

use super::{CopyError, ImageError, MAX_PIECE_BYTES, Remaining, Sink, Source};
use crate::boot_disk::chain;
use imago::io_buffers::{IoVector, IoVectorMut};
use imago::qcow2::Qcow2;
use imago::storage::drivers::CommonStorageHelper;
use imago::{FormatAccess, Mapping, Storage};
use std::fmt;
use std::io;
use std::sync::Arc;

/// The first bytes of every qcow2 image.
pub(super) const MAGIC: &[u8] = b"QFI\xfb";

/// This format, in messages.
const QCOW2: &str = "qcow2";
/// QEMU's limit, which no image of ours need exceed: 16 TiB at the usual cluster size.
const MAX_L1_BYTES: u64 = 32 << 20;
/// Bytes of the header of version 3, of which version 2 has the first 72.
const HEADER_BYTES: usize = 104;

/// The largest cluster.
const MAX_CLUSTER_BYTES: u64 = 2 << 20;
/// How many bytes one byte becomes at most, by the way that deflate codes repetitions: 258 bytes in two bits.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// Bits that a reader must understand, each with what it means to us.
const INCOMPATIBLE: &[(u64, &str)] = &[
    (1 << 0, "was not closed by who wrote it last: repair it first, with qemu-img check -r all"),
    (1 << 1, "is marked as corrupt: repair it first, with qemu-img check -r all"),
    (1 << 2, "keeps its data in another file: make one file of it first, with qemu-img convert -O qcow2"),
    (
        1 << 3,
        "is compressed with zstd: convert it first, with qemu-img convert -O qcow2 -o compression_type=zlib",
    ),
    (1 << 4, "has extended L2 entries: convert it first, with qemu-img convert -O qcow2 -o extended_l2=off"),
];

/// Looks at all that imago does not, or not before it allocates. Gives the disk's size in bytes.
fn check_header(source: &impl Source) -> Result<u64, ImageError> {
    let refuse = |why| Err(ImageError::Unsupported(QCOW2, why));
    let damaged = |why: &str| Err(ImageError::Damaged(QCOW2, why.to_owned()));
    let mut header = [0; HEADER_BYTES];
    let known = source.size_bytes().min(HEADER_BYTES as u64) as usize;
    source.read_exact_at(&mut header[..known], 0).map_err(ImageError::Read)?;
    let u32_at = |at: usize| u32::from_be_bytes(header[at..][..4].try_into().expect("four bytes"));
    let u64_at = |at: usize| u64::from_be_bytes(header[at..][..8].try_into().expect("eight bytes"));
    let version = u32_at(4);
    if !matches!(version, 2 | 3) {
        return refuse("is of a version that is not known: convert it first, with qemu-img convert -O qcow2");
    }
    if known < if version == 2 { 72 } else { HEADER_BYTES } {
        return damaged("its header is cut off");
    }
    if u64_at(8) != 0 {
        return refuse(
            "has a backing file, without which it is not whole: make one file of both first, with qemu-img convert",
        );
    }
    if u32_at(32) != 0 {
        return refuse("is encrypted: decrypt it first, with qemu-img convert");
    }
    if version == 3 {
        let bits = u64_at(72);
        if let Some((_, why)) = INCOMPATIBLE.iter().find(|(bit, _)| bits & bit != 0) {
            return refuse(why);
        }
        if bits != 0 {
            return refuse("has features that are not known here");
        }
    }
    let cluster_bits = u32_at(20);
    if !(9..=21).contains(&cluster_bits) {
        return damaged("its clusters have an impossible size");
    }
    let (disk_bytes, l1_entries, l1_offset) = (u64_at(24), u64::from(u32_at(36)), u64_at(40));
    // An L2 table is one cluster of entries of 8 bytes, each for a cluster.
    let bytes_per_l1_entry = 1_u64 << (2 * cluster_bits - 3);
    if l1_entries * 8 > MAX_L1_BYTES {
        return damaged("its L1 table is larger than any");
    }
    if l1_entries < disk_bytes.div_ceil(bytes_per_l1_entry) {
        return damaged("its L1 table is too small for its size");
    }
    let l1_end = l1_offset.checked_add(l1_entries * 8);
    if l1_entries > 0 && (l1_offset == 0 || l1_end.is_none_or(|end| end > source.size_bytes())) {
        return damaged("its L1 table lies beyond its end; was it cut off?");
    }
    Ok(disk_bytes)
}

/// Gives the content of the active state; what was never written is skipped by its mapping.
pub(super) fn convert(source: impl Source, sink: &mut impl Sink) -> Result<(), ImageError> {
    let size_bytes = check_header(&source)?;
    let source = Arc::new(source);
    let file = ImageStorage { source: source.clone(), helper: CommonStorageHelper::default() };
    let mut image = Qcow2::<ImageStorage<_>>::open_image(file, false).map_err(read_error)?;
    // Neither is asked for by a header that has passed: nothing else is ever opened.
    image.set_backing(None);
    image.set_data_file(None);
    let image = FormatAccess::new(image);
    if image.size() != size_bytes {
        return Err(ImageError::Damaged(QCOW2, "its size is read in two ways".to_owned()));
    }
    let mut disk = Remaining::begin(sink, size_bytes, &*source)?;
    let mut buffer = vec![0; MAX_PIECE_BYTES];
    let mut cluster = Vec::new();
    // What the whole file can be unpacked to, if none of it is unpacked twice.
    let mut unpackable =
        source.size_bytes().saturating_mul(MAX_DEFLATE_RATIO).saturating_add(MAX_CLUSTER_BYTES);
    let mut offset = 0;
    while offset < size_bytes {
        let (mapping, length) = image.get_mapping(offset, size_bytes - offset).map_err(read_error)?;
        if length == 0 {
            return Err(ImageError::Damaged(QCOW2, "its tables end before the disk does".to_owned()));
        }
        let length = match mapping {
            Mapping::Zero { .. } | Mapping::Eof { .. } => {
                disk.zeroes(length)?;
                length
            }
            Mapping::Raw { offset: at, .. } => {
                let end = at.checked_add(length);
                let end = end.ok_or(ImageError::Damaged(QCOW2, "a cluster lies nowhere".to_owned()))?;
                disk.copy(&*source, at..end, &mut buffer).map_err(|error| error.of(QCOW2))?;
                length
            }
            // Compressed: one cluster, which is unpacked whole whatever is read of it.
            Mapping::Special { .. } => {
                let length = length.min(MAX_CLUSTER_BYTES);
                unpackable = unpackable.checked_sub(length).ok_or_else(|| CopyError::Repeated.of(QCOW2))?;
                cluster.resize(length as usize, 0);
                image.read(&mut cluster, offset).map_err(read_error)?;
                cluster.chunks(MAX_PIECE_BYTES).try_for_each(|piece| disk.data(piece))?;
                length
            }
            // The enumeration may grow; what is new is not known to be readable.
            _ => return Err(ImageError::Unsupported(QCOW2, "has clusters of an unknown kind")),
        };
        offset += length;
    }
    let rest = disk.bytes;
    disk.zeroes(rest)
}

/// imago's errors about the image and those of the file come in one type: only the end of the file is told apart.
fn read_error(error: io::Error) -> ImageError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => CopyError::Read(error).of(QCOW2),
        _ => ImageError::Damaged(QCOW2, chain(&error)),
    }
}

/// The image file as imago wants it: to be read only, and with an end.
#[derive(Debug)]
struct ImageStorage<S> {
    source: Arc<S>,
    helper: CommonStorageHelper,
}

impl<S: Source> Storage for ImageStorage<S> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.source.size_bytes())
    }

    // SAFETY: what is asked for is alignment, of which we need none, and care for concurrent writes, which do not occur.
    unsafe fn pure_readv(&self, mut bufv: IoVectorMut<'_>, offset: u64) -> io::Result<()> {
        let length = usize::try_from(bufv.len()).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        // The last compressed cluster counts in whole sectors, and may end within one.
        let left = self.source.size_bytes().saturating_sub(offset);
        let there = left.min(length as u64) as usize;
        if length - there >= super::SECTOR_BYTES as usize || there == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.source.read_exact_at(&mut bytes[..there], offset)?;
        bufv.copy_from_slice(&bytes);
        Ok(())
    }

    // SAFETY: does nothing.
    unsafe fn pure_writev(&self, _bufv: IoVector<'_>, _offset: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    // SAFETY: does nothing.
    unsafe fn invalidate_cache(&self) -> io::Result<()> {
        Ok(())
    }

    fn get_storage_helper(&self) -> &CommonStorageHelper {
        &self.helper
    }
}

impl<S> fmt::Display for ImageStorage<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("image")
    }
}
