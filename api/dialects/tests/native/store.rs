//! A record store that fails when it is told to, for some of its keys, and says of it what no client is to hear.

use std::sync::{Mutex, MutexGuard};

use compute::store::{
    Answer, CommitError, Key, MemoryStore, Page, ReadError, Record, Revision, Store, Transaction, Watch,
    Write,
};

/// What it says of itself when it fails.
pub const INNER_DETAIL: &str = "/var/lib/bothyd/records.db, page 7";

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// What is kept is damaged.
    Damaged,
    /// It does not answer.
    Silent,
    /// There is no room for what is written.
    Full,
}

#[derive(Default)]
pub struct FailingStore {
    kept: MemoryStore,
    trouble: Mutex<Option<(&'static str, Trouble)>>,
}

impl FailingStore {
    /// From now on it fails at keys that begin with this.
    pub fn fail(&self, prefix: &'static str, trouble: Trouble) {
        *self.lock() = Some((prefix, trouble));
    }

    fn lock(&self) -> MutexGuard<'_, Option<(&'static str, Trouble)>> {
        self.trouble.lock().unwrap()
    }

    fn read(&self, key: &str) -> Result<(), ReadError> {
        let why = INNER_DETAIL.to_owned();
        match *self.lock() {
            Some((prefix, Trouble::Damaged)) if key.starts_with(prefix) => Err(ReadError::Corrupt { why }),
            Some((prefix, Trouble::Silent)) if key.starts_with(prefix) => Err(ReadError::Unavailable { why }),
            _ => Ok(()),
        }
    }

    fn written(&self, write: &Write) -> Result<(), CommitError> {
        let key = write.key().as_str();
        match *self.lock() {
            Some((prefix, Trouble::Full)) if key.starts_with(prefix) => Err(CommitError::Full),
            _ => Ok(()),
        }?;
        Ok(self.read(key)?)
    }
}

impl Store for FailingStore {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Result<Option<Record>, ReadError>> {
        Box::pin(async move {
            self.read(key.as_str())?;
            self.kept.get(key).await
        })
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Answer<'a, Result<Page, ReadError>> {
        Box::pin(async move {
            self.read(prefix)?;
            self.kept.range(prefix, after, limit).await
        })
    }

    fn commit(&self, transaction: Transaction) -> Answer<'_, Result<Revision, CommitError>> {
        Box::pin(async move {
            transaction.writes.iter().try_for_each(|write| self.written(write))?;
            self.kept.commit(transaction).await
        })
    }

    fn watch(&self, prefix: &str, after: Revision) -> Box<dyn Watch> {
        self.kept.watch(prefix, after)
    }
}
