//! Reading a public key that somebody brings, in any of the forms that EC2's ImportKeyPair takes: OpenSSH's line, the SSH
//! public key file (RFC 4716), and DER in base64, with or without PEM's first and last lines.

use std::str::FromStr;

use aws_lc_rs::rsa::PublicKey as RsaKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ssh_key::public::KeyData;

use super::{Kind, PublicKey};

/// Longest text taken for a key, in bytes. An RSA key of 16,384 bits has about 2,800.
pub const MAX_KEY_CHARS: usize = 16 << 10;

/// Fewest bits of an RSA key: what OpenSSH's server still lets in.
pub(super) const MIN_RSA_BITS: usize = 1024;

/// Why a text is not taken as a public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Longer than any key.
    #[error("more than {MAX_KEY_CHARS} bytes are no public key")]
    TooLong,
    /// Somebody gives away what nobody else should have.
    #[error(
        "this is a private key: give the public one, the file whose name ends in .pub, and consider this one as lost"
    )]
    Private,
    /// In none of the forms, or not whole.
    #[error(
        "this is no public key: give a line as `ssh-ed25519 AAAA…`, an SSH public key file, or DER in base64"
    )]
    Malformed,
    /// A key of a kind that is not taken.
    #[error("keys of the kind {0} are not taken: only RSA and Ed25519 work with every guest")]
    Algorithm(String),
    /// Too easy to break.
    #[error("an RSA key of {0} bits is too weak: at least {MIN_RSA_BITS}")]
    Weak(usize),
}

impl FromStr for PublicKey {
    type Err = ImportError;

    fn from_str(text: &str) -> Result<Self, ImportError> {
        if text.len() > MAX_KEY_CHARS {
            return Err(ImportError::TooLong);
        }
        let text = text.trim();
        if text.contains("PRIVATE KEY") {
            return Err(ImportError::Private);
        }
        let (mut words, one_line) = (text.split_ascii_whitespace(), !text.contains(['\r', '\n']));
        match (words.next(), words.next()) {
            // What follows is a comment and is nobody's business.
            (Some(_), Some(body)) if one_line => from_wire(&decode(body)?),
            _ => match decode(&body(text))? {
                der if der.first() == Some(&DER_SEQUENCE) => from_der(&der),
                wire => from_wire(&wire),
            },
        }
    }
}

/// The other kinds of key that OpenSSH has had.
const OTHER_KINDS: [&str; 6] = [
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ssh-ed25519@openssh.com",
];

/// What DER begins with, and an SSH key, which begins with a length of four bytes, does not.
const DER_SEQUENCE: u8 = 0x30;

/// The base64 between a first and a last line of hyphens, without RFC 4716's headers, which may go on over several lines.
fn body(text: &str) -> String {
    let mut continued = false;
    let is_body = |line: &&str| {
        let is_header = continued || line.contains(':');
        continued = is_header && line.ends_with('\\');
        !is_header && !line.starts_with("--")
    };
    text.lines().map(str::trim).filter(is_body).collect()
}

fn decode(text: &str) -> Result<Vec<u8>, ImportError> {
    STANDARD.decode(text).map_err(|_| ImportError::Malformed)
}

fn from_wire(bytes: &[u8]) -> Result<PublicKey, ImportError> {
    // The library does not read all that there is; what it is called comes first in all of them.
    let name =
        bytes.split_first_chunk().and_then(|(length, rest)| rest.get(..u32::from_be_bytes(*length) as usize));
    let name = String::from_utf8_lossy(name.unwrap_or_default());
    if OTHER_KINDS.contains(&&*name) {
        return Err(ImportError::Algorithm(name.into_owned()));
    }
    let key = ssh_key::PublicKey::from_bytes(bytes).map_err(|_| ImportError::Malformed)?;
    match key.key_data() {
        KeyData::Ed25519(key) => Ok(PublicKey(Kind::Ed25519(*key))),
        KeyData::Rsa(key) => match (key.n.as_positive_bytes(), key.e.as_positive_bytes()) {
            (Some(n), Some(e)) => PublicKey::rsa(n, e),
            _ => Err(ImportError::Malformed),
        },
        _ => Err(ImportError::Malformed),
    }
}

fn from_der(bytes: &[u8]) -> Result<PublicKey, ImportError> {
    let key = RsaKey::from_der(bytes).map_err(|_| ImportError::Malformed)?;
    let (n, e) = (key.modulus(), key.exponent());
    PublicKey::rsa(n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero())
}
