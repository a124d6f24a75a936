//! A real tap in a network namespace of the test's own, and the host's end of it: a packet socket.

use std::fs::OpenOptions;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

use nix::sched::{CloneFlags, unshare};

use super::DEADLINE;

/// The guest's address in all tests.
pub const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
/// Of no protocol that the host would answer or offload.
pub const PROTOCOL: [u8; 2] = [0x88, 0xb5];

pub const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
const TUNSETPERSIST: libc::Ioctl = 0x4004_54cb;

/// Runs a test on a thread with its own network namespace, or says why not.
pub fn in_namespace(test: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        let allowed = unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
        match allowed.and_then(|()| make_tap("tap0", libc::IFF_TAP)) {
            Ok(()) => test(),
            Err(error) => super::skipped(&format!("may not make a tap in a network namespace here: {error}")),
        }
    })
    .join()
    .unwrap();
}

/// A request about an interface.
pub fn request(name: &str) -> libc::ifreq {
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

/// As `ip tuntap add`, and `ip link set up` with an MTU for any packet.
pub fn make_tap(name: &str, kind: libc::c_int) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    let mut ask = request(name);
    ask.ifr_ifru.ifru_flags = (kind | libc::IFF_NO_PI) as libc::c_short;
    check(&file, TUNSETIFF, &raw mut ask)?;
    // SAFETY: takes no pointer.
    if unsafe { libc::ioctl(file.as_raw_fd(), TUNSETPERSIST, 1) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut mtu = request(name);
    mtu.ifr_ifru.ifru_mtu = 9000;
    check(&socket, libc::SIOCSIFMTU as libc::Ioctl, &raw mut mtu)?;
    let mut up = request(name);
    up.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_NOARP) as libc::c_short;
    check(&socket, libc::SIOCSIFFLAGS as libc::Ioctl, &raw mut up)
}

/// Makes a request of the host.
pub fn check<T>(fd: &impl AsRawFd, number: libc::Ioctl, argument: *mut T) -> io::Result<()> {
    // SAFETY: all callers pass an `ifreq`, which is what their requests take.
    match unsafe { libc::ioctl(fd.as_raw_fd(), number, argument) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A new socket.
pub fn socket(family: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    match unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the descriptor is new and ours.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

/// The host's end of the wire.
pub struct Wire {
    socket: OwnedFd,
    pub address: libc::sockaddr_ll,
}

impl Wire {
    pub fn new(name: &str) -> Self {
        let all = (libc::ETH_P_ALL as u16).to_be();
        let socket = socket(libc::AF_PACKET, libc::SOCK_RAW, all.into()).unwrap();
        // SAFETY: all-zero bytes are a valid `sockaddr_ll`.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = all;
        address.sll_ifindex = nix::net::if_::if_nametoindex(name).unwrap() as i32;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: `address` is a `sockaddr_ll` of that length.
        assert_eq!(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) }, 0);
        let time = libc::timeval { tv_sec: DEADLINE.as_secs() as i64, tv_usec: 0 };
        let length = size_of::<libc::timeval>() as libc::socklen_t;
        // SAFETY: `time` is a `timeval` of that length.
        let set = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVTIMEO,
                (&raw const time).cast(),
                length,
            )
        };
        assert_eq!(set, 0);
        Self { socket, address }
    }

    pub fn send(&self, frame: &[u8]) {
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        let (address, fd) = ((&raw const self.address).cast(), self.socket.as_raw_fd());
        // SAFETY: buffer and address are given with their lengths.
        let sent = unsafe { libc::sendto(fd, frame.as_ptr().cast(), frame.len(), 0, address, length) };
        assert_eq!(sent, frame.len() as isize, "{}", io::Error::last_os_error());
    }

    /// From now on frames are sent with a header before them, which says what is left to be done.
    pub fn send_with_headers(&self) {
        const PACKET_VNET_HDR: libc::c_int = 15;
        let on: libc::c_int = 1;
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        let (fd, value) = (self.socket.as_raw_fd(), (&raw const on).cast());
        // SAFETY: `on` is an int of that length.
        assert_eq!(unsafe { libc::setsockopt(fd, libc::SOL_PACKET, PACKET_VNET_HDR, value, length) }, 0);
    }

    /// The next frame of ours from the guest.
    pub fn receive(&self) -> Vec<u8> {
        loop {
            let frame = self.receive_any();
            if frame[12..14] == PROTOCOL {
                return frame;
            }
        }
    }

    /// The next frame from the guest.
    pub fn receive_any(&self) -> Vec<u8> {
        let mut frame = vec![0; 70000];
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < DEADLINE);
            // SAFETY: the buffer is given with its length.
            let length =
                unsafe { libc::recv(self.socket.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
            assert!(length >= 0, "{}", io::Error::last_os_error());
            if frame[6..12] == MAC {
                frame.truncate(length as usize);
                return frame;
            }
        }
    }
}
