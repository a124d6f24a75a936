//! The boot protocols: each kind of kernel is entered where and how its protocol says.

use micro::{Vm, bzimage, elf, guest, pvh_elf};

guest!(
    linux64,
    "cmp dword ptr [rsi + 0x202], 0x53726448", // the zero page has the header's magic
    "jne 1f",
    "mov esi, [rsi + 0x228]", // the command line
    "call micro_puts",
    "jmp micro_off",
    "1: lea rsi, [rip + 2f]",
    "call micro_puts",
    "jmp micro_off",
    "2: .asciz \"no zero page\\n\"",
);

guest!(
    pvh,
    ".code32",
    "cmp dword ptr [ebx], 0x336ec578", // magic of the start info
    "jne 2f",
    "mov esi, [ebx + 24]", // the command line
    "mov edx, 0x3f8",
    "1: lodsb",
    "test al, al",
    "jz 2f",
    "out dx, al",
    "jmp 1b",
    "2: mov edx, 0x600",
    "mov al, 0x34",
    "out dx, al",
    "3: hlt",
    "jmp 3b",
    ".code64",
);

// Prints the first bytes of the initrd that the zero page names.
guest!(
    initrd,
    "mov ecx, 5",
    "mov ebx, [rsi + 0x218]",
    "1: mov al, [rbx]",
    "call micro_putc",
    "inc rbx",
    "dec ecx",
    "jnz 1b",
    "mov al, 10",
    "call micro_putc",
    "mov eax, [rsi + 0x21c]",
    "call micro_hex",
    "jmp micro_off",
);

#[test]
fn every_kind_of_kernel_is_entered_with_its_command_line() {
    for (name, kernel) in [("elf", elf(linux64())), ("bzimage", bzimage(linux64())), ("pvh", pvh_elf(pvh()))]
    {
        let Some(vm) = Vm::start(&kernel, &["--cmdline", "console=ttyS0 -- hello"]) else { return };
        let finished = vm.finish();
        assert_eq!(finished.output, "console=ttyS0 -- hello", "{name}: {}", finished.stderr);
        assert!(finished.success, "{name}: {}", finished.stderr);
    }
}

#[test]
fn the_initrd_is_where_the_zero_page_says() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"bothy and more").unwrap();
    let Some(vm) = Vm::start(&elf(initrd()), &["--initrd", file.path().to_str().unwrap()]) else { return };
    assert_eq!(vm.finish().output, "bothy\n0000000e\n");
}

#[test]
fn a_kernel_that_is_none_is_refused() {
    let mut truncated = bzimage(linux64());
    truncated.truncate(0x500);
    for (kernel, expected) in [(b"#!/bin/sh\n".to_vec(), "neither a bzImage nor"), (truncated, "cut short")] {
        let Some(vm) = Vm::start(&kernel, &[]) else { return };
        let finished = vm.finish();
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
        assert!(finished.stderr.contains("invalid_kernel"), "{}", finished.stderr);
        assert!(!finished.success);
    }
}
