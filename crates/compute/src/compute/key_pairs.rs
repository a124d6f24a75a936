//! Key pairs of an account.

use super::launch::{check_name, check_words};
use super::records::{Besides, TRIES};
use super::{Compute, ComputeError, Listed};
use crate::id::KeyPairId;
use crate::key_pair::{Algorithm, Fingerprints, PrivateKey, PublicKey, generate};
use crate::resource::{KeyPair, Resource, Tags, named_key};

/// A key pair that was just made; its private half is given away once.
pub struct NewKey {
    /// The key pair.
    pub pair: KeyPair,
    /// The private half.
    pub private_key: PrivateKey,
}

impl Compute {
    /// Makes a key pair.
    ///
    /// # Errors
    ///
    /// The name makes no sense, or the account has one of this name.
    pub async fn create_key_pair(
        &self,
        account: &str,
        name: &str,
        algorithm: Algorithm,
        tags: Tags,
    ) -> Result<NewKey, ComputeError> {
        // Before the work of making one.
        check(name, &tags)?;
        let made = tokio::task::spawn_blocking(move || generate(algorithm));
        let made = made.await.map_err(|_| ComputeError::Ending)?;
        let pair = self.keep_key_pair(account, name, made.public, made.fingerprints, tags).await?;
        Ok(NewKey { pair, private_key: made.private })
    }

    /// Takes the public half of a key pair that was made elsewhere.
    ///
    /// # Errors
    ///
    /// As `create_key_pair`, or the text is no key.
    pub async fn import_key_pair(
        &self,
        account: &str,
        name: &str,
        text: &str,
        tags: Tags,
    ) -> Result<KeyPair, ComputeError> {
        check(name, &tags)?;
        let key: PublicKey =
            text.parse().map_err(|error| ComputeError::invalid("public_key", format!("{error}")))?;
        let fingerprints = Fingerprints::of(&key);
        self.keep_key_pair(account, name, key, fingerprints, tags).await
    }

    async fn keep_key_pair(
        &self,
        account: &str,
        name: &str,
        public_key: PublicKey,
        fingerprints: Fingerprints,
        tags: Tags,
    ) -> Result<KeyPair, ComputeError> {
        let pair = KeyPair {
            id: KeyPairId::draw(),
            account: account.to_owned(),
            name: name.to_owned(),
            public_key,
            fingerprints,
            created: self.clock.now(),
            tags,
        };
        self.create(&pair, name).await?;
        Ok(pair)
    }

    /// A key pair by its name.
    ///
    /// # Errors
    ///
    /// There is none of this name in this account.
    pub async fn key_pair(&self, account: &str, name: &str) -> Result<KeyPair, ComputeError> {
        Ok(self.get_at::<KeyPair>(&named_key(KeyPair::WORD, account, name), name).await?.value)
    }

    /// A key pair by its id.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn key_pair_of(&self, account: &str, id: KeyPairId) -> Result<KeyPair, ComputeError> {
        let mut found = self.all_owned::<KeyPair>(account, |pair| pair.id == id).await?;
        found.pop().ok_or_else(|| ComputeError::NotFound { what: KeyPair::NAME, id: id.to_string() })
    }

    /// Changes the tags of a key pair.
    ///
    /// # Errors
    ///
    /// There is none of this id, or they are too many or too long.
    pub async fn tag_key_pair(
        &self,
        account: &str,
        id: KeyPairId,
        tags: &Tags,
    ) -> Result<KeyPair, ComputeError> {
        check_words(None, Some(tags))?;
        let key = self.key_pair_of(account, id).await?.key();
        let gone = || ComputeError::NotFound { what: KeyPair::NAME, id: id.to_string() };
        let tag = |pair: &mut KeyPair| {
            // Another of the same name may have taken its place.
            if pair.id != id {
                return Err(gone());
            }
            pair.tags = tags.clone();
            Ok(((), Besides::default()))
        };
        let ((), pair) = self.change::<KeyPair, ()>(&key, &id.to_string(), tag).await?;
        Ok(pair)
    }

    /// Key pairs of an account that `wanted` takes, in the order of their names.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn key_pairs(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&KeyPair) -> bool,
    ) -> Result<Listed<KeyPair>, ComputeError> {
        self.list_owned(account, after, limit, wanted).await
    }

    /// Deletes a key pair. Instances keep what they were launched with.
    ///
    /// # Errors
    ///
    /// There is none of this name in this account.
    pub async fn delete_key_pair(&self, account: &str, name: &str) -> Result<(), ComputeError> {
        let key = named_key(KeyPair::WORD, account, name);
        for _ in 0..TRIES {
            let kept = self.get_at::<KeyPair>(&key, name).await?;
            match self.remove(&kept).await {
                Err(ComputeError::Contended { .. }) => {}
                result => return result,
            }
        }
        Err(ComputeError::Contended { key })
    }
}

fn check(name: &str, tags: &Tags) -> Result<(), ComputeError> {
    if name.is_empty() {
        return Err(ComputeError::invalid("name", "is missing: a key pair needs one"));
    }
    check_name("name", name)?;
    tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))
}
