//! Key pairs, by which people log in to instances. The public half is kept and goes into the guest; the private half is made
//! here if asked for, given away once, and not kept.

mod fingerprint;
mod import;
mod private;

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicKeyComponents;
use import::MIN_RSA_BITS;
use serde::{Deserialize, Serialize};
use ssh_key::Mpint;
use ssh_key::public::{Ed25519PublicKey, KeyData, RsaPublicKey};

pub use fingerprint::Fingerprints;
pub use import::{ImportError, MAX_KEY_CHARS};
pub use private::{NewKeyPair, PrivateKey, RSA_BITS, generate};

/// The kinds of key that every cloud and every guest of today knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// RSA, as old guests and tools need it.
    Rsa,
    /// Ed25519: short, and the better choice.
    Ed25519,
}

/// The public half of a key pair. In records it is the text that `Display` gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(Kind);

/// What the algorithm's own types say. There is nothing else: a key that neither is never becomes a `PublicKey`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Rsa { key: RsaPublicKey, der: Vec<u8> },
    Ed25519(Ed25519PublicKey),
}

impl PublicKey {
    /// The algorithm it is for.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::Rsa { .. } => Algorithm::Rsa,
            Kind::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Of the modulus and the exponent, as bytes without leading zeros, the first the highest.
    fn rsa(n: &[u8], e: &[u8]) -> Result<Self, ImportError> {
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if bits < MIN_RSA_BITS {
            return Err(ImportError::Weak(bits));
        }
        let malformed = |_| ImportError::Malformed;
        let key = RsaPublicKey {
            e: Mpint::from_positive_bytes(e).map_err(malformed)?,
            n: Mpint::from_positive_bytes(n).map_err(malformed)?,
        };
        // Fails also on numbers that can be no key.
        let der = PublicKeyComponents { n, e }.as_der().map_err(|_| ImportError::Malformed)?;
        Ok(Self(Kind::Rsa { key, der: der.as_ref().to_vec() }))
    }

    /// The key as ssh has it on the wire, of which OpenSSH's and RFC 4716's fingerprints are taken.
    fn wire(&self) -> Vec<u8> {
        self.ssh().to_bytes().expect("a key that was read can be written")
    }

    fn ssh(&self) -> ssh_key::PublicKey {
        let data = match &self.0 {
            Kind::Rsa { key, .. } => KeyData::Rsa(key.clone()),
            Kind::Ed25519(key) => KeyData::Ed25519(*key),
        };
        ssh_key::PublicKey::new(data, "")
    }
}

/// As a line of `authorized_keys` has it, without a comment: `ssh-ed25519 AAAAC3…`.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ssh().to_openssh().map_err(|_| fmt::Error)?)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = ImportError;

    fn try_from(text: String) -> Result<Self, ImportError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}
