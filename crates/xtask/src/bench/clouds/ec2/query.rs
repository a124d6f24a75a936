//! Requests of EC2's Query API, signed as clients of today do it (version 4, a form that is posted), and as those of 2007 did
//! (version 1, in the address).

use std::collections::BTreeMap;

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Request;
use hyper::body::Bytes;
use jiff::Timestamp;

use super::super::super::http::HOST;
use super::super::words::{encoded, hex, written};
use super::super::{Key, Signed};

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A request of version 2016-11-15 that is signed now.
pub fn version_4(key: &Key, action: &str, more: &[(&str, String)]) -> Signed {
    let now = Timestamp::now();
    let (day, time) = (now.strftime("%Y%m%d").to_string(), now.strftime("%Y%m%dT%H%M%SZ").to_string());
    let mut parameters: BTreeMap<&str, &str> = pairs(more);
    parameters.extend([("Action", action), ("Version", "2016-11-15")]);
    let body = written(&parameters);
    let hash = hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
    let canonical = format!(
        "POST\n/\n\ncontent-type:{FORM}\nhost:{HOST}\nx-amz-date:{time}\n\ncontent-type;host;x-amz-date\n{hash}"
    );
    let scope = format!("{day}/local/ec2/aws4_request");
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
    let secret = format!("AWS4{}", key.secret).into_bytes();
    let of_scope = scope.split('/').fold(secret, |key, part| mac(hmac::HMAC_SHA256, &key, part));
    let signature = hex(&mac(hmac::HMAC_SHA256, &of_scope, &text));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=content-type;host;x-amz-date, Signature={signature}",
        key.id
    );
    let request = Request::post("/").header("content-type", FORM).header("x-amz-date", time);
    (request.header("authorization", authorization), Bytes::from(body))
}

/// A request of version 2007-03-01 that is signed now.
pub fn version_1(key: &Key, action: &str, more: &[(&str, String)]) -> Signed {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut parameters: BTreeMap<&str, &str> = pairs(more);
    parameters.extend([
        ("Action", action),
        ("AWSAccessKeyId", key.id.as_str()),
        ("SignatureVersion", "1"),
        ("Timestamp", &now),
        ("Version", "2007-03-01"),
    ]);
    let mut sorted: Vec<_> = parameters.iter().collect();
    sorted.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    let text: String = sorted.iter().flat_map(|(name, value)| [**name, **value]).collect();
    let mac = mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.secret.as_bytes(), &text);
    let signature = encoded(&BASE64_STANDARD.encode(mac));
    (Request::get(format!("/?{}&Signature={signature}", written(&parameters))), Bytes::new())
}

fn pairs<'a>(parameters: &'a [(&'a str, String)]) -> BTreeMap<&'a str, &'a str> {
    parameters.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn mac(algorithm: hmac::Algorithm, key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), text.as_bytes()).as_ref().to_vec()
}
