//! The start-of-day structures of the PVH boot protocol (Xen's docs/misc/pvh.pandoc).

use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::{Range, memory_map};
use crate::layout;

const MAGIC: u32 = 0x336e_c578;
const VERSION: u32 = 1;
const RAM: u32 = 1;
const RESERVED: u32 = 2;

const START_INFO_BYTES: u64 = 56;
const MODULE_BYTES: u64 = 32;

/// Writes start info, module list and memory map.
pub fn write(memory: &GuestMemoryMmap, initrd: Option<Range>) -> Result<(), GuestMemoryError> {
    let modules = layout::PVH_START_INFO + START_INFO_BYTES;
    let map = modules + MODULE_BYTES;
    let ranges = memory_map(memory);

    let mut info = Vec::new();
    let dword = |info: &mut Vec<u8>, value: u32| info.extend_from_slice(&value.to_le_bytes());
    let qword = |info: &mut Vec<u8>, value: u64| info.extend_from_slice(&value.to_le_bytes());
    dword(&mut info, MAGIC);
    dword(&mut info, VERSION);
    dword(&mut info, 0);
    dword(&mut info, initrd.is_some().into());
    qword(&mut info, if initrd.is_some() { modules } else { 0 });
    qword(&mut info, layout::COMMAND_LINE);
    qword(&mut info, layout::ACPI_TABLES);
    qword(&mut info, map);
    dword(&mut info, u32::try_from(ranges.len()).expect("a handful of ranges"));
    dword(&mut info, 0);

    let Range { start, bytes } = initrd.unwrap_or(Range { start: 0, bytes: 0 });
    for value in [start, bytes, 0, 0] {
        qword(&mut info, value);
    }
    for (range, usable) in ranges {
        qword(&mut info, range.start);
        qword(&mut info, range.bytes);
        dword(&mut info, if usable { RAM } else { RESERVED });
        dword(&mut info, 0);
    }
    memory.write_slice(&info, GuestAddress(layout::PVH_START_INFO))
}
