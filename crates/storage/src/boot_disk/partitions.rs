//! Partition tables: GPT (UEFI 2.10, 5.3) and MBR with its chain of logical partitions.
//!
//! Read here rather than by the `gpt` crate: that one sizes buffers by what the header says and asserts on it, which is
//! no way to meet a hostile disk. Where the primary GPT is damaged the backup at the end of the disk counts, as for GRUB;
//! never repairs anything.

use super::bytes::{le16, le32, le64};
use super::disk::Extent;
use crc::{CRC_32_ISO_HDLC, Crc};
use std::fmt;
use std::io;

/// Most entries read of a GPT; the usual number is 128.
const MAX_GPT_ENTRIES: u32 = 1024;
/// Largest GPT entry read, in bytes; the usual size is 128.
const MAX_GPT_ENTRY_BYTES: u32 = 4096;
/// Most logical partitions followed in an MBR. Linux stops at 256 as well.
const MAX_LOGICAL_PARTITIONS: u32 = 256;
/// MBR counts in sectors of this size, whatever the device.
const SECTOR_BYTES: u64 = 512;

const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What divides the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// GUID partition table.
    Gpt,
    /// Master boot record.
    Mbr,
}

impl fmt::Display for TableKind {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Gpt => "GPT",
            Self::Mbr => "MBR",
        })
    }
}

/// One used entry of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As Linux counts: 3 for `/dev/vda3`.
    pub number: u32,
    /// Where it starts, from the start of the disk.
    pub start_bytes: u64,
    /// How long it is; start and length together do not overflow, but may lie beyond the end of a truncated disk.
    pub size_bytes: u64,
    /// As the kernel's `root=PARTUUID=` takes it.
    pub partuuid: String,
    /// What the table says it is for, where that explains why there is no file system in it.
    pub purpose: Option<&'static str>,
}

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadPartitionsError {
    /// The device failed.
    #[error("reading the {what}")]
    Read {
        /// Which structure.
        what: &'static str,
        /// The device's answer.
        source: io::Error,
    },
    /// There is a table, but it contradicts itself or the disk.
    #[error("the partition table is damaged: {0}")]
    Damaged(String),
}

/// Reads the partition table of `disk`; `None` when there is none.
pub(crate) fn read(disk: &Extent) -> Result<Option<(TableKind, Vec<Partition>)>, ReadPartitionsError> {
    if disk.size_bytes < SECTOR_BYTES {
        return Ok(None);
    }
    let mut mbr = [0; SECTOR_BYTES as usize];
    read_at(disk, &mut mbr, 0, "first sector")?;
    let has_mbr = mbr[510..] == [0x55, 0xaa];
    let is_protective = has_mbr && (0..4).any(|index| mbr_entry(&mbr, index).kind == MBR_PROTECTIVE);

    // Without a protective MBR a GPT is a left-over: Linux ignores it too.
    if is_protective {
        return Ok(Some((TableKind::Gpt, read_either_gpt(disk)?)));
    }
    if !has_mbr {
        return Ok(None);
    }
    let partitions = read_mbr(disk, &mbr)?;
    Ok(if partitions.is_empty() { None } else { Some((TableKind::Mbr, partitions)) })
}

/// Reads the primary GPT, or else the backup in the last block. If both are damaged, says what is wrong with the first.
fn read_either_gpt(disk: &Extent) -> Result<Vec<Partition>, ReadPartitionsError> {
    let mut first_error = None;
    let last_block = |block_bytes: u64| (disk.size_bytes / block_bytes).saturating_sub(1) * block_bytes;
    let places = [(512, 512), (4096, 4096), (512, last_block(512)), (4096, last_block(4096))];
    for (block_bytes, at) in places {
        let mut header = [0; 512];
        if at == 0 || disk.size_bytes < at + header.len() as u64 {
            continue;
        }
        read_at(disk, &mut header, at, "GPT header")?;
        if &header[..8] != b"EFI PART" {
            continue;
        }
        match read_gpt(disk, &header, block_bytes) {
            Ok(partitions) => return Ok(partitions),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| {
        damaged("its first sector promises a GPT, but there is no GPT header: the image may be truncated")
    }))
}

fn read_gpt(
    disk: &Extent,
    header: &[u8; 512],
    block_bytes: u64,
) -> Result<Vec<Partition>, ReadPartitionsError> {
    let header_bytes = le32(header, 12) as usize;
    let Some(covered) = header.get(..header_bytes).filter(|covered| covered.len() >= 92) else {
        return Err(damaged(format!("the GPT header claims a length of {header_bytes} bytes")));
    };
    let mut covered = covered.to_vec();
    covered[16..20].fill(0);
    if CRC32.checksum(&covered) != le32(header, 16) {
        return Err(damaged("the checksum of the GPT header is wrong"));
    }
    let entries_lba = le64(header, 72);
    let entry_count = le32(header, 80);
    let entry_bytes = le32(header, 84);
    if entry_count > MAX_GPT_ENTRIES || !(128..=MAX_GPT_ENTRY_BYTES).contains(&entry_bytes) {
        return Err(damaged(format!("the GPT claims {entry_count} entries of {entry_bytes} bytes")));
    }
    let offset =
        entries_lba.checked_mul(block_bytes).ok_or_else(|| damaged("the GPT's entries are out of bounds"))?;
    let mut table = vec![0; entry_count as usize * entry_bytes as usize];
    match disk.read_exact_at(&mut table, offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(damaged("the GPT's entries lie beyond the end: the image is truncated"));
        }
        other => other.map_err(|source| ReadPartitionsError::Read { what: "GPT entries", source })?,
    }
    if CRC32.checksum(&table) != le32(header, 88) {
        return Err(damaged("the checksum of the GPT's entries is wrong"));
    }
    let entries = table.chunks_exact(entry_bytes as usize).zip(1..);
    entries.filter_map(|(entry, number)| gpt_partition(entry, number, block_bytes).transpose()).collect()
}

/// One GPT entry; `None` when it is unused.
fn gpt_partition(
    entry: &[u8],
    number: u32,
    block_bytes: u64,
) -> Result<Option<Partition>, ReadPartitionsError> {
    if entry[..16] == [0; 16] {
        return Ok(None);
    }
    let (first, last) = (le64(entry, 32), le64(entry, 40));
    let range = last
        .checked_sub(first)
        .and_then(|length| length.checked_add(1)?.checked_mul(block_bytes))
        .zip(first.checked_mul(block_bytes))
        .filter(|(size, start)| start.checked_add(*size).is_some());
    let Some((size_bytes, start_bytes)) = range else {
        return Err(damaged(format!("GPT partition {number} goes from block {first} to {last}")));
    };
    let purpose = match guid(&entry[..16]).as_str() {
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" => Some("EFI system"),
        "21686148-6449-6e6f-744e-656564454649" => Some("BIOS boot"),
        "9e1a2d38-c612-4316-aa26-8b49521e5a8b" => Some("PReP boot"),
        _ => None,
    };
    Ok(Some(Partition { number, start_bytes, size_bytes, partuuid: guid(&entry[16..32]), purpose }))
}

/// A GUID as text: its first three fields are little-endian on disk (UEFI 2.10, appendix A).
fn guid(bytes: &[u8]) -> String {
    let tail: String = bytes[10..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{:08x}-{:04x}-{:04x}-{:02x}{:02x}-{tail}",
        le32(bytes, 0),
        le16(bytes, 4),
        le16(bytes, 6),
        bytes[8],
        bytes[9]
    )
}

const MBR_PROTECTIVE: u8 = 0xee;

/// One of the four entries of an MBR or of a logical partition's own record.
struct MbrEntry {
    status: u8,
    kind: u8,
    start_sectors: u64,
    size_sectors: u64,
}

impl MbrEntry {
    fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }

    fn is_used(&self) -> bool {
        self.kind != 0 && self.size_sectors != 0
    }
}

fn mbr_entry(sector: &[u8; 512], index: usize) -> MbrEntry {
    let at = 446 + 16 * index;
    MbrEntry {
        status: sector[at],
        kind: sector[at + 4],
        start_sectors: le32(sector, at + 8).into(),
        size_sectors: le32(sector, at + 12).into(),
    }
}

fn read_mbr(disk: &Extent, mbr: &[u8; 512]) -> Result<Vec<Partition>, ReadPartitionsError> {
    let entries: Vec<MbrEntry> = (0..4).map(|index| mbr_entry(mbr, index)).collect();
    // The boot sector of a bare file system ends in 55 aa too; its code makes no sensible entries.
    let is_table = entries.iter().all(|entry| matches!(entry.status, 0 | 0x80))
        && entries.iter().filter(|entry| entry.is_used()).all(|entry| entry.start_sectors > 0);
    if !is_table {
        return Ok(Vec::new());
    }
    let signature = le32(mbr, 440);
    let partition = |number: u32, start_sectors: u64, entry: &MbrEntry| Partition {
        number,
        start_bytes: start_sectors * SECTOR_BYTES,
        size_bytes: entry.size_sectors * SECTOR_BYTES,
        partuuid: format!("{signature:08x}-{number:02x}"),
        purpose: None,
    };
    let mut partitions = Vec::new();
    for (entry, number) in entries.iter().zip(1..).filter(|(entry, _)| entry.is_used()) {
        if !entry.is_extended() {
            partitions.push(partition(number, entry.start_sectors, entry));
        }
    }
    let Some(extended) = entries.iter().find(|entry| entry.is_used() && entry.is_extended()) else {
        return Ok(partitions);
    };

    // Each record holds one logical partition (relative to itself) and the next record (relative to the first).
    let mut record_sectors = extended.start_sectors;
    for number in 5..5 + MAX_LOGICAL_PARTITIONS {
        let mut record = [0; 512];
        read_at(disk, &mut record, record_sectors * SECTOR_BYTES, "record of a logical partition")?;
        if record[510..] != [0x55, 0xaa] {
            break;
        }
        let logical = mbr_entry(&record, 0);
        if logical.is_used() {
            partitions.push(partition(number, record_sectors + logical.start_sectors, &logical));
        }
        let next = mbr_entry(&record, 1);
        if !next.is_used() || !next.is_extended() {
            break;
        }
        record_sectors = extended.start_sectors + next.start_sectors;
    }
    Ok(partitions)
}

fn read_at(
    disk: &Extent,
    buffer: &mut [u8],
    offset: u64,
    what: &'static str,
) -> Result<(), ReadPartitionsError> {
    disk.read_exact_at(buffer, offset).map_err(|source| ReadPartitionsError::Read { what, source })
}

fn damaged(how: impl Into<String>) -> ReadPartitionsError {
    ReadPartitionsError::Damaged(how.into())
}

#[cfg(test)]
mod tests {
    use super::super::disk::CachedDisk;
    use super::*;
    use proptest::prelude::*;
    use std::rc::Rc;

    fn read_bytes(bytes: Vec<u8>) -> Result<Option<(TableKind, Vec<Partition>)>, ReadPartitionsError> {
        let size_bytes = bytes.len() as u64;
        read(&Extent { disk: Rc::new(CachedDisk::new(Box::new(bytes))), start_bytes: 0, size_bytes })
    }

    /// An MBR with these (index, kind, start, size), in sectors.
    fn mbr(entries: &[(usize, u8, u32, u32)]) -> Vec<u8> {
        let mut sector = vec![0; 512];
        sector[440..444].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
        for (index, kind, start, size) in entries {
            let at = 446 + 16 * index;
            sector[at + 4] = *kind;
            sector[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
            sector[at + 12..at + 16].copy_from_slice(&size.to_le_bytes());
        }
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    /// A GPT of 512-byte blocks with these (first, last) blocks, checksums in order.
    fn gpt(entries: &[(u64, u64)]) -> Vec<u8> {
        let mut disk = mbr(&[(0, MBR_PROTECTIVE, 1, u32::MAX)]);
        disk.resize(64 * 512, 0);
        for (index, (first, last)) in entries.iter().enumerate() {
            let entry = &mut disk[1024 + 128 * index..][..128];
            entry[..16].fill(0x11);
            entry[16..32].copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.to_le_bytes());
        }
        let entries_crc = CRC32.checksum(&disk[1024..1024 + 128 * 128]);
        let header = &mut disk[512..604];
        header[..8].copy_from_slice(b"EFI PART");
        header[12..16].copy_from_slice(&92_u32.to_le_bytes());
        header[72..80].copy_from_slice(&2_u64.to_le_bytes());
        header[80..84].copy_from_slice(&128_u32.to_le_bytes());
        header[84..88].copy_from_slice(&128_u32.to_le_bytes());
        header[88..92].copy_from_slice(&entries_crc.to_le_bytes());
        let header_crc = CRC32.checksum(header);
        header[16..20].copy_from_slice(&header_crc.to_le_bytes());
        disk
    }

    #[test]
    fn reads_a_gpt() {
        let (kind, partitions) = read_bytes(gpt(&[(34, 40), (41, 41)])).unwrap().unwrap();
        assert_eq!(kind, TableKind::Gpt);
        assert_eq!(partitions.len(), 2);
        assert_eq!(
            (partitions[0].number, partitions[0].start_bytes, partitions[0].size_bytes),
            (1, 34 * 512, 7 * 512)
        );
        assert_eq!(partitions[0].partuuid, "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(partitions[1].size_bytes, 512);
    }

    #[test]
    fn says_how_a_gpt_is_damaged() {
        let mut no_header = gpt(&[(34, 40)]);
        no_header[512..1024].fill(0);
        let mut bad_header = gpt(&[(34, 40)]);
        bad_header[512 + 60] ^= 1;
        let mut bad_entries = gpt(&[(34, 40)]);
        bad_entries[1024 + 33] ^= 1;
        let mut truncated = gpt(&[(34, 40)]);
        truncated.truncate(2048);
        let cases = [
            (no_header, "no GPT header"),
            (bad_header, "checksum of the GPT header"),
            (bad_entries, "checksum of the GPT's entries"),
            (truncated, "truncated"),
            (gpt(&[(40, 34)]), "from block 40 to 34"),
            (gpt(&[(0, u64::MAX)]), "from block 0"),
        ];
        for (disk, expected) in cases {
            let error = read_bytes(disk).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should say {expected}");
        }
    }

    #[test]
    fn a_backup_stands_in_for_a_damaged_gpt() {
        let mut disk = gpt(&[(34, 40)]);
        disk.resize(200 * 512, 0);
        disk.copy_within(1024..1024 + 128 * 128, 160 * 512);
        let mut backup = disk[512..1024].to_vec();
        backup[72..80].copy_from_slice(&160_u64.to_le_bytes());
        backup[16..20].fill(0);
        let checksum = CRC32.checksum(&backup[..92]);
        backup[16..20].copy_from_slice(&checksum.to_le_bytes());
        disk[199 * 512..].copy_from_slice(&backup);
        for damage in [512, 512 + 60, 1024 + 33] {
            let mut disk = disk.clone();
            disk[damage] ^= 1;
            assert_eq!(read_bytes(disk).unwrap().unwrap().1[0].start_bytes, 34 * 512);
        }
    }

    #[test]
    fn reads_an_mbr_with_logical_partitions() {
        let mut disk = mbr(&[(0, 0x83, 2, 3), (1, 0x05, 10, 20)]);
        disk.resize(64 * 512, 0);
        disk[10 * 512..11 * 512].copy_from_slice(&mbr(&[(0, 0x83, 1, 2), (1, 0x05, 5, 5)]));
        disk[15 * 512..16 * 512].copy_from_slice(&mbr(&[(0, 0x82, 1, 1)]));
        let (kind, partitions) = read_bytes(disk).unwrap().unwrap();
        assert_eq!(kind, TableKind::Mbr);
        let found: Vec<_> =
            partitions.iter().map(|p| (p.number, p.start_bytes / 512, p.size_bytes / 512)).collect();
        assert_eq!(found, [(1, 2, 3), (5, 11, 2), (6, 16, 1)]);
        assert_eq!(partitions[1].partuuid, "deadbeef-05");
    }

    #[test]
    fn a_chain_of_logical_partitions_that_loops_ends() {
        let mut disk = mbr(&[(0, 0x05, 10, 20)]);
        disk.resize(64 * 512, 0);
        disk[10 * 512..11 * 512].copy_from_slice(&mbr(&[(0, 0x83, 1, 2), (1, 0x05, 0, 5)]));
        assert_eq!(read_bytes(disk).unwrap().unwrap().1.len(), MAX_LOGICAL_PARTITIONS as usize);
    }

    #[test]
    fn a_boot_sector_is_no_table() {
        let mut sector = mbr(&[(0, 0x83, 2, 3)]);
        sector[446] = 0x33;
        sector.resize(4096, 0);
        assert!(read_bytes(sector).unwrap().is_none());
        assert!(read_bytes(vec![0; 4096]).unwrap().is_none());
        assert!(read_bytes(vec![0; 3]).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn no_table_panics(mut entries in proptest::collection::vec(any::<u8>(), 64), table in any::<[u8; 512]>()) {
            let mut disk = mbr(&[]);
            entries[0] &= 0x80;
            disk[446..510].copy_from_slice(&entries);
            disk.extend(table);
            disk.resize(40 * 512, 0);
            let _ = read_bytes(disk);
        }

        #[test]
        fn no_gpt_entry_panics(entry in proptest::collection::vec(any::<u8>(), 128)) {
            let _ = gpt_partition(&entry, 1, 4096);
        }
    }
}
