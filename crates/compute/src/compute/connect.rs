//! Connections to guests, opened from within their networks for whoever was found to be allowed that. Called by dialects.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::{Compute, ComputeError};
use crate::id::InstanceId;
use crate::lifecycle::State;
use crate::outside::{ConnectError, Connection};
use crate::resource::{Instance, Interface, Resource};

/// Why there is no connection to an instance.
#[derive(Debug, thiserror::Error)]
pub enum ConnectInstanceError {
    /// The guest says that nobody listens there.
    #[error("{instance} refuses connections to port {port}")]
    Refused {
        /// The instance.
        instance: InstanceId,
        /// The port.
        port: u16,
    },
    /// The guest says nothing.
    #[error("{instance} does not answer on port {port} within {} ms", limit.as_millis())]
    Silent {
        /// The instance.
        instance: InstanceId,
        /// The port.
        port: u16,
        /// How long it was waited for.
        limit: Duration,
    },
    /// There is no such instance, it does not run, or the host does not do its part.
    #[error(transparent)]
    Other(#[from] ComputeError),
}

impl Compute {
    /// Opens a TCP connection to a port of an instance, at its first interface. It comes from the router of the subnet, and
    /// security groups have no say: whoever may ask for this may do it as one may look at a console.
    ///
    /// # Errors
    ///
    /// There is no such instance in this account, it has no VM or no interface, or the guest does not take the connection.
    pub async fn connect(
        &self,
        account: &str,
        id: InstanceId,
        port: u16,
        limit: Duration,
    ) -> Result<Box<dyn Connection>, ConnectInstanceError> {
        let instance = self.instance(account, id).await?;
        with_guest(&instance)?;
        let Some(interface) = instance.interfaces.first() else {
            return Err(ComputeError::NotFound { what: Interface::NAME, id: format!("of {id}") }.into());
        };
        let interface = self.interface(account, *interface).await?;
        let network = self.network_plan(account, interface.network).await?;
        let to = SocketAddrV4::new(interface.address, port);
        let connected = self.networks.connect(network, interface.id, to, limit).await;
        connected.map_err(|error| match error {
            ConnectError::Refused => ConnectInstanceError::Refused { instance: id, port },
            ConnectError::Silent => ConnectInstanceError::Silent { instance: id, port, limit },
            ConnectError::Host(error) => ComputeError::from(error).into(),
        })
    }
}

/// Whether there may be a guest that answers: also while it goes down.
fn with_guest(instance: &Instance) -> Result<(), ComputeError> {
    match instance.state() {
        State::Running | State::Rebooting | State::Stopping | State::Locking => Ok(()),
        state @ (State::Creating
        | State::Created
        | State::Starting
        | State::Stopped
        | State::Locked
        | State::Terminating
        | State::Terminated
        | State::Failed) => {
            let state = format!("{state:?}").to_lowercase();
            let (what, id) = (Instance::NAME, instance.id.to_string());
            Err(ComputeError::WrongState { what, id, state, wanted: "running" })
        }
    }
}
