//! A client of SOAP that signs as WS-Security has it, written apart from what it tests: its messages are canonical as they are
//! written, so that it needs no library to make them so. Whatever a test wants to be wrong is a part of `Message`.

use std::net::SocketAddr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::identity::AccountId;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::caller::{Answered, Host, send};

pub const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub const SECURITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
pub const UTILITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
pub const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
pub const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2007-03-01/";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// Who signs.
pub struct Signer {
    key: RsaKeyPair,
    pub pem: String,
    /// In DER and base64.
    pub certificate: String,
}

/// A message, in parts.
#[derive(Clone)]
pub struct Message {
    /// The body, with its id.
    pub body: String,
    /// The timestamp, with its id.
    pub timestamp: String,
    /// Ids that are signed, with what they are of.
    pub signed: Vec<(String, String)>,
    /// What follows the certificate in the header.
    pub besides: String,
}

impl Signer {
    pub fn new() -> Self {
        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let made =
            rcgen::CertificateParams::new(["ec2.local".to_owned()]).unwrap().self_signed(&key).unwrap();
        let certificate = BASE64_STANDARD.encode(made.der());
        let key = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
        Self { key, pem: made.pem(), certificate }
    }

    /// One whose certificate is registered with an account, as people do it: by the native API.
    pub async fn of(host: &Host, account: AccountId) -> Self {
        let signer = Self::new();
        let operator = host.node.operator().with(native_api::ACCOUNT_HEADER, account.to_string());
        operator.post("/v1/certificates", &json!({ "pem": signer.pem })).await.status(201);
        signer
    }

    /// Somebody with another key and the same certificate.
    pub fn forged(&self) -> Self {
        Self { certificate: self.certificate.clone(), ..Self::new() }
    }

    /// A message, signed.
    pub fn signed(&self, message: &Message) -> String {
        let references: String = message.signed.iter().map(|(id, text)| reference(id, text)).collect();
        let info = format!(
            "<d:SignedInfo xmlns:d=\"{SIGNATURE}\"><d:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\">\
             </d:CanonicalizationMethod><d:SignatureMethod \
             Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></d:SignatureMethod>{references}\
             </d:SignedInfo>"
        );
        let mut value = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), info.as_bytes(), &mut value).unwrap();
        let value = BASE64_STANDARD.encode(value);
        let signature = format!(
            "<d:Signature xmlns:d=\"{SIGNATURE}\">{info}<d:SignatureValue>{value}</d:SignatureValue><d:KeyInfo>\
             <s:SecurityTokenReference><s:Reference URI=\"#token\"/></s:SecurityTokenReference></d:KeyInfo>\
             </d:Signature>"
        );
        self.unsigned(message, &signature)
    }

    /// A message with whatever is said to be its signature.
    pub fn unsigned(&self, message: &Message, signature: &str) -> String {
        let Message { body, timestamp, besides, .. } = message;
        let certificate = &self.certificate;
        format!(
            "<?xml version=\"1.0\"?>\n<e:Envelope xmlns:e=\"{ENVELOPE}\"><e:Header><s:Security xmlns:s=\"{SECURITY}\" \
             e:mustUnderstand=\"1\"><s:BinarySecurityToken xmlns:u=\"{UTILITY}\" u:Id=\"token\">{certificate}\
             </s:BinarySecurityToken>{signature}{timestamp}{besides}</s:Security></e:Header>{body}</e:Envelope>"
        )
    }

    /// What is answered to an action, whose elements are given as they are canonical.
    pub async fn asks(&self, host: &Host, action: &str, inside: &str) -> Answered {
        let message = Message::new(host, action, inside);
        post(host.address, &self.signed(&message)).await
    }
}

fn reference(id: &str, text: &str) -> String {
    let hash = BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
    format!(
        "<d:Reference URI=\"#{id}\"><d:Transforms><d:Transform Algorithm=\"{EXCLUSIVE}\"></d:Transform></d:Transforms>\
         <d:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></d:DigestMethod>\
         <d:DigestValue>{hash}</d:DigestValue></d:Reference>"
    )
}

pub fn body(id: &str, action: &str, inside: &str) -> String {
    body_in(NAMESPACE, id, action, inside)
}

pub fn body_in(namespace: &str, id: &str, action: &str, inside: &str) -> String {
    format!(
        "<e:Body xmlns:e=\"{ENVELOPE}\" xmlns:u=\"{UTILITY}\" u:Id=\"{id}\"><{action} xmlns=\"{namespace}\">{inside}\
         </{action}></e:Body>"
    )
}

pub fn timestamp(id: &str, created: Timestamp, expires: Timestamp) -> String {
    let written = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    let (created, expires) = (written(created), written(expires));
    format!(
        "<u:Timestamp xmlns:u=\"{UTILITY}\" u:Id=\"{id}\"><u:Created>{created}</u:Created>\
         <u:Expires>{expires}</u:Expires></u:Timestamp>"
    )
}

impl Message {
    /// One of now, all of it signed.
    pub fn new(host: &Host, action: &str, inside: &str) -> Self {
        Self::at(host.node.compute.clock().now(), body("body", action, inside))
    }

    /// One that was made about a moment.
    pub fn at(created: Timestamp, body: String) -> Self {
        // Of two that are the same, the second would be the first once more.
        static ODD: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);
        let odd = ODD.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self::made(created - SignedDuration::from_millis(odd % 900), body)
    }

    /// One that was made at a moment.
    pub fn made(created: Timestamp, body: String) -> Self {
        let timestamp = timestamp("time", created, created + SignedDuration::from_mins(5));
        let signed = vec![("body".to_owned(), body.clone()), ("time".to_owned(), timestamp.clone())];
        Self { body, timestamp, signed, besides: String::new() }
    }
}

/// A message on its way.
pub fn request(message: &str) -> String {
    let head = format!(
        "POST / HTTP/1.1\r\nhost: ec2.local\r\nconnection: close\r\ncontent-length: {}\r\ncontent-type: text/xml\r\n\
         soapaction: \"\"\r\n\r\n",
        message.len()
    );
    format!("{head}{message}")
}

/// Sends a message.
pub async fn post(address: SocketAddr, message: &str) -> Answered {
    send(address, &request(message)).await
}
