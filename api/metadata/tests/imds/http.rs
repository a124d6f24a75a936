//! A client of our own: what it sends is what a test says, to the byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Longest time for an answer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The text of a 200.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        self.text()
    }
}

/// One interface of a guest.
#[derive(Clone, Debug)]
pub struct Guest {
    socket: PathBuf,
}

impl Guest {
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[]).await
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n{headers}\r\n"
        );
        self.send(head.as_bytes()).await
    }

    /// A token for this many seconds, as EC2's clients get it.
    pub async fn token(&self, ttl: &str) -> String {
        let reply =
            self.ask("PUT", "/latest/api/token", &[("X-aws-ec2-metadata-token-ttl-seconds", ttl)]).await;
        reply.ok().to_owned()
    }

    /// Sends bytes, and reads what comes until the connection ends.
    pub async fn send(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect().await;
        // It may be refused before it is taken whole.
        let _ = stream.write_all(bytes).await;
        let mut all = Vec::new();
        // Where not all was taken, the end comes as an error, after the answer.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("an answer in time");
        parse(&all)
    }
}

pub fn parse(bytes: &[u8]) -> Reply {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Reply { status, headers, body: bytes[end + 4..].to_vec() }
}
