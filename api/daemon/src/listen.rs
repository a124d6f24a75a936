//! Where requests come in: the native API's unix socket, and the addresses of each API on the network, with TLS where it is
//! configured.

use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dialects::native::{self, Operators};
use dialects::{alibaba, ec2};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::config::Api;
use crate::{durable, fail};

/// Why requests cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The socket cannot be made.
    #[error("cannot listen on {}", path.display())]
    Unix {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address cannot be used.
    #[error("cannot listen on {address}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There is no such group.
    #[error("api.group: there is no group {0:?} on this host: make it, or leave it out")]
    NoGroup(String),
    /// The certificate or its key cannot be read.
    #[error("cannot read {} as PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// They do not go together, or are of a kind that is not known.
    #[error("the certificate {} cannot be used", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// Open sockets, on which nobody is answered yet.
pub struct Listeners {
    unix: UnixListener,
    operators: Operators,
    tcp: Vec<TcpListener>,
    alibaba: Vec<TcpListener>,
    ec2: Vec<TcpListener>,
    tls: Option<TlsAcceptor>,
}

/// Opens all sockets. One that a daemon before has left is replaced: only one daemon has the state folder.
///
/// # Errors
///
/// What cannot be opened; nothing is then.
pub async fn open(api: &Api) -> Result<Listeners, ListenError> {
    let operators = Operators { gid: api.group.as_deref().map(gid).transpose()? };
    let tls = match (&api.tls_certificate, &api.tls_key) {
        (Some(certificate), Some(key)) => Some(acceptor(certificate, key)?),
        (None, _) | (_, None) => None,
    };
    let tcp = bind(&api.listen).await?;
    let (alibaba, ec2) = (bind(&api.alibaba).await?, bind(&api.ec2).await?);
    let unix = unix(&api.socket, operators);
    let unix = unix.map_err(|source| ListenError::Unix { path: api.socket.clone(), source })?;
    Ok(Listeners { unix, operators, tcp, alibaba, ec2, tls })
}

async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ListenError> {
    let mut listeners = Vec::new();
    for &address in addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|source| ListenError::Tcp { address, source })?);
    }
    Ok(listeners)
}

fn unix(path: &Path, operators: Operators) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    durable::remove(path)?;
    fail::point("listen.socket_removed");
    let listener = UnixListener::bind(path)?;
    fail::point("listen.bound");
    // Whoever may not even connect need not be refused.
    if let Some(gid) = operators.gid {
        chown(path, None, Some(gid))?;
    }
    let mode = if operators.gid.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

fn gid(name: &str) -> Result<u32, ListenError> {
    let found = nix::unistd::Group::from_name(name).ok().flatten();
    found.map(|group| group.gid.as_raw()).ok_or_else(|| ListenError::NoGroup(name.to_owned()))
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, ListenError> {
    let pem = |path: &Path| {
        let path = path.to_owned();
        move |source| ListenError::Pem { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(pem(certificate))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(pem(certificate))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let unusable = |source| ListenError::Certificate { path: certificate.to_owned(), source };
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Listeners {
    /// The addresses on the network: the native API's, Alibaba Cloud's and EC2's.
    pub fn addresses(&self) -> [Vec<SocketAddr>; 3] {
        let of =
            |all: &Vec<TcpListener>| all.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        [of(&self.tcp), of(&self.alibaba), of(&self.ec2)]
    }

    /// Answers whoever comes, until `ended`; then lets what is under way come to its end.
    pub async fn serve(
        self,
        service: native::Service,
        alibaba: alibaba::Service,
        ec2: ec2::Service,
        ended: impl Future<Output = ()>,
    ) {
        let (ending, _) = watch::channel(false);
        let ends = || {
            let mut ending = ending.subscribe();
            async move {
                // The sender lives until all have ended.
                let _ = ending.wait_for(|ending| *ending).await;
            }
        };
        let mut servers = JoinSet::new();
        for listener in self.tcp {
            let (service, tls, ends) = (service.clone(), self.tls.clone(), ends());
            servers.spawn(async move { service.serve_tcp(listener, tls, ends).await });
        }
        for listener in self.alibaba {
            let (service, tls, ends) = (alibaba.clone(), self.tls.clone(), ends());
            servers.spawn(async move { service.serve_tcp(listener, tls, ends).await });
        }
        for listener in self.ec2 {
            let (service, tls, ends) = (ec2.clone(), self.tls.clone(), ends());
            servers.spawn(async move { service.serve_tcp(listener, tls, ends).await });
        }
        let (unix, operators, ends) = (self.unix, self.operators, ends());
        servers.spawn(async move { service.serve_unix(unix, operators, ends).await });
        ended.await;
        ending.send_replace(true);
        while servers.join_next().await.is_some() {}
    }
}
