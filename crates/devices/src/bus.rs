//! An address space (port I/O or MMIO) and the devices that answer in it. vCPU threads call `Bus::read` and
//! `Bus::write` for every exit that KVM does not handle by itself.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A device on a bus. Offsets are relative to the range it was inserted with, and `data` lies whole in that range.
pub trait BusDevice: Send {
    /// The guest reads `data.len()` bytes (1, 2, 4 or 8) at `offset`.
    fn read(&mut self, offset: u64, data: &mut [u8]);
    /// The guest writes `data` (1, 2, 4 or 8 bytes) at `offset`.
    fn write(&mut self, offset: u64, data: &[u8]);
}

/// A device as the bus holds it: shared with whoever else drives it.
pub type SharedDevice = Arc<Mutex<dyn BusDevice>>;

/// Why a range could not be inserted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("bus range {base:#x} of {length:#x} bytes is empty, wraps, or overlaps another device")]
pub struct InsertError {
    base: u64,
    length: u64,
}

struct Range {
    base: u64,
    length: u64,
    device: SharedDevice,
}

/// One address space. Lookups take a read lock and a binary search; changes (a BAR that moves) are rare.
#[derive(Default)]
pub struct Bus {
    ranges: RwLock<Vec<Range>>,
}

impl Bus {
    /// Lets `device` answer in `length` bytes from `base`.
    pub fn insert(&self, base: u64, length: u64, device: SharedDevice) -> Result<(), InsertError> {
        let refused = || InsertError { base, length };
        let end = base.checked_add(length).filter(|_| length > 0).ok_or_else(refused)?;
        let mut ranges = self.ranges.write().unwrap_or_else(PoisonError::into_inner);
        let at = ranges.partition_point(|range| range.base < base);
        let before = at.checked_sub(1).map(|index| &ranges[index]);
        if before.is_some_and(|range| range.base + range.length > base)
            || ranges.get(at).is_some_and(|range| range.base < end)
        {
            return Err(refused());
        }
        ranges.insert(at, Range { base, length, device });
        Ok(())
    }

    /// Takes the range that starts at `base` away again; nothing happens if there is none.
    pub fn remove(&self, base: u64) {
        self.ranges.write().unwrap_or_else(PoisonError::into_inner).retain(|range| range.base != base);
    }

    /// Reads at `address`; says whether a device answered. Bytes nobody answers for are all ones, as on real buses.
    pub fn read(&self, address: u64, data: &mut [u8]) -> bool {
        match self.find(address, data.len()) {
            Some((device, offset)) => {
                device.lock().unwrap_or_else(PoisonError::into_inner).read(offset, data);
                true
            }
            None => {
                data.fill(0xff);
                false
            }
        }
    }

    /// Writes at `address`; says whether a device took it.
    pub fn write(&self, address: u64, data: &[u8]) -> bool {
        match self.find(address, data.len()) {
            Some((device, offset)) => {
                device.lock().unwrap_or_else(PoisonError::into_inner).write(offset, data);
                true
            }
            None => false,
        }
    }

    // The device is cloned out, so that it may change the bus (a BAR that moves) while it handles the access.
    fn find(&self, address: u64, length: usize) -> Option<(SharedDevice, u64)> {
        let ranges = self.ranges.read().unwrap_or_else(PoisonError::into_inner);
        let index = ranges.partition_point(|range| range.base <= address).checked_sub(1)?;
        let range = &ranges[index];
        let offset = address - range.base;
        let fits = offset.checked_add(length as u64).is_some_and(|end| end <= range.length);
        fits.then(|| (Arc::clone(&range.device), offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo(u64);

    impl BusDevice for Echo {
        fn read(&mut self, offset: u64, data: &mut [u8]) {
            data.fill((self.0 + offset) as u8);
        }
        fn write(&mut self, _offset: u64, data: &[u8]) {
            self.0 = u64::from(data[0]);
        }
    }

    #[test]
    fn finds_devices_and_refuses_overlaps() {
        let bus = Bus::default();
        let device = || Arc::new(Mutex::new(Echo(1)));
        bus.insert(0x100, 8, device()).unwrap();
        bus.insert(0x108, 8, device()).unwrap();
        for (base, length) in
            [(0x107, 1), (0xff, 2), (0x100, 8), (0, 0), (u64::MAX, 2), (0x10f, 1), (0, 0x1000)]
        {
            assert_eq!(bus.insert(base, length, device()), Err(InsertError { base, length }));
        }
        let mut byte = [0];
        for (address, answer) in
            [(0xff, None), (0x100, Some(1)), (0x107, Some(8)), (0x108, Some(1)), (0x110, None)]
        {
            assert_eq!(bus.read(address, &mut byte), answer.is_some(), "{address:#x}");
            assert_eq!(byte[0], answer.unwrap_or(0xff));
        }
        // An access over the edge of a device is nobody's.
        assert!(!bus.read(0x107, &mut [0; 2]));
        assert!(bus.write(0x100, &[9]));
        bus.remove(0x100);
        assert!(!bus.write(0x100, &[9]));
    }
}
