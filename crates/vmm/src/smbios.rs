//! SMBIOS 3 (DSP0134): who made the machine, what it is called, what is in it. cloud-init and others decide by these
//! strings which cloud they are in.

use vmm_api::{Smbios, VmConfig};

use crate::{identity, layout, memory};

/// Bytes of the entry point, rounded up so that the structures behind it are aligned.
const ENTRY_BYTES: u64 = 32;

/// Longest string that a configuration may give.
pub const MAX_STRING_BYTES: usize = 64;

const NO_HANDLE: u16 = 0xffff;
const BOARD: u16 = 0x200;
const CHASSIS: u16 = 0x300;
const MEMORY_ARRAY: u16 = 0x1000;

/// Builds entry point and structures, to be put at `layout::SMBIOS`.
pub fn build(config: &VmConfig, id: &str) -> Vec<u8> {
    let mut table = Vec::new();
    firmware(&mut table, &config.smbios);
    system(&mut table, &config.smbios, id);
    board(&mut table, &config.smbios, id);
    chassis(&mut table, &config.smbios, id);
    processor(&mut table, config);
    memory_array(&mut table, config);
    boot_information(&mut table);
    Structure::new(127, 0x7f00).finish(&mut table);

    let mut bytes = entry_point(table.len());
    bytes.resize(ENTRY_BYTES as usize, 0);
    bytes.extend_from_slice(&table);
    bytes
}

/// The 64-bit entry point (5.2.2).
fn entry_point(table_bytes: usize) -> Vec<u8> {
    let mut entry = Vec::with_capacity(ENTRY_BYTES as usize);
    entry.extend_from_slice(b"_SM3_");
    // Checksum, length, version 3.2.0, revision of the entry point, reserved.
    entry.extend_from_slice(&[0, 24, 3, 2, 0, 1, 0]);
    entry.extend_from_slice(&u32::try_from(table_bytes).expect("a few hundred bytes").to_le_bytes());
    entry.extend_from_slice(&(layout::SMBIOS + ENTRY_BYTES).to_le_bytes());
    let sum = entry.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    entry[5] = sum.wrapping_neg();
    entry
}

/// One structure: formatted part, then strings that it refers to by number.
struct Structure {
    body: Vec<u8>,
    strings: Vec<String>,
}

impl Structure {
    fn new(kind: u8, handle: u16) -> Self {
        let [low, high] = handle.to_le_bytes();
        Self { body: vec![kind, 0, low, high], strings: Vec::new() }
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.body.extend_from_slice(bytes);
        self
    }

    fn word(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn dword(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn qword(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// A string by number; an empty one is number 0, "not specified".
    fn string(mut self, text: &str) -> Self {
        if text.is_empty() {
            return self.bytes(&[0]);
        }
        self.strings.push(text.to_owned());
        let number = u8::try_from(self.strings.len()).expect("a handful of strings");
        self.bytes(&[number])
    }

    fn finish(mut self, table: &mut Vec<u8>) {
        self.body[1] = u8::try_from(self.body.len()).expect("structures are below 256 bytes");
        table.extend_from_slice(&self.body);
        for text in &self.strings {
            table.extend_from_slice(text.as_bytes());
            table.push(0);
        }
        table.extend_from_slice(if self.strings.is_empty() { &[0, 0] } else { &[0] });
    }
}

fn serial<'a>(smbios: &'a Smbios, id: &'a str) -> &'a str {
    if smbios.serial.is_empty() { id } else { &smbios.serial }
}

/// Type 0 (7.1). Says that this is a virtual machine.
fn firmware(table: &mut Vec<u8>, smbios: &Smbios) {
    Structure::new(0, 0)
        .string(&smbios.manufacturer)
        .string(env!("CARGO_PKG_VERSION"))
        .word(0)
        .string("01/01/2026")
        .bytes(&[0])
        // Characteristics are in the extension: ACPI is there, targeted content, and bit 4: a virtual machine.
        .qword(1 << 3)
        .bytes(&[1, 0x14])
        .bytes(&[0, 1, 0xff, 0xff])
        .finish(table);
}

/// Type 1 (7.2).
fn system(table: &mut Vec<u8>, smbios: &Smbios, id: &str) {
    let uuid = smbios.uuid.map_or_else(|| identity::uuid(id), |uuid| uuid.into_bytes());
    // The first three fields of the UUID are stored little-endian.
    let stored = [
        uuid[3], uuid[2], uuid[1], uuid[0], uuid[5], uuid[4], uuid[7], uuid[6], uuid[8], uuid[9], uuid[10],
        uuid[11], uuid[12], uuid[13], uuid[14], uuid[15],
    ];
    Structure::new(1, 0x100)
        .string(&smbios.manufacturer)
        .string(&smbios.product)
        .string(&smbios.version)
        .string(serial(smbios, id))
        .bytes(&stored)
        // Wake-up by the power switch.
        .bytes(&[6, 0, 0])
        .finish(table);
}

/// Type 2 (7.3).
fn board(table: &mut Vec<u8>, smbios: &Smbios, id: &str) {
    Structure::new(2, BOARD)
        .string(&smbios.manufacturer)
        .string(&smbios.product)
        .string(&smbios.version)
        .string(serial(smbios, id))
        .string(&smbios.asset_tag)
        // A hosting board in the chassis.
        .bytes(&[1, 0])
        .word(CHASSIS)
        .bytes(&[0x0a, 0])
        .finish(table);
}

/// Type 3 (7.4).
fn chassis(table: &mut Vec<u8>, smbios: &Smbios, id: &str) {
    Structure::new(3, CHASSIS)
        .string(&smbios.manufacturer)
        .bytes(&[1])
        .string(&smbios.version)
        .string(serial(smbios, id))
        .string(&smbios.asset_tag)
        // Safe in every respect, security unknown.
        .bytes(&[3, 3, 3, 2])
        .dword(0)
        .bytes(&[0, 0, 0, 0, 0])
        .finish(table);
}

/// Type 4 (7.5): one socket with all vCPUs.
fn processor(table: &mut Vec<u8>, config: &VmConfig) {
    let cores = config.vcpus / config.threads_per_core;
    let byte = |count: u32| u8::try_from(count).unwrap_or(0xff);
    let word = |count: u32| u16::try_from(count).unwrap_or(0xffff);
    Structure::new(4, 0x400)
        .string("CPU 0")
        // Central processor of a family that needs more than CPUID to tell.
        .bytes(&[3, 2])
        .string(&config.smbios.manufacturer)
        .qword(0)
        .bytes(&[0, 0])
        .word(0)
        .word(0)
        .word(0)
        // Socket populated, processor enabled; no upgrade, no cache information.
        .bytes(&[0x41, 2])
        .word(NO_HANDLE)
        .word(NO_HANDLE)
        .word(NO_HANDLE)
        .bytes(&[0, 0, 0])
        .bytes(&[byte(cores), byte(cores), byte(config.vcpus)])
        // 64-bit, multi-core.
        .word(1 << 2 | 1 << 3)
        .word(2)
        .word(word(cores))
        .word(word(cores))
        .word(word(config.vcpus))
        .finish(table);
}

/// Types 16, 17 and 19 (7.17, 7.18, 7.20): one module with all of the memory, and where it is mapped.
fn memory_array(table: &mut Vec<u8>, config: &VmConfig) {
    let mib = config.memory.size_mib;
    Structure::new(16, MEMORY_ARRAY)
        // System memory on the board, with multi-bit ECC.
        .bytes(&[1, 3, 6])
        .dword(0x8000_0000)
        .word(0xfffe)
        .word(1)
        .qword(mib << 20)
        .finish(table);
    let (size, extended) =
        if mib < 0x7fff { (mib as u16, 0) } else { (0x7fff, u32::try_from(mib).unwrap_or(u32::MAX)) };
    Structure::new(17, 0x1100)
        .word(MEMORY_ARRAY)
        .word(0xfffe)
        .word(NO_HANDLE)
        .word(NO_HANDLE)
        .word(size)
        // A module of its own, not part of a set.
        .bytes(&[9, 0])
        .string("DIMM 0")
        .bytes(&[0, 7])
        .word(1 << 1)
        .word(0)
        .string(&config.smbios.manufacturer)
        .bytes(&[0, 0, 0, 0])
        .dword(extended)
        .word(0)
        .finish(table);
    for (index, (base, length)) in (0..).zip(memory::ranges(mib)) {
        Structure::new(19, 0x1300 + index)
            .dword(u32::MAX)
            .dword(u32::MAX)
            .word(MEMORY_ARRAY)
            .bytes(&[1])
            .qword(base)
            .qword(base + length - 1)
            .finish(table);
    }
}

/// Type 32 (7.33): no errors.
fn boot_information(table: &mut Vec<u8>) {
    Structure::new(32, 0x2000).bytes(&[0; 7]).finish(table);
}
