//! Values as JSON in the records of a store.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CommitError, Condition, Key, MAX_PAGE, ReadError, Record, Revision, Store, Transaction, Write};

/// A value, and what a condition on it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// The value.
    pub value: T,
    /// Its key.
    pub key: Key,
    /// When it was last written.
    pub modified: Revision,
}

impl<T> Kept<T> {
    /// The condition that nobody has changed it since.
    pub fn unmodified(&self) -> Condition {
        Condition::Unmodified(self.key.clone(), self.modified)
    }
}

/// Why a value could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TypedError {
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is kept under the key is not such a value: damaged, or written by a newer version.
    #[error("the record {key} cannot be understood from byte {at} on")]
    Decode {
        /// The key.
        key: Key,
        /// Where it ceases to make sense. What is there is not told: it may be a secret.
        at: usize,
    },
}

/// Why a value could not be changed. It was not.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError<E> {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] TypedError),
    /// It could not be written, for another reason than that somebody else was faster.
    #[error(transparent)]
    Commit(CommitError),
    /// There is no such record.
    #[error("there is no record {key}")]
    Absent {
        /// The key.
        key: Key,
    },
    /// The change itself was refused.
    #[error(transparent)]
    Refused(E),
}

/// The write that keeps a value under a key.
pub fn put<T: Serialize>(key: Key, value: &T) -> Write {
    let value = serde_json::to_vec(value).expect("records are plain structures with text for keys");
    Write::Put(key, value)
}

fn decode<T: DeserializeOwned>(record: Record) -> Result<Kept<T>, TypedError> {
    match serde_json::from_slice(&record.value) {
        Ok(value) => Ok(Kept { value, key: record.key, modified: record.modified }),
        Err(error) => Err(TypedError::Decode { key: record.key, at: error.column() }),
    }
}

/// The value under a key, if there is one.
///
/// # Errors
///
/// The store cannot be read, or the record not be understood.
pub async fn get<T: DeserializeOwned>(store: &dyn Store, key: &Key) -> Result<Option<Kept<T>>, TypedError> {
    store.get(key).await?.map(decode).transpose()
}

/// The values under these keys, in their order.
///
/// # Errors
///
/// The store cannot be read, or a record not be understood.
pub async fn get_all<T: DeserializeOwned>(
    store: &dyn Store,
    keys: &[Key],
) -> Result<Vec<Option<Kept<T>>>, TypedError> {
    let records = store.get_all(keys).await?;
    records.into_iter().map(|record| record.map(decode).transpose()).collect()
}

/// All values whose keys begin with a prefix, and the revision from which to watch. Not all as of that revision if they
/// are more than a page: what changed meanwhile is seen by watching.
///
/// # Errors
///
/// The store cannot be read, or a record not be understood.
pub async fn list<T: DeserializeOwned>(
    store: &dyn Store,
    prefix: &str,
) -> Result<(Vec<Kept<T>>, Revision), TypedError> {
    let mut page = store.range(prefix, None, MAX_PAGE).await?;
    // Of the first page: what changes after it is told to a watcher, once more at worst.
    let revision = page.revision;
    let mut values = Vec::new();
    loop {
        let last = page.records.last().map(|record| record.key.clone());
        for record in page.records {
            values.push(decode(record)?);
        }
        match last {
            Some(last) if page.more => page = store.range(prefix, Some(&last), MAX_PAGE).await?,
            Some(_) | None => return Ok((values, revision)),
        }
    }
}

/// Up to `limit` values whose keys begin with a prefix and are greater than `after`, and whether there are more.
///
/// # Errors
///
/// The store cannot be read, or a record not be understood.
pub async fn page<T: DeserializeOwned>(
    store: &dyn Store,
    prefix: &str,
    after: Option<&Key>,
    limit: usize,
) -> Result<(Vec<Kept<T>>, bool), TypedError> {
    let page = store.range(prefix, after, limit).await?;
    let values = page.records.into_iter().map(decode).collect::<Result<_, _>>()?;
    Ok((values, page.more))
}

/// Changes the value under a key: reads it, lets `change` change it, writes it if nobody else did meanwhile, and does all
/// that again if somebody did.
///
/// # Errors
///
/// There is no such record, `change` refused, or the store did not do its part. The record is as it was.
pub async fn update<T, R, E>(
    store: &dyn Store,
    key: &Key,
    mut change: impl FnMut(&mut T) -> Result<R, E>,
) -> Result<R, UpdateError<E>>
where
    T: Serialize + DeserializeOwned,
{
    loop {
        let Some(mut kept) = get::<T>(store, key).await? else {
            return Err(UpdateError::Absent { key: key.clone() });
        };
        let result = change(&mut kept.value).map_err(UpdateError::Refused)?;
        let transaction =
            Transaction { conditions: vec![kept.unmodified()], writes: vec![put(key.clone(), &kept.value)] };
        match store.commit(transaction).await {
            Ok(_) => return Ok(result),
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(UpdateError::Commit(error)),
        }
    }
}
