//! The serial port: a 16550A at eight ports, and the flow of input into its small FIFO. The registers are
//! `vm_superio`'s; this adds only that input waits outside until the guest has room for it.

use std::io::Write;

use vm_superio::{Serial as Registers, Trigger, serial::NoEvents};
use vmm_sys_util::eventfd::EventFd;

use crate::bus::BusDevice;

/// Ports a 16550A takes.
pub const PORTS: u64 = 8;

// Registers, and bits in them.
const RECEIVE_BUFFER: u8 = 0;
const ENABLE: u8 = 1;
const DATA_AVAILABLE: u8 = 1;
const IDENTIFICATION: u8 = 2;
const NOTHING: u8 = 1;
const RECEIVED: u8 = 1 << 2;
const LINE_CONTROL: u8 = 3;
const DIVISOR: u8 = 1 << 7;
const LINE_STATUS: u8 = 5;
const DATA_READY: u8 = 1;

/// Gives at most so many bytes of waiting input.
pub type InputSource = Box<dyn FnMut(usize) -> Vec<u8> + Send>;

/// The serial port.
pub struct Serial {
    registers: Registers<Interrupt, NoEvents, Box<dyn Write + Send>>,
    input: InputSource,
}

struct Interrupt(EventFd);

impl Trigger for Interrupt {
    type E = std::io::Error;

    fn trigger(&self) -> std::io::Result<()> {
        self.0.write(1)
    }
}

impl Serial {
    /// Signals `interrupt` on each edge of its interrupt line, writes what the guest sends to `output`, a byte at a
    /// time, and takes what the guest shall read from `input`.
    pub fn new(interrupt: EventFd, output: Box<dyn Write + Send>, input: InputSource) -> Self {
        Self { registers: Registers::new(Interrupt(interrupt), output), input }
    }

    /// Moves waiting input into the FIFO as far as there is room. Call it when input came.
    pub fn pull_input(&mut self) {
        let room = self.registers.fifo_capacity();
        if room == 0 {
            return;
        }
        let bytes = (self.input)(room);
        // In loopback mode the port is deaf, as a real one is.
        if !bytes.is_empty() && self.registers.enqueue_raw_bytes(&bytes).is_err() {
            log::debug!("serial input of {} bytes was lost", bytes.len());
        }
    }

    /// Whether there is something to read and the guest wants to hear of it.
    fn has_news(&mut self) -> bool {
        // Under the divisor's bit, another register is where the enable register is.
        self.registers.read(LINE_STATUS) & DATA_READY != 0
            && self.registers.read(LINE_CONTROL) & DIVISOR == 0
            && self.registers.read(ENABLE) & DATA_AVAILABLE != 0
    }
}

impl BusDevice for Serial {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        let Ok(register) = u8::try_from(offset) else { return };
        data[0] = self.registers.read(register);
        match register {
            RECEIVE_BUFFER => self.pull_input(),
            // A 16550A says so for as long as there is something. These registers forget it with the first byte that is read,
            // and a driver that pauses then (Linux: after 256 bytes) would not hear of the rest before more is typed.
            IDENTIFICATION if self.has_news() => data[0] = (data[0] & !NOTHING) | RECEIVED,
            _ => {}
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let Ok(register) = u8::try_from(offset) else { return };
        // Only output can fail, and the console never does.
        let _ = self.registers.write(register, data[0]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::sink;

    use super::*;

    /// Most bytes that Linux reads for one interrupt (serial8250_rx_chars).
    const AT_ONCE: usize = 256;

    fn read(serial: &mut Serial, register: u8) -> u8 {
        let mut data = [0];
        serial.read(register.into(), &mut data);
        data[0]
    }

    #[test]
    fn a_driver_that_stops_in_the_midst_hears_of_the_rest() {
        for length in [1, 64, AT_ONCE, AT_ONCE + 1, AT_ONCE + 50, 1000] {
            let interrupt = EventFd::new(0).unwrap();
            let mut waiting: VecDeque<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let sent: Vec<u8> = waiting.iter().copied().collect();
            let input = move |most: usize| waiting.drain(..most.min(waiting.len())).collect();
            let mut serial = Serial::new(interrupt.try_clone().unwrap(), Box::new(sink()), Box::new(input));
            serial.write(ENABLE.into(), &[DATA_AVAILABLE]);
            serial.pull_input();
            assert!(interrupt.read().is_ok());
            // As serial8250_interrupt does it: until nothing is said to be left.
            let mut received = Vec::new();
            while read(&mut serial, IDENTIFICATION) & NOTHING == 0 {
                for _ in 0..AT_ONCE {
                    if read(&mut serial, LINE_STATUS) & DATA_READY == 0 {
                        break;
                    }
                    received.push(read(&mut serial, RECEIVE_BUFFER));
                }
            }
            assert_eq!(received.len(), sent.len());
            assert_eq!(received, sent);
        }
    }
}
