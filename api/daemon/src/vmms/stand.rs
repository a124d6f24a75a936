//! Machines that are told to stand still, to go on, or to begin anew. A VMM that hangs is waited for as long as that may take
//! and no longer: a daemon that takes over asks each of them.

use std::time::Duration;

use compute::id::{Id, Instance};
use compute::outside::HostError;
use tokio::time::timeout;
use vmm_api::{ClientError, ErrorCode, VmInfo};

use super::{Vmms, client_error};

impl Vmms {
    /// Lets the VM stand still. Where there is none that runs, nothing happens.
    ///
    /// # Errors
    ///
    /// The VMM does not do it, or not in time; then it is told to go on.
    pub async fn pause(&self, instance: Id<Instance>) -> Result<(), HostError> {
        let client = self.client(instance);
        match within(self.config.work_limit, client.pause()).await {
            Some(done) => stood("pause the VM", done),
            None => {
                // It may yet do as it was told, when nobody waits for that any more.
                let _ = within(self.config.answer_limit, client.resume()).await;
                Err(silent("pause the VM", self.config.work_limit))
            }
        }
    }

    /// Lets a VM that stands still go on. Where there is none, nothing happens.
    ///
    /// # Errors
    ///
    /// The VMM does not do it, or not in time.
    pub async fn resume(&self, instance: Id<Instance>) -> Result<(), HostError> {
        match within(self.config.answer_limit, self.client(instance).resume()).await {
            Some(done) => stood("let the VM go on", done),
            None => Err(silent("let the VM go on", self.config.answer_limit)),
        }
    }

    /// Resets the VM, and answers when it runs again.
    ///
    /// # Errors
    ///
    /// There is no VM that runs, or it could not be built again: then it has ended, which is also told. Or the VMM does not
    /// answer in time.
    pub async fn reset(&self, instance: Id<Instance>) -> Result<(), HostError> {
        let reset = within(self.config.work_limit, self.client(instance).reset()).await;
        let reset = reset.ok_or_else(|| silent("reset the VM", self.config.work_limit))?;
        match reset.map_err(|error| client_error("reset the VM", &error))?.exit {
            Some(exit) => Err(HostError::Failed(format!("the VM could not be reset: {}", exit.message))),
            None => Ok(()),
        }
    }
}

async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> Option<T> {
    timeout(limit, answer).await.ok()
}

fn silent(what: &str, limit: Duration) -> HostError {
    HostError::Failed(format!("cannot {what}: its VMM does not answer within {limit:?}"))
}

/// What is neither running nor paused, or not there, need not be paused or resumed.
fn stood(what: &str, done: Result<VmInfo, ClientError>) -> Result<(), HostError> {
    match done {
        Ok(_) | Err(ClientError::Connect { .. }) => Ok(()),
        Err(ClientError::Refused(refusal)) if refusal.code == ErrorCode::WrongState => Ok(()),
        Err(error) => Err(client_error(what, &error)),
    }
}
