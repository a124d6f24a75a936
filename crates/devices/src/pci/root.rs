//! The root buses and their slots, reached by ECAM (PCI Express 5.0, 7.2.2): an access to the window is an access to
//! the configuration space of one function. Slots can be filled and emptied while the guest runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::PciDevice;
use super::config::{ConfigSpace, Ids};
use crate::bus::{Bus, BusDevice, SharedDevice};

/// Slots of a bus.
pub const SLOTS: u8 = 32;
/// Bytes of the ECAM window that one bus takes.
pub const ECAM_BYTES_PER_BUS: u64 = 1 << 20;

/// Where a function sits. All devices are function 0 of their slot, so that each can be ejected by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// Bus number.
    pub bus: u8,
    /// Slot on the bus, below `SLOTS`.
    pub slot: u8,
}

impl Slot {
    /// The `index`th place for a device. Slot 0 of each bus stays free of them: bus 0 has the host bridge there.
    pub fn nth(index: usize) -> Option<Self> {
        let per_bus = usize::from(SLOTS - 1);
        let bus = u8::try_from(index / per_bus).ok()?;
        let slot = u8::try_from(index % per_bus + 1).ok()?;
        Some(Self { bus, slot })
    }
}

struct Function {
    device: Arc<Mutex<dyn PciDevice>>,
    on_bus: SharedDevice,
    decoded_at: Option<u64>,
}

/// All root buses: the device behind the ECAM window on the MMIO bus.
pub struct PciRoot {
    // Weak, because the bus holds this: two that hold each other would never go.
    mmio: Weak<Bus>,
    functions: BTreeMap<Slot, Function>,
    host_bridge: ConfigSpace,
}

impl PciRoot {
    /// Buses without devices. BARs are decoded on `mmio`.
    pub fn new(mmio: &Arc<Bus>) -> Self {
        // The generic host bridge that QEMU's documentation reserves for PCI Express machines.
        let ids = Ids {
            vendor: 0x1b36,
            device: 0x0008,
            class: 0x06_00_00,
            revision: 0,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
        };
        Self { mmio: Arc::downgrade(mmio), functions: BTreeMap::new(), host_bridge: ConfigSpace::new(ids) }
    }

    /// Puts `device` into a free slot and decodes its BAR.
    pub fn insert<D: PciDevice + 'static>(&mut self, slot: Slot, device: Arc<Mutex<D>>) {
        let on_bus: SharedDevice = device.clone();
        let mut function = Function { device, on_bus, decoded_at: None };
        decode(&self.mmio, &mut function);
        let before = self.functions.insert(slot, function);
        assert!(before.is_none(), "slots are given out once");
    }

    fn function(&mut self, offset: u64) -> Option<(&mut Function, &Weak<Bus>)> {
        let bus = u8::try_from(offset / ECAM_BYTES_PER_BUS).ok()?;
        let slot = (offset >> 15 & 0x1f) as u8;
        let function = offset >> 12 & 0x7;
        let found = self.functions.get_mut(&Slot { bus, slot }).filter(|_| function == 0)?;
        Some((found, &self.mmio))
    }
}

fn is_host_bridge(offset: u64) -> bool {
    offset < 1 << 12
}

/// Splits off the register number; `None` beyond the 256 bytes that our functions have.
fn register(offset: u64, length: usize) -> Option<usize> {
    let register = (offset & 0xfff) as usize;
    (register + length <= 256).then_some(register)
}

// Follows the guest: the BAR answers where the configuration space says now.
fn decode(mmio: &Weak<Bus>, function: &mut Function) {
    let Some(mmio) = mmio.upgrade() else { return };
    let mut device = function.device.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = device.bar();
    if wanted.map(|(base, _)| base) == function.decoded_at {
        return;
    }
    if let Some(base) = function.decoded_at.take() {
        mmio.remove(base);
        device.bar_moved(None);
    }
    let Some((base, length)) = wanted else { return };
    match mmio.insert(base, length, Arc::clone(&function.on_bus)) {
        Ok(()) => {
            function.decoded_at = Some(base);
            device.bar_moved(Some(base));
        }
        Err(error) => log::warn!("the guest placed a BAR badly, it is not decoded: {error}"),
    }
}

impl BusDevice for PciRoot {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let register = register(offset, data.len());
        if is_host_bridge(offset) {
            return self.host_bridge.read((offset & 0xfff) as usize, data);
        }
        match (self.function(offset), register) {
            (None, _) => data.fill(0xff),
            (Some(_), None) => data.fill(0),
            (Some((function, _)), Some(register)) => {
                function.device.lock().unwrap_or_else(PoisonError::into_inner).read_config(register, data);
            }
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let Some(register) = register(offset, data.len()) else { return };
        if is_host_bridge(offset) {
            return self.host_bridge.write(register, data);
        }
        let Some((function, mmio)) = self.function(offset) else { return };
        function.device.lock().unwrap_or_else(PoisonError::into_inner).write_config(register, data);
        decode(mmio, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Card {
        config: ConfigSpace,
        moves: Vec<Option<u64>>,
    }

    impl BusDevice for Card {
        fn read(&mut self, offset: u64, data: &mut [u8]) {
            data.fill(offset as u8);
        }
        fn write(&mut self, _offset: u64, _data: &[u8]) {}
    }

    impl PciDevice for Card {
        fn read_config(&mut self, offset: usize, data: &mut [u8]) {
            self.config.read(offset, data);
        }
        fn write_config(&mut self, offset: usize, data: &[u8]) {
            self.config.write(offset, data);
        }
        fn bar(&self) -> Option<(u64, u64)> {
            self.config.bar()
        }
        fn bar_moved(&mut self, base: Option<u64>) {
            self.moves.push(base);
        }
    }

    #[test]
    fn ecam_reaches_functions_and_bars_follow_the_guest() {
        let mmio = Arc::new(Bus::default());
        let mut root = PciRoot::new(&mmio);
        let ids =
            Ids { vendor: 0x1af4, device: 0x1041, class: 0, revision: 1, subsystem_vendor: 0, subsystem: 0 };
        let mut config = ConfigSpace::new(ids);
        config.set_bar(0xc000_0000, 0x4000);
        let card = Arc::new(Mutex::new(Card { config, moves: vec![] }));
        let slot = Slot::nth(31).unwrap();
        assert_eq!(slot, Slot { bus: 1, slot: 1 });
        root.insert(slot, Arc::clone(&card));

        let at = |register: u64| ECAM_BYTES_PER_BUS + (1 << 15) + register;
        let read = |root: &mut PciRoot, offset| {
            let mut data = [0; 4];
            root.read(offset, &mut data);
            u32::from_le_bytes(data)
        };
        assert_eq!(read(&mut root, 0), 0x0008_1b36, "host bridge");
        assert_eq!(read(&mut root, at(0)), 0x1041_1af4);
        assert_eq!(read(&mut root, at(0x100)), 0, "no extended capabilities");
        assert_eq!(read(&mut root, at(1 << 12)), !0, "no function 1");
        assert_eq!(read(&mut root, 1 << 15), !0, "no such slot");

        let mut byte = [0];
        assert!(mmio.read(0xc000_0007, &mut byte) && byte == [7]);
        root.write(at(0x10), &0xd000_0000_u32.to_le_bytes());
        assert!(!mmio.read(0xc000_0007, &mut byte) && mmio.read(0xd000_0007, &mut byte));
        root.write(at(4), &[0]);
        assert!(!mmio.read(0xd000_0007, &mut byte));
        let moves = card.lock().unwrap().moves.clone();
        assert_eq!(moves, [Some(0xc000_0000), None, Some(0xd000_0000), None]);
    }
}
