//! Fingerprints: what people compare to know that a key is theirs. Each cloud has its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Kind, PublicKey};

/// The fingerprints of a key pair. All are kept, since one is of the private key, which is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    /// MD5 of the public key, sixteen octets as `43:51:43:a1:…`: RFC 4716 section 4, and so Alibaba's and OpenStack's.
    pub md5: String,
    /// SHA-256 of the public key in base64, padded: what OpenSSH shows after `SHA256:`, and EC2 for Ed25519.
    pub sha256: String,
    /// MD5 of an RSA public key in DER: EC2's for an imported one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub der_md5: Option<String>,
    /// SHA-1 of an RSA private key in DER, as PKCS #8 has it, twenty octets: EC2's for one that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_sha1: Option<String>,
}

impl Fingerprints {
    /// Of a key whose private half is not known.
    pub fn of(key: &PublicKey) -> Self {
        let wire = key.wire();
        Self {
            md5: colons(&Md5::digest(&wire)),
            sha256: STANDARD.encode(Sha256::digest(&wire)),
            der_md5: match &key.0 {
                Kind::Rsa { der, .. } => Some(colons(&Md5::digest(der))),
                Kind::Ed25519(_) => None,
            },
            private_sha1: None,
        }
    }

    /// Of an RSA key pair made here, with its private key in DER as PKCS #8 has it.
    pub(super) fn of_rsa_pair(key: &PublicKey, private: &[u8]) -> Self {
        Self { private_sha1: Some(colons(&Sha1::digest(private))), ..Self::of(key) }
    }

    /// What EC2 shows: for RSA it depends on who made the key.
    pub fn ec2(&self) -> &str {
        self.private_sha1.as_ref().or(self.der_md5.as_ref()).unwrap_or(&self.sha256)
    }
}

/// Octets in hexadecimal with colons between them.
fn colons(octets: &[u8]) -> String {
    let octets: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    octets.join(":")
}
