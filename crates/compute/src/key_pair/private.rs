//! Making key pairs. What is private is wiped when it is dropped, and shows itself nowhere.

use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use pkcs8::der::zeroize::Zeroizing;
use pkcs8::{LineEnding, PrivateKeyInfoRef, SecretDocument};
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::public::Ed25519PublicKey;

use super::{Algorithm, Fingerprints, Kind, PublicKey};
use crate::secrets::Secret;

/// Bits of the RSA keys that are made here, as EC2's and Alibaba's have.
pub const RSA_BITS: usize = 2048;

/// A key pair just made.
#[derive(Debug)]
pub struct NewKeyPair {
    /// What is kept.
    pub public: PublicKey,
    /// What is given away.
    pub private: PrivateKey,
    /// The fingerprints, the private key's too.
    pub fingerprints: Fingerprints,
}

/// The private half of a key pair, in the two forms that the clouds give away, both without a passphrase.
#[derive(Debug)]
pub struct PrivateKey {
    /// As ssh has always taken it: RSA in PEM as PKCS #1 has it (`BEGIN RSA PRIVATE KEY`), Ed25519 in OpenSSH's own form.
    /// What EC2 gives.
    pub ssh: Secret,
    /// In PEM as PKCS #8 has it (`BEGIN PRIVATE KEY`).
    pub pkcs8: Secret,
}

/// Makes a key pair. An RSA one takes tens to hundreds of milliseconds of a CPU: not for a thread that others wait for.
pub fn generate(algorithm: Algorithm) -> NewKeyPair {
    match algorithm {
        Algorithm::Rsa => generate_rsa(),
        Algorithm::Ed25519 => generate_ed25519(),
    }
    // The library fails only without memory or chance, where nothing of ours goes on either.
    .expect("a key can be made")
}

fn generate_rsa() -> Result<NewKeyPair, Unspecified> {
    let pair = rsa::KeyPair::generate(KeySize::Rsa2048)?;
    let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
    let public = PublicKey::rsa(n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
    let public = public.map_err(|_| Unspecified)?;
    let der: Pkcs8V1Der<'_> = pair.as_der()?;
    let info = PrivateKeyInfoRef::try_from(der.as_ref()).map_err(|_| Unspecified)?;
    let private = PrivateKey {
        ssh: pem("RSA PRIVATE KEY", info.private_key.as_bytes())?,
        pkcs8: pem("PRIVATE KEY", der.as_ref())?,
    };
    let fingerprints = Fingerprints::of_rsa_pair(&public, der.as_ref());
    Ok(NewKeyPair { public, private, fingerprints })
}

fn generate_ed25519() -> Result<NewKeyPair, Unspecified> {
    let pair = Ed25519KeyPair::generate()?;
    let public = Ed25519PublicKey(pair.public_key().as_ref().try_into().map_err(|_| Unspecified)?);
    let seed: Curve25519SeedBin<'_> = pair.seed()?.as_be_bytes()?;
    let seed = Zeroizing::new(<[u8; 32]>::try_from(seed.as_ref()).map_err(|_| Unspecified)?);
    let keys = Ed25519Keypair { public, private: Ed25519PrivateKey::from_bytes(&seed) };
    let ssh = ssh_key::PrivateKey::new(KeypairData::Ed25519(keys), "").map_err(|_| Unspecified)?;
    let ssh = ssh.to_openssh(ssh_key::LineEnding::LF).map_err(|_| Unspecified)?;
    let der: Pkcs8V1Der<'_> = pair.as_der()?;
    let private = PrivateKey { ssh: Secret::new(ssh.to_string()), pkcs8: pem("PRIVATE KEY", der.as_ref())? };
    let public = PublicKey(Kind::Ed25519(public));
    Ok(NewKeyPair { fingerprints: Fingerprints::of(&public), public, private })
}

fn pem(label: &'static str, der: &[u8]) -> Result<Secret, Unspecified> {
    let document = SecretDocument::try_from(der).map_err(|_| Unspecified)?;
    let text = document.to_pem(label, LineEnding::LF).map_err(|_| Unspecified)?;
    Ok(Secret::new(text.to_string()))
}
