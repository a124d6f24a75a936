//! What the tests of identities share: a store whose answers come one by one, as a schedule has it, and a look at all records
//! that finds whatever does not belong together.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use compute::capacity::Amounts;
use compute::identity::{Account, Identity};
use compute::secrets::{SealingKey, SealingKeys};
use compute::store::{
    Answer, CommitError, Key, MAX_PAGE, MemoryStore, Page, ReadError, Record, Revision, Store, Transaction,
    Watch,
};
use jiff::Timestamp;
use serde_json::Value;

pub const TRUST: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
    "Principal":{"Service":["ecs.aliyuncs.com"],"RAM":"*"}}]}"#;
pub const ECS: &str = "ecs.aliyuncs.com";

/// Runs a future that never waits for anything outside.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// Polls several, each time that which the schedule names, or the first when it names none; `between` is called after each
/// poll. Answers how often there was a choice.
pub fn interleave<'a>(
    mut futures: Vec<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    schedule: &[usize],
    mut between: impl FnMut(),
) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut choices = 0;
    while !futures.is_empty() {
        let mut index = 0;
        if futures.len() > 1 {
            index = schedule.get(choices).copied().unwrap_or(0) % futures.len();
            choices += 1;
        }
        if futures[index].as_mut().poll(&mut context).is_ready() {
            drop(futures.remove(index));
        }
        between();
    }
    choices
}

/// Runs two tasks in every order of their steps that there is. `run` is given a schedule, and answers as `interleave` does.
pub fn in_every_order(mut run: impl FnMut(&[usize]) -> usize) {
    let mut schedule: Vec<usize> = Vec::new();
    let mut orders = 0;
    loop {
        let choices = run(&schedule);
        assert!(choices >= schedule.len(), "a schedule is followed to its end");
        orders += 1;
        // The next one: the last choice of the first task becomes one of the second, and what follows is open again.
        schedule.resize(choices, 0);
        while schedule.pop_if(|choice| *choice == 1).is_some() {}
        match schedule.last_mut() {
            Some(choice) => *choice = 1,
            None => break,
        }
    }
    assert!(orders > 5, "{orders} orders are hardly all");
}

/// A store in memory that does nothing when it is first polled, so that somebody else has a turn before each of its answers;
/// and the revision at which `assert_whole` last looked at it.
#[derive(Default)]
pub struct Halting(pub MemoryStore, AtomicU64);

fn after_a_halt<'a, T: 'a>(answer: Answer<'a, T>) -> Answer<'a, T> {
    Box::pin(async move {
        let mut has_halted = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut has_halted, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        answer.await
    })
}

impl Store for Halting {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Result<Option<Record>, ReadError>> {
        after_a_halt(self.0.get(key))
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Answer<'a, Result<Page, ReadError>> {
        after_a_halt(self.0.range(prefix, after, limit))
    }

    fn commit(&self, transaction: Transaction) -> Answer<'_, Result<Revision, CommitError>> {
        after_a_halt(self.0.commit(transaction))
    }

    fn watch(&self, prefix: &str, after: Revision) -> Box<dyn Watch> {
        self.0.watch(prefix, after)
    }
}

/// Identities on an empty store, and that store.
pub fn identity() -> (Identity, Arc<Halting>) {
    let store = Arc::new(Halting::default());
    (on(&store, &keys()), store)
}

pub fn keys() -> SealingKeys {
    SealingKeys::new(vec![], SealingKey::generate())
}

pub fn on(store: &Arc<Halting>, keys: &SealingKeys) -> Identity {
    Identity::new(store.clone(), keys.clone())
}

pub fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
}

pub fn account(identity: &Identity, name: &str) -> Account {
    run(identity.create_account(name, Amounts::UNLIMITED, at(0))).unwrap()
}

/// All records, with what is in them.
pub fn records(store: &Halting) -> BTreeMap<String, (Vec<u8>, Value)> {
    let page = run(store.0.range("", None, MAX_PAGE)).unwrap();
    assert!(!page.more, "the tests make few");
    let read = |record: Record| {
        let value = serde_json::from_slice(&record.value).unwrap();
        (record.key.as_str().to_owned(), (record.value, value))
    };
    page.records.into_iter().map(read).collect()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Panics if any record names one that is not there, is named by none that should, or is counted wrong.
pub fn assert_whole(store: &Halting) {
    let Revision(revision) = run(store.0.range("", None, 1)).unwrap().revision;
    if store.1.swap(revision, Ordering::Relaxed) == revision {
        return; // as it was when it was last looked at
    }
    let all = records(store);
    let under = |prefix: String| {
        all.iter().filter(move |(key, _)| key.starts_with(&prefix)).map(|(key, (_, value))| (key, value))
    };
    let there = |key: String| assert!(all.contains_key(&key), "{key} is not there, of {:?}", all.keys());
    let mut named = BTreeSet::new(); // the records that another one names
    for (key, account) in under("account/".to_owned()) {
        let id = key.strip_prefix("account/").unwrap();
        assert_eq!(account["id"], id);
        let name_key = format!("account-name/{}", account["name"].as_str().unwrap().to_lowercase());
        assert_eq!(all[&name_key].1, id);
        named.insert(name_key);
        for (count, folder) in [("users", "user"), ("roles", "role"), ("policies", "policy")] {
            let found = under(format!("{folder}/{id}/")).count();
            assert_eq!(account[count], found, "{count} of {id}");
        }
        for key in texts(&account["keys"]) {
            let record = format!("access-key/{key}");
            assert_eq!((&all[&record].1["account"], &all[&record].1["owner"]), (&id.into(), &"root".into()));
            named.insert(record);
        }
        for fingerprint in texts(&account["certificates"]) {
            let record = format!("certificate/{fingerprint}");
            assert_eq!(all[&record].1["account"], id);
            named.insert(record);
        }
    }
    let mut attached: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for (at, folder) in ["user", "role"].into_iter().enumerate() {
        for (key, holder) in under(format!("{folder}/")) {
            let id = key.split('/').nth(1).unwrap();
            there(format!("account/{id}"));
            let principal = format!("principal/{:018}", holder["id"].as_u64().unwrap());
            assert_eq!(all[&principal].1[folder]["account"], id);
            assert_eq!(all[&principal].1[folder]["name"], holder["name"]);
            named.insert(principal);
            for policy in holder["policies"].as_array().unwrap() {
                if let Some(name) = policy["custom"].as_str() {
                    attached.entry(format!("policy/{id}/{}", name.to_lowercase())).or_default()[at] += 1;
                }
            }
            for access_key in holder["keys"].as_array().into_iter().flatten() {
                let record = format!("access-key/{}", access_key.as_str().unwrap());
                assert_eq!(all[&record].1["account"], id);
                assert_eq!(all[&record].1["owner"]["user"], holder["name"]);
                assert_eq!(all[&record].1["user_id"], holder["id"]);
                named.insert(record);
            }
        }
    }
    attached.keys().cloned().for_each(there);
    for (key, policy) in under("policy/".to_owned()) {
        there(format!("account/{}", key.split('/').nth(1).unwrap()));
        let [users, roles] = attached.get(key).copied().unwrap_or_default();
        assert_eq!((&policy["users"], &policy["roles"]), (&users.into(), &roles.into()), "{key}");
    }
    for (key, _) in under("session-end/".to_owned()) {
        let record = format!("session/{}", key.rsplit('/').next().unwrap());
        there(record.clone());
        named.insert(record);
    }
    for (_, current) in under("instance-credentials/".to_owned()) {
        there(format!("session/{}", current["session"].as_str().unwrap()));
    }
    let roots = ["account/", "user/", "role/", "policy/", "session-end/", "instance-credentials/"];
    for key in all.keys().filter(|key| !roots.iter().any(|root| key.starts_with(root))) {
        assert!(named.contains(key), "{key} is an orphan");
    }
}

/// Panics if any of the secrets is in any record.
pub fn assert_sealed(store: &Halting, secrets: &[String]) {
    for (key, (bytes, _)) in records(store) {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{key} shows a secret");
    }
}
