//! The serial port: a 16550A at eight ports, and the flow of input into its small FIFO. The registers are
//! `vm_superio`'s; this adds only that input waits outside until the guest has room for it.

use std::io::Write;

use vm_superio::{Serial as Registers, Trigger, serial::NoEvents};
use vmm_sys_util::eventfd::EventFd;

use crate::bus::BusDevice;

/// Ports a 16550A takes.
pub const PORTS: u64 = 8;

const RECEIVE_BUFFER: u8 = 0;

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
}

impl BusDevice for Serial {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        let Ok(register) = u8::try_from(offset) else { return };
        data[0] = self.registers.read(register);
        if register == RECEIVE_BUFFER {
            self.pull_input();
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let Ok(register) = u8::try_from(offset) else { return };
        // Only output can fail, and the console never does.
        let _ = self.registers.write(register, data[0]);
    }
}
