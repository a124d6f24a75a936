//! Serial port, RTC, i8042 and power button.

use micro::{Vm, elf, guest};

// Echoes what is typed until a `q`.
guest!(echo, "1: call micro_getc", "call micro_putc", "cmp al, 0x71", "jne 1b", "jmp micro_off",);

// Says hello; then `r` resets by the keyboard controller, `a` by ACPI, anything else powers off.
guest!(
    reset,
    "lea rsi, [rip + 3f]",
    "call micro_puts",
    "call micro_getc",
    "cmp al, 0x72",
    "je 1f",
    "cmp al, 0x61",
    "je 2f",
    "jmp micro_off",
    "1: mov al, 0xfe",
    "out 0x64, al",
    "4: hlt",
    "jmp 4b",
    "2: mov edx, 0x603",
    "mov al, 1",
    "out dx, al",
    "jmp 4b",
    "3: .asciz \"hello\\n\"",
);

// Prints century and year, by the register numbers that firmware uses, and register D.
guest!(
    clock,
    "xor ebx, ebx",
    "mov al, 0x32",
    "out 0x70, al",
    "in al, 0x71",
    "mov bh, al",
    "mov al, 9",
    "out 0x70, al",
    "in al, 0x71",
    "mov bl, al",
    "mov eax, ebx",
    "call micro_hex",
    "xor eax, eax",
    "mov al, 0x0d",
    "out 0x70, al",
    "in al, 0x71",
    "call micro_hex",
    "jmp micro_off",
);

// Waits for the power button as the event device's method does.
guest!(
    button,
    "lea rsi, [rip + 2f]",
    "call micro_puts",
    "mov edx, 0x602",
    "1: in al, dx",
    "test al, 1",
    "jz 1b",
    "jmp micro_off",
    "2: .asciz \"ready\\n\"",
);

#[test]
fn the_console_goes_both_ways() {
    let Some(mut vm) = Vm::start(&elf(echo()), &[]) else { return };
    // More than the FIFO of the serial port holds.
    let text = "0123456789".repeat(100);
    vm.send(&text);
    vm.send("q");
    assert_eq!(vm.finish().output, format!("{text}q"));
}

#[test]
fn the_guest_resets_and_starts_anew() {
    let Some(mut vm) = Vm::start(&elf(reset()), &[]) else { return };
    vm.wait_for("hello", 1);
    vm.send("r");
    vm.wait_for("hello", 2);
    vm.send("a");
    vm.wait_for("hello", 3);
    let info = vm.ask(async |client| client.info().await.unwrap());
    assert_eq!(info.boots, 3);
    vm.send("q");
    let finished = vm.finish();
    assert!(finished.success, "{}", finished.stderr);
    assert_eq!(finished.output, "hello\n".repeat(3));
}

#[test]
fn the_clock_has_the_year() {
    let Some(vm) = Vm::start(&elf(clock()), &[]) else { return };
    let output = vm.finish().output;
    let lines: Vec<&str> = output.lines().collect();
    let year: u32 = lines[0].trim_start_matches('0').parse().expect("binary-coded decimal");
    assert!((2026..2100).contains(&year), "{output}");
    assert_eq!(lines[1], "00000080", "the battery is good");
}

#[test]
fn the_power_button_reaches_the_guest() {
    let Some(mut vm) = Vm::start(&elf(button()), &[]) else { return };
    vm.wait_for("ready", 1);
    vm.ask(async |client| client.power_button().await.unwrap());
    assert!(vm.finish().success);
}
