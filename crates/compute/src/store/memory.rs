//! A record store in memory, for tests and trials: it keeps what `store` asks of one, but forgets all when it is dropped.
//! The same checks run on it as on the daemon's.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{
    Answer, Change, CommitError, Key, MAX_PAGE, Page, ReadError, Record, Revision, Store, Transaction, Watch,
    WatchError, Write,
};

/// How many transactions the history has.
const HISTORY: usize = 10_000;

/// A record store that is not on disk. Several tasks share one behind an `Arc`. It answers at once, on no runtime.
#[derive(Default)]
pub struct MemoryStore {
    all: Arc<Mutex<All>>,
}

#[derive(Default)]
struct All {
    revision: Revision,
    records: BTreeMap<Key, Record>,
    /// Each transaction since `compacted`, in order.
    history: VecDeque<Change>,
    compacted: Revision,
    is_closed: bool,
    /// Watchers with nothing to tell them. All are woken by each transaction; that of another prefix waits again.
    waiting: Vec<Waker>,
}

struct Changes {
    all: Arc<Mutex<All>>,
    prefix: String,
    after: Revision,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        all.is_closed = true;
        all.waiting.drain(..).for_each(Waker::wake);
    }
}

/// Nothing in here panics between two changes that belong together, so what a panic left is whole.
fn lock(all: &Mutex<All>) -> MutexGuard<'_, All> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Result<Option<Record>, ReadError>> {
        Box::pin(async { Ok(lock(&self.all).records.get(key).cloned()) })
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Answer<'a, Result<Page, ReadError>> {
        Box::pin(async move {
            let limit = limit.clamp(1, MAX_PAGE);
            let all = lock(&self.all);
            let from = match after.map(Key::as_str) {
                Some(after) if after >= prefix => Bound::Excluded(after),
                Some(_) | None => Bound::Included(prefix),
            };
            let under = all.records.range::<str, _>((from, Bound::Unbounded));
            let under = under.take_while(|(key, _)| key.as_str().starts_with(prefix));
            let mut records: Vec<Record> = under.take(limit + 1).map(|(_, record)| record.clone()).collect();
            let more = records.len() > limit;
            records.truncate(limit);
            Ok(Page { records, more, revision: all.revision })
        })
    }

    fn commit(&self, transaction: Transaction) -> Answer<'_, Result<Revision, CommitError>> {
        Box::pin(async move {
            transaction.check()?;
            lock(&self.all).commit(transaction)
        })
    }

    fn watch(&self, prefix: &str, after: Revision) -> Box<dyn Watch> {
        Box::new(Changes { all: Arc::clone(&self.all), prefix: prefix.to_owned(), after })
    }
}

impl All {
    fn commit(&mut self, transaction: Transaction) -> Result<Revision, CommitError> {
        for condition in &transaction.conditions {
            let key = condition.key();
            let modified = self.records.get(key).map(|record| record.modified);
            if !condition.holds(modified) {
                return Err(CommitError::Conflict { key: key.clone(), modified });
            }
        }
        self.revision.0 += 1;
        let now = self.revision;
        let mut changed = Vec::with_capacity(transaction.writes.len());
        for write in transaction.writes {
            match write {
                Write::Put(key, value) => {
                    let created = self.records.get(&key).map_or(now, |record| record.created);
                    let record = Record { key: key.clone(), value: value.clone(), created, modified: now };
                    self.records.insert(key.clone(), record);
                    changed.push((key, Some(value)));
                }
                Write::Delete(key) => {
                    if self.records.remove(&key).is_some() {
                        changed.push((key, None));
                    }
                }
            }
        }
        changed.sort_unstable();
        self.history.push_back(Change { revision: now, records: changed });
        if self.history.len() > HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.compacted = oldest.revision;
        }
        self.waiting.drain(..).for_each(Waker::wake);
        Ok(now)
    }
}

impl Changes {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<Vec<Change>, WatchError>> {
        let mut all = lock(&self.all);
        if all.compacted > self.after {
            return Poll::Ready(Err(WatchError::Compacted { oldest: all.compacted }));
        }
        let mut found = Vec::new();
        let first = all.history.partition_point(|change| change.revision <= self.after);
        for change in all.history.range(first..) {
            let of_ours = change.records.iter().filter(|(key, _)| key.as_str().starts_with(&self.prefix));
            let records: Vec<_> = of_ours.cloned().collect();
            if !records.is_empty() {
                found.push(Change { revision: change.revision, records });
            }
        }
        // A watcher may be there before the revision from which on it watches.
        self.after = self.after.max(all.revision);
        if !found.is_empty() {
            return Poll::Ready(Ok(found));
        }
        if all.is_closed {
            let why = "the store is closed".to_owned();
            return Poll::Ready(Err(ReadError::Unavailable { why }.into()));
        }
        if !all.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            all.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Watch for Changes {
    fn next(&mut self) -> Answer<'_, Result<Vec<Change>, WatchError>> {
        Box::pin(poll_fn(|context| self.poll(context)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_waits_and_is_told_when_the_store_is_gone() {
        let store = MemoryStore::new();
        let mut watch = store.watch("a", Revision(0));
        let mut context = Context::from_waker(Waker::noop());
        assert!(watch.next().as_mut().poll(&mut context).is_pending());
        let writes =
            vec![Write::Put("b".parse().unwrap(), vec![]), Write::Put("a".parse().unwrap(), vec![1])];
        let mut commit = store.commit(Transaction { conditions: vec![], writes });
        assert!(commit.as_mut().poll(&mut context).is_ready());
        drop(commit);
        let Poll::Ready(Ok(changes)) = watch.next().as_mut().poll(&mut context) else { panic!("no change") };
        let records = vec![("a".parse().unwrap(), Some(vec![1]))];
        assert_eq!(changes, [Change { revision: Revision(1), records }]);
        drop(store);
        assert!(matches!(watch.next().as_mut().poll(&mut context), Poll::Ready(Err(WatchError::Failed(_)))));
    }
}
