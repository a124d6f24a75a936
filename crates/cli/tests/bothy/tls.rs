//! The client over TLS: a daemon whose certificate is from an authority of its own.

use std::fs;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::User;
use crate::server::serve;

/// Serves on a port of this host with a certificate for `127.0.0.1`; the authority's certificate as PEM, and the port.
fn start() -> (String, u16) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that does not believe us hangs up.
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                tokio::spawn(serve(stream, Arc::default()));
            }
        });
    });
    (authority.pem(), port)
}

#[test]
fn an_authority_of_ones_own_is_believed_if_named() {
    let user = User::new();
    let (pem, port) = start();
    fs::write(user.home().join("ca.pem"), pem).unwrap();
    let endpoint = format!("--endpoint https://127.0.0.1:{port}");
    assert_eq!(user.succeed(&format!("ls -q {endpoint} --ca ca.pem")), "i-00000001\n");
    let console = user.succeed(&format!("console i-00000001 --history {endpoint} --ca ca.pem"));
    assert_eq!(console, crate::samples::CONSOLE);
    let other = format!("--endpoint https://localhost:{port} --ca ca.pem");
    let ran = user.run(&format!("ls {other}"));
    assert_eq!(ran.code, 4, "its certificate is for another name: {}", ran.stderr);
    fs::write(user.home().join("empty.pem"), "").unwrap();
    let ran = user.run(&format!("ls {endpoint} --ca empty.pem"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let (stranger, _) = start();
    fs::write(user.home().join("stranger.pem"), stranger).unwrap();
    let ran = user.run(&format!("ls {endpoint} --ca stranger.pem"));
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("--ca FILE"), "{}", ran.stderr);
}
