//! The virtio devices through PCI, as a driver of a few instructions sees them.

use std::fs;

use micro::{Vm, elf, guest};

// Asks virtio-rng for 64 bytes, tells the used length and whether all stayed zero.
guest!(
    entropy,
    "mov edi, 4",
    "xor esi, esi",
    "call micro_virtio",
    "xor edi, edi",
    "mov esi, 0x200000",
    "call micro_queue",
    "call micro_ready",
    "mov edi, 0x200000",
    "mov eax, 0x210000",
    "mov ecx, 64",
    "mov edx, 2", // the device writes
    "call micro_desc",
    "xor edi, edi",
    "xor edx, edx",
    "call micro_submit",
    "call micro_hex",
    "mov eax, [0x210000]",
    "or eax, [0x210020]",
    "or eax, [0x21003c]",
    "setnz al",
    "movzx eax, al",
    "call micro_hex",
    "jmp micro_off",
);

// Writes "bothy" to sector 1, flushes, reads sector 1 and 2 back; prints each status, the text, and the capacity.
guest!(
    disk,
    "mov edi, 2",
    "mov esi, 0x200", // FLUSH
    "call micro_virtio",
    "mov eax, [r14]",
    "call micro_hex",
    "xor edi, edi",
    "mov esi, 0x200000",
    "call micro_queue",
    "call micro_ready",
    // Three descriptors that serve all requests: header, data, status.
    "mov edi, 0x200000",
    "mov eax, 0x210000",
    "mov ecx, 16",
    "mov edx, 0x10001",
    "call micro_desc",
    "mov eax, 0x211000",
    "mov ecx, 1024",
    "mov edx, 0x20001",
    "call micro_desc",
    "mov eax, 0x210010",
    "mov ecx, 1",
    "mov edx, 2",
    "call micro_desc",
    // A write of two sectors.
    "mov dword ptr [0x211000], 0x68746f62",
    "mov word ptr [0x211004], 0x0a79",
    "mov dword ptr [0x210000], 1",
    "mov dword ptr [0x210008], 1",
    "call 5f",
    // A flush has no data: header, then status.
    "mov dword ptr [0x210000], 4",
    "mov dword ptr [0x210008], 0",
    "mov word ptr [0x20000e], 2",
    "call 5f",
    // A read of the same two sectors.
    "mov word ptr [0x20000e], 1",
    "mov dword ptr [0x210000], 0",
    "mov dword ptr [0x210008], 1",
    "mov dword ptr [0x211000], 0",
    "mov word ptr [0x20001c], 3", // the device writes the data
    "call 5f",
    "mov esi, 0x211000",
    "call micro_puts",
    // Beyond the end.
    "mov dword ptr [0x210008], 0x100000",
    "call 5f",
    // An unknown request.
    "mov dword ptr [0x210000], 99",
    "mov dword ptr [0x210008], 0",
    "call 5f",
    "jmp micro_off",
    // Submits and prints the status.
    "5: mov byte ptr [0x210010], 0xee",
    "mov esi, 0x200000",
    "xor edi, edi",
    "xor edx, edx",
    "call micro_submit",
    "movzx eax, byte ptr [0x210010]",
    "jmp micro_hex",
);

// Sends bad chains to the disk and prints each used length: a loop, memory that is not there, an empty buffer, a
// descriptor that does not exist. Then a good request still works.
guest!(
    bad_chains,
    "mov edi, 2",
    "xor esi, esi",
    "call micro_virtio",
    "xor edi, edi",
    "mov esi, 0x200000",
    "call micro_queue",
    "call micro_ready",
    "mov edi, 0x200000", // 0 and 1 point at each other
    "mov eax, 0x210000",
    "mov ecx, 16",
    "mov edx, 0x10001",
    "call micro_desc",
    "mov edx, 0x00001",
    "call micro_desc",
    "mov rax, 0x7000000000", // 2 is nowhere
    "mov edx, 2",
    "call micro_desc",
    "mov eax, 0x210000", // 3 is empty
    "xor ecx, ecx",
    "call micro_desc",
    "mov ecx, 16", // 4 goes on at 99
    "mov edx, 0x630001",
    "call micro_desc",
    "mov eax, 0x210000", // 5, 6: a request to identify itself, without status
    "mov edx, 0x60001",
    "call micro_desc",
    "mov eax, 0x211000",
    "mov ecx, 20",
    "mov edx, 0x70003",
    "call micro_desc",
    "mov eax, 0x210010", // 7: its status
    "mov ecx, 1",
    "mov edx, 2",
    "call micro_desc",
    "mov dword ptr [0x210000], 8",
    "mov esi, 0x200000",
    "xor edx, edx",
    "1: xor edi, edi",
    "call micro_submit",
    "call micro_hex",
    "inc edx",
    "cmp edx, 6",
    "je 2f",
    "cmp edx, 1",
    "jne 1b",
    "inc edx",
    "jmp 1b",
    "2: mov esi, 0x211000",
    "call micro_puts",
    "jmp micro_off",
);

// Breaks the ring itself: its available index jumps beyond its size.
guest!(
    bad_ring,
    "mov edi, 2",
    "xor esi, esi",
    "call micro_virtio",
    "xor edi, edi",
    "mov esi, 0x200000",
    "call micro_queue",
    "call micro_ready",
    "mov word ptr [0x201002], 1000",
    "xor edx, edx",
    "jmp micro_submit",
);

// Takes an interrupt by MSI-X from virtio-rng while it waits with `hlt`.
guest!(
    msix,
    "mov edi, 0x300000", // an IDT with one gate, number 0x41
    "lea rax, [rip + 4f]",
    "mov [rdi + 0x410], ax",
    "mov dword ptr [rdi + 0x412], 0x8e000010",
    "shr rax, 16",
    "mov [rdi + 0x416], ax",
    "shr rax, 16",
    "mov [rdi + 0x418], eax",
    "mov dword ptr [rdi + 0x41c], 0",
    "push rdi",
    "push 0",
    "mov word ptr [rsp + 6], 0x41f",
    "lidt [rsp + 6]",
    "mov r12d, 0xfee00000",
    "mov dword ptr [r12 + 0xf0], 0x1ff",
    "mov edi, 4",
    "xor esi, esi",
    "call micro_virtio",
    // Finds the MSI-X capability, fills the table's second entry, enables.
    "movzx ecx, byte ptr [r8 + 0x34]",
    "1: cmp byte ptr [r8 + rcx], 0x11",
    "je 2f",
    "movzx ecx, byte ptr [r8 + rcx + 1]",
    "jmp 1b",
    "2: mov eax, [r8 + rcx + 4]",
    "and eax, -8",
    "add rax, r9",
    "mov dword ptr [rax + 16], 0xfee00000",
    "mov dword ptr [rax + 20], 0",
    "mov dword ptr [rax + 24], 0x41",
    "mov dword ptr [rax + 28], 0",
    "mov word ptr [r8 + rcx + 2], 0x8000",
    "xor edi, edi",
    "mov esi, 0x200000",
    "call micro_queue",
    "mov word ptr [rbx + 0x1a], 1",
    "call micro_ready",
    "mov edi, 0x200000",
    "mov eax, 0x210000",
    "mov ecx, 64",
    "mov edx, 2",
    "call micro_desc",
    "mov word ptr [0x201004], 0",
    "mov word ptr [0x201002], 1",
    "mov word ptr [r13], 0",
    "sti",
    "3: hlt",
    "jmp 3b",
    "4: lea rsi, [rip + 5f]",
    "call micro_puts",
    "mov dword ptr [r12 + 0xb0], 0",
    "jmp micro_off",
    "5: .asciz \"msi\\n\"",
);

#[test]
fn entropy_fills_the_buffer() {
    let Some(vm) = Vm::start(&elf(entropy()), &[]) else { return };
    assert_eq!(vm.finish().output, "00000040\n00000001\n");
}

#[test]
fn interrupts_come_by_msi_x() {
    let Some(vm) = Vm::start(&elf(msix()), &[]) else { return };
    assert_eq!(vm.finish().output, "msi\n");
}

fn raw_disk(folder: &std::path::Path) -> std::path::PathBuf {
    let path = folder.join("disk.raw");
    fs::File::create(&path).and_then(|file| file.set_len(1 << 20)).expect("a file in a temporary folder");
    path
}

#[test]
fn the_disk_reads_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = raw_disk(folder.path());
    let Some(vm) = Vm::start(&elf(disk()), &["--disk", path.to_str().unwrap()]) else { return };
    let finished = vm.finish();
    let expected = ["00000800", "00000000", "00000000", "00000000", "bothy", "00000001", "00000002"];
    assert_eq!(finished.output.lines().collect::<Vec<_>>(), expected, "{}", finished.stderr);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(&bytes[512..518], b"bothy\n");
    assert!(bytes[..512].iter().chain(&bytes[518..]).all(|byte| *byte == 0), "and nothing else was written");
}

#[test]
fn a_read_only_disk_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = raw_disk(folder.path());
    let argument = format!("{},readonly", path.display());
    let Some(vm) = Vm::start(&elf(disk()), &["--disk", &argument]) else { return };
    let output = vm.finish().output;
    assert_eq!(output.lines().nth(1), Some("00000001"), "the write is an I/O error: {output}");
    assert!(fs::read(&path).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn bad_chains_are_answered_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let argument = format!("{},serial=data1", raw_disk(folder.path()).display());
    let Some(vm) = Vm::start(&elf(bad_chains()), &["--disk", &argument]) else { return };
    let output = vm.finish().output;
    let lines: Vec<&str> = output.lines().collect();
    // Descriptors 0, 2, 3 and 4; then the good request with its 20 bytes and a status.
    assert_eq!(lines[..5], ["00000000", "00000000", "00000000", "00000000", "00000015"], "{output}");
    assert_eq!(lines[5], "data1");
}

#[test]
fn a_broken_ring_makes_the_device_ask_for_its_reset() {
    let folder = tempfile::tempdir().unwrap();
    let path = raw_disk(folder.path());
    let Some(vm) = Vm::start(&elf(bad_ring()), &["--disk", path.to_str().unwrap()]) else { return };
    assert_eq!(vm.finish().output, "needs reset\n");
}

#[test]
fn without_the_device_there_is_none() {
    let Some(vm) = Vm::start(&elf(disk()), &[]) else { return };
    assert_eq!(vm.finish().output, "none\n");
}
