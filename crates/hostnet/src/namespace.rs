//! Network namespaces: making, entering and removing those of VPCs, and the host's own. What the kernel only does in the
//! namespace of the thread that asks (settings below /proc/sys/net, taps, the program nft, sockets) is done on a thread of
//! its own each time, so that no thread of the caller's ever changes its namespace, and a VPC costs neither a thread nor an
//! open file while nothing happens in it.

use std::fs::{self, File};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{NSFS_MAGIC, statfs};
use rtnetlink::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::HostError;

/// A network namespace: the one of the thread that asks, or one that has a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Namespace {
    path: Option<PathBuf>,
}

/// A netlink socket in a namespace, closed when dropped.
#[derive(Debug)]
pub(crate) struct Netlink {
    handle: Handle,
    connection: JoinHandle<()>,
}

impl Deref for Netlink {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Namespace {
    /// The namespace with this file, made if there is none: a file onto which the namespace is mounted, as `ip netns` has
    /// them. It stays until it is removed or the host is started anew, whoever is in it.
    pub(crate) async fn make(path: PathBuf) -> Result<Self, HostError> {
        let made = path.clone();
        on_a_thread(move || make(&made)).await?.map_err(|source| {
            HostError::new(format!("make the network namespace {}", path.display()), source)
        })?;
        Ok(Self { path: Some(path) })
    }

    /// Removes the file of a namespace. The namespace itself goes when nobody uses it any more.
    pub(crate) fn remove(path: &Path) -> Result<(), HostError> {
        let failed =
            |source| HostError::new(format!("remove the network namespace {}", path.display()), source);
        if is_there(path).map_err(failed)? {
            umount2(path, MntFlags::MNT_DETACH).map_err(|error| failed(error.into()))?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The namespace with this file, if it is there.
    pub(crate) fn find(path: PathBuf) -> Result<Option<Self>, HostError> {
        let found = is_there(&path)
            .map_err(|source| HostError::new(format!("look at the file {}", path.display()), source))?;
        Ok(found.then_some(Self { path: Some(path) }))
    }

    /// Its file; none for the host's own.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Does something on a thread in this namespace. It is finished also where nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HostError> {
        let path = self.path.clone();
        let work = move || {
            if let Some(path) = path {
                let enter = || setns(File::open(&path)?, CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
                enter().map_err(|source| {
                    HostError::new(format!("enter the network namespace {}", path.display()), source)
                })?;
            }
            Ok(work())
        };
        on_a_thread(work).await?
    }

    /// Opens a netlink socket. Needs a tokio runtime with I/O.
    pub(crate) async fn netlink(&self) -> Result<Netlink, HostError> {
        let runtime = tokio::runtime::Handle::current();
        let opened = self.run(move || {
            let _entered = runtime.enter();
            rtnetlink::new_connection()
        });
        let (connection, handle, _) =
            opened.await?.map_err(|source| HostError::new("open a netlink socket", source))?;
        Ok(Netlink { handle, connection: tokio::spawn(connection) })
    }
}

async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, HostError> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("namespace".to_owned());
    // Nobody may wait for the answer any more.
    let started = thread.spawn(move || drop(sender.send(work())));
    started.map_err(|source| HostError::new("start a thread", source))?;
    receiver.await.map_err(|_| HostError::new("finish a thread", io::ErrorKind::Other.into()))
}

/// Makes a namespace of the calling thread's, which is lost to others by it.
fn make(path: &Path) -> io::Result<()> {
    if is_there(path)? {
        return Ok(());
    }
    // A leftover of a crash, or of a time before the host was started anew, is a file with nothing on it.
    File::options().create(true).append(true).open(path)?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let none = None::<&str>;
    mount(Some("/proc/thread-self/ns/net"), path, none, MsFlags::MS_BIND, none)?;
    Ok(())
}

fn is_there(path: &Path) -> io::Result<bool> {
    match statfs(path) {
        Ok(found) => Ok(found.filesystem_type() == NSFS_MAGIC),
        Err(nix::errno::Errno::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
