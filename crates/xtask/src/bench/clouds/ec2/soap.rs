//! Requests of EC2's SOAP API of 2007, signed as WS-Security has it. They are canonical as they are written.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Context;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Request;
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use native_api::UploadCertificate;

use super::super::Signed;
use crate::run::quietly;

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2007-03-01/";

/// Who signs.
#[derive(Clone)]
pub struct Signer {
    key: Arc<RsaKeyPair>,
    pem: String,
}

impl Signer {
    /// One with a key and a certificate of its own, made as the README says.
    pub fn make(folder: &Path) -> anyhow::Result<Self> {
        let (key, certificate, der) = (folder.join("pk.pem"), folder.join("cert.pem"), folder.join("pk.der"));
        let mut make = Command::new("openssl");
        make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ec2", "-days", "2"]);
        quietly(make.arg("-keyout").arg(&key).arg("-out").arg(&certificate))?;
        let mut convert = Command::new("openssl");
        convert.args(["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"]);
        quietly(convert.arg("-in").arg(&key).arg("-out").arg(&der))?;
        let key = std::fs::read(&der).context("reading a key")?;
        let key = RsaKeyPair::from_pkcs8(&key).map_err(|error| anyhow::anyhow!("reading a key: {error}"))?;
        let pem = std::fs::read_to_string(&certificate).context("reading a certificate")?;
        Ok(Self { key: Arc::new(key), pem })
    }

    /// What the daemon has to know of it.
    pub fn certificate(&self) -> anyhow::Result<UploadCertificate> {
        Ok(UploadCertificate { pem: self.pem.parse().context("reading a certificate")? })
    }

    /// A request that is signed now, and that is another one than those of other numbers.
    pub fn signed(&self, number: usize, action: &str, inside: &str) -> Signed {
        let id = format!("body-{number}");
        let body = format!(
            "<e:Body xmlns:e=\"{ENVELOPE}\" xmlns:u=\"{UTILITY}\" u:Id=\"{id}\"><{action} xmlns=\"{NAMESPACE}\">{inside}\
             </{action}></e:Body>"
        );
        let now = Timestamp::now();
        let written = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        let (created, expires) = (written(now), written(now + SignedDuration::from_mins(5)));
        let timestamp = format!(
            "<u:Timestamp xmlns:u=\"{UTILITY}\" u:Id=\"time\"><u:Created>{created}</u:Created>\
             <u:Expires>{expires}</u:Expires></u:Timestamp>"
        );
        let info = format!(
            "<d:SignedInfo xmlns:d=\"{SIGNATURE}\"><d:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\">\
             </d:CanonicalizationMethod><d:SignatureMethod \
             Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></d:SignatureMethod>{}{}</d:SignedInfo>",
            reference(&id, &body),
            reference("time", &timestamp)
        );
        let mut value = vec![0; self.key.public_modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), info.as_bytes(), &mut value);
        signed.expect("there is room for a signature of this key");
        let value = BASE64_STANDARD.encode(value);
        let certificate: String = self.pem.lines().filter(|line| !line.starts_with('-')).collect();
        let message = format!(
            "<?xml version=\"1.0\"?>\n<e:Envelope xmlns:e=\"{ENVELOPE}\"><e:Header><s:Security xmlns:s=\"{SECURITY}\">\
             <s:BinarySecurityToken xmlns:u=\"{UTILITY}\" u:Id=\"token\">{certificate}</s:BinarySecurityToken>\
             <d:Signature xmlns:d=\"{SIGNATURE}\">{info}<d:SignatureValue>{value}</d:SignatureValue><d:KeyInfo>\
             <s:SecurityTokenReference><s:Reference URI=\"#token\"/></s:SecurityTokenReference></d:KeyInfo></d:Signature>\
             {timestamp}</s:Security></e:Header>{body}</e:Envelope>"
        );
        let request = Request::post("/").header("content-type", "text/xml").header("soapaction", "\"\"");
        (request, Bytes::from(message))
    }
}

/// What is signed of an element.
fn reference(id: &str, text: &str) -> String {
    let hash = BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
    format!(
        "<d:Reference URI=\"#{id}\"><d:Transforms><d:Transform Algorithm=\"{EXCLUSIVE}\"></d:Transform></d:Transforms>\
         <d:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></d:DigestMethod>\
         <d:DigestValue>{hash}</d:DigestValue></d:Reference>"
    )
}
