//! A server of files that does what it is told, also what no server should: it breaks off, keeps silent, lies about lengths.
//! HTTP/1.1 by hand, as libraries send nothing that is wrong.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET` and so on.
    pub method: String,
    /// A path, or all of a URL where a proxy is asked.
    pub target: String,
    /// Headers, by their names in small letters.
    pub headers: BTreeMap<String, String>,
}

impl Asked {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// The connection that is answered on.
pub trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// The server. Its threads end with the test program.
pub struct Server {
    /// Where it is.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers each request so.
    pub fn start(answer: impl Fn(&Asked, &mut dyn Wire) + Send + Sync + 'static) -> Self {
        Self::on(|stream| Some(Box::new(stream)), answer)
    }

    /// The same behind something else, as TLS.
    pub fn on(
        accept: impl Fn(TcpStream) -> Option<Box<dyn Wire>> + Send + Sync + 'static,
        answer: impl Fn(&Asked, &mut dyn Wire) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (noted, accept, answer) = (Arc::clone(&asked), Arc::new(accept), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (noted, accept, answer) = (Arc::clone(&noted), Arc::clone(&accept), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let Some(mut wire) = accept(stream) else { return };
                    let Some(asked) = read(&mut *wire) else { return };
                    noted.lock().unwrap().push(asked.clone());
                    answer(&asked, &mut *wire);
                    let _ = wire.flush();
                });
            }
        });
        Self { address, asked }
    }

    /// The same with a certificate of its own, for this name.
    pub fn tls(
        name: &str,
        answer: impl Fn(&Asked, &mut dyn Wire) + Send + Sync + 'static,
    ) -> (Self, rcgen::Certificate) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let accept = move |stream| {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).ok()?;
            Some(Box::new(rustls::StreamOwned::new(connection, stream)) as Box<dyn Wire>)
        };
        (Self::on(accept, answer), made.cert)
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// One request to a connection, so that nothing of the last answer is left of it.
fn read(wire: &mut dyn Wire) -> Option<Asked> {
    let mut reader = BufReader::new(wire);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => return Some(Asked { method, target, headers }),
        };
    }
}

/// Sends an answer's head. The connection ends with it.
pub fn head(wire: &mut dyn Wire, status: &str, headers: &[(&str, &str)]) {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    text.push_str("\r\n");
    let _ = wire.write_all(text.as_bytes());
}

/// Sends a file as a good server does: all of it, or the rest that is asked for of this version; `most` bytes of that, and then
/// the connection breaks.
pub fn send(asked: &Asked, wire: &mut dyn Wire, content: &[u8], tag: &str, most: usize) {
    let start = asked.header("range").strip_prefix("bytes=").and_then(|range| range.split('-').next());
    let condition = asked.header("if-range");
    let start = start.and_then(|start| start.parse::<usize>().ok());
    let start = start.filter(|_| condition.is_empty() || condition == tag);
    let rest = content.get(start.unwrap_or(0)..).unwrap_or_default();
    let length = rest.len().to_string();
    let mut headers = vec![("Content-Length", length.as_str())];
    if !tag.is_empty() {
        headers.push(("ETag", tag));
    }
    let range = format!("bytes {}-{}/{}", start.unwrap_or(0), content.len().saturating_sub(1), content.len());
    match start {
        Some(start) if start >= content.len() => return head(wire, "416 Range Not Satisfiable", &[]),
        Some(_) => {
            headers.push(("Content-Range", &range));
            head(wire, "206 Partial Content", &headers);
        }
        None => head(wire, "200 OK", &headers),
    }
    let _ = wire.write_all(&rest[..rest.len().min(most)]);
}
