//! The CMOS real-time clock, an MC146818 behind ports 0x70 and 0x71, with the century at 0x32. Time comes from the
//! host's clock plus whatever the guest set; alarms and periodic interrupts are not wired, as the DSDT says.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::bus::BusDevice;

/// The index port; the data port follows it.
pub const PORT: u16 = 0x70;
/// Number of ports.
pub const PORTS: u64 = 2;
/// CMOS register of the century, as the FADT names it.
pub const CENTURY: u8 = 0x32;

const STATUS_A: usize = 0x0a;
const STATUS_B: usize = 0x0b;
const STATUS_C: usize = 0x0c;
const STATUS_D: usize = 0x0d;

/// Divider running at 32.768 kHz, periodic rate 1024 Hz: what firmware leaves.
const A_RUNNING: u8 = 0x26;
/// Updates are held while the guest sets the clock.
const B_SET: u8 = 1 << 7;
const B_BINARY: u8 = 1 << 2;
const B_24_HOURS: u8 = 1 << 1;
const D_VALID: u8 = 1 << 7;

/// Registers of time: seconds, minutes, hours, weekday, day, month, year, century.
const TIME: [usize; 8] = [0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, CENTURY as usize];

/// Seconds since the epoch.
type Clock = Box<dyn Fn() -> i64 + Send>;

/// The clock.
pub struct Rtc {
    clock: Clock,
    /// What the guest's setting differs from the host's time, in seconds.
    offset: i64,
    index: usize,
    cmos: [u8; 128],
}

impl Default for Rtc {
    fn default() -> Self {
        Self::with_clock(Box::new(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
        }))
    }
}

impl Rtc {
    fn with_clock(clock: Clock) -> Self {
        let mut cmos = [0; 128];
        cmos[STATUS_A] = A_RUNNING;
        cmos[STATUS_B] = B_24_HOURS;
        cmos[STATUS_D] = D_VALID;
        Self { clock, offset: 0, index: 0, cmos }
    }

    fn read_cmos(&mut self) -> u8 {
        if TIME.contains(&self.index) && self.cmos[STATUS_B] & B_SET == 0 {
            self.latch();
        }
        match self.index {
            STATUS_C => 0,
            index => self.cmos[index],
        }
    }

    fn write_cmos(&mut self, value: u8) {
        match self.index {
            STATUS_C | STATUS_D => {}
            STATUS_B => self.set_status_b(value),
            index if TIME.contains(&index) && self.cmos[STATUS_B] & B_SET == 0 => {
                // Set without holding updates: the other registers are what the clock shows now.
                self.latch();
                self.cmos[index] = value;
                self.unlatch();
            }
            index => self.cmos[index] = value,
        }
    }

    fn set_status_b(&mut self, value: u8) {
        let (was, is) = (self.cmos[STATUS_B] & B_SET != 0, value & B_SET != 0);
        if !was && is {
            self.latch();
        }
        self.cmos[STATUS_B] = value;
        if was && !is {
            self.unlatch();
        }
    }

    /// Puts the time into the registers.
    fn latch(&mut self) {
        let now: libc::time_t = (self.clock)().saturating_add(self.offset);
        // SAFETY: tm is plain data, and both pointers are to locals.
        let tm = unsafe {
            let mut tm: libc::tm = std::mem::zeroed();
            libc::gmtime_r(&now, &mut tm);
            tm
        };
        let year = tm.tm_year + 1900;
        let values = [
            tm.tm_sec,
            tm.tm_min,
            tm.tm_hour,
            tm.tm_wday + 1,
            tm.tm_mday,
            tm.tm_mon + 1,
            year % 100,
            year / 100,
        ];
        for (register, value) in TIME.into_iter().zip(values) {
            self.cmos[register] = self.encode(u8::try_from(value).unwrap_or(0));
        }
    }

    /// Takes what the registers show as the time from now on; nonsense is put right as the C library does.
    fn unlatch(&mut self) {
        let [second, minute, hour, _, day, month, year, century] =
            TIME.map(|register| self.decode(self.cmos[register]));
        // SAFETY: tm is plain data, and the pointer is to a local.
        let shown = unsafe {
            let mut tm: libc::tm = std::mem::zeroed();
            (tm.tm_sec, tm.tm_min, tm.tm_hour) = (second, minute, hour);
            (tm.tm_mday, tm.tm_mon, tm.tm_year) = (day, month - 1, century * 100 + year - 1900);
            libc::timegm(&mut tm)
        };
        self.offset = shown.saturating_sub((self.clock)());
    }

    fn encode(&self, value: u8) -> u8 {
        if self.cmos[STATUS_B] & B_BINARY != 0 { value } else { ((value / 10) << 4) | (value % 10) }
    }

    fn decode(&self, value: u8) -> i32 {
        let decoded =
            if self.cmos[STATUS_B] & B_BINARY != 0 { value } else { (value >> 4) * 10 + (value & 0xf) };
        decoded.into()
    }
}

impl BusDevice for Rtc {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        if offset == 1 {
            data[0] = self.read_cmos();
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        match offset {
            // Bit 7 masks NMIs, of which there are none.
            0 => self.index = usize::from(data[0] & 0x7f),
            _ => self.write_cmos(data[0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn read(rtc: &mut Rtc, register: usize) -> u8 {
        rtc.write(0, &[register as u8]);
        let mut data = [0];
        rtc.read(1, &mut data);
        data[0]
    }

    fn write(rtc: &mut Rtc, register: usize, value: u8) {
        rtc.write(0, &[register as u8]);
        rtc.write(1, &[value]);
    }

    #[test]
    fn shows_the_hosts_time_and_keeps_what_the_guest_sets() {
        let now = Arc::new(AtomicI64::new(951_782_399)); // 2000-02-28 23:59:59, a Monday
        let clock = Arc::clone(&now);
        let mut rtc = Rtc::with_clock(Box::new(move || clock.load(Ordering::Relaxed)));
        assert_eq!(TIME.map(|register| read(&mut rtc, register)), [0x59, 0x59, 0x23, 2, 0x28, 2, 0, 0x20]);
        now.fetch_add(1, Ordering::Relaxed);
        assert_eq!(TIME.map(|register| read(&mut rtc, register)), [0, 0, 0, 3, 0x29, 2, 0, 0x20]);

        write(&mut rtc, STATUS_B, B_SET | B_24_HOURS);
        for (register, value) in TIME.into_iter().zip([0x58, 0x59, 0x23, 1, 0x31, 0x12, 0x99, 0x20]) {
            write(&mut rtc, register, value);
        }
        now.fetch_add(100, Ordering::Relaxed);
        assert_eq!(read(&mut rtc, 0), 0x58, "updates are held");
        write(&mut rtc, STATUS_B, B_24_HOURS);
        now.fetch_add(2, Ordering::Relaxed);
        assert_eq!(TIME.map(|register| read(&mut rtc, register)), [0, 0, 0, 6, 1, 1, 0, 0x21]);
        write(&mut rtc, STATUS_B, B_24_HOURS | B_BINARY);
        assert_eq!(read(&mut rtc, CENTURY.into()), 21);
    }

    #[test]
    fn survives_nonsense() {
        let mut rtc = Rtc::default();
        for register in 0..=255 {
            write(&mut rtc, register, 0xff);
        }
        write(&mut rtc, STATUS_B, 0);
        for register in 0..128 {
            read(&mut rtc, register);
        }
        assert_eq!(read(&mut rtc, STATUS_D), D_VALID);
    }
}
