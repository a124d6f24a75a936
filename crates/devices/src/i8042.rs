//! The one thing of the i8042 keyboard controller that machines still use: its reset line. There is no keyboard; the
//! FADT says so, and the status register is always idle.

use crate::bus::BusDevice;
use crate::power::{PowerRequest, PowerSink};

/// The command and status port; the data port is four below it.
pub const COMMAND_PORT: u16 = 0x64;

/// "Pulse output lines", with only the reset line selected.
const PULSE_RESET: u8 = 0xfe;

/// The controller's command port.
pub struct I8042 {
    sink: PowerSink,
}

impl I8042 {
    /// A reset goes to `sink`.
    pub fn new(sink: PowerSink) -> Self {
        Self { sink }
    }
}

impl BusDevice for I8042 {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, _offset: u64, data: &[u8]) {
        if data[0] == PULSE_RESET {
            (self.sink)(PowerRequest::Reset);
        }
    }
}
