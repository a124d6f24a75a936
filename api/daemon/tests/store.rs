//! The record store does what `compute::store` asks of one: against a model, by many at once, watched, and opened again.
//! The one in memory, on which the core is tested, does the same.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bothyd::records::{OpenError, SqliteStore};
use compute::store::{
    CommitError, Condition, Key, MAX_OPERATIONS, MAX_TRANSACTION_BYTES, MAX_VALUE_BYTES, MemoryStore,
    Revision, Store, Transaction, TypedError, UpdateError, WatchError, Write, get, list, put, update,
};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn key(text: &str) -> Key {
    text.parse().expect("a good key")
}

fn puts(key: &Key, value: &[u8]) -> Transaction {
    Transaction { conditions: vec![], writes: vec![Write::Put(key.clone(), value.to_vec())] }
}

fn open(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("records")).expect("it opens")
}

fn with_stores(test: impl AsyncFn(&dyn Store)) {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(test(&store));
    runtime.block_on(test(&MemoryStore::new()));
}

/// What a store should have: key to value, first and last revision.
#[derive(Default)]
struct Model {
    records: BTreeMap<Key, (Vec<u8>, Revision, Revision)>,
    revision: Revision,
}

impl Model {
    fn commit(&mut self, transaction: &Transaction) -> Result<Revision, Key> {
        for condition in &transaction.conditions {
            if !condition.holds(self.records.get(condition.key()).map(|record| record.2)) {
                return Err(condition.key().clone());
            }
        }
        self.revision.0 += 1;
        let now = self.revision;
        for write in &transaction.writes {
            match write {
                Write::Put(key, value) => {
                    let created = self.records.get(key).map_or(now, |record| record.1);
                    self.records.insert(key.clone(), (value.clone(), created, now));
                }
                Write::Delete(key) => drop(self.records.remove(key)),
            }
        }
        Ok(now)
    }
}

fn keys() -> impl Strategy<Value = Key> {
    prop::sample::select(["a", "a/1", "a/2", "ab", "b/1", "b~"].to_vec())
        .prop_map(|text| key(&text.replace('~', "_")))
}

fn transactions() -> impl Strategy<Value = Transaction> {
    let condition = prop_oneof![
        keys().prop_map(Condition::Absent),
        keys().prop_map(Condition::Present),
        (keys(), 0..8_u64).prop_map(|(key, revision)| Condition::Unmodified(key, Revision(revision))),
    ];
    let value = prop::collection::vec(any::<u8>(), 0..4);
    let write = prop_oneof![
        3 => (keys(), value).prop_map(|(key, value)| Write::Put(key, value)),
        1 => keys().prop_map(Write::Delete),
    ];
    (prop::collection::vec(condition, 0..2), prop::collection::vec(write, 1..4))
        .prop_map(|(conditions, writes)| Transaction { conditions, writes })
        .prop_filter("a key twice", |transaction| transaction.check().is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_as_the_model(transactions in prop::collection::vec(transactions(), 1..24), limit in 1..4_usize) {
        with_stores(async |store| {
            let mut model = Model::default();
            for transaction in &transactions {
                match (model.commit(transaction), store.commit(transaction.clone()).await) {
                    (Ok(expected), Ok(revision)) => assert_eq!(revision, expected),
                    (Err(expected), Err(CommitError::Conflict { key, modified })) => {
                        assert_eq!(key, expected);
                        assert_eq!(modified, model.records.get(&key).map(|record| record.2));
                    }
                    (expected, found) => panic!("{expected:?}, not {found:?}"),
                }
            }
            for prefix in ["", "a", "a/", "b", "c"] {
                let (mut found, mut after) = (Vec::new(), None);
                loop {
                    let page = store.range(prefix, after.as_ref(), limit).await.unwrap();
                    assert_eq!(page.revision, model.revision);
                    assert!(page.records.len() <= limit);
                    after = page.records.last().map(|record| record.key.clone());
                    found.extend(page.records.into_iter().map(|record| {
                        (record.key, (record.value, record.created, record.modified))
                    }));
                    if !page.more {
                        break;
                    }
                }
                let expected: Vec<_> = model.records.clone().into_iter()
                    .filter(|(key, _)| key.as_str().starts_with(prefix)).collect();
                assert_eq!(found, expected, "{prefix:?}");
            }
            // A watcher from the beginning comes to the same.
            let mut seen: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
            let (mut watch, mut last) = (store.watch("a/", Revision(0)), Revision(0));
            store.commit(puts(&key("a/end"), b"")).await.unwrap();
            while !seen.contains_key(&key("a/end")) {
                for change in watch.next().await.unwrap() {
                    assert!(change.revision > last);
                    last = change.revision;
                    for (key, value) in change.records {
                        match value {
                            Some(value) => drop(seen.insert(key, value)),
                            None => drop(seen.remove(&key)),
                        }
                    }
                }
            }
            seen.remove(&key("a/end"));
            let expected: BTreeMap<Key, Vec<u8>> = model.records.into_iter()
                .filter(|(key, _)| key.as_str().starts_with("a/"))
                .map(|(key, record)| (key, record.0)).collect();
            assert_eq!(seen, expected);
        });
    }
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let stores: [Arc<dyn Store>; 2] = [Arc::new(open(&folder)), Arc::new(MemoryStore::new())];
    let runtime = Runtime::new().unwrap();
    for store in stores {
        runtime.block_on(many_writers(store));
    }
}

async fn many_writers(store: Arc<dyn Store>) {
    let counter = key("counter");
    store
        .commit(Transaction { conditions: vec![], writes: vec![put(counter.clone(), &0_u64)] })
        .await
        .unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (store, counter) = (store.clone(), counter.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    let add = |number: &mut u64| {
                        *number += 1;
                        Ok::<(), std::convert::Infallible>(())
                    };
                    update(&*store, &counter, add).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(get::<u64>(&*store, &counter).await.unwrap().unwrap().value, 320);
    let (all, revision) = list::<u64>(&*store, "").await.unwrap();
    assert_eq!((all.len(), revision), (1, Revision(321)));
}

#[test]
fn what_can_never_be_done_is_refused() {
    with_stores(async |store| {
        let many = (0..=MAX_OPERATIONS).map(|n| Write::Delete(key(&format!("k/{n}")))).collect();
        let big = vec![Write::Put(key("big"), vec![0; MAX_VALUE_BYTES + 1])];
        let parts = MAX_TRANSACTION_BYTES / MAX_VALUE_BYTES;
        let much =
            (0..=parts).map(|n| Write::Put(key(&format!("k/{n}")), vec![0; MAX_VALUE_BYTES])).collect();
        let twice = vec![Write::Delete(key("a")), Write::Put(key("a"), vec![])];
        for writes in [vec![], many, big, much, twice] {
            let refused = store.commit(Transaction { conditions: vec![], writes }).await;
            assert!(matches!(refused, Err(CommitError::Refused { .. })), "{refused:?}");
        }
        assert_eq!(store.range("", None, 1).await.unwrap().revision, Revision(0));
    });
}

#[test]
fn a_record_that_is_not_understood_is_named_and_not_shown() {
    with_stores(async |store| {
        for damaged in [r#"{"password": "hunter2""#, r#""hunter2""#, "\u{0}"] {
            store.commit(puts(&key("instance/x"), damaged.as_bytes())).await.unwrap();
            let error = get::<u64>(store, &key("instance/x")).await.unwrap_err();
            assert!(matches!(&error, TypedError::Decode { key, .. } if key.as_str() == "instance/x"));
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        let absent = update(store, &key("no"), |_: &mut u64| Ok::<(), CommitError>(())).await;
        assert!(matches!(absent, Err(UpdateError::Absent { .. })));
    });
}

#[test]
fn a_watcher_that_is_far_behind_is_told_to_list_anew() {
    with_stores(async |store| {
        let mut slow = store.watch("", Revision(0));
        let counter = key("counter");
        // Together, so that they share commits to disk.
        let all: Vec<_> = (0..10_100_u32).map(|n| store.commit(puts(&counter, &n.to_le_bytes()))).collect();
        join_all(all).await;
        let error = slow.next().await.unwrap_err();
        assert!(matches!(error, WatchError::Compacted { oldest: Revision(100) }), "{error:?}");
        let mut fresh = store.watch("", Revision(10_099));
        assert_eq!(fresh.next().await.unwrap().len(), 1);
    });
}

#[test]
fn opened_again_it_goes_on_where_it_was() {
    let folder = TempDir::new().unwrap();
    let runtime = Runtime::new().unwrap();
    let store = open(&folder);
    runtime.block_on(store.commit(puts(&key("a"), b"1"))).unwrap();
    runtime
        .block_on(store.commit(Transaction { conditions: vec![], writes: vec![Write::Delete(key("a"))] }))
        .unwrap();
    assert!(matches!(SqliteStore::open(&folder.path().join("records")), Err(OpenError::InUse)));
    drop(store);
    let store = open(&folder);
    assert!(runtime.block_on(store.get(&key("a"))).unwrap().is_none());
    assert_eq!(runtime.block_on(store.commit(puts(&key("a"), b"2"))).unwrap(), Revision(3), "never twice");
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[test]
fn what_is_no_record_store_of_ours_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("records");
    let refused = |path: &Path| SqliteStore::open(path).map(drop).unwrap_err();

    std::fs::write(&path, "a letter to my aunt, which is long enough to be looked at".repeat(100)).unwrap();
    assert!(matches!(refused(&path), OpenError::Sqlite(_)));
    std::fs::remove_file(&path).unwrap();

    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE letters (text)").unwrap();
    drop(foreign);
    assert!(matches!(refused(&path), OpenError::Foreign));
    std::fs::remove_file(&path).unwrap();

    drop(SqliteStore::open(&path).unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 1000).unwrap();
    drop(newer);
    assert!(matches!(refused(&path), OpenError::Newer { version: 1000 }));

    assert!(matches!(refused(&folder.path().join("none/records")), OpenError::File { .. }));
}

/// A store of version 1, as the first bothyd wrote it. Never changed: such files exist.
const VERSION_1: &str = include_str!("golden/records-v1.sql");

#[test]
fn a_store_of_version_1_opens_with_all_that_is_in_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("records");
    rusqlite::Connection::open(&path).unwrap().execute_batch(VERSION_1).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    Runtime::new().unwrap().block_on(async {
        let (kept, revision) = list::<String>(&store, "").await.unwrap();
        let kept: Vec<_> = kept.iter().map(|kept| (kept.key.as_str(), kept.value.as_str())).collect();
        assert_eq!(kept, [("image/ami-00000001", "debian"), ("instance/i-00000001", "web")]);
        assert_eq!(revision, Revision(4));
        let changes = store.watch("", Revision(1)).next().await.unwrap();
        assert_eq!(changes.len(), 3);
        assert_eq!(store.commit(puts(&key("a"), b"1")).await.unwrap(), Revision(5));
    });
}

/// Waits for all.
async fn join_all<T>(answers: Vec<compute::store::Answer<'_, Result<T, CommitError>>>) {
    let mut answers = answers;
    std::future::poll_fn(|context| {
        answers.retain_mut(|answer| match answer.as_mut().poll(context) {
            std::task::Poll::Ready(result) => {
                result.map(drop).expect("committed");
                false
            }
            std::task::Poll::Pending => true,
        });
        if answers.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
