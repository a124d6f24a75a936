//! What guests find on their routers: names by DNS, and the time by SNTP. Each network has sockets of its own for them, from
//! when it is opened until it is removed or the daemon ends; until the next daemon, guests ask in vain and ask again.
//!
//! What cannot be served, because somebody else has the port, say, is told and tried again: no launch waits for it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use compute::resource::NetworkOf;
use hostnet::{BindServiceError, Network, Service, TIME_PORT};
use names::Sockets;
use tokio::task::{JoinHandle, JoinSet};

use crate::machines::chain;

/// Where names are asked for.
pub const NAME_PORT: u16 = 53;

/// What guests may reach on their routers.
pub const SERVICES: [Service; 3] =
    [Service::Udp(NAME_PORT), Service::Tcp(NAME_PORT), Service::Udp(TIME_PORT)];

/// How long until a socket is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// What serves the routers of this host.
#[derive(Default)]
pub struct Routers {
    /// It has the core, which has the networks, which have this: not there before all of them, and not for longer.
    names: Mutex<Option<names::Service>>,
    served: Mutex<HashMap<NetworkOf, JoinHandle<()>>>,
}

impl Routers {
    /// Says who knows names: once, before any network is opened but the host's own.
    pub fn answer_by(&self, names: names::Service) {
        *lock(&self.names) = Some(names);
    }

    /// Serves a network, unless it is served already. Of a daemon that only clears the host, none is.
    pub fn serve(&self, of: NetworkOf, network: &Arc<Network>) {
        let Some(names) = lock(&self.names).clone() else { return };
        lock(&self.served).entry(of).or_insert_with(|| tokio::spawn(serve(names, of, Arc::clone(network))));
    }

    /// Serves a network no more, and answers when its sockets are closed.
    pub async fn end(&self, of: NetworkOf) {
        let served = lock(&self.served).remove(&of);
        if let Some(served) = served {
            served.abort();
            // It was told to end, so that is how it ended.
            let _ = served.await;
        }
    }

    /// Serves nobody any more.
    pub fn close(&self) {
        lock(&self.names).take();
        lock(&self.served).drain().for_each(|(_, served)| served.abort());
    }
}

/// Serves a network until it is told to end.
async fn serve(names: names::Service, of: NetworkOf, network: Arc<Network>) {
    let mut serving = JoinSet::new();
    serving.spawn(serve_names(names, of, Arc::clone(&network)));
    serving.spawn(serve_time(network));
    while let Some(ended) = serving.join_next().await {
        log::error!("the routers of {of:?} serve something no more: {ended:?}");
    }
}

async fn serve_names(names: names::Service, of: NetworkOf, network: Arc<Network>) -> io::Result<()> {
    let mut trouble = Trouble::new("names");
    let sockets = loop {
        match name_sockets(&network).await {
            Ok(sockets) => break sockets,
            Err(error) => trouble.pause(&error).await,
        }
    };
    names.serve(names::Network { network: of, cidr: network.cidr() }, sockets).await
}

async fn name_sockets(network: &Network) -> Result<Sockets, BindServiceError> {
    Ok(Sockets { udp: network.bind_udp(NAME_PORT).await?, tcp: network.listen_tcp(NAME_PORT).await? })
}

async fn serve_time(network: Arc<Network>) -> io::Result<()> {
    let mut trouble = Trouble::new("the time");
    let socket = loop {
        match network.bind_udp(TIME_PORT).await {
            Ok(socket) => break socket,
            Err(error) => trouble.pause(&error).await,
        }
    };
    hostnet::serve_time(socket, network.cidr()).await
}

/// What is tried again until it works, and told of once.
struct Trouble {
    what: &'static str,
    is_told: bool,
}

impl Trouble {
    fn new(what: &'static str) -> Self {
        Self { what, is_told: false }
    }

    async fn pause(&mut self, error: &BindServiceError) {
        if !std::mem::replace(&mut self.is_told, true) {
            log::error!("guests ask for {} in vain, until this works: {}", self.what, chain(error));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Nothing in here panics between two changes that belong together, so what a panic left is whole.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
