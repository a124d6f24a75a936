//! Waiting for a console's output.

use std::time::Duration;

use compute::id::{Id, Instance};
use compute::outside::HostError;
use vmm_api::ClientError;

use super::{Vmms, client_error};

/// How long the VMM is asked to wait at a time.
const AT_ONCE: Duration = Duration::from_secs(30);

impl Vmms {
    /// Waits until the console has output behind `offset`, or no VMM is there any more.
    ///
    /// # Errors
    ///
    /// The VMM does not do it.
    pub async fn wait_console(&self, instance: Id<Instance>, offset: u64) -> Result<(), HostError> {
        let offset = offset.saturating_sub(self.consoles.run(instance).base);
        loop {
            match self.client(instance).wait_console(offset, AT_ONCE).await {
                Ok(history) if history.bytes.is_empty() => {}
                Ok(_) | Err(ClientError::Connect { .. } | ClientError::Broken(_)) => return Ok(()),
                Err(error) => return Err(client_error("wait for the console", &error)),
            }
        }
    }
}
