//! Nonces of requests that were answered, in the core's store: nobody sends a request once more, not even after a restart of
//! the daemon. Each is kept for as long as its request would be fresh, and there is a limit to how many there are.
//!
//! | key | what |
//! |---|---|
//! | `nonce/HASH` | that a nonce was used with an access key |
//! | `nonce-end/SECONDS/HASH` | the same, found by when it can be forgotten |

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use compute::store::{
    CommitError, Condition, Key, MAX_OPERATIONS, MAX_PAGE, ReadError, Store, Transaction, Write, put,
};
use jiff::Timestamp;

use super::errors::Refusal;
use super::signature::sha256_hex;

/// Most that are kept: what a thousand requests a second leave in a window of half an hour, and a quarter more.
const MAX_NONCES: usize = 2_250_000;

const ENDS: &str = "nonce-end/";

/// All that are remembered.
pub struct Nonces {
    store: Arc<dyn Store>,
    /// How many, as only this process changes them.
    count: AtomicUsize,
}

impl Nonces {
    /// Those on record.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, ReadError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = store.range(ENDS, after.as_ref(), MAX_PAGE).await?;
            count += page.records.len();
            after = page.records.into_iter().next_back().map(|record| record.key);
            if !page.more {
                return Ok(Self { store, count: AtomicUsize::new(count) });
            }
        }
    }

    /// Takes a nonce that was not used with this access key before; it is remembered until `end`.
    ///
    /// # Errors
    ///
    /// It was used, there are too many, or the store does not do its part.
    pub async fn note(&self, key: &str, nonce: &str, end: Timestamp) -> Result<(), Refusal> {
        if self.count.load(Ordering::Relaxed) >= MAX_NONCES {
            return Err(Refusal::new(400, "Throttling", "Request was denied due to request throttling."));
        }
        // Neither has a line feed in it.
        let hash = sha256_hex(format!("{key}\n{nonce}").as_bytes());
        let (used, ends) =
            (word(&["nonce", &hash]), word(&[ENDS.trim_end_matches('/'), &second(end), &hash]));
        let conditions = vec![Condition::Absent(used.clone())];
        let writes = vec![put(used, &()), put(ends, &())];
        match self.store.commit(Transaction { conditions, writes }).await {
            Ok(_) => {
                self.count.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(CommitError::Conflict { .. }) => {
                Err(Refusal::new(400, "SignatureNonceUsed", "Specified signature nonce was used already."))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Forgets those whose time is over.
    ///
    /// # Errors
    ///
    /// The store does not do its part; what was not forgotten is the next time.
    pub async fn sweep(&self, now: Timestamp) -> Result<(), CommitError> {
        loop {
            let page = self.store.range(ENDS, None, MAX_OPERATIONS / 2).await.map_err(CommitError::from)?;
            let now = second(now);
            let mut writes = Vec::new();
            let mut forgotten = 0;
            for record in page.records {
                let rest = record.key.as_str().strip_prefix(ENDS).unwrap_or_default();
                let Some((end, hash)) = rest.split_once('/') else { continue };
                if end >= now.as_str() {
                    break;
                }
                writes.push(Write::Delete(word(&["nonce", hash])));
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

fn word(words: &[&str]) -> Key {
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
        let nonces = Nonces::open(store.clone()).await.unwrap();
        nonces.note("key", "one", at(100)).await.unwrap();
        nonces.note("other", "one", at(100)).await.unwrap();
        assert_eq!(nonces.note("key", "one", at(101)).await.unwrap_err().code, "SignatureNonceUsed");
        let restarted = Nonces::open(store.clone()).await.unwrap();
        assert_eq!(restarted.count.load(Ordering::Relaxed), 2);
        assert_eq!(restarted.note("key", "one", at(102)).await.unwrap_err().code, "SignatureNonceUsed");
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
        let nonces = Nonces { store: Arc::new(MemoryStore::new()), count: AtomicUsize::new(MAX_NONCES) };
        assert_eq!(nonces.note("key", "one", at(1)).await.unwrap_err().code, "Throttling");
    }
}
