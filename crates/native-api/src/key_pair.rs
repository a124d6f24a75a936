//! Key pairs, by which people log in to instances.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{KeyPairId, KeyPairName, PublicKeyText, Tags};

/// The kinds of key there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeyAlgorithm {
    /// RSA, as old guests and tools need it.
    Rsa,
    /// Ed25519: short, and the better choice.
    #[default]
    Ed25519,
}

/// Body of `POST /v1/key-pairs`: makes a key pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateKeyPair {
    /// Its name.
    pub name: KeyPairName,
    /// Its kind.
    #[serde(default)]
    pub algorithm: KeyAlgorithm,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// Body of `POST /v1/key-pair-imports`: takes a public key that was made elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportKeyPair {
    /// Its name.
    pub name: KeyPairName,
    /// The public half.
    pub public_key: PublicKeyText,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// A key pair, of which only the public half is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyPair {
    /// Its id.
    pub id: KeyPairId,
    /// Its name.
    pub name: KeyPairName,
    /// Its kind.
    pub algorithm: KeyAlgorithm,
    /// The public half, as a line of `authorized_keys`.
    pub public_key: String,
    /// Its fingerprints, in each form that people compare.
    pub fingerprints: Fingerprints,
    /// Its tags.
    pub tags: Tags,
    /// When it was made or imported.
    pub created_at: Timestamp,
}

/// The fingerprints of a key pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fingerprints {
    /// MD5 of the public key, sixteen octets with colons (RFC 4716 section 4).
    pub md5: String,
    /// SHA-256 of the public key in base64: what OpenSSH shows behind `SHA256:`.
    pub sha256: String,
    /// MD5 of an RSA public key in DER: EC2's for an imported one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub der_md5: Option<String>,
    /// SHA-1 of an RSA private key in DER: EC2's for one that was made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_sha1: Option<String>,
}

/// A key pair that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewKeyPair {
    /// What is kept.
    pub key_pair: KeyPair,
    /// The private half, as PEM or as OpenSSH writes it. Shown here and never again.
    pub private_key: String,
}

/// Says nothing of the private half: what is printed for debugging ends up in logs.
impl std::fmt::Debug for NewKeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKeyPair").field("key_pair", &self.key_pair).finish_non_exhaustive()
    }
}
