//! The control socket in the file system: made with mode 0600, taken over from a VMM that died, removed at the end.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use tokio::net::UnixListener;

/// Bytes of a unix socket's path, without the zero at its end (unix(7)).
const MAX_PATH_BYTES: usize = 107;

const SOCKET_FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

/// Why the socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Longer than the kernel takes.
    #[error(
        "the control socket's path has {0} bytes; the kernel takes at most {MAX_PATH_BYTES}: use a shorter one"
    )]
    PathTooLong(usize),
    /// Another process listens there.
    #[error("another process listens on {}: use another path, or end it first", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket is there.
    #[error("{} is there and is no socket: use another path, or remove it", .0.display())]
    NotASocket(PathBuf),
    /// The host refused it.
    #[error("cannot make the control socket {}", path.display())]
    Host {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A listening control socket. Dropping it removes it from the file system, if it is still there.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    // Device and inode: whether what is at `path` is still ours.
    identity: (u64, u64),
}

impl ControlSocket {
    /// Makes the socket and listens. Must run in a runtime.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let length = path.as_os_str().as_bytes().len();
        if length > MAX_PATH_BYTES {
            return Err(BindError::PathTooLong(length));
        }
        let host = |source: io::Error| BindError::Host { path: path.to_owned(), source };
        // Whoever makes sockets in this folder does so one after the other: else two that find the same dead socket
        // could remove each other's new one.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = File::open(parent).map_err(host)?;
        let _lock = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, error)| host(error.into()))?;
        make_room(path)?;
        let listener = listen_at(path).and_then(UnixListener::from_std).map_err(host)?;
        let metadata = fs::symlink_metadata(path).map_err(host)?;
        Ok(Self { listener, path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }

    /// The listener.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Removes the socket of a process that is gone; refuses if there is anything else.
fn make_room(path: &Path) -> Result<(), BindError> {
    let host = |source: io::Error| BindError::Host { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(host(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => Err(BindError::NotASocket(path.to_owned())),
        Ok(_) if is_dead(path).map_err(host)? => fs::remove_file(path).map_err(host),
        Ok(_) => Err(BindError::InUse(path.to_owned())),
    }
}

/// Whether nobody listens on a socket any more. Does not wait for a process that hangs.
fn is_dead(path: &Path) -> io::Result<bool> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SOCKET_FLAGS, None)?;
    // Any other error may come of a living process, such as a full backlog.
    Ok(connect(socket.as_raw_fd(), &UnixAddr::new(path)?) == Err(Errno::ECONNREFUSED))
}

fn listen_at(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SOCKET_FLAGS, None)?;
    // Before bind, which gives the file the mode of the socket: at no time is it open to others.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&socket, Backlog::MAXCONN)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn bind(path: &Path) -> Result<ControlSocket, BindError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        ControlSocket::bind(path)
    }

    #[test]
    fn is_private_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control");
        let socket = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(matches!(bind(&path), Err(BindError::InUse(_))));
        drop(socket);
        assert!(!path.exists());

        // One of a process that died without removing it.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(socket);
        assert!(path.exists(), "what is not ours stays");
        assert!(matches!(bind(&path), Err(BindError::NotASocket(_))));
    }

    #[test]
    fn a_path_that_cannot_be_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(bind(&dir.path().join("x".repeat(108))), Err(BindError::PathTooLong(_))));
        assert!(matches!(bind(&dir.path().join("no/such")), Err(BindError::Host { .. })));
    }
}
