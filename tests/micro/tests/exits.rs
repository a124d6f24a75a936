//! Every kind of exit and every way to end.

use micro::{Vm, elf, guest};

guest!(power_off, "lea rsi, [rip + 1f]", "call micro_puts", "jmp micro_off", "1: .asciz \"bye\\n\"",);

// An exception without a table to look it up in.
guest!(triple_fault, "push 0", "push 0", "lidt [rsp]", "ud2");

// An instruction fetch from where no memory is.
guest!(internal_error, "mov eax, 0xd0000000", "jmp rax");

// Reads and writes of ports and memory that nobody claims.
guest!(
    unclaimed,
    "mov edx, 0x1234",
    "in eax, dx",
    "call micro_hex",
    "out dx, eax",
    "mov eax, 0xd0000000",
    "mov dword ptr [rax], 1",
    "mov eax, [rax]",
    "call micro_hex",
    "mov ebx, 0xe0008000", // no function at this place of configuration space
    "mov eax, [rbx + 0xf8000]",
    "call micro_hex",
    "jmp micro_off",
);

// An interrupt from the local APIC's own pin: the host bridge of KVM's interrupt controllers.
guest!(
    interrupt,
    "mov edi, 0x200000", // an IDT with one gate, number 0x40
    "lea rax, [rip + 2f]",
    "mov [rdi + 0x400], ax",
    "mov dword ptr [rdi + 0x402], 0x8e000010",
    "shr rax, 16",
    "mov [rdi + 0x406], ax",
    "shr rax, 16",
    "mov [rdi + 0x408], eax",
    "mov dword ptr [rdi + 0x40c], 0",
    "push rdi",
    "push 0",
    "mov word ptr [rsp + 6], 0x40f",
    "lidt [rsp + 6]",
    "mov ebx, 0xfee00000",
    "mov dword ptr [rbx + 0xf0], 0x1ff",    // enables the APIC
    "mov dword ptr [rbx + 0x300], 0x44040", // vector 0x40 to itself
    "sti",
    "1: hlt",
    "jmp 1b",
    "2: lea rsi, [rip + 3f]",
    "call micro_puts",
    "mov dword ptr [rbx + 0xb0], 0",
    "jmp micro_off",
    "3: .asciz \"interrupt\\n\"",
);

// Starts the other vCPUs at 0x50000, where each prints a letter, counts itself and halts.
guest!(
    processors,
    "lea rsi, [rip + 2f]",
    "mov edi, 0x50000",
    "lea rcx, [rip + 3f]",
    "sub ecx, esi",
    "rep movsb",
    "mov dword ptr [0x50100], 0",
    "mov ebx, 0xfee00000",
    "mov dword ptr [rbx + 0x300], 0xc4500", // INIT to all but itself
    "mov dword ptr [rbx + 0x300], 0xc4650", // start-up at page 0x50
    "1: pause",
    "cmp dword ptr [0x50100], 3",
    "jne 1b",
    "jmp micro_off",
    "2: .code16",
    "mov al, 0x2b",
    "mov dx, 0x3f8",
    "out dx, al",
    "mov ax, 0x5000",
    "mov ds, ax",
    "lock inc dword ptr [0x100]",
    "4: hlt",
    "jmp 4b",
    ".code64",
    "3:",
);

// Resets as Linux may: by a jump to the entry point of the BIOS in real mode. Here the second vCPU does it, which begins
// in real mode anyway.
guest!(
    jump_to_bios,
    "lea rsi, [rip + 3f]",
    "call micro_puts",
    "call micro_getc",
    "cmp al, 0x71",
    "je micro_off",
    "mov dword ptr [0x50000], 0x00fff0ea", // jmp f000:fff0
    "mov byte ptr [0x50004], 0xf0",
    "mov ebx, 0xfee00000",
    "mov dword ptr [rbx + 0x300], 0xc4500",
    "mov dword ptr [rbx + 0x300], 0xc4650",
    "1: hlt",
    "jmp 1b",
    "3: .asciz \"hello\\n\"",
);

#[test]
fn a_jump_to_the_bios_resets() {
    let Some(mut vm) = Vm::start(&elf(jump_to_bios()), &["--vcpus", "2"]) else { return };
    vm.wait_for("hello", 1);
    vm.send("r");
    vm.wait_for("hello", 2);
    vm.send("q");
    assert!(vm.finish().success);
}

#[test]
fn power_off_is_success() {
    let Some(vm) = Vm::start(&elf(power_off()), &[]) else { return };
    let finished = vm.finish();
    assert_eq!(finished.output, "bye\n");
    assert!(finished.success && finished.stderr.is_empty(), "{finished:?}");
}

#[test]
fn each_fault_has_its_reason() {
    let cases = [("triple fault", elf(triple_fault())), ("KVM internal error", elf(internal_error()))];
    for (reason, kernel) in cases {
        let Some(vm) = Vm::start(&kernel, &[]) else { return };
        let finished = vm.finish();
        assert!(!finished.success);
        assert!(finished.stderr.contains(reason), "{}", finished.stderr);
        assert!(finished.stderr.contains("at instruction 0x"), "{}", finished.stderr);
        assert_eq!(finished.stderr.lines().count(), 1, "one line of reason: {}", finished.stderr);
    }
}

#[test]
fn what_nobody_claims_reads_as_ones() {
    let Some(vm) = Vm::start(&elf(unclaimed()), &[]) else { return };
    assert_eq!(vm.finish().output, "ffffffff\nffffffff\nffffffff\n");
}

#[test]
fn interrupts_arrive() {
    let Some(vm) = Vm::start(&elf(interrupt()), &[]) else { return };
    assert_eq!(vm.finish().output, "interrupt\n");
}

#[test]
fn four_processors_start() {
    let Some(vm) = Vm::start(&elf(processors()), &["--vcpus", "4"]) else { return };
    assert_eq!(vm.finish().output, "+++");
}
