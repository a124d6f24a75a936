//! Power management of a hardware-reduced ACPI machine (ACPI 6.5, 4.8.3.7): sleep control and status, reset, and the
//! register in which the event device (GED) finds out what happened. `vmm::acpi` describes these ports to the guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use vmm_sys_util::eventfd::EventFd;

use crate::bus::BusDevice;

/// What the guest asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerRequest {
    /// Soft off (S5).
    Off,
    /// Reset.
    Reset,
}

/// Where the guest's requests go. Called on a vCPU thread.
pub type PowerSink = Arc<dyn Fn(PowerRequest) + Send + Sync>;

/// Number of ports.
pub const PORTS: u64 = 4;
/// Sleep control register, relative to the first port.
pub const SLEEP_CONTROL: u64 = 0;
/// Sleep status register.
pub const SLEEP_STATUS: u64 = 1;
/// Pending events; reading takes them.
pub const EVENTS: u64 = 2;
/// Reset register.
pub const RESET: u64 = 3;

/// Written to `RESET`, resets the machine.
pub const RESET_VALUE: u8 = 1;
/// Sleep type of S5, as the DSDT's `_S5` says.
pub const SLEEP_TYPE_OFF: u8 = 5;
/// Event bit of the power button.
pub const EVENT_POWER_BUTTON: u8 = 1;

const SLEEP_ENABLE: u8 = 1 << 5;
const SLEEP_TYPE_SHIFT: u8 = 2;
const SLEEP_TYPE_MASK: u8 = 7;

/// The ports.
pub struct PowerPorts {
    sink: PowerSink,
    events: Arc<AtomicU8>,
}

/// The power button: pressed from outside, seen by the guest through the event device.
#[derive(Clone)]
pub struct PowerButton {
    events: Arc<AtomicU8>,
    interrupt: Arc<EventFd>,
}

impl PowerPorts {
    /// The ports and their button. `interrupt` is the event device's.
    pub fn new(sink: PowerSink, interrupt: EventFd) -> (Self, PowerButton) {
        let events = Arc::new(AtomicU8::new(0));
        let button = PowerButton { events: Arc::clone(&events), interrupt: Arc::new(interrupt) };
        (Self { sink, events }, button)
    }
}

impl PowerButton {
    /// Presses the button. A guest that does not listen ignores it.
    pub fn press(&self) -> std::io::Result<()> {
        self.events.fetch_or(EVENT_POWER_BUTTON, Ordering::AcqRel);
        self.interrupt.write(1)
    }
}

impl BusDevice for PowerPorts {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if offset == EVENTS {
            data[0] = self.events.swap(0, Ordering::AcqRel);
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let value = data[0];
        let is_soft_off = (value >> SLEEP_TYPE_SHIFT) & SLEEP_TYPE_MASK == SLEEP_TYPE_OFF;
        match offset {
            SLEEP_CONTROL if value & SLEEP_ENABLE != 0 && is_soft_off => (self.sink)(PowerRequest::Off),
            RESET if value == RESET_VALUE => (self.sink)(PowerRequest::Reset),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use vmm_sys_util::eventfd::EFD_NONBLOCK;

    use super::*;

    #[test]
    fn only_the_defined_values_do_something() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let interrupt = EventFd::new(EFD_NONBLOCK).unwrap();
        let probe = interrupt.try_clone().unwrap();
        let (mut ports, button) =
            PowerPorts::new(Arc::new(move |request| sink.lock().unwrap().push(request)), interrupt);
        for value in 0..=255 {
            ports.write(SLEEP_CONTROL, &[value]);
            ports.write(RESET, &[value]);
        }
        ports.write(SLEEP_STATUS, &[0xff]);
        let expected =
            [PowerRequest::Reset, PowerRequest::Off, PowerRequest::Off, PowerRequest::Off, PowerRequest::Off];
        // Type 5 with the enable bit set: 0x34 to 0x37 and, the top bits being reserved, 0x74 and so on.
        let seen = seen.lock().unwrap().clone();
        assert_eq!(seen[..5], expected);
        assert_eq!(seen.iter().filter(|request| **request == PowerRequest::Off).count(), 16);

        button.press().unwrap();
        button.press().unwrap();
        assert_eq!(probe.read().unwrap(), 2);
        let mut events = [0];
        ports.read(EVENTS, &mut events);
        assert_eq!(events, [EVENT_POWER_BUTTON]);
        ports.read(EVENTS, &mut events);
        assert_eq!(events, [0], "reading takes the events");
    }
}
