//! Sealing: XChaCha20-Poly1305, with a nonce drawn for each secret and the place of the secret as associated data, so that
//! what was sealed for one record does not open in another.

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Secret;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

const NONCE_BYTES: usize = 24;

/// A sealed secret, as a record has it: version, name of the key, nonce and ciphertext.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sealed {
    key: KeyName,
    nonce: [u8; NONCE_BYTES],
    ciphertext: Vec<u8>,
}

/// A key to seal with.
#[derive(Clone)]
pub struct SealingKey {
    name: KeyName,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// What tells keys from each other without giving one away: the beginning of a hash.
type KeyName = u32;

/// The keys of a host: the last one seals, all of them open. So a key can be replaced while old records are still there.
#[derive(Clone)]
pub struct SealingKeys {
    keys: Vec<SealingKey>,
}

/// Why a sealed secret does not open. What is tried with a wrong place or a changed text looks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed with a key that is not here.
    #[error(
        "a secret was sealed with key {key:08x}, which is not in the host's key file: bring back that file"
    )]
    UnknownKey {
        /// The name of the key.
        key: u32,
    },
    /// It is not what was sealed, or not where it was sealed for.
    #[error("a sealed secret was changed or moved: restore the record store from a copy")]
    Damaged,
}

impl SealingKey {
    /// A new key.
    pub fn generate() -> Self {
        let key = chacha20poly1305::Key::generate();
        Self::from_bytes(key.into())
    }

    /// A key that was kept.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let hash = Sha256::digest(bytes.as_slice());
        let name = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        Self { name, bytes }
    }

    /// Its bytes, to keep them.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[key {:08x}]", self.name)
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

impl SealingKeys {
    /// Keys in the order of their age, with the newest given apart, as there must be one.
    pub fn new(older: Vec<SealingKey>, newest: SealingKey) -> Self {
        let mut keys = older;
        keys.push(newest);
        Self { keys }
    }

    /// Seals a secret for a place: the key of its record and the name of its field.
    pub fn seal(&self, secret: &Secret, place: &str) -> Sealed {
        let key = self.keys.last().expect("there is a newest one");
        let nonce = XNonce::generate();
        let payload = Payload { msg: secret.expose().as_bytes(), aad: place.as_bytes() };
        let ciphertext = key.cipher().encrypt(&nonce, payload).expect("secrets are far shorter than 256 GiB");
        Sealed { key: key.name, nonce: nonce.into(), ciphertext }
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    ///
    /// The key is not here, or what is sealed was changed or belongs elsewhere.
    pub fn open(&self, sealed: &Sealed, place: &str) -> Result<Secret, OpenError> {
        let mut named = self.keys.iter().filter(|key| key.name == sealed.key).peekable();
        if named.peek().is_none() {
            return Err(OpenError::UnknownKey { key: sealed.key });
        }
        // Two keys may have one name, by a chance of one in four billion.
        let opened = named.find_map(|key| {
            let payload = Payload { msg: &sealed.ciphertext, aad: place.as_bytes() };
            key.cipher().decrypt(&sealed.nonce.into(), payload).ok()
        });
        let text = opened.and_then(|bytes| String::from_utf8(bytes).ok());
        text.map(Secret::new).ok_or(OpenError::Damaged)
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.nonce.as_slice(), &self.ciphertext].concat();
        write!(f, "v1.{:08x}.{}", self.key, BASE64_STANDARD_NO_PAD.encode(bytes))
    }
}

/// What is sealed may be seen.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Sealed {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        let (key, bytes) =
            text.strip_prefix("v1.").and_then(|rest| rest.split_once('.')).ok_or(OpenError::Damaged)?;
        let key = u32::from_str_radix(key, 16).map_err(|_| OpenError::Damaged)?;
        let bytes = BASE64_STANDARD_NO_PAD.decode(bytes).map_err(|_| OpenError::Damaged)?;
        let (nonce, ciphertext) = bytes.split_first_chunk().ok_or(OpenError::Damaged)?;
        Ok(Self { key, nonce: *nonce, ciphertext: ciphertext.to_vec() })
    }
}

impl TryFrom<String> for Sealed {
    type Error = OpenError;

    fn try_from(text: String) -> Result<Self, OpenError> {
        text.parse()
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> Self {
        sealed.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "access-key/AKIAIOSFODNN7EXAMPLE/secret";

    fn keys() -> SealingKeys {
        SealingKeys::new(vec![], SealingKey::generate())
    }

    fn secret() -> Secret {
        Secret::new("wJalrXUtnFEMI/K7MDENG".to_owned())
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let keys = keys();
        let sealed = keys.seal(&secret(), PLACE);
        let stored = serde_json::to_string(&sealed).unwrap();
        assert!(!stored.contains("wJalr"), "{stored}");
        let sealed: Sealed = serde_json::from_str(&stored).unwrap();
        assert_eq!(keys.open(&sealed, PLACE), Ok(secret()));
        assert_eq!(keys.open(&sealed, "access-key/other/secret"), Err(OpenError::Damaged));
        assert_ne!(keys.seal(&secret(), PLACE), sealed, "each has a nonce of its own");
    }

    #[test]
    fn a_change_of_any_letter_is_noticed() {
        let keys = keys();
        let text = keys.seal(&secret(), PLACE).to_string();
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            // The next letter of base64, as any of its letters may be the same for the bits that count.
            changed[index] = if changed[index] == b'A' { b'Q' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let opened = changed.parse::<Sealed>().and_then(|sealed| keys.open(&sealed, PLACE));
            // A digit of the key's name may be a capital, which is the same name.
            assert!(opened.is_err() || changed.to_lowercase() == text.to_lowercase(), "{index}: {changed}");
        }
        for cut in 0..text.len() {
            let opened = text[..cut].parse::<Sealed>().and_then(|sealed| keys.open(&sealed, PLACE));
            assert!(opened.is_err(), "{cut}");
        }
    }

    #[test]
    fn old_keys_open_and_the_newest_seals() {
        let (old, new) = (SealingKey::generate(), SealingKey::generate());
        let before = SealingKeys::new(vec![], old.clone());
        let sealed = before.seal(&secret(), PLACE);
        let after = SealingKeys::new(vec![old], new.clone());
        assert_eq!(after.open(&sealed, PLACE), Ok(secret()));
        let renewed = after.seal(&secret(), PLACE);
        assert!(matches!(before.open(&renewed, PLACE), Err(OpenError::UnknownKey { .. })));
        let kept = SealingKey::from_bytes(*new.expose());
        assert_eq!(SealingKeys::new(vec![], kept).open(&renewed, PLACE), Ok(secret()));
    }

    #[test]
    fn keys_show_only_their_names() {
        let key = SealingKey::from_bytes([0x5a; KEY_BYTES]);
        let shown = format!("{key:?} {:?}", SealingKeys::new(vec![], key.clone()));
        assert!(
            shown.starts_with("[key ") && !shown.contains("5a5a") && !shown.contains("90, 90"),
            "{shown}"
        );
    }
}
