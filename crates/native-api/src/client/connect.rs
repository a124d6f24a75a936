//! Where a daemon is, and how one gets there: a unix socket, TCP, or TLS over it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// How long a host may take to answer at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Where a daemon listens: `unix:PATH`, `http://HOST[:PORT]` or `https://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP without TLS.
    Http {
        /// The host's name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// TLS over TCP.
    Https {
        /// The host's name or address.
        host: String,
        /// The port.
        port: u16,
    },
}

/// An endpoint that nobody can connect to.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is not written as one.
    #[error("{0:?} is no endpoint: expected unix:PATH, http://HOST[:PORT] or https://HOST[:PORT]")]
    Malformed(String),
    /// The certificate authorities that were given cannot be read.
    #[error("the certificate authorities cannot be read as PEM")]
    Authorities(#[source] rustls::pki_types::pem::Error),
    /// One of them is no certificate authority.
    #[error("a certificate authority cannot be used")]
    Authority(#[source] rustls::Error),
    /// The host trusts none, and none was given.
    #[error("this host has no certificate authorities: none to believe an https endpoint by")]
    NoAuthorities,
}

impl Endpoint {
    /// What goes into the header `Host`.
    pub(super) fn host_header(&self) -> String {
        match self {
            // A name has to be there; on a unix socket it means nothing.
            Self::Unix(_) => "bothy".into(),
            Self::Http { host, port } | Self::Https { host, port } => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http { host, port } => write!(f, "http://{host}:{port}"),
            Self::Https { host, port } => write!(f, "https://{host}:{port}"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let malformed = || EndpointError::Malformed(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let authority = |rest: &str, default| {
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            let is_plain = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
            // The colons within the brackets of an IPv6 address are not the port's.
            let (host, port) = match rest.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| malformed())?),
                _ => (rest, default),
            };
            if is_plain(host) { Ok((host.to_owned(), port)) } else { Err(malformed()) }
        };
        if let Some(rest) = text.strip_prefix("http://") {
            return authority(rest, 80).map(|(host, port)| Self::Http { host, port });
        }
        let rest = text.strip_prefix("https://").ok_or_else(malformed)?;
        authority(rest, 443).map(|(host, port)| Self::Https { host, port })
    }
}

/// A connection of whatever kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections to one endpoint.
#[derive(Clone)]
pub(super) struct Connector {
    endpoint: Endpoint,
    tls: Option<TlsConnector>,
}

impl Connector {
    pub(super) fn new(endpoint: Endpoint, ca_pem: Option<&[u8]>) -> Result<Self, EndpointError> {
        let tls = match endpoint {
            Endpoint::Https { .. } => Some(tls(ca_pem)?),
            Endpoint::Unix(_) | Endpoint::Http { .. } => None,
        };
        Ok(Self { endpoint, tls })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let connecting = self.connect_in_any_time();
        let late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(late)
    }

    async fn connect_in_any_time(&self) -> io::Result<Box<dyn Stream>> {
        let (host, port) = match &self.endpoint {
            Endpoint::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
            Endpoint::Http { host, port } | Endpoint::Https { host, port } => (host.as_str(), *port),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare, port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "a name that no certificate can have")
        })?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

/// TLS by the authorities given, or else by those that the host trusts.
fn tls(ca_pem: Option<&[u8]>) -> Result<TlsConnector, EndpointError> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(EndpointError::Authorities)?;
                roots.add(certificate).map_err(EndpointError::Authority)?;
            }
        }
        // One that cannot be read or used is none: the others are still there.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(EndpointError::NoAuthorities);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(EndpointError::Authority)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_they_are_written() {
        for text in [
            "unix:/run/bothy/api.sock",
            "http://localhost:8080",
            "https://[::1]:8443",
            "https://node.example:443",
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), text);
        }
        let short: Endpoint = "https://[::1]/".parse().unwrap();
        assert_eq!(short, Endpoint::Https { host: "[::1]".into(), port: 443 });
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "unix:",
            "/run/bothy/api.sock",
            "http://",
            "http://a:b",
            "https://user@host",
            "ftp://host",
            "http://a/b",
        ] {
            assert!(matches!(text.parse::<Endpoint>(), Err(EndpointError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn tls_needs_somebody_to_believe() {
        let endpoint: Endpoint = "https://localhost".parse().unwrap();
        assert!(matches!(Connector::new(endpoint, Some(b"")), Err(EndpointError::NoAuthorities)));
    }
}
