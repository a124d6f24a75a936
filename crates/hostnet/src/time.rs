//! The time, for guests: answers SNTP (RFC 5905, 14) with this host's clock, and says of that what the kernel says: while
//! nobody keeps it, that it is not synchronized, and clients look elsewhere. Started by the daemon, for each network.
//!
//! Only a server: it keeps no clock, knows no keys, and answers nothing but a client's question, with as many bytes.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ipnet::Ipv4Net;

/// The port that clients ask.
pub const TIME_PORT: u16 = 123;

/// Length of a message; what may be behind it is for those who know keys.
const BYTES: usize = 48;
/// From 1900, when NTP's time begins, to 1970, in seconds.
const NTP_TO_UNIX_S: u64 = 2_208_988_800;
/// Of the versions that there are, the last.
const NEWEST: u8 = 4;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
/// In the place of the leap indicator.
const NOT_SYNCHRONIZED: u8 = 3;
/// How far this clock is from a reference: nobody tells, and hosts mostly ask servers of stratum 2 or 3.
const STRATUM: u8 = 5;
/// A microsecond, as a power of two.
const PRECISION: i8 = -20;
/// NTP's address of a machine's own clock (127.127.1.0), which no client takes for its own.
const REFERENCE: [u8; 4] = [127, 127, 1, 0];
/// How long to wait after an error that may last.
const PAUSE: Duration = Duration::from_millis(100);

/// What the kernel says of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    /// Somebody keeps it.
    is_kept: bool,
    /// How far it may be off, in microseconds.
    off_us: u32,
}

/// Whether somebody keeps this host's clock right.
pub fn clock_is_kept() -> bool {
    kept().is_kept
}

fn kept() -> Kept {
    // SAFETY: all-zero bytes are a valid `timex`, and one that asks for no change.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: reads and writes a `timex`, which this is.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    let is_kept = (0..libc::TIME_ERROR).contains(&state) && timex.status & libc::STA_UNSYNC == 0;
    Kept { is_kept, off_us: u32::try_from(timex.maxerror).unwrap_or(u32::MAX) }
}

/// Answers those who have an address of the network, until it is dropped. Needs a tokio runtime with I/O.
///
/// # Errors
///
/// The socket is none that can be waited for.
pub async fn serve_time(socket: UdpSocket, network: Ipv4Net) -> io::Result<()> {
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    let mut message = [0; 2 * BYTES];
    loop {
        let (length, from) = match socket.recv_from(&mut message).await {
            Ok(received) => received,
            // Perhaps an answer before did not arrive.
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let now = SystemTime::now();
        let is_guest = matches!(from, SocketAddr::V4(from) if network.contains(from.ip()));
        if is_guest && let Some(answer) = answer(&message[..length], now, kept()) {
            // Whoever cannot be told asks again.
            let _ = socket.try_send_to(&answer, from);
        }
    }
}

/// What a client gets; nothing for what is no client's question.
fn answer(message: &[u8], now: SystemTime, kept: Kept) -> Option<[u8; BYTES]> {
    let asked: &[u8; BYTES] = message.get(..BYTES)?.try_into().ok()?;
    let (version, mode) = (asked[0] >> 3 & 7, asked[0] & 7);
    if mode != CLIENT || !(1..=NEWEST).contains(&version) {
        return None;
    }
    let (leap, stratum) = if kept.is_kept { (0, STRATUM) } else { (NOT_SYNCHRONIZED, 0) };
    let mut answer = [0; BYTES];
    answer[0] = leap << 6 | version << 3 | SERVER;
    answer[1] = stratum;
    answer[2] = asked[2]; // how often it asks
    answer[3] = PRECISION.cast_unsigned();
    answer[8..12].copy_from_slice(&short(kept.off_us).to_be_bytes());
    answer[12..16].copy_from_slice(&REFERENCE);
    let now = timestamp(now).to_be_bytes();
    answer[16..24].copy_from_slice(&now); // when the clock was last set
    answer[24..32].copy_from_slice(&asked[40..48]); // when it asked, by its own clock
    answer[32..40].copy_from_slice(&now); // when it was heard
    answer[40..48].copy_from_slice(&now); // and answered
    Some(answer)
}

/// Seconds since 1900, modulo 2^32, and a fraction of 32 bits.
fn timestamp(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    since.as_secs().wrapping_add(NTP_TO_UNIX_S) << 32 | fraction
}

/// Microseconds as seconds with a fraction of 16 bits.
fn short(us: u32) -> u32 {
    u32::try_from((u64::from(us) << 16) / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(first: u8) -> [u8; BYTES] {
        let mut question = [0; BYTES];
        (question[0], question[2]) = (first, 6);
        question[40..48].copy_from_slice(b"whenever");
        question
    }

    #[test]
    fn a_client_is_told_the_time_and_how_good_it_is() {
        let now = UNIX_EPOCH + Duration::new(1_000_000_000, 500_000_000);
        let kept = Kept { is_kept: true, off_us: 1_500_000 };
        let told = answer(&question(0x23), now, kept).unwrap();
        assert_eq!(told[..4], [0x24, STRATUM, 6, 0xec]);
        assert_eq!(told[4..12], [0, 0, 0, 0, 0, 1, 0x80, 0]);
        assert_eq!(told[24..32], *b"whenever");
        let seconds = 3_208_988_800_u32.to_be_bytes();
        assert_eq!(told[40..48], [&seconds[..], &[0x80, 0, 0, 0]].concat());
        assert_eq!(told[32..40], told[40..48]);
        let told = answer(&question(0xdb), now, Kept { is_kept: false, off_us: u32::MAX }).unwrap();
        assert_eq!(told[..2], [0xdc, 0], "of version 3, not synchronized");
    }

    #[test]
    fn nothing_else_is_answered() {
        let kept = Kept { is_kept: true, off_us: 0 };
        let answered = |message: &[u8]| answer(message, UNIX_EPOCH, kept).is_some();
        assert!(answered(&question(0x23)) && answered(&[&question(0x1b)[..], b"a key"].concat()));
        assert!(!answered(&question(0x23)[..47]) && !answered(&[]));
        // Versions that there are not; symmetric, server's, broadcast and control messages.
        for first in [0x03, 0x2b, 0x3b, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27] {
            assert!(!answered(&question(first)), "{first:#x}");
        }
    }
}
