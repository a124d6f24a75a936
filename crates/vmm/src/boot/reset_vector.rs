//! What a BIOS has at its entry point, so that a guest which reboots by jumping there gets its reset. Linux does so on a
//! hardware-reduced machine without EFI: it does not try the ACPI reset register first.

use devices::power;

use crate::layout;

/// Real-mode code: writes the reset register, and halts.
pub fn code() -> [u8; 7] {
    let port = u64::from(layout::POWER_PORTS) + power::RESET;
    let [low, high, ..] = port.to_le_bytes();
    // mov dx, port; mov al, value; out dx, al; hlt
    [0xba, low, high, 0xb0, power::RESET_VALUE, 0xee, 0xf4]
}
