//! What is on a disk: its partitions, the file systems in them that can be read, and words for all of it, so that an
//! error can say what was found.

use super::content::{self, Content};
use super::disk::Extent;
use super::ext4::Ext4;
use super::partitions::{self, Partition, ReadPartitionsError, TableKind};
use super::{ReadBootEntryError, chain};
use std::fmt;

/// Partitions looked into; a table may claim a thousand.
const MAX_PARTITIONS: usize = 128;

/// File systems opened; each keeps what is in its journal.
const MAX_FILE_SYSTEMS: usize = 16;

/// A disk's table and volumes.
pub(crate) struct Layout {
    table: Option<TableKind>,
    is_cd: bool,
    pub(crate) volumes: Vec<Volume>,
}

/// A partition, or the whole disk if it has none.
pub(crate) struct Volume {
    partition: Option<Partition>,
    content: Content,
    pub(crate) state: State,
}

/// What became of reading a volume.
pub(crate) enum State {
    /// Its files can be read.
    Readable(Box<Ext4>),
    /// It looks like a file system that can be read, but cannot.
    Broken(String),
    /// It holds something else.
    Other,
}

impl Layout {
    pub(crate) fn read(disk: &Extent) -> Result<Self, ReadBootEntryError> {
        let whole = content::identify(disk).map_err(ReadBootEntryError::ReadDisk)?;
        match whole {
            Content::ImageFormat { name, convert } => {
                return Err(ReadBootEntryError::ImageFormat { name, convert });
            }
            Content::Compressed(name) => return Err(ReadBootEntryError::Compressed(name)),
            _ => {}
        }
        let is_cd = content::is_iso9660(disk);
        match partitions::read(disk)? {
            Some((kind, partitions)) => {
                let mut room = MAX_FILE_SYSTEMS;
                let volumes = partitions.into_iter().take(MAX_PARTITIONS).map(|partition| {
                    let start_bytes = partition.start_bytes.min(disk.size_bytes);
                    let size_bytes = partition.size_bytes.min(disk.size_bytes - start_bytes);
                    let extent = Extent { disk: disk.disk.clone(), start_bytes, size_bytes };
                    Volume::read(extent, Some(partition), &mut room)
                });
                Ok(Self { table: Some(kind), is_cd, volumes: volumes.collect() })
            }
            None if whole == Content::Zero => Err(ReadBootEntryError::Empty),
            None => Ok(Self { table: None, is_cd, volumes: vec![Volume::read(disk.clone(), None, &mut 1)] }),
        }
    }

    /// The volumes whose files can be read.
    pub(crate) fn readable(&self) -> impl Iterator<Item = (&Volume, &Ext4)> {
        self.volumes.iter().filter_map(|volume| match &volume.state {
            State::Readable(fs) => Some((volume, &**fs)),
            State::Broken(_) | State::Other => None,
        })
    }
}

impl Volume {
    /// Reads one volume. `room` says how many more file systems may be opened.
    fn read(extent: Extent, partition: Option<Partition>, room: &mut usize) -> Self {
        let (content, state) = match content::identify(&extent) {
            Ok(Content::Ext) if *room == 0 => {
                (Content::Ext, State::Broken("one file system too many".to_owned()))
            }
            Ok(Content::Ext) => match Ext4::open(extent) {
                Ok(fs) => {
                    *room -= 1;
                    (Content::Ext, State::Readable(Box::new(fs)))
                }
                Err(error) => (Content::Ext, State::Broken(chain(&error))),
            },
            Ok(content) => (content, State::Other),
            Err(error) => (Content::Unknown, State::Broken(format!("cannot read it: {error}"))),
        };
        Self { partition, content, state }
    }

    /// How a kernel without an initrd finds this volume: it knows partitions, but not the file systems in them.
    pub(crate) fn bare_root(&self) -> String {
        match &self.partition {
            Some(partition) => format!("PARTUUID={}", partition.partuuid),
            None => "/dev/vda".to_owned(),
        }
    }
}

/// For example: `a GPT with partitions 1 ext2/3/4 (no kernel in it), 14 BIOS boot, 15 EFI system (vfat)`.
impl fmt::Display for Layout {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        if self.is_cd {
            formatter.write_str("a CD image, which cannot be booted from here, with ")?;
        }
        match self.table {
            Some(TableKind::Gpt) => formatter.write_str("a GPT with ")?,
            Some(TableKind::Mbr) => formatter.write_str("an MBR with ")?,
            None => formatter.write_str("no partitions, but ")?,
        }
        match (self.table, self.volumes.len()) {
            (None, _) => {}
            (_, 0) => formatter.write_str("no partitions")?,
            (_, 1) => formatter.write_str("partition ")?,
            _ => formatter.write_str("partitions ")?,
        }
        for (index, volume) in self.volumes.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(formatter, "{comma}{volume}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let mut kind = self.content.to_string();
        if let Some(partition) = &self.partition {
            write!(formatter, "{} ", partition.number)?;
            match (partition.purpose, self.content) {
                (Some(purpose), Content::Unknown | Content::Zero) => kind = purpose.to_owned(),
                (Some(purpose), _) => kind = format!("{purpose} ({kind})"),
                (None, _) => {}
            }
        }
        formatter.write_str(&kind)?;
        match (&self.state, self.content) {
            (State::Readable(_), _) => formatter.write_str(" (no kernel that can be booted)"),
            (State::Broken(why), _) => write!(formatter, " ({why})"),
            (State::Other, Content::Other("btrfs" | "xfs" | "f2fs" | "LVM2 physical volume")) => {
                formatter.write_str(" (not supported: only ext2/3/4 is)")
            }
            (State::Other, _) => Ok(()),
        }
    }
}

impl From<ReadPartitionsError> for ReadBootEntryError {
    fn from(error: ReadPartitionsError) -> Self {
        Self::Partitions(error)
    }
}
