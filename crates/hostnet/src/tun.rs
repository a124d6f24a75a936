//! Making and opening taps: the two things that the kernel offers by ioctl only. The rest of a tap is in `links`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::net::if_::if_nametoindex;

nix::ioctl_write_ptr_bad!(
    set_interface,
    nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()),
    libc::ifreq
);
nix::ioctl_write_int_bad!(set_persistent, nix::request_code_write!(b'T', 203, size_of::<libc::c_int>()));
nix::ioctl_write_int_bad!(set_owner, nix::request_code_write!(b'T', 204, size_of::<libc::c_int>()));

/// Makes a tap that stays when nobody has it open, or gives one that is there and that nobody has open its owner. An
/// error of EBUSY says that somebody has it open, one of EINVAL that the name is of another kind of interface. A tap that
/// has an owner keeps one: not all kernels can take it back.
pub(crate) fn make(name: &str, owner: Option<u32>) -> io::Result<()> {
    let file = attach(name)?;
    if let Some(uid) = owner {
        // SAFETY: takes a number and no pointer.
        unsafe { set_owner(file.as_raw_fd(), uid as libc::c_int) }?;
    }
    // SAFETY: takes a number and no pointer.
    unsafe { set_persistent(file.as_raw_fd(), 1) }?;
    Ok(())
}

/// Opens a tap of this network namespace that is there already, as a VMM wants it inherited: frames with a virtio-net
/// header before them (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR), never waiting. Fails with EBUSY while somebody else has it open.
pub fn open_tap(name: &str) -> io::Result<OwnedFd> {
    // Attaching to a name that is not there would make it.
    let index = if_nametoindex(name)?;
    let file = attach(name)?;
    // Deleted meanwhile, and so made anew by us? Then closing the file deletes it again.
    if if_nametoindex(name) != Ok(index) {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    Ok(file.into())
}

fn attach(name: &str) -> io::Result<File> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(['\0', '%']) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let file =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes an `ifreq`, which `request` is.
    unsafe { set_interface(file.as_raw_fd(), &raw mut request) }?;
    Ok(file)
}
