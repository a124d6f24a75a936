//! Configuration space through two I/O ports (PCI 3.0, 3.2.2.3.2, "configuration mechanism #1"). ECAM reaches all that
//! these do, but kernels such as Debian 12's 6.1 trust ECAM early in their boot only where they find the ports, and log a
//! fatal error otherwise.

use std::sync::{Arc, Mutex, PoisonError};

use super::root::PciRoot;
use crate::bus::BusDevice;

/// First of the ports.
pub const PORT: u16 = 0xcf8;
/// Number of ports: four of the address register, four that are its window.
pub const PORTS: u64 = 8;

const WINDOW: u64 = 4;
const ENABLE: u32 = 1 << 31;

/// The ports of a root.
pub struct ConfigPorts {
    root: Arc<Mutex<PciRoot>>,
    address: u32,
}

impl ConfigPorts {
    /// Ports that reach what `root` has.
    pub fn new(root: Arc<Mutex<PciRoot>>) -> Self {
        Self { root, address: 0 }
    }

    /// Where in ECAM a byte of the window is: bus, device and function are in the same order in both.
    fn ecam(&self, offset: u64) -> Option<u64> {
        let byte = offset.checked_sub(WINDOW).filter(|_| self.address & ENABLE != 0)?;
        let (function, register) = (self.address >> 8 & 0xffff, self.address & 0xfc);
        Some(u64::from(function) << 12 | u64::from(register) | byte)
    }
}

impl BusDevice for ConfigPorts {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        match (self.ecam(offset), offset, data.len()) {
            (_, 0, 4) => data.copy_from_slice(&self.address.to_le_bytes()),
            (Some(at), ..) => self.root.lock().unwrap_or_else(PoisonError::into_inner).read(at, data),
            _ => data.fill(0xff),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        match (self.ecam(offset), offset, <[u8; 4]>::try_from(data)) {
            // Only whole: narrower accesses in this place were other chips' (3.2.2.3.2).
            (_, 0, Ok(address)) => self.address = u32::from_le_bytes(address),
            (Some(at), ..) => self.root.lock().unwrap_or_else(PoisonError::into_inner).write(at, data),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Bus;

    fn read<const N: usize>(ports: &mut ConfigPorts, offset: u64) -> [u8; N] {
        let mut data = [0; N];
        ports.read(offset, &mut data);
        data
    }

    #[test]
    fn the_window_shows_what_the_address_names() {
        let mmio = Arc::new(Bus::default());
        let mut ports = ConfigPorts::new(Arc::new(Mutex::new(PciRoot::new(&mmio))));
        assert_eq!(read::<4>(&mut ports, WINDOW), [0xff; 4], "not enabled");

        // How Linux finds out whether the ports are there.
        ports.write(3, &[1]);
        ports.write(0, &ENABLE.to_le_bytes());
        assert_eq!(u32::from_le_bytes(read(&mut ports, 0)), ENABLE);

        assert_eq!(u32::from_le_bytes(read(&mut ports, WINDOW)), 0x0008_1b36, "the host bridge");
        assert_eq!(u16::from_le_bytes(read(&mut ports, WINDOW + 2)), 0x0008);
        ports.write(0, &(ENABLE | 8).to_le_bytes());
        assert_eq!(read::<1>(&mut ports, WINDOW + 3), [6], "its class");
        ports.write(0, &(ENABLE | 1 << 11).to_le_bytes());
        assert_eq!(read::<4>(&mut ports, WINDOW), [0xff; 4], "no such slot");
        ports.write(0, &(ENABLE | 0xff << 16).to_le_bytes());
        assert_eq!(read::<4>(&mut ports, WINDOW), [0xff; 4], "no such bus");
        assert_eq!(read::<2>(&mut ports, 0), [0xff; 2], "half of the address register");
    }
}
