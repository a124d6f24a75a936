//! Requests of Alibaba Cloud's API, signed in either of its ways: by parameters (RPC, HMAC-SHA1), as clients of old do it, and by
//! headers (ACS3, HMAC-SHA256), as those of today do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Request;
use hyper::http::request::Builder;
use jiff::Timestamp;

use super::super::super::http::HOST;
use super::super::Key;
use super::super::words::{encoded, hex, written};

const VERSION: &str = "2014-05-26";

/// No request has the nonce of another.
static NONCE: AtomicU64 = AtomicU64::new(0);

/// How requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Rpc,
    Acs3,
}

impl Scheme {
    pub const ALL: [Self; 2] = [Self::Rpc, Self::Acs3];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rpc => "HMAC-SHA1",
            Self::Acs3 => "ACS3",
        }
    }
}

/// A request of ECS that is signed now.
pub fn signed(scheme: Scheme, key: &Key, action: &str, more: &[(&str, &str)]) -> Builder {
    let nonce = format!("{}-{}", std::process::id(), NONCE.fetch_add(1, Ordering::Relaxed));
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut parameters: BTreeMap<&str, &str> = more.iter().copied().collect();
    match scheme {
        Scheme::Rpc => {
            parameters.extend([
                ("AccessKeyId", key.id.as_str()),
                ("Action", action),
                ("Format", "JSON"),
                ("SignatureMethod", "HMAC-SHA1"),
                ("SignatureNonce", &nonce),
                ("SignatureVersion", "1.0"),
                ("Timestamp", &now),
                ("Version", VERSION),
            ]);
            let query = written(&parameters);
            let mac_key =
                hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, format!("{}&", key.secret).as_bytes());
            let mac = hmac::sign(&mac_key, format!("GET&%2F&{}", encoded(&query)).as_bytes());
            let signature = encoded(&BASE64_STANDARD.encode(mac));
            Request::get(format!("/?{query}&Signature={signature}"))
        }
        Scheme::Acs3 => {
            let query = written(&parameters);
            let body = hex(digest::digest(&digest::SHA256, b"").as_ref());
            let headers = [
                ("host", HOST),
                ("x-acs-action", action),
                ("x-acs-content-sha256", &body),
                ("x-acs-date", &now),
                ("x-acs-signature-nonce", &nonce),
                ("x-acs-version", VERSION),
            ];
            let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
            let names = headers.map(|(name, _)| name).join(";");
            let canonical = format!("GET\n/\n{query}\n{lines}\n{names}\n{body}");
            let string = format!(
                "ACS3-HMAC-SHA256\n{}",
                hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
            );
            let mac_key = hmac::Key::new(hmac::HMAC_SHA256, key.secret.as_bytes());
            let signature = hex(hmac::sign(&mac_key, string.as_bytes()).as_ref());
            let authorization =
                format!("ACS3-HMAC-SHA256 Credential={},SignedHeaders={names},Signature={signature}", key.id);
            // The connection says the first itself.
            let request =
                headers[1..].iter().fold(Request::get(format!("/?{query}")), |request, (name, value)| {
                    request.header(*name, *value)
                });
            request.header("authorization", authorization)
        }
    }
}
