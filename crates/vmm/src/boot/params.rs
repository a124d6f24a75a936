//! The zero page of the Linux boot protocol (Documentation/arch/x86/zero-page.rst).

use linux_loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::{ByteValued, Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::{Range, memory_map};
use crate::layout;

const BOOT_FLAG: u16 = 0xaa55;
const HEADER_MAGIC: u32 = 0x5372_6448;
/// "A boot loader without a number of its own."
const LOADER_UNDEFINED: u8 = 0xff;
const E820_RAM: u32 = 1;
const E820_RESERVED: u32 = 2;

/// The zero page, as the loader writes it to guest memory.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
struct ZeroPage(boot_params);

// SAFETY: boot_params is a C structure of plain integers without padding; every bit pattern is valid.
unsafe impl ByteValued for ZeroPage {}

/// Writes the zero page. `header` is the kernel's own, or none for an ELF kernel.
pub fn write(
    memory: &GuestMemoryMmap,
    header: Option<setup_header>,
    initrd: Option<Range>,
) -> Result<(), GuestMemoryError> {
    let mut params = ZeroPage::default();
    let page = &mut params.0;
    page.hdr =
        header.unwrap_or(setup_header { boot_flag: BOOT_FLAG, header: HEADER_MAGIC, ..Default::default() });
    page.hdr.type_of_loader = LOADER_UNDEFINED;
    page.hdr.cmd_line_ptr = layout::COMMAND_LINE as u32;
    page.acpi_rsdp_addr = layout::ACPI_TABLES;
    if let Some(Range { start, bytes }) = initrd {
        page.hdr.ramdisk_image = start as u32;
        page.hdr.ramdisk_size = bytes as u32;
        page.ext_ramdisk_image = (start >> 32) as u32;
        page.ext_ramdisk_size = (bytes >> 32) as u32;
    }
    let map = memory_map(memory);
    page.e820_entries = u8::try_from(map.len()).expect("a handful of ranges");
    for (entry, (range, usable)) in page.e820_table.iter_mut().zip(map) {
        let kind = if usable { E820_RAM } else { E820_RESERVED };
        *entry = boot_e820_entry { addr: range.start, size: range.bytes, r#type: kind };
    }
    memory.write_obj(params, GuestAddress(layout::BOOT_PARAMS))
}
