//! VHD images, fixed and dynamic ("Virtual Hard Disk Image Format Specification", Microsoft, 2006). Our own reader: there
//! is no kept crate, and it is little. All numbers are big-endian.
//!
//! The disk's size is the footer's "current size", as in Azure and Hyper-V; the rounded one of its CHS geometry, which
//! Virtual PC used, is not looked at.

use super::{ImageError, MAX_PIECE_BYTES, Remaining, SECTOR_BYTES, Sink, Source};

/// The first bytes of a footer, and so of a dynamic image, which begins with a copy of its footer.
pub(super) const COOKIE: &[u8] = b"conectix";

/// This format, in messages.
const VHD: &str = "VHD";
const FOOTER_BYTES: u64 = 512;
const DYNAMIC_HEADER_BYTES: usize = 1024;
/// Where checksums stand.
const FOOTER_CHECKSUM_AT: usize = 64;
const HEADER_CHECKSUM_AT: usize = 36;

const FIXED: u32 = 2;
const DYNAMIC: u32 = 3;
const DIFFERENCING: u32 = 4;

/// Blocks have 2 MiB; of others we know that they are powers of two.
const BLOCK_BYTES: std::ops::RangeInclusive<u64> = 4096..=256 << 20;
/// Table of a disk of 16 TiB in blocks of 2 MiB, and then some.
const MAX_TABLE_BYTES: u64 = 64 << 20;
/// Of a block that was never written.
const UNUSED: u32 = u32::MAX;

fn damaged(why: &str) -> ImageError {
    ImageError::Damaged(VHD, why.to_owned())
}

/// What of a footer matters.
#[derive(Debug, PartialEq, Eq)]
struct Footer {
    header_offset: u64,
    size_bytes: u64,
    kind: u32,
}

impl Footer {
    fn parse(bytes: &[u8; FOOTER_BYTES as usize]) -> Result<Self, ImageError> {
        if !bytes.starts_with(COOKIE) || !checks(bytes, FOOTER_CHECKSUM_AT) {
            return Err(damaged("its footer does not match its checksum"));
        }
        if u32_at(bytes, 12) >> 16 != 1 {
            return Err(ImageError::Unsupported(VHD, "is of a version that is not known"));
        }
        Ok(Self { header_offset: u64_at(bytes, 16), size_bytes: u64_at(bytes, 48), kind: u32_at(bytes, 60) })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..][..4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..][..8].try_into().expect("eight bytes"))
}

/// The complement of the sum of all bytes but those of the checksum.
fn checks(bytes: &[u8], checksum_at: usize) -> bool {
    let is_counted = |at: &usize| !(checksum_at..checksum_at + 4).contains(at);
    let sum =
        (0..bytes.len()).filter(is_counted).fold(0_u32, |sum, at| sum.wrapping_add(u32::from(bytes[at])));
    !sum == u32_at(bytes, checksum_at)
}

fn last_sector(source: &impl Source) -> Result<Option<[u8; FOOTER_BYTES as usize]>, ImageError> {
    let Some(at) = source.size_bytes().checked_sub(FOOTER_BYTES) else { return Ok(None) };
    let mut bytes = [0; FOOTER_BYTES as usize];
    source.read_exact_at(&mut bytes, at).map_err(ImageError::Read)?;
    Ok(Some(bytes))
}

/// The size of a fixed image's disk, which is the file but its footer. `None` if this is no VHD.
pub(super) fn fixed_size(source: &impl Source) -> Result<Option<u64>, ImageError> {
    let Some(bytes) = last_sector(source)?.filter(|bytes| bytes.starts_with(COOKIE)) else { return Ok(None) };
    let footer = Footer::parse(&bytes)?;
    match footer.kind {
        FIXED if footer.size_bytes == source.size_bytes() - FOOTER_BYTES => Ok(Some(footer.size_bytes)),
        FIXED => Err(damaged("its size is not the one that its footer says; was it cut off?")),
        _ => Err(damaged("its beginning is missing")),
    }
}

/// Gives the content of a dynamic image.
pub(super) fn convert_dynamic(source: &impl Source, sink: &mut impl Sink) -> Result<(), ImageError> {
    let mut start = [0; FOOTER_BYTES as usize];
    read(source, &mut start, 0)?;
    let footer = Footer::parse(&start)?;
    match footer.kind {
        DYNAMIC => {}
        DIFFERENCING => {
            return Err(ImageError::Unsupported(
                VHD,
                "holds only the differences to another one, without which it is not whole: make one image of both first",
            ));
        }
        _ => return Err(ImageError::Unsupported(VHD, "is of a kind that is not known")),
    }
    // The end is written last, and read first by others.
    if last_sector(source)?.is_none_or(|bytes| bytes != start) {
        return Err(damaged("its end is not the copy of its beginning that it should be; was it cut off?"));
    }
    let table = Table::read(source, &footer)?;
    let mut disk = Remaining::begin(sink, footer.size_bytes, source)?;
    let mut buffer = vec![0; MAX_PIECE_BYTES];
    let mut bitmap = vec![0; table.bitmap_bytes() as usize];
    for sector in &table.sectors {
        let wanted = disk.bytes.min(table.block_bytes);
        if *sector == UNUSED {
            disk.zeroes(wanted)?;
            continue;
        }
        let at = u64::from(*sector) * SECTOR_BYTES;
        read(source, &mut bitmap, at)?;
        let data = at + table.bitmap_bytes();
        // Runs of sectors that were written, and of those that were not.
        let mut index = 0;
        let sectors = wanted.div_ceil(SECTOR_BYTES);
        while index < sectors {
            let is_written = |index: u64| bitmap[(index / 8) as usize] & (0x80 >> (index % 8)) != 0;
            let written = is_written(index);
            let end = (index..sectors).find(|other| is_written(*other) != written).unwrap_or(sectors);
            if written {
                let range = data + index * SECTOR_BYTES..data + end * SECTOR_BYTES;
                disk.copy(source, range, &mut buffer).map_err(|error| error.of(VHD))?;
            } else {
                disk.zeroes((end - index) * SECTOR_BYTES)?;
            }
            index = end;
        }
    }
    let rest = disk.bytes;
    disk.zeroes(rest)
}

/// Reads what the image says is there.
fn read(source: &impl Source, buffer: &mut [u8], at: u64) -> Result<(), ImageError> {
    source.read_exact_at(buffer, at).map_err(|error| super::CopyError::Read(error).of(VHD))
}

/// The block allocation table.
struct Table {
    block_bytes: u64,
    /// Where each block of the disk begins in the file, in sectors: its bitmap, then its data.
    sectors: Vec<u32>,
}

impl Table {
    fn read(source: &impl Source, footer: &Footer) -> Result<Self, ImageError> {
        let mut header = [0; DYNAMIC_HEADER_BYTES];
        read(source, &mut header, footer.header_offset)?;
        if !header.starts_with(b"cxsparse") || !checks(&header, HEADER_CHECKSUM_AT) {
            return Err(damaged("its dynamic header does not match its checksum"));
        }
        let (table_offset, entries) = (u64_at(&header, 16), u64::from(u32_at(&header, 28)));
        let block_bytes = u64::from(u32_at(&header, 32));
        if !block_bytes.is_power_of_two() || !BLOCK_BYTES.contains(&block_bytes) {
            return Err(damaged("its blocks have an impossible size"));
        }
        let needed = footer.size_bytes.div_ceil(block_bytes);
        if entries < needed {
            return Err(damaged("its block table is too small for its size"));
        }
        // Before anything is allocated.
        let table_bytes = needed.checked_mul(4).filter(|bytes| *bytes <= MAX_TABLE_BYTES);
        let table_bytes = table_bytes.ok_or(ImageError::Unsupported(VHD, "is larger than any VHD can be"))?;
        let mut table = vec![0; table_bytes as usize];
        read(source, &mut table, table_offset)?;
        let sectors = table.chunks_exact(4).map(|entry| u32_at(entry, 0)).collect();
        Ok(Self { block_bytes, sectors })
    }

    /// A bit for each sector of a block, in whole sectors.
    fn bitmap_bytes(&self) -> u64 {
        (self.block_bytes / SECTOR_BYTES / 8).next_multiple_of(SECTOR_BYTES)
    }
}
