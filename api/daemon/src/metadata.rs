//! The sockets of the metadata service: one for each network interface of an instance with a VM, to which its VMM relays. They
//! are bound before the VM is booted, and anew by each daemon; while there is no daemon, guests' connections are reset.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use compute::compute::ComputeError;
use compute::id::{InstanceId, InterfaceId};
use metadata::{ConfigFile, Service, Whose};
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use crate::{durable, fail};

/// The sockets of this host.
pub struct MetadataSockets {
    folder: PathBuf,
    /// It has the core, which has the machines, which have these: not there before all of them, and not for longer.
    service: Mutex<Option<Service>>,
    served: Mutex<HashMap<InterfaceId, Served>>,
}

struct Served {
    instance: InstanceId,
    /// Dropped, it ends the service of the socket.
    _end: oneshot::Sender<()>,
}

impl MetadataSockets {
    /// Sockets in this folder, which is made.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn new(folder: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, service: Mutex::default(), served: Mutex::default() })
    }

    /// Says who answers: once, before any machine is booted or looked at.
    pub fn answer_by(&self, service: Service) {
        *self.service() = Some(service);
    }

    /// Answers nobody any more. The sockets stay, for the next daemon.
    pub fn close(&self) {
        self.service().take();
        self.served().clear();
    }

    /// What an instance's config drive has on it. Waits for ever once nobody is answered any more: the daemon is at its end
    /// then, and the next one boots what this one was about to.
    ///
    /// # Errors
    ///
    /// There is no such instance, or the record store does not do its part.
    pub async fn config_drive(&self, instance: InstanceId) -> Result<Vec<ConfigFile>, ComputeError> {
        let service = self.service().clone();
        match service {
            Some(service) => service.config_drive(instance).await,
            None => std::future::pending().await,
        }
    }

    /// The socket of an interface.
    pub fn path(&self, interface: InterfaceId) -> PathBuf {
        self.folder.join(interface.to_string())
    }

    /// Serves the socket of an interface, if it is not served already.
    ///
    /// # Errors
    ///
    /// It cannot be bound.
    pub fn serve(&self, instance: InstanceId, interface: InterfaceId) -> io::Result<()> {
        let Some(service) = self.service().clone() else { return Ok(()) };
        let mut served = self.served();
        if served.get(&interface).is_some_and(|known| known.instance == instance) {
            return Ok(());
        }
        served.remove(&interface);
        let path = self.path(interface);
        durable::remove(&path)?;
        let listener = UnixListener::bind(&path)?;
        fail::point("metadata.bound");
        let (end, ended) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let ended = async { drop(ended.await) };
            service.serve(listener, Whose { instance, interface }, ended).await;
        });
        served.insert(interface, Served { instance, _end: end });
        Ok(())
    }

    /// Ends what serves an interface, and removes its socket.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn end(&self, interface: InterfaceId) -> io::Result<()> {
        self.served().remove(&interface);
        durable::remove(&self.path(interface))?;
        fail::point("metadata.removed");
        Ok(())
    }

    fn service(&self) -> MutexGuard<'_, Option<Service>> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn served(&self) -> MutexGuard<'_, HashMap<InterfaceId, Served>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
