//! Where everything is in guest-physical memory, I/O ports and interrupts. All of the machine's fixed numbers are
//! here, so that loader, ACPI tables and devices cannot disagree.
//!
//! ```text
//! 0x0000_0000  boot structures (GDT, boot parameters, page tables), then the command line     ┐
//! 0x0009_fc00  reserved, as the EBDA of a PC would be                                          │
//! 0x000e_0000  ACPI tables; SMBIOS at 0x000f_0000, where Linux looks for it; the reset vector  │ low memory
//! 0x0010_0000  kernel, initrd, the rest                                                        ┘ up to 3 GiB
//! 0xc000_0000  BARs of the PCI devices, a window for each root bus
//! 0xe000_0000  PCI configuration space (ECAM)
//! 0xfec0_0000  I/O APIC, local APICs, KVM's own pages
//! 0x1_0000_0000  the rest of guest memory
//! ```

/// Where low memory ends at the latest and the PCI hole begins.
pub const PCI_HOLE: u64 = 0xc000_0000;
/// Where memory goes on above the hole.
pub const HIGH_MEMORY: u64 = 1 << 32;

/// Global descriptor table of the boot vCPU.
pub const GDT: u64 = 0x500;
/// Start-of-day structure of the PVH protocol, with its memory map and module list behind it.
pub const PVH_START_INFO: u64 = 0x6000;
/// The zero page of the Linux boot protocol.
pub const BOOT_PARAMS: u64 = 0x7000;
/// Top of the stack that the boot vCPU starts with.
pub const BOOT_STACK: u64 = 0x8ff0;
/// Page tables that map the first 4 GiB one to one: one page each of levels 4 and 3, four of level 2.
pub const PAGE_TABLES: u64 = 0x9000;
/// The kernel command line.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// Most bytes of a command line, with the zero at its end; a kernel may take less.
pub const COMMAND_LINE_BYTES: usize = 0x1_0000;
/// End of usable memory below 640 KiB.
pub const EBDA: u64 = 0x9_fc00;
/// ACPI tables, beginning with the RSDP.
pub const ACPI_TABLES: u64 = 0xe_0000;
/// Bytes kept for ACPI tables.
pub const ACPI_BYTES: usize = 0x1_0000;
/// SMBIOS entry point and structures.
pub const SMBIOS: u64 = 0xf_0000;
/// Bytes kept for SMBIOS.
pub const SMBIOS_BYTES: usize = 0xfff0;
/// Where a processor of a PC begins after a reset: F000:FFF0 in real mode.
pub const RESET_VECTOR: u64 = 0xf_fff0;
/// First byte above what a PC reserves below 1 MiB.
pub const HIGH_RAM: u64 = 0x10_0000;

/// Root buses. Each has slots for 31 devices, so that 60 disks and 16 network interfaces fit, and more can come later.
pub const PCI_BUSES: u8 = 3;
/// Configuration space of bus 0.
pub const ECAM: u64 = 0xe000_0000;
/// Bytes of configuration space.
pub const ECAM_BYTES: u64 = PCI_BUSES as u64 * devices::pci::root::ECAM_BYTES_PER_BUS;
/// BARs of the devices on bus 0.
pub const PCI_WINDOW: u32 = 0xc000_0000;
/// Bytes of BARs that one bus can have.
pub const PCI_WINDOW_BYTES_PER_BUS: u32 = 0x0800_0000;

/// The I/O APIC, in KVM.
pub const IO_APIC: u32 = 0xfec0_0000;
/// The local APICs, in KVM.
pub const LOCAL_APIC: u32 = 0xfee0_0000;
/// Three pages that KVM needs on Intel processors for real mode.
pub const KVM_TSS: usize = 0xfffb_d000;
/// One page that KVM needs on Intel processors for paging in real mode.
pub const KVM_IDENTITY_MAP: u64 = 0xfffb_c000;

/// First serial port.
pub const COM1: u16 = 0x3f8;
/// Its interrupt.
pub const COM1_IRQ: u32 = 4;
/// Power management ports.
pub const POWER_PORTS: u16 = 0x600;
/// Interrupt of the ACPI event device.
pub const EVENT_IRQ: u32 = 9;
/// Interrupts of the I/O APIC; the message-signalled ones of PCI devices come after them.
pub const IO_APIC_PINS: u32 = 24;
