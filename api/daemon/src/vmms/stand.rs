//! VMs that stand still for a moment, as when a disk of theirs is copied.

use compute::id::{Id, Instance};
use compute::outside::HostError;
use vmm_api::{ClientError, ErrorCode, VmInfo};

use super::{Vmms, client_error};

impl Vmms {
    /// Lets the VM stand still. Where there is none that runs, nothing happens.
    ///
    /// # Errors
    ///
    /// The VMM does not do it.
    pub async fn pause(&self, instance: Id<Instance>) -> Result<(), HostError> {
        stood("pause the VM", self.client(instance).pause().await)
    }

    /// Lets a VM that stands still go on. Where there is none, nothing happens.
    ///
    /// # Errors
    ///
    /// The VMM does not do it.
    pub async fn resume(&self, instance: Id<Instance>) -> Result<(), HostError> {
        stood("let the VM go on", self.client(instance).resume().await)
    }
}

/// What is neither running nor paused, or not there, need not be paused or resumed.
fn stood(what: &str, done: Result<VmInfo, ClientError>) -> Result<(), HostError> {
    match done {
        Ok(_) | Err(ClientError::Connect { .. }) => Ok(()),
        Err(ClientError::Refused(refusal)) if refusal.code == ErrorCode::WrongState => Ok(()),
        Err(error) => Err(client_error(what, &error)),
    }
}
