//! Puts a kernel, its initrd and command line into guest memory, and says in which state the first vCPU starts.
//!
//! bzImage kernels are entered by the 64-bit Linux boot protocol; ELF kernels by PVH if they carry its note, else by the
//! 64-bit protocol. There is no firmware: what it would have left behind is written here and by `acpi` and `smbios`.

pub mod params;
pub mod pvh;
pub mod registers;
pub mod reset_vector;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use linux_loader::bootparam::setup_header;
use linux_loader::elf::{ELFMAG, SELFMAG};
use linux_loader::loader::{BzImage, Elf, KernelLoader, elf::PvhBootCapability};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion, ReadVolatile};

use crate::layout;

/// What to load.
pub struct BootFiles {
    /// Kernel: a bzImage or an ELF file.
    pub kernel: File,
    /// Initial RAM disk.
    pub initrd: Option<File>,
    /// Kernel command line.
    pub cmdline: String,
}

/// How the first vCPU starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// 64-bit mode at this address, with the zero page's address in RSI.
    Linux64(u64),
    /// 32-bit protected mode at this address, with the start info's address in EBX.
    Pvh(u64),
}

/// Why a kernel cannot be booted.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Neither format.
    #[error("the kernel is neither a bzImage nor an x86-64 ELF file{0}")]
    UnknownFormat(&'static str),
    /// The file ends before the kernel does.
    #[error("the kernel is cut short: its header says {expected} bytes, the file has {actual}")]
    Truncated {
        /// Bytes by the header.
        expected: u64,
        /// Bytes in the file.
        actual: u64,
    },
    /// A bzImage without a 64-bit entry point.
    #[error("the kernel has no 64-bit entry point (boot protocol 2.12 or newer with XLF_KERNEL_64)")]
    No64BitEntry,
    /// The loader refused it.
    #[error("the kernel cannot be loaded")]
    Load(#[from] linux_loader::loader::Error),
    /// Reading the kernel failed.
    #[error("cannot read the kernel")]
    ReadKernel(#[source] std::io::Error),
    /// Reading the initrd failed.
    #[error("cannot read the initrd")]
    ReadInitrd(#[source] std::io::Error),
    /// The initrd is empty.
    #[error("the initrd is empty")]
    EmptyInitrd,
    /// Kernel and initrd do not fit.
    #[error("{what} of {need} MiB does not fit into guest memory; give the machine more than {memory} MiB")]
    DoesNotFit {
        /// Kernel or initrd.
        what: &'static str,
        /// Its size in MiB, rounded up.
        need: u64,
        /// What the machine has.
        memory: u64,
    },
    /// The command line is too long or no C string.
    #[error("the kernel command line has {length} bytes, the kernel takes at most {most}, none of them zero")]
    CommandLine {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        most: usize,
    },
    /// A write to guest memory failed.
    #[error("cannot write boot structures into guest memory")]
    Memory(#[from] vm_memory::GuestMemoryError),
}

/// Loads everything into guest memory.
pub fn load(memory: &GuestMemoryMmap, mut files: BootFiles) -> Result<Entry, LoadError> {
    let kernel = load_kernel(memory, &mut files.kernel)?;
    let most = kernel.header.map_or(layout::COMMAND_LINE_BYTES, |header| {
        layout::COMMAND_LINE_BYTES.min(header.cmdline_size as usize + 1)
    }) - 1;
    let length = files.cmdline.len();
    if length > most || files.cmdline.contains('\0') {
        return Err(LoadError::CommandLine { length, most });
    }
    memory.write_slice(files.cmdline.as_bytes(), GuestAddress(layout::COMMAND_LINE))?;
    memory.write_obj(0_u8, GuestAddress(layout::COMMAND_LINE + length as u64))?;

    let initrd = files.initrd.as_mut().map(|file| load_initrd(memory, file, &kernel)).transpose()?;
    match kernel.entry {
        Entry::Linux64(_) => params::write(memory, kernel.header, initrd)?,
        Entry::Pvh(_) => pvh::write(memory, initrd)?,
    }
    Ok(kernel.entry)
}

/// A range of guest memory.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub bytes: u64,
}

struct Kernel {
    entry: Entry,
    header: Option<setup_header>,
    /// First address behind what the kernel uses before it manages memory by itself.
    end: u64,
}

fn load_kernel(memory: &GuestMemoryMmap, file: &mut File) -> Result<Kernel, LoadError> {
    let mut magic = [0; SELFMAG];
    file.rewind().map_err(LoadError::ReadKernel)?;
    match file.read_exact(&mut magic) {
        Ok(()) if magic == ELFMAG[..SELFMAG] => load_elf(memory, file),
        Ok(()) => load_bzimage(memory, file),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(LoadError::UnknownFormat(": it is empty"))
        }
        Err(error) => Err(LoadError::ReadKernel(error)),
    }
}

fn load_elf(memory: &GuestMemoryMmap, file: &mut File) -> Result<Kernel, LoadError> {
    let loaded = Elf::load(memory, None, file, Some(GuestAddress(layout::HIGH_RAM)))?;
    let entry = match loaded.pvh_boot_cap {
        PvhBootCapability::PvhEntryPresent(address) => Entry::Pvh(address.0),
        PvhBootCapability::PvhEntryNotPresent | PvhBootCapability::PvhEntryIgnored => {
            Entry::Linux64(loaded.kernel_load.0)
        }
    };
    Ok(Kernel { entry, header: None, end: loaded.kernel_end })
}

/// Offset of the setup header in a bzImage, and the magic in it (Documentation/arch/x86/boot.rst).
const SETUP_HEADER: u64 = 0x1f1;
const HEADER_MAGIC: u32 = 0x5372_6448;
const XLF_KERNEL_64: u16 = 1;
/// The 64-bit entry point lies here behind the start of the protected-mode kernel.
const ENTRY_64: u64 = 0x200;

fn load_bzimage(memory: &GuestMemoryMmap, file: &mut File) -> Result<Kernel, LoadError> {
    let header = read_setup_header(file)?;
    let actual = file.metadata().map_err(LoadError::ReadKernel)?.len();
    let setup_sectors = if header.setup_sects == 0 { 4 } else { u64::from(header.setup_sects) };
    let expected = (setup_sectors + 1) * 512 + u64::from(header.syssize) * 16;
    if actual < expected {
        return Err(LoadError::Truncated { expected, actual });
    }
    if header.version < 0x20c || header.xloadflags & XLF_KERNEL_64 == 0 {
        return Err(LoadError::No64BitEntry);
    }
    // Where the kernel likes to be, so that it need not move itself first.
    let start = header.pref_address.max(layout::HIGH_RAM);
    let end = start.saturating_add(u64::from(header.init_size).max(expected));
    if end > low_memory_end(memory) {
        return Err(does_not_fit(memory, "the kernel", u64::from(header.init_size).max(expected)));
    }
    let loaded = BzImage::load(memory, Some(GuestAddress(start)), file, None)?;
    Ok(Kernel { entry: Entry::Linux64(start + ENTRY_64), header: loaded.setup_header, end })
}

fn read_setup_header(file: &mut File) -> Result<setup_header, LoadError> {
    let mut bytes = [0; size_of::<setup_header>()];
    file.seek(SeekFrom::Start(SETUP_HEADER)).map_err(LoadError::ReadKernel)?;
    match file.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(LoadError::UnknownFormat(": it is too short"));
        }
        Err(error) => return Err(LoadError::ReadKernel(error)),
    }
    let mut header = setup_header::default();
    vm_memory::ByteValued::as_mut_slice(&mut header).copy_from_slice(&bytes);
    if header.header != HEADER_MAGIC {
        return Err(LoadError::UnknownFormat(""));
    }
    Ok(header)
}

/// Puts the initrd as high in low memory as the kernel takes it, out of the way of the kernel's own growth.
fn load_initrd(memory: &GuestMemoryMmap, file: &mut File, kernel: &Kernel) -> Result<Range, LoadError> {
    let bytes = file.metadata().map_err(LoadError::ReadInitrd)?.len();
    if bytes == 0 {
        return Err(LoadError::EmptyInitrd);
    }
    let highest =
        kernel.header.map_or(u64::MAX, |header| u64::from(header.initrd_addr_max).saturating_add(1));
    let top = low_memory_end(memory).min(highest);
    let start = top.checked_sub(bytes).map(|start| start & !0xfff).filter(|start| *start >= kernel.end);
    let start = start.ok_or_else(|| does_not_fit(memory, "the initrd", bytes))?;
    file.rewind().map_err(LoadError::ReadInitrd)?;
    read_into(memory, start, bytes, file)?;
    Ok(Range { start, bytes })
}

fn read_into(memory: &GuestMemoryMmap, start: u64, bytes: u64, file: &mut File) -> Result<(), LoadError> {
    let count = usize::try_from(bytes).expect("64-bit hosts only");
    let slice = memory.get_slice(GuestAddress(start), count)?;
    file.read_exact_volatile(&mut slice.offset(0).map_err(vm_memory::GuestMemoryError::from)?)
        .map_err(|error| LoadError::ReadInitrd(std::io::Error::other(error)))
}

fn low_memory_end(memory: &GuestMemoryMmap) -> u64 {
    memory.iter().next().map_or(0, GuestMemoryRegion::len)
}

fn does_not_fit(memory: &GuestMemoryMmap, what: &'static str, bytes: u64) -> LoadError {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    LoadError::DoesNotFit {
        what,
        need: mib(bytes),
        memory: mib(memory.iter().map(GuestMemoryRegion::len).sum()),
    }
}

/// Memory as the guest is told: ranges of RAM and ranges it must leave alone.
pub fn memory_map(memory: &GuestMemoryMmap) -> Vec<(Range, bool)> {
    let range = |start: u64, end: u64| Range { start, bytes: end - start };
    let mut map = vec![
        (range(0, layout::EBDA), true),
        (range(layout::EBDA, layout::HIGH_RAM), false),
        (range(layout::HIGH_RAM, low_memory_end(memory)), true),
        (Range { start: layout::ECAM, bytes: layout::ECAM_BYTES }, false),
    ];
    if let Some(high) = memory.iter().nth(1) {
        map.push((Range { start: layout::HIGH_MEMORY, bytes: high.len() }, true));
    }
    map
}

/// Loads `bytes` as a kernel, and a copy of its head as initrd, into 32 MiB of memory: for fuzzing and the replay of what
/// it found.
pub fn load_bytes(bytes: &[u8]) -> Result<Entry, LoadError> {
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 32 << 20)]).expect("32 MiB can be mapped");
    let file = |bytes: &[u8]| {
        let mut file =
            File::from(nix::sys::memfd::memfd_create("fuzz", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?);
        std::io::Write::write_all(&mut file, bytes)?;
        Ok::<_, std::io::Error>(file)
    };
    let kernel = file(bytes).map_err(LoadError::ReadKernel)?;
    let initrd = file(&bytes[..bytes.len().min(64)]).map_err(LoadError::ReadInitrd)?;
    load(&memory, BootFiles { kernel, initrd: Some(initrd), cmdline: "quiet".to_owned() })
}
