//! The state in which the boot protocols want the first vCPU: segments, control registers, page tables.

use kvm_bindings::{kvm_regs, kvm_segment};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::Entry;
use crate::layout;

/// Why the registers could not be set.
#[derive(Debug, thiserror::Error)]
pub enum SetRegistersError {
    /// KVM refused them.
    #[error("KVM refused the first vCPU's registers")]
    Kvm(#[from] kvm_ioctls::Error),
    /// The tables they point to could not be written.
    #[error("cannot write the first vCPU's tables into guest memory")]
    Memory(#[from] GuestMemoryError),
}

const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// Bit 1 of RFLAGS is always set.
const RFLAGS: u64 = 2;

const PRESENT_WRITABLE: u64 = 0b11;
const HUGE: u64 = 1 << 7;

// Segment descriptors, flat: access bytes and flags of the descriptor's upper half (Intel SDM 3, 3.4.5).
const CODE_64: u64 = 0x00af_9b00_0000_ffff;
const CODE_32: u64 = 0x00cf_9b00_0000_ffff;
const DATA: u64 = 0x00cf_9300_0000_ffff;
const TSS: u64 = 0x0000_8b00_0000_ffff;

/// Code and data are selectors 0x10 and 0x18, as the Linux protocol wants it.
const CODE_INDEX: u16 = 2;
const DATA_INDEX: u16 = 3;
const TSS_INDEX: u16 = 4;

/// Sets up the first vCPU to start at `entry`.
pub fn set(vcpu: &VcpuFd, memory: &GuestMemoryMmap, entry: Entry) -> Result<(), SetRegistersError> {
    let (address, code) = match entry {
        Entry::Linux64(address) => (address, CODE_64),
        Entry::Pvh(address) => (address, CODE_32),
    };
    let gdt = [0, 0, code, DATA, TSS];
    for (index, descriptor) in (0..).zip(gdt) {
        memory.write_obj(descriptor, GuestAddress(layout::GDT + index * 8))?;
    }

    let mut sregs = vcpu.get_sregs()?;
    sregs.gdt.base = layout::GDT;
    sregs.gdt.limit = u16::try_from(size_of_val(&gdt) - 1).expect("five descriptors");
    sregs.idt.limit = 0;
    sregs.cs = segment(code, CODE_INDEX);
    let data = segment(DATA, DATA_INDEX);
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    sregs.tr = segment(TSS, TSS_INDEX);
    sregs.cr0 = CR0_PE | CR0_ET;
    if let Entry::Linux64(_) = entry {
        write_page_tables(memory)?;
        sregs.cr3 = layout::PAGE_TABLES;
        sregs.cr4 = CR4_PAE;
        sregs.cr0 |= CR0_PG;
        sregs.efer = EFER_LME | EFER_LMA;
    }
    vcpu.set_sregs(&sregs)?;

    let regs = kvm_regs {
        rip: address,
        rflags: RFLAGS,
        rsp: layout::BOOT_STACK,
        rbp: layout::BOOT_STACK,
        rsi: layout::BOOT_PARAMS,
        rbx: layout::PVH_START_INFO,
        ..Default::default()
    };
    vcpu.set_regs(&regs)?;
    Ok(())
}

/// Maps the first 4 GiB one to one in pages of 2 MiB.
fn write_page_tables(memory: &GuestMemoryMmap) -> Result<(), GuestMemoryError> {
    let page = |index: u64| layout::PAGE_TABLES + index * 0x1000;
    memory.write_obj(page(1) | PRESENT_WRITABLE, GuestAddress(page(0)))?;
    for gib in 0..4 {
        memory.write_obj(page(2 + gib) | PRESENT_WRITABLE, GuestAddress(page(1) + gib * 8))?;
        for entry in 0..512 {
            let address = gib << 30 | entry << 21;
            memory.write_obj(address | PRESENT_WRITABLE | HUGE, GuestAddress(page(2 + gib) + entry * 8))?;
        }
    }
    Ok(())
}

/// What the processor would load for a descriptor.
fn segment(descriptor: u64, index: u16) -> kvm_segment {
    let bits = |from: u32, count: u32| (descriptor >> from & ((1 << count) - 1)) as u8;
    let granular = bits(55, 1) == 1;
    let limit = (descriptor & 0xffff | descriptor >> 32 & 0xf_0000) as u32;
    kvm_segment {
        base: descriptor >> 16 & 0xff_ffff | descriptor >> 32 & 0xff00_0000,
        limit: if granular { limit << 12 | 0xfff } else { limit },
        selector: index * 8,
        type_: bits(40, 4),
        s: bits(44, 1),
        dpl: bits(45, 2),
        present: bits(47, 1),
        avl: bits(52, 1),
        l: bits(53, 1),
        db: bits(54, 1),
        g: bits(55, 1),
        ..Default::default()
    }
}
