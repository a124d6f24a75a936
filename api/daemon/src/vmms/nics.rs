//! What is changed of a running machine's network interfaces.

use compute::id::{Id, Instance};
use compute::outside::HostError;
use vmm_api::NicUpdate;

use super::Vmms;

impl Vmms {
    /// Sets how many hops behind the guest its metadata service can be reached, on its first `nics` interfaces.
    ///
    /// # Errors
    ///
    /// None runs, or it does not answer.
    pub async fn set_hop_limit(
        &self,
        instance: Id<Instance>,
        nics: usize,
        hop_limit: u8,
    ) -> Result<(), HostError> {
        let client = self.client(instance);
        for index in 0..nics {
            let update = NicUpdate { metadata_hop_limit: hop_limit };
            let asked = client.update_nic(index, &update);
            self.ask_running("set its hop limit", asked).await?;
        }
        Ok(())
    }
}
