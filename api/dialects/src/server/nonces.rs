//! Nonces of requests that were answered, in the core's store: nobody sends a request once more, not even after a restart of
//! the daemon. Each is kept for as long as its request would be fresh, and there is a limit to how many there are. An API has
//! its own, under a word of its own.
//!
//! | key | what |
//! |---|---|
//! | `WORD/HASH` | that a nonce was used with a key |
//! | `WORD-end/SECONDS/HASH` | the same, found by when it can be forgotten |

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use compute::compute::Clock;
use compute::store::{
    CommitError, Condition, Key, MAX_OPERATIONS, MAX_PAGE, ReadError, Store, Transaction, Write, put,
};
use jiff::Timestamp;

use crate::signing::sha256_hex;

/// Most that are kept: what a thousand requests a second leave in a window of half an hour, and a quarter more.
const MAX_NONCES: usize = 2_250_000;

/// How often those are forgotten whose time is over.
const SWEEP: Duration = Duration::from_secs(60);

/// All that are remembered of an API.
pub struct Nonces {
    store: Arc<dyn Store>,
    /// What their keys begin with.
    word: &'static str,
    /// How many, as only this process changes them.
    count: AtomicUsize,
}

/// Why a nonce is not taken.
#[derive(Debug)]
pub enum NoteError {
    /// It was used.
    Used,
    /// There are too many.
    TooMany,
    /// The store does not do its part.
    Failed(CommitError),
}

impl Nonces {
    /// Those on record under this word.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub async fn open(store: Arc<dyn Store>, word: &'static str) -> Result<Self, ReadError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = store.range(&ends(word), after.as_ref(), MAX_PAGE).await?;
            count += page.records.len();
            after = page.records.into_iter().next_back().map(|record| record.key);
            if !page.more {
                return Ok(Self { store, word, count: AtomicUsize::new(count) });
            }
        }
    }

    /// Takes a nonce that was not used with this key before; it is remembered until `end`.
    ///
    /// # Errors
    ///
    /// It was used, there are too many, or the store does not do its part.
    pub async fn note(&self, key: &str, nonce: &str, end: Timestamp) -> Result<(), NoteError> {
        if self.count.load(Ordering::Relaxed) >= MAX_NONCES {
            return Err(NoteError::TooMany);
        }
        // Neither has a line feed in it.
        let hash = sha256_hex(format!("{key}\n{nonce}").as_bytes());
        let ends = ends(self.word);
        let (used, ends) =
            (words(&[self.word, &hash]), words(&[ends.trim_end_matches('/'), &second(end), &hash]));
        let conditions = vec![Condition::Absent(used.clone())];
        let writes = vec![put(used, &()), put(ends, &())];
        match self.store.commit(Transaction { conditions, writes }).await {
            Ok(_) => {
                self.count.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(CommitError::Conflict { .. }) => Err(NoteError::Used),
            Err(error) => Err(NoteError::Failed(error)),
        }
    }

    /// Forgets those whose time is over, now and then, until the task is dropped.
    pub async fn run_sweeper(&self, clock: &dyn Clock) {
        loop {
            let next = clock.now().saturating_add(SWEEP).unwrap_or(Timestamp::MAX);
            clock.sleep_until(next).await;
            if let Err(error) = self.sweep(clock.now()).await {
                log::error!("cannot remove old records of {}: {error}", self.word);
            }
        }
    }

    /// Forgets those whose time is over.
    ///
    /// # Errors
    ///
    /// The store does not do its part; what was not forgotten is the next time.
    async fn sweep(&self, now: Timestamp) -> Result<(), CommitError> {
        let ends = ends(self.word);
        loop {
            let page = self.store.range(&ends, None, MAX_OPERATIONS / 2).await.map_err(CommitError::from)?;
            let now = second(now);
            let mut writes = Vec::new();
            let mut forgotten = 0;
            for record in page.records {
                let rest = record.key.as_str().strip_prefix(&ends).unwrap_or_default();
                let Some((end, hash)) = rest.split_once('/') else { continue };
                if end >= now.as_str() {
                    break;
                }
                writes.push(Write::Delete(words(&[self.word, hash])));
                writes.push(Write::Delete(record.key.clone()));
                forgotten += 1;
            }
            if forgotten == 0 {
                return Ok(());
            }
            self.store.commit(Transaction { conditions: Vec::new(), writes }).await?;
            self.count.fetch_sub(forgotten, Ordering::Relaxed);
        }
    }
}

/// A time as it sorts.
fn second(time: Timestamp) -> String {
    format!("{:012}", time.as_second().max(0))
}

/// What the keys begin with by which nonces are forgotten.
fn ends(word: &str) -> String {
    format!("{word}-end/")
}

fn words(words: &[&str]) -> Key {
    Key::new(words.iter().copied()).expect("hashes and numbers are plain words")
}

#[cfg(test)]
mod tests {
    use compute::store::MemoryStore;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn a_nonce_is_taken_once_even_after_a_restart() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let nonces = Nonces::open(store.clone(), "nonce").await.unwrap();
        nonces.note("key", "one", at(100)).await.unwrap();
        nonces.note("other", "one", at(100)).await.unwrap();
        let other = Nonces::open(store.clone(), "other-nonce").await.unwrap();
        other.note("key", "one", at(100)).await.unwrap();
        assert!(matches!(nonces.note("key", "one", at(101)).await, Err(NoteError::Used)));
        let restarted = Nonces::open(store.clone(), "nonce").await.unwrap();
        assert_eq!(restarted.count.load(Ordering::Relaxed), 2);
        assert!(matches!(restarted.note("key", "one", at(102)).await, Err(NoteError::Used)));
        restarted.note("key", "two", at(200)).await.unwrap();
        // At its last second a request is still fresh.
        restarted.sweep(at(100)).await.unwrap();
        assert_eq!(restarted.count.load(Ordering::Relaxed), 3);
        restarted.sweep(at(101)).await.unwrap();
        assert_eq!(restarted.count.load(Ordering::Relaxed), 1);
        assert_eq!(store.range("nonce", None, 9).await.unwrap().records.len(), 2, "one, in two records");
        restarted.note("key", "one", at(300)).await.unwrap();
    }

    #[tokio::test]
    async fn there_is_a_limit() {
        let (store, count) = (Arc::new(MemoryStore::new()), AtomicUsize::new(MAX_NONCES));
        let nonces = Nonces { store, word: "nonce", count };
        assert!(matches!(nonces.note("key", "one", at(1)).await, Err(NoteError::TooMany)));
    }
}
