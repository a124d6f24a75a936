//! The 256 bytes of a type 0 configuration space (PCI 3.0, 6.1 and 6.2), with a mask of what the guest may write.

/// Memory space enable, in the command register.
pub const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_BUS_MASTER: u16 = 1 << 2;
const COMMAND_INTX_DISABLE: u16 = 1 << 10;
const STATUS_CAPABILITIES: u16 = 1 << 4;

const COMMAND: usize = 0x04;
const STATUS: usize = 0x06;
const BAR0: usize = 0x10;
const CAPABILITIES: usize = 0x34;
const FIRST_CAPABILITY: usize = 0x40;

/// What a function is.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// Vendor of the function.
    pub vendor: u16,
    /// The function among the vendor's.
    pub device: u16,
    /// Class, subclass and programming interface, as in `0x02_00_00`.
    pub class: u32,
    /// Revision.
    pub revision: u8,
    /// Vendor of the subsystem.
    pub subsystem_vendor: u16,
    /// The subsystem.
    pub subsystem: u16,
}

/// Configuration space.
pub struct ConfigSpace {
    bytes: [u8; 256],
    writable: [u8; 256],
    next_capability: usize,
    last_capability_pointer: usize,
    bar_length: u32,
}

impl ConfigSpace {
    /// A function without BAR and capabilities.
    pub fn new(ids: Ids) -> Self {
        let mut space = Self {
            bytes: [0; 256],
            writable: [0; 256],
            next_capability: FIRST_CAPABILITY,
            last_capability_pointer: CAPABILITIES,
            bar_length: 0,
        };
        space.set(0x00, &ids.vendor.to_le_bytes());
        space.set(0x02, &ids.device.to_le_bytes());
        space.set(0x08, &(ids.class << 8 | u32::from(ids.revision)).to_le_bytes());
        space.set(0x2c, &ids.subsystem_vendor.to_le_bytes());
        space.set(0x2e, &ids.subsystem.to_le_bytes());
        let command = COMMAND_MEMORY | COMMAND_BUS_MASTER | COMMAND_INTX_DISABLE;
        space.allow(COMMAND, &command.to_le_bytes());
        // Interrupt line: a scratch register of the firmware's (6.2.4).
        space.allow(0x3c, &[0xff]);
        space
    }

    /// Makes BAR 0 a 32-bit memory BAR of `length` bytes, a power of two of at least 16, at `base`, decoded at once
    /// as firmware would leave it.
    pub fn set_bar(&mut self, base: u32, length: u32) {
        assert!(
            length.is_power_of_two() && length >= 16 && base.is_multiple_of(length),
            "BARs are naturally aligned"
        );
        self.bar_length = length;
        self.set(BAR0, &base.to_le_bytes());
        self.allow(BAR0, &(!(length - 1)).to_le_bytes());
        self.set(COMMAND, &(COMMAND_MEMORY | COMMAND_BUS_MASTER).to_le_bytes());
    }

    /// Where BAR 0 is decoded, if it is, and its length.
    pub fn bar(&self) -> Option<(u64, u64)> {
        let decoded = self.bar_length > 0 && self.u16(COMMAND) & COMMAND_MEMORY != 0;
        let base = self.u32(BAR0) & !0xf;
        // All ones is a driver sizing the BAR, zero a BAR nobody placed.
        let placed = base != 0 && base != !(self.bar_length - 1);
        (decoded && placed).then(|| (u64::from(base), u64::from(self.bar_length)))
    }

    /// Appends a capability: its id, then `body`, whose first byte comes right after the next pointer. Returns the
    /// offset of the capability.
    pub fn add_capability(&mut self, id: u8, body: &[u8]) -> usize {
        let at = self.next_capability;
        let end = at + 2 + body.len();
        assert!(end <= 256, "capabilities fit the configuration space");
        self.bytes[at] = id;
        self.bytes[at + 2..end].copy_from_slice(body);
        self.bytes[self.last_capability_pointer] = u8::try_from(at).expect("below 256, asserted above");
        self.last_capability_pointer = at + 1;
        self.next_capability = end.next_multiple_of(4);
        let status = self.u16(STATUS) | STATUS_CAPABILITIES;
        self.set(STATUS, &status.to_le_bytes());
        at
    }

    /// Lets the guest write the bits set in `mask` at `offset`.
    pub fn allow(&mut self, offset: usize, mask: &[u8]) {
        self.writable[offset..offset + mask.len()].copy_from_slice(mask);
    }

    /// Reads; bytes beyond the end are zero.
    pub fn read(&self, offset: usize, data: &mut [u8]) {
        for (index, byte) in data.iter_mut().enumerate() {
            *byte = self.bytes.get(offset + index).copied().unwrap_or(0);
        }
    }

    /// A write by the guest: only writable bits change.
    pub fn write(&mut self, offset: usize, data: &[u8]) {
        for (at, byte) in (offset..256).zip(data) {
            let mask = self.writable[at];
            self.bytes[at] = self.bytes[at] & !mask | byte & mask;
        }
    }

    /// Reads 16 bits.
    pub fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.bytes[offset], self.bytes[offset + 1]])
    }

    /// Reads 32 bits.
    pub fn u32(&self, offset: usize) -> u32 {
        u32::from(self.u16(offset)) | u32::from(self.u16(offset + 2)) << 16
    }

    fn set(&mut self, offset: usize, value: &[u8]) {
        self.bytes[offset..offset + value.len()].copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: Ids = Ids {
        vendor: 0x1af4,
        device: 0x1042,
        class: 0x01_80_00,
        revision: 1,
        subsystem_vendor: 2,
        subsystem: 3,
    };

    #[test]
    fn identity_is_read_only_and_bars_can_be_sized_and_moved() {
        let mut space = ConfigSpace::new(IDS);
        space.set_bar(0xc000_0000, 0x4000);
        assert_eq!(space.bar(), Some((0xc000_0000, 0x4000)));
        space.write(0, &[0xff; 4]);
        assert_eq!(space.u32(0), 0x1042_1af4);
        assert_eq!(space.u32(8), 0x0180_0001);

        space.write(BAR0, &[0xff; 4]);
        assert_eq!(space.u32(BAR0), 0xffff_c000);
        assert_eq!(space.bar(), None, "being sized");
        space.write(BAR0, &0xd000_4000_u32.to_le_bytes());
        assert_eq!(space.bar(), Some((0xd000_4000, 0x4000)));
        space.write(COMMAND, &[0, 0]);
        assert_eq!(space.bar(), None, "decoding is off");
    }

    #[test]
    fn capabilities_are_chained() {
        let mut space = ConfigSpace::new(IDS);
        assert_eq!(space.u16(STATUS) & STATUS_CAPABILITIES, 0);
        let first = space.add_capability(9, &[3, 4, 5]);
        let second = space.add_capability(0x11, &[0; 10]);
        assert_eq!((first, second), (0x40, 0x48));
        assert_eq!(usize::from(space.bytes[CAPABILITIES]), first);
        assert_eq!(
            (space.bytes[0x40], space.bytes[0x41], space.bytes[0x48], space.bytes[0x49]),
            (9, 0x48, 0x11, 0)
        );
        assert_ne!(space.u16(STATUS) & STATUS_CAPABILITIES, 0);
    }
}
