//! Where records are kept, as a trait with etcd's model: keys in order, one revision for each transaction, transactions
//! with conditions, and a history that can be watched. On one host SQLite stands behind it, on several etcd.
//!
//! Here is what an implementation must do, and `typed` for whoever keeps values rather than bytes. What is kept under which
//! key is not decided here.

mod key;
mod memory;
mod typed;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

pub use key::{Key, KeyError, MAX_KEY_BYTES};
pub use memory::MemoryStore;
pub use typed::{Kept, TypedError, UpdateError, get, get_all, list, page, put, update};

/// Most bytes of a value.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Most bytes of keys and values in one transaction: a hundred instances with user data. An etcd is started with
/// `--max-request-bytes` to match.
pub const MAX_TRANSACTION_BYTES: usize = 8 << 20;
/// Most conditions and most writes of one transaction: a hundred instances with a few disks each. An etcd is started with
/// `--max-txn-ops` to match.
pub const MAX_OPERATIONS: usize = 1024;
/// Most records in one page of a range.
pub const MAX_PAGE: usize = 1000;

/// The number of a transaction: later ones have greater numbers, and no number is ever given twice, not even after the
/// store was closed and opened again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: Key,
    /// What is kept under it.
    pub value: Vec<u8>,
    /// When it was made: the revision of the first write since it was last absent.
    pub created: Revision,
    /// When it was last written.
    pub modified: Revision,
}

/// A stretch of records in the order of their keys, all as of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Whether there are more behind the last one.
    pub more: bool,
    /// The revision. Watching from here on misses nothing.
    pub revision: Revision,
}

/// What must be so for a transaction to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no such record.
    Absent(Key),
    /// There is such a record.
    Present(Key),
    /// The record was last written at this revision.
    Unmodified(Key, Revision),
}

impl Condition {
    /// The key it is about.
    pub fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::Present(key) | Self::Unmodified(key, _) => key,
        }
    }

    /// Whether it holds if the record was last written at `modified`, or is absent.
    pub fn holds(&self, modified: Option<Revision>) -> bool {
        match self {
            Self::Absent(_) => modified.is_none(),
            Self::Present(_) => modified.is_some(),
            Self::Unmodified(_, revision) => modified == Some(*revision),
        }
    }
}

/// A change of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Make it, or give it a new value.
    Put(Key, Vec<u8>),
    /// Remove it. One that is absent is none, and no change.
    Delete(Key),
}

impl Write {
    /// The key it is about.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }
}

/// Writes that are done all together, if all conditions hold, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// What must be so before.
    pub conditions: Vec<Condition>,
    /// What to write. No key twice.
    pub writes: Vec<Write>,
}

impl Transaction {
    /// Checks what every implementation asks of a transaction.
    ///
    /// # Errors
    ///
    /// It is empty, too big, or writes a key twice.
    pub fn check(&self) -> Result<(), CommitError> {
        let refuse = |why| Err(CommitError::Refused { why });
        if self.writes.is_empty() {
            return refuse("it writes nothing");
        }
        if self.writes.len() > MAX_OPERATIONS || self.conditions.len() > MAX_OPERATIONS {
            return refuse("it has more than 1024 writes or conditions");
        }
        let size = |write: &Write| match write {
            Write::Put(key, value) => key.as_str().len() + value.len(),
            Write::Delete(key) => key.as_str().len(),
        };
        let is_big = |write: &Write| matches!(write, Write::Put(_, value) if value.len() > MAX_VALUE_BYTES);
        if self.writes.iter().any(is_big) {
            return refuse("a value has more than 1 MiB");
        }
        if self.writes.iter().map(size).sum::<usize>() > MAX_TRANSACTION_BYTES {
            return refuse("it has more than 8 MiB");
        }
        let mut keys: Vec<&Key> = self.writes.iter().map(Write::key).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return refuse("it writes one key twice");
        }
        Ok(())
    }
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store cannot be reached, or is being closed.
    #[error("the record store does not answer: {why}")]
    Unavailable {
        /// In the words of what is behind the store.
        why: String,
    },
    /// What is kept is damaged.
    #[error("the record store is damaged: {why}; restore it from a copy")]
    Corrupt {
        /// In the words of what is behind the store.
        why: String,
    },
}

/// Why a transaction was not done. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A condition did not hold.
    #[error("{key} was changed by somebody else")]
    Conflict {
        /// The key of the first condition that did not hold.
        key: Key,
        /// When that record was last written; `None` if it is absent.
        modified: Option<Revision>,
    },
    /// It can never be done.
    #[error("the transaction is refused: {why}")]
    Refused {
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is no room. It can be tried again when there is.
    #[error("the disk of the record store is full: make room, then try again")]
    Full,
    /// It could not be written, or nobody knows whether it was: the store was lost in the midst of it.
    #[error(transparent)]
    Failed(#[from] ReadError),
}

/// What one transaction changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The transaction.
    pub revision: Revision,
    /// Each record under the prefix that it wrote: its new value, or `None` if it was removed.
    pub records: Vec<(Key, Option<Vec<u8>>)>,
}

/// Why there are no more changes.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The changes asked for are not kept any more. List the records, and watch from that page's revision.
    #[error("the history before revision {oldest} is not kept any more")]
    Compacted {
        /// The oldest revision that can be watched from.
        oldest: Revision,
    },
    /// They cannot be read.
    #[error(transparent)]
    Failed(#[from] ReadError),
}

/// An answer that takes a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where records are kept.
pub trait Store: Send + Sync {
    /// The record under this key, if there is one.
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Result<Option<Record>, ReadError>>;

    /// What `get` gives for each of these keys, in their order. One that can read several at once does better than this.
    fn get_all<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Result<Vec<Option<Record>>, ReadError>> {
        Box::pin(async move {
            let mut records = Vec::with_capacity(keys.len());
            for key in keys {
                records.push(self.get(key).await?);
            }
            Ok(records)
        })
    }

    /// Up to `limit` records, at most `MAX_PAGE`, whose keys begin with `prefix` and are greater than `after`.
    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Answer<'a, Result<Page, ReadError>>;

    /// Does a transaction. When this answers with a revision, it is on disk, whatever happens next. Dropped before it
    /// answers, the transaction may be done or not.
    fn commit(&self, transaction: Transaction) -> Answer<'_, Result<Revision, CommitError>>;

    /// The changes of records whose keys begin with `prefix`, from the first one after the revision `after` on.
    fn watch(&self, prefix: &str, after: Revision) -> Box<dyn Watch>;
}

/// Changes as they come, none left out, none twice.
pub trait Watch: Send {
    /// The next changes, at least one; waits until there are some. May be dropped while it waits and be asked again.
    fn next(&mut self) -> Answer<'_, Result<Vec<Change>, WatchError>>;
}
