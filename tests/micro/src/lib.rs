//! Guests of a few instructions, written in the tests themselves, and the real bothy-vmm to run them. They need a
//! `/dev/kvm` of any kind, no kernel and no image, and take milliseconds.
//!
//! A test writes its guest with [`guest!`], starts it with [`Vm::start`] and looks at what it prints and how it ends.
//! The subroutines that guests may call are in `prelude.s`.

mod program;
mod vm;

use core::arch::global_asm;

pub use program::program;
pub use vm::{Finished, Vm};

global_asm!(include_str!("prelude.s"));

unsafe extern "C" {
    // Set by the linker around the section that all guests of a test program are in.
    #[link_name = "__start_micro"]
    static START: u8;
    #[link_name = "__stop_micro"]
    static STOP: u8;
}

/// Where guests are loaded, and where free memory begins for them to use.
const LOAD_ADDRESS: u64 = 1 << 20;

/// Defines a function that gives the address of a guest written in assembly.
#[macro_export]
macro_rules! guest {
    ($name:ident, $($line:expr),+ $(,)?) => {
        core::arch::global_asm!(
            ".section micro, \"axR\", @progbits",
            ".balign 16",
            concat!(".globl guest_", stringify!($name)),
            concat!("guest_", stringify!($name), ":"),
            $($line),+
        );

        fn $name() -> *const u8 {
            unsafe extern "C" {
                #[link_name = concat!("guest_", stringify!($name))]
                static ENTRY: u8;
            }
            &raw const ENTRY
        }
    };
}

/// All guests as bytes, and where in them `entry` is.
fn section(entry: *const u8) -> (&'static [u8], u64) {
    let (start, stop) = (&raw const START, &raw const STOP);
    let length = stop as usize - start as usize;
    let offset = entry as usize - start as usize;
    assert!(offset < length, "the entry is in the section of the guests");
    // SAFETY: the linker puts these symbols around one section, which is loaded and never written.
    (unsafe { std::slice::from_raw_parts(start, length) }, offset as u64)
}

/// An ELF kernel that starts at `entry` in 64-bit mode.
pub fn elf(entry: *const u8) -> Vec<u8> {
    let (code, offset) = section(entry);
    build_elf(code, LOAD_ADDRESS + offset, &[])
}

/// An ELF kernel with the PVH note, which starts at `entry` in 32-bit mode.
pub fn pvh_elf(entry: *const u8) -> Vec<u8> {
    const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;
    let (code, offset) = section(entry);
    let mut note = Vec::new();
    for word in [4, 4, XEN_ELFNOTE_PHYS32_ENTRY] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"Xen\0");
    note.extend(u32::try_from(LOAD_ADDRESS + offset).expect("below 4 GiB").to_le_bytes());
    build_elf(code, LOAD_ADDRESS, &note)
}

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

fn build_elf(code: &[u8], entry: u64, note: &[u8]) -> Vec<u8> {
    let headers = if note.is_empty() { 1 } else { 2 };
    let note_at = 64 + 56 * headers;
    let code_at = 0x1000_u64;
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]); // executable, x86-64
    for quad in [entry, 64, 0] {
        file.extend(quad.to_le_bytes());
    }
    file.extend([0; 4]);
    for half in [64, 56, headers as u16, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    program_header(&mut file, PT_LOAD, code_at, LOAD_ADDRESS, code.len() as u64);
    if !note.is_empty() {
        program_header(&mut file, PT_NOTE, note_at, 0, note.len() as u64);
        file.extend(note);
    }
    file.resize(code_at as usize, 0);
    file.extend(code);
    file
}

fn program_header(file: &mut Vec<u8>, kind: u32, offset: u64, address: u64, bytes: u64) {
    file.extend(kind.to_le_bytes());
    file.extend(7_u32.to_le_bytes());
    for quad in [offset, address, address, bytes, bytes, 4] {
        file.extend(quad.to_le_bytes());
    }
}

/// A bzImage whose 64-bit entry point is `entry`: one sector of set-up code with its header, then the guests, entered
/// through a jump at offset 0x200 as the Linux boot protocol says.
pub fn bzimage(entry: *const u8) -> Vec<u8> {
    let (code, offset) = section(entry);
    let mut kernel = vec![0xcc; 0x200];
    // jmp to `entry`, relative to the end of this instruction.
    let start_of_guests = 0x210_u64;
    let distance = i32::try_from(start_of_guests + offset - 0x205).expect("a few KiB");
    kernel.push(0xe9);
    kernel.extend(distance.to_le_bytes());
    kernel.resize(start_of_guests as usize, 0x90);
    kernel.extend(code);
    kernel.resize(kernel.len().next_multiple_of(16), 0);

    let mut file = vec![0; 0x400];
    let mut set = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    set(0x1f1, &[1]); // one sector of set-up code besides the boot sector
    set(0x1f4, &u32::try_from(kernel.len() / 16).expect("a few KiB").to_le_bytes());
    set(0x1fe, &0xaa55_u16.to_le_bytes());
    set(0x202, b"HdrS");
    set(0x206, &0x020f_u16.to_le_bytes()); // protocol 2.15
    set(0x211, &[1]); // loaded high
    set(0x214, &0x10_0000_u32.to_le_bytes());
    set(0x22c, &0x7fff_ffff_u32.to_le_bytes()); // highest address of an initrd
    set(0x230, &0x1000_u32.to_le_bytes()); // alignment
    set(0x236, &1_u16.to_le_bytes()); // has a 64-bit entry point
    set(0x238, &255_u32.to_le_bytes()); // longest command line
    set(0x258, &0x10_0000_u64.to_le_bytes()); // preferred address
    set(0x260, &0x10_0000_u32.to_le_bytes()); // memory it needs
    file.extend(kernel);
    file
}
