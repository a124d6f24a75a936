//! The tap behind a virtio-net device: attached, checked, and told what the driver can take. Called by `vmm::host` before
//! a machine is built; a `Tap` outlives machines. Creates, configures and deletes no network interface.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::net::if_::if_nametoindex;

use super::HEADER_BYTES;

/// Why a tap cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenTapError {
    /// Not a name that an interface can have.
    #[error("it is not the name of a network interface: 1 to 15 bytes without '/', '%' and white space")]
    BadName,
    /// No interface of that name.
    #[error("there is no such network interface: create it with `ip tuntap add NAME mode tap`")]
    NoSuchTap,
    /// Somebody else is attached to it.
    #[error("it is in use by another process")]
    InUse,
    /// An interface or file of another kind.
    #[error("it is not a tap with a single queue")]
    NotATap,
    /// An inherited tap with the wrong flags.
    #[error("the tap lacks {0}: open it with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR")]
    MissingFlag(&'static str),
    /// The host refused.
    #[error("cannot {what}")]
    Host {
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

// Requests of the tun driver; libc does not have them.
const TUNSETIFF: libc::Ioctl = nix::request_code_write!(b'T', 202, size_of::<libc::c_int>());
const TUNSETOFFLOAD: libc::Ioctl = nix::request_code_write!(b'T', 208, size_of::<libc::c_uint>());
const TUNGETIFF: libc::Ioctl = nix::request_code_read!(b'T', 210, size_of::<libc::c_uint>());
const TUNSETVNETHDRSZ: libc::Ioctl = nix::request_code_write!(b'T', 216, size_of::<libc::c_int>());

/// Most packets thrown away when a driver starts: more than a tap's queue usually holds.
const MAX_STALE_PACKETS: usize = 4096;

/// An attached tap. Other processes cannot attach to it while it or a clone of it lives.
#[derive(Debug)]
pub struct Tap {
    file: File,
}

impl Tap {
    /// Attaches to an existing tap of this network namespace.
    pub fn open(name: &str) -> Result<Self, OpenTapError> {
        let bad = |c: char| c == '/' || c == '%' || c == '\0' || c.is_whitespace();
        if name.is_empty()
            || name.len() >= libc::IFNAMSIZ
            || name == "."
            || name == ".."
            || name.contains(bad)
        {
            return Err(OpenTapError::BadName);
        }
        let name = CString::new(name).map_err(|_| OpenTapError::BadName)?;
        // Attaching to a name that does not exist would create it.
        let index = if_nametoindex(name.as_c_str()).map_err(|_| OpenTapError::NoSuchTap)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .map_err(host("open /dev/net/tun"))?;
        let mut request = interface_request();
        for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
        // SAFETY: TUNSETIFF reads and writes an `ifreq`, which `request` is.
        unsafe { ioctl(&file, TUNSETIFF, &raw mut request) }.map_err(|error| match error.raw_os_error() {
            Some(libc::EBUSY) => OpenTapError::InUse,
            Some(libc::EINVAL) => OpenTapError::NotATap,
            _ => OpenTapError::Host { what: "attach to it", source: error },
        })?;
        // Deleted meanwhile, and so created anew by us? Then closing the file deletes it again.
        if if_nametoindex(name.as_c_str()) != Ok(index) {
            return Err(OpenTapError::NoSuchTap);
        }
        Self::prepare(file)
    }

    /// Takes over a descriptor that is attached to a tap.
    pub fn from_file(file: File) -> Result<Self, OpenTapError> {
        let mut request = interface_request();
        // SAFETY: TUNGETIFF writes an `ifreq`, which `request` is. Files of another kind do not know the number.
        unsafe { ioctl(&file, TUNGETIFF, &raw mut request) }.map_err(|_| OpenTapError::NotATap)?;
        // SAFETY: the kernel has set this member.
        let flags = libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags });
        for (flag, name) in
            [(libc::IFF_TAP, "IFF_TAP"), (libc::IFF_NO_PI, "IFF_NO_PI"), (libc::IFF_VNET_HDR, "IFF_VNET_HDR")]
        {
            if flags & flag == 0 {
                return Err(OpenTapError::MissingFlag(name));
            }
        }
        Self::prepare(file)
    }

    fn prepare(file: File) -> Result<Self, OpenTapError> {
        // SAFETY: takes no pointer.
        let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
        // SAFETY: takes no pointer.
        if flags < 0 || unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0
        {
            return Err(OpenTapError::Host {
                what: "make it non-blocking",
                source: io::Error::last_os_error(),
            });
        }
        let mut header = HEADER_BYTES as libc::c_int;
        // SAFETY: TUNSETVNETHDRSZ reads an int.
        unsafe { ioctl(&file, TUNSETVNETHDRSZ, &raw mut header) }.map_err(host("set its header size"))?;
        let tap = Self { file };
        tap.set_offloads(0).map_err(host("set its offloads"))?;
        Ok(tap)
    }

    /// The same attachment again.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()? })
    }

    /// A socket of datagrams in the place of a tap, without offloads. For fuzzing, which has no right to make taps.
    #[doc(hidden)]
    pub fn from_socket(file: File) -> Self {
        Self { file }
    }

    /// Sets which unfinished packets (TUN_F_*) the reader of the tap can take; the kernel finishes all others itself.
    pub(super) fn set_offloads(&self, offloads: libc::c_uint) -> io::Result<()> {
        // SAFETY: TUNSETOFFLOAD takes no pointer, but the flags themselves.
        match unsafe { libc::ioctl(self.file.as_raw_fd(), TUNSETOFFLOAD, libc::c_ulong::from(offloads)) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Whether the kernel knows these offloads. Leaves none set.
    pub(super) fn has_offloads(&self, offloads: libc::c_uint) -> bool {
        let has = self.set_offloads(offloads).is_ok();
        let _ = self.set_offloads(0);
        has
    }

    /// Throws away packets that came for an earlier driver: they may be of a form that the next one cannot take.
    pub(super) fn discard_stale(&self) {
        // Less than a header would be an error; the packet is cut off.
        let mut header = [0u8; HEADER_BYTES];
        let iovec = libc::iovec { iov_base: header.as_mut_ptr().cast(), iov_len: header.len() };
        for _ in 0..MAX_STALE_PACKETS {
            // SAFETY: the iovec is the whole of `header`.
            if unsafe { self.receive(&[iovec]) }.is_err() {
                break;
            }
        }
    }

    /// Reads one packet with its header. The count is as large as the buffers where the packet is longer.
    ///
    /// # Safety
    ///
    /// The iovecs must be of memory that may be written.
    pub(super) unsafe fn receive(&self, iovecs: &[libc::iovec]) -> io::Result<usize> {
        // SAFETY: the caller vouches for the iovecs.
        let count = unsafe { libc::readv(self.as_raw_fd(), iovecs.as_ptr(), iovecs.len() as libc::c_int) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Writes one packet with its header.
    ///
    /// # Safety
    ///
    /// The iovecs must be of memory that may be read.
    pub(super) unsafe fn send(&self, iovecs: &[libc::iovec]) -> io::Result<usize> {
        // SAFETY: the caller vouches for the iovecs.
        let count = unsafe { libc::writev(self.as_raw_fd(), iovecs.as_ptr(), iovecs.len() as libc::c_int) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}

impl AsRawFd for Tap {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

fn interface_request() -> libc::ifreq {
    // SAFETY: all-zero bytes are a valid `ifreq`.
    unsafe { mem::zeroed() }
}

/// # Safety
///
/// `argument` must be what the request reads or writes.
unsafe fn ioctl<T>(file: &File, request: libc::Ioctl, argument: *mut T) -> io::Result<()> {
    // SAFETY: the caller vouches for the argument.
    match unsafe { libc::ioctl(file.as_raw_fd(), request, argument) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn host(what: &'static str) -> impl FnOnce(io::Error) -> OpenTapError {
    move |source| OpenTapError::Host { what, source }
}
