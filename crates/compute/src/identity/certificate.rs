//! X.509 certificates of an account, by which EC2's SOAP requests are signed. The account is found by the certificate, byte
//! for byte, so no two accounts have the same one. There is no chain of trust to check, and no signature is verified here.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode, Document, Reader, SliceReader, Tag, Tagged};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::{Condition, Key, Write, put};

use super::account::account_write;
use super::error::shown;
use super::{AccountId, CreateError, DeleteError, Identity, Kind, LookError, StoreFailed, key};

/// Most certificates of an account: IAM's limit for a user's.
pub const MAX_CERTIFICATES: usize = 2;
/// Most bytes of a certificate in PEM, as IAM has it.
const MAX_PEM_BYTES: usize = 16384;

/// What tells certificates apart: the SHA-256 of their DER, in 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no certificate's fingerprint: expected 64 hexadecimal digits")]
pub struct FingerprintError {
    text: String,
}

impl Fingerprint {
    /// That of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let refuse = || FingerprintError { text: shown(text) };
        let is_digit = |byte: u8| byte.is_ascii_hexdigit();
        if text.len() != 64 || !text.bytes().all(is_digit) {
            return Err(refuse());
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| refuse())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// A certificate of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// What tells it from others.
    pub fingerprint: Fingerprint,
    /// The account.
    pub account: AccountId,
    /// It itself, as it was uploaded.
    pub pem: String,
    /// When it was uploaded.
    pub created: Timestamp,
}

fn certificate_key(fingerprint: Fingerprint) -> Key {
    key(["certificate", &fingerprint.to_string()])
}

/// Reads PEM, and sees that the DER in it is built as a certificate: a sequence of what is signed, by which algorithm, and
/// the signature (RFC 5280, 4.1). What is signed is read by whoever verifies signatures.
fn read(pem: &str) -> Result<Fingerprint, CreateError> {
    let refuse = |why| Err(CreateError::Certificate { why });
    if pem.len() > MAX_PEM_BYTES {
        return refuse("it has more than 16 KiB");
    }
    let Ok((label, der)) = Document::from_pem(pem) else {
        return refuse("its lines or its base64 cannot be read");
    };
    if label != "CERTIFICATE" {
        // Perhaps a private key, which must not be kept.
        return refuse("it has another label");
    }
    let tags = tags(der.as_bytes()).unwrap_or_default();
    if tags != [Tag::Sequence, Tag::Sequence, Tag::BitString] {
        return refuse("what is inside is not built as one");
    }
    Ok(Fingerprint::of(der.as_bytes()))
}

/// The tags of the values in a sequence.
fn tags(der: &[u8]) -> pkcs8::der::Result<Vec<Tag>> {
    let whole = AnyRef::from_der(der)?;
    whole.tag().assert_eq(Tag::Sequence)?;
    let mut inside = SliceReader::new(whole.value())?;
    let mut tags = Vec::new();
    while !inside.is_finished() {
        tags.push(AnyRef::decode(&mut inside)?.tag());
    }
    Ok(tags)
}

impl Identity {
    /// Registers a certificate, given in PEM.
    pub async fn upload_certificate(
        &self,
        account: AccountId,
        pem: &str,
        now: Timestamp,
    ) -> Result<Certificate, CreateError> {
        let fingerprint = read(pem)?;
        let certificate_key = certificate_key(fingerprint);
        let certificate = Certificate { fingerprint, account, pem: pem.to_owned(), created: now };
        loop {
            let Some(mut owner) = self.kept_account(account).await? else {
                return Err(CreateError::no_owner(Kind::Account, &account.to_string()));
            };
            if self.get::<Certificate>(&certificate_key).await?.is_some() {
                let name = fingerprint.to_string();
                return Err(CreateError::Taken { kind: Kind::Certificate, name });
            }
            CreateError::limit(Kind::Certificate, owner.value.certificates.len(), MAX_CERTIFICATES)?;
            owner.value.certificates.push(fingerprint);
            let conditions = vec![owner.unmodified(), Condition::Absent(certificate_key.clone())];
            let writes = vec![account_write(&owner.value), put(certificate_key.clone(), &certificate)];
            if self.commit(conditions, writes).await? {
                return Ok(certificate);
            }
        }
    }

    /// The certificates of an account.
    pub async fn certificates(&self, account: AccountId) -> Result<Vec<Certificate>, LookError> {
        let Some(owner) = self.kept_account(account).await? else {
            return Err(LookError::absent(Kind::Account, &account.to_string()));
        };
        let mut certificates = Vec::new();
        for fingerprint in owner.value.certificates {
            // One that was deleted since the account was read is none any more.
            let kept = self.get::<Certificate>(&certificate_key(fingerprint)).await?;
            certificates.extend(kept.map(|kept| kept.value));
        }
        Ok(certificates)
    }

    /// The certificate that is this DER, of whichever account. That account may be disabled: whoever verified the
    /// signature asks `caller` for it.
    pub async fn find_certificate(&self, der: &[u8]) -> Result<Option<Certificate>, StoreFailed> {
        let kept = self.get(&certificate_key(Fingerprint::of(der))).await?;
        Ok(kept.map(|kept| kept.value))
    }

    /// Deletes a certificate of the account.
    pub async fn delete_certificate(
        &self,
        account: AccountId,
        fingerprint: Fingerprint,
    ) -> Result<(), DeleteError> {
        loop {
            let owner = self.kept_account(account).await?;
            let certificate = self.get::<Certificate>(&certificate_key(fingerprint)).await?;
            let certificate = certificate.filter(|kept| kept.value.account == account);
            let (Some(mut owner), Some(certificate)) = (owner, certificate) else {
                return Err(DeleteError::absent(Kind::Certificate, &fingerprint.to_string()));
            };
            owner.value.certificates.retain(|other| *other != fingerprint);
            let conditions = vec![owner.unmodified(), certificate.unmodified()];
            let writes = vec![account_write(&owner.value), Write::Delete(certificate.key)];
            if self.commit(conditions, writes).await? {
                return Ok(());
            }
        }
    }
}
