//! The probe's guest: 64-bit code that runs instructions a stock kernel needs, and tells by an I/O port before each
//! what comes next. Called by `report`. No device, no interrupt: the answer is where it stops.

use std::arch::global_asm;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use anyhow::{Context, bail};
use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// What the guest says it comes to, by the number it says; the last number means that all went well.
const STEPS: [&str; 4] = ["lock cmpxchg16b", "xsave and xrstor", "int3", "wrmsr and swapgs"];
const DONE: u8 = STEPS.len() as u8;
const PORT: u16 = 0x10;

// Guest physical addresses, which are the virtual ones too.
const PML4: usize = 0x1000;
const PDPT: usize = 0x2000;
const PAGE_DIRECTORY: usize = 0x3000;
const IDT: usize = 0x4000;
const GDT: usize = 0x5000;
const DATA: usize = 0x6000;
const STACK_TOP: usize = 0x9000;
const CODE: usize = 0x10000;
const MEMORY: usize = 0x20000;

const CODE_SELECTOR: u16 = 0x8;
const DATA_SELECTOR: u16 = 0x10;
const BREAKPOINT_VECTOR: usize = 3;

// Control and mode bits, as the processor manuals name them.
const CR0_PE_MP_ET_NE_PG: u64 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 31;
const CR4_PAE_OSFXSR_OSXMMEXCPT_OSXSAVE: u64 = 1 << 5 | 1 << 9 | 1 << 10 | 1 << 18;
const EFER_LME_LMA: u64 = 1 << 8 | 1 << 10;

// Starts with rdi at DATA, whose first bytes are zero and 64-byte aligned. 0xc0000102 is MSR_KERNEL_GS_BASE.
global_asm!(
    ".pushsection .rodata",
    "probe_guest_start:",
    "    mov al, 0",
    "    out 0x10, al",
    "    lock cmpxchg16b [rdi]",
    "    mov al, 1",
    "    out 0x10, al",
    "    xor ecx, ecx",
    "    xor edx, edx",
    "    mov eax, 3",
    "    xsetbv",
    "    xsave64 [rdi + 64]",
    "    xrstor64 [rdi + 64]",
    "    mov al, 2",
    "    out 0x10, al",
    "    int3",
    "    mov al, 3",
    "    out 0x10, al",
    "    mov ecx, 0xc0000102",
    "    mov eax, 0x1000",
    "    wrmsr",
    "    swapgs",
    "    mov al, 4",
    "    out 0x10, al",
    "    hlt",
    "probe_guest_breakpoint:",
    "    iretq",
    "probe_guest_end:",
    ".popsection",
);

unsafe extern "C" {
    static probe_guest_start: u8;
    static probe_guest_breakpoint: u8;
    static probe_guest_end: u8;
}

/// Runs the guest. The error says which instruction it is that KVM does not run.
pub fn run() -> anyhow::Result<()> {
    let kvm = Kvm::new().context("opening /dev/kvm")?;
    let vm = kvm.create_vm().context("creating a VM")?;
    let mut memory = Memory::new()?;
    fill(memory.bytes());
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: MEMORY as u64,
        userspace_addr: memory.address.as_ptr() as u64,
    };
    // SAFETY: the region is mapped as long as `memory` lives, which is longer than the VM runs.
    unsafe { vm.set_user_memory_region(region) }.context("giving the VM memory")?;
    let mut vcpu = vm.create_vcpu(0).context("creating a vCPU")?;
    let cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).context("asking for CPUID")?;
    vcpu.set_cpuid2(&cpuid).context("setting CPUID")?;
    set_registers(&vcpu)?;

    let mut step = 0;
    loop {
        let what = STEPS.get(usize::from(step)).unwrap_or(&"what comes last");
        match vcpu.run() {
            Ok(VcpuExit::IoOut(PORT, [DONE])) => return Ok(()),
            Ok(VcpuExit::IoOut(PORT, [next])) => step = *next,
            Ok(VcpuExit::InternalError) => bail!("{what} ends in a KVM internal error"),
            Ok(VcpuExit::Shutdown) => bail!("{what} ends in a triple fault"),
            Ok(exit) => bail!("{what} ends in {exit:?}"),
            Err(error) => bail!("{what} ends in an error: {error}"),
        }
    }
}

/// Writes page tables, descriptor tables and the code.
fn fill(memory: &mut [u8]) {
    let mut write = |at: usize, value: u64| memory[at..at + 8].copy_from_slice(&value.to_le_bytes());
    const PRESENT_WRITABLE: u64 = 0b11;
    const LARGE: u64 = 1 << 7;
    write(PML4, PDPT as u64 | PRESENT_WRITABLE);
    write(PDPT, PAGE_DIRECTORY as u64 | PRESENT_WRITABLE);
    write(PAGE_DIRECTORY, LARGE | PRESENT_WRITABLE);
    write(GDT + usize::from(CODE_SELECTOR), 0x00af_9b00_0000_ffff);
    write(GDT + usize::from(DATA_SELECTOR), 0x00cf_9300_0000_ffff);
    // A present interrupt gate; offset bits 15:0, selector, type, offset bits 31:16.
    let handler = CODE as u64 + code().1;
    let gate =
        handler & 0xffff | u64::from(CODE_SELECTOR) << 16 | 0x8e00 << 32 | (handler >> 16 & 0xffff) << 48;
    write(IDT + BREAKPOINT_VECTOR * 16, gate);
    let code = code().0;
    memory[CODE..CODE + code.len()].copy_from_slice(code);
}

/// The guest's code, and where in it the handler of int3 is.
fn code() -> (&'static [u8], u64) {
    // SAFETY: the three symbols are in this order in one piece of read-only data, made above.
    unsafe {
        let (start, end) = (&raw const probe_guest_start, &raw const probe_guest_end);
        let handler = (&raw const probe_guest_breakpoint) as u64 - start as u64;
        (std::slice::from_raw_parts(start, end as usize - start as usize), handler)
    }
}

/// Puts the vCPU into 64-bit mode at the code's start.
fn set_registers(vcpu: &VcpuFd) -> anyhow::Result<()> {
    let mut special = vcpu.get_sregs().context("reading special registers")?;
    let flat = kvm_segment { limit: u32::MAX, present: 1, s: 1, g: 1, ..Default::default() };
    special.cs = kvm_segment { selector: CODE_SELECTOR, type_: 11, l: 1, ..flat };
    let data = kvm_segment { selector: DATA_SELECTOR, type_: 3, db: 1, ..flat };
    (special.ds, special.es, special.fs, special.gs, special.ss) = (data, data, data, data, data);
    (special.gdt.base, special.gdt.limit) = (GDT as u64, 0x17);
    (special.idt.base, special.idt.limit) = (IDT as u64, 0xff);
    special.cr0 = CR0_PE_MP_ET_NE_PG;
    special.cr3 = PML4 as u64;
    special.cr4 = CR4_PAE_OSFXSR_OSXMMEXCPT_OSXSAVE;
    special.efer = EFER_LME_LMA;
    vcpu.set_sregs(&special).context("setting special registers")?;
    let mut general = vcpu.get_regs().context("reading registers")?;
    (general.rip, general.rsp, general.rdi) = (CODE as u64, STACK_TOP as u64, DATA as u64);
    general.rflags = 2; // the bit that is always set
    vcpu.set_regs(&general).context("setting registers")
}

/// Memory for the guest.
struct Memory {
    address: NonNull<std::ffi::c_void>,
}

impl Memory {
    fn new() -> anyhow::Result<Self> {
        let size = NonZeroUsize::new(MEMORY).context("no memory at all")?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new private mapping, at an address of the kernel's choice, replaces nothing.
        let address = unsafe { mmap_anonymous(None, size, protection, MapFlags::MAP_PRIVATE) };
        Ok(Self { address: address.context("mapping memory for the guest")? })
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has this size and is ours; the guest runs only when this borrow has ended.
        unsafe { std::slice::from_raw_parts_mut(self.address.as_ptr().cast(), MEMORY) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing refers to it any more.
        let _ = unsafe { munmap(self.address, MEMORY) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_has_its_handler_last_and_fits() {
        let (code, handler) = code();
        assert_eq!(&code[usize::try_from(handler).expect("small")..], [0x48, 0xcf]); // iretq
        assert!(CODE + code.len() <= MEMORY);
    }
}
