//! MSI-X (PCI 3.0, 6.8.2): the table of messages, the pending bits and the two enable bits, in front of vectors that
//! the hypervisor delivers. What is pending while masked is in the vector's event counter, nowhere else.

use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{MsiMessage, MsiVector};

/// Capability id.
pub const CAPABILITY: u8 = 0x11;
/// Bytes of one table entry.
pub const ENTRY_BYTES: u64 = 16;

const CONTROL_ENABLE: u16 = 1 << 15;
const CONTROL_MASK_ALL: u16 = 1 << 14;
const ENTRY_MASKED: u32 = 1;

#[derive(Clone, Copy)]
struct Entry {
    message: MsiMessage,
    control: u32,
    /// What the vector is connected with now.
    connected: Option<MsiMessage>,
}

/// The MSI-X state of one function.
pub struct Msix {
    vectors: Vec<Arc<dyn MsiVector>>,
    entries: Vec<Entry>,
    control: u16,
}

impl Msix {
    /// All vectors masked, MSI-X disabled.
    pub fn new(vectors: Vec<Arc<dyn MsiVector>>) -> Self {
        let entry = Entry { message: MsiMessage::default(), control: ENTRY_MASKED, connected: None };
        let entries = vec![entry; vectors.len()];
        Self { vectors, entries, control: 0 }
    }

    /// The capability's body: message control, table and pending-bit offsets, both in BAR 0.
    pub fn capability(&self, table: u32, pending: u32) -> [u8; 10] {
        let mut body = [0; 10];
        let last = u16::try_from(self.vectors.len() - 1).expect("far fewer than 2048 vectors");
        body[..2].copy_from_slice(&last.to_le_bytes());
        body[2..6].copy_from_slice(&table.to_le_bytes());
        body[6..].copy_from_slice(&pending.to_le_bytes());
        body
    }

    /// Bits of message control that the guest may write.
    pub const CONTROL_WRITABLE: [u8; 2] = (CONTROL_ENABLE | CONTROL_MASK_ALL).to_le_bytes();

    /// The guest wrote message control.
    pub fn set_control(&mut self, control: u16) {
        self.control = control;
        for index in 0..self.entries.len() {
            self.apply(index);
        }
    }

    /// Reads the table.
    pub fn read_table(&self, offset: u64, data: &mut [u8]) {
        let Some(entry) =
            usize::try_from(offset / ENTRY_BYTES).ok().and_then(|index| self.entries.get(index))
        else {
            return data.fill(0);
        };
        let mut bytes = [0; ENTRY_BYTES as usize];
        bytes[..8].copy_from_slice(&entry.message.address.to_le_bytes());
        bytes[8..12].copy_from_slice(&entry.message.data.to_le_bytes());
        bytes[12..].copy_from_slice(&entry.control.to_le_bytes());
        let at = (offset % ENTRY_BYTES) as usize;
        for (index, byte) in data.iter_mut().enumerate() {
            *byte = bytes.get(at + index).copied().unwrap_or(0);
        }
    }

    /// Writes the table: 4 or 8 bytes, aligned; others are ignored, as the specification leaves them undefined.
    pub fn write_table(&mut self, offset: u64, data: &[u8]) {
        let (low, high) = match *data {
            [a, b, c, d] => (u32::from_le_bytes([a, b, c, d]), None),
            [a, b, c, d, e, f, g, h] => {
                (u32::from_le_bytes([a, b, c, d]), Some(u32::from_le_bytes([e, f, g, h])))
            }
            _ => return,
        };
        self.write_dword(offset, low);
        if let Some(high) = high {
            self.write_dword(offset + 4, high);
        }
    }

    fn write_dword(&mut self, offset: u64, value: u32) {
        let Ok(index) = usize::try_from(offset / ENTRY_BYTES) else { return };
        let Some(entry) = self.entries.get_mut(index) else { return };
        let message = &mut entry.message;
        match offset % ENTRY_BYTES {
            0 => message.address = message.address & !0xffff_ffff | u64::from(value & !3),
            4 => message.address = message.address & 0xffff_ffff | u64::from(value) << 32,
            8 => message.data = value,
            12 => entry.control = value & ENTRY_MASKED,
            _ => return,
        }
        self.apply(index);
    }

    /// Reads the pending bits.
    pub fn read_pending(&self, offset: u64, data: &mut [u8]) {
        for (at, byte) in (offset..).zip(data) {
            let first = usize::try_from(at * 8).unwrap_or(usize::MAX);
            let bit = |index: usize| u8::from(self.is_pending(first.saturating_add(index))) << index;
            *byte = (0..8).map(bit).sum();
        }
    }

    fn is_pending(&self, index: usize) -> bool {
        let Some(entry) = self.entries.get(index).filter(|entry| entry.connected.is_none()) else {
            return false;
        };
        debug_assert!(entry.connected.is_none());
        let event = self.vectors[index].event();
        // SAFETY: the descriptor is the event's own and outlives this call.
        let fd = unsafe { BorrowedFd::borrow_raw(event.as_raw_fd()) };
        poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Disables MSI-X and masks every vector, as a reset does; a signal of the past does not outlive it.
    pub fn reset(&mut self) {
        self.control = 0;
        for index in 0..self.entries.len() {
            self.entries[index].message = MsiMessage::default();
            self.entries[index].control = ENTRY_MASKED;
            self.apply(index);
            let _ = self.vectors[index].event().read();
        }
    }

    // Brings the hypervisor's side of one vector in line with the guest's. An unmasked vector whose message changes
    // is reconnected at once: the route is replaced as a whole, so no interrupt goes to a mixture of two messages.
    fn apply(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        let live = self.control & CONTROL_ENABLE != 0
            && self.control & CONTROL_MASK_ALL == 0
            && entry.control & ENTRY_MASKED == 0;
        match (live, entry.connected) {
            (true, Some(message)) if message == entry.message => {}
            (true, _) => match self.vectors[index].connect(entry.message) {
                Ok(()) => entry.connected = Some(entry.message),
                Err(error) => log::error!("MSI-X vector {index} cannot be connected: {error}"),
            },
            (false, Some(_)) => {
                self.vectors[index].disconnect();
                entry.connected = None;
            }
            (false, None) => {}
        }
    }
}

impl Drop for Msix {
    fn drop(&mut self) {
        self.set_control(0);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

    use super::*;

    struct FakeVector {
        event: EventFd,
        connected: Mutex<Option<MsiMessage>>,
    }

    impl MsiVector for FakeVector {
        fn event(&self) -> &EventFd {
            &self.event
        }
        fn connect(&self, message: MsiMessage) -> io::Result<()> {
            *self.connected.lock().unwrap() = Some(message);
            Ok(())
        }
        fn disconnect(&self) {
            *self.connected.lock().unwrap() = None;
        }
    }

    #[test]
    fn a_vector_is_connected_only_while_enabled_and_unmasked() {
        let vectors: Vec<_> = (0..3)
            .map(|_| {
                let event = EventFd::new(EFD_NONBLOCK).unwrap();
                Arc::new(FakeVector { event, connected: Mutex::new(None) })
            })
            .collect();
        let connected = |index: usize| *vectors[index].connected.lock().unwrap();
        let mut msix =
            Msix::new(vectors.iter().map(|vector| Arc::clone(vector) as Arc<dyn MsiVector>).collect());

        msix.write_table(16, &0xfee0_1000_u64.to_le_bytes());
        msix.write_table(24, &0x41_u32.to_le_bytes());
        msix.write_table(28, &[0; 4]);
        assert_eq!(connected(1), None, "not enabled");
        msix.set_control(CONTROL_ENABLE);
        assert_eq!(connected(1), Some(MsiMessage { address: 0xfee0_1000, data: 0x41 }));
        assert_eq!(connected(0), None, "masked");

        msix.set_control(CONTROL_ENABLE | CONTROL_MASK_ALL);
        assert_eq!(connected(1), None);
        let mut pending = [0];
        msix.read_pending(0, &mut pending);
        assert_eq!(pending, [0]);
        vectors[1].event.write(1).unwrap();
        msix.read_pending(0, &mut pending);
        assert_eq!(pending, [2], "pending while masked");

        msix.set_control(CONTROL_ENABLE);
        msix.write_table(24, &0x42_u32.to_le_bytes());
        assert_eq!(connected(1).unwrap().data, 0x42, "a changed message takes effect while unmasked");

        let mut entry = [0; 4];
        msix.read_table(24, &mut entry);
        assert_eq!(u32::from_le_bytes(entry), 0x42);
        msix.write_table(16 * 3, &[0; 4]);
        msix.read_table(16 * 3, &mut entry);
        assert_eq!(entry, [0; 4], "beyond the table");
        msix.reset();
        assert_eq!(connected(1), None);
        assert!(vectors[1].event.read().is_err(), "nothing pending after a reset");
    }
}
