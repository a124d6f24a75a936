//! Identities on the daemon's record store: many at once, after a restart, and with no secret in the files.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

use std::path::Path;
use std::sync::Arc;

use bothyd::records::SqliteStore;
use compute::capacity::Amounts;
use compute::id::Id;
use compute::identity::{AccountId, CreateError, Identity, KeyForm, KeyOwner, TemporaryCredentials};
use compute::secrets::{SealingKey, SealingKeys, Secret};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const TRUST: &str = r#"{"Version":"1","Statement":{"Effect":"Allow","Action":"sts:AssumeRole",
    "Principal":{"Service":"ecs.aliyuncs.com"}}}"#;

fn open(folder: &Path, keys: &SealingKeys) -> Arc<Identity> {
    let store = SqliteStore::open(&folder.join("records")).expect("it opens");
    Arc::new(Identity::new(Arc::new(store), keys.clone()))
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

async fn of_instance(identity: &Identity, account: AccountId) -> TemporaryCredentials {
    let (role, service) = ("r", "ecs.aliyuncs.com");
    identity.credentials_for_instance(account, Id::new(1), role, service, KeyForm::Sts, now()).await.unwrap()
}

/// Does it eight times at once.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    task: impl Fn(usize) -> F,
) -> Vec<T> {
    let tasks: Vec<_> = (0..8).map(|number| tokio::spawn(task(number))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[test]
fn many_at_once_and_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let keys = SealingKeys::new(vec![], SealingKey::generate());
    let runtime = Runtime::new().unwrap();
    let identity = open(folder.path(), &keys);
    let (account, lasting, given) = runtime.block_on(async {
        let account = identity.create_account("acme", Amounts::UNLIMITED, now()).await.unwrap().id;
        identity.create_role(account, "r", "", TRUST, 3600, now()).await.unwrap();
        let made = at_once(|number| {
            let identity = identity.clone();
            let name = if number % 2 == 0 { "ann" } else { "Ann" };
            async move { identity.create_user(account, name, "", now()).await }
        })
        .await;
        let (won, lost): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|lost| matches!(lost, Err(CreateError::Taken { .. }))), "{lost:?}");

        let keys = at_once(|_| {
            let identity = identity.clone();
            async move { identity.create_access_key(account, &KeyOwner::Root, now()).await }
        })
        .await;
        let keys: Vec<_> = keys.into_iter().filter_map(Result::ok).collect();
        assert_eq!(keys.len(), 5, "as many as an account may have");

        let given = at_once(|_| {
            let identity = identity.clone();
            async move { of_instance(&identity, account).await }
        })
        .await;
        assert!(given.iter().all(|other| *other == given[0]));
        let lasting: Vec<(String, Secret)> =
            keys.into_iter().map(|made| (made.key.id.to_string(), made.secret)).collect();
        (account, lasting, given[0].clone())
    });
    drop(identity);

    let identity = open(folder.path(), &keys);
    runtime.block_on(async {
        assert_eq!(of_instance(&identity, account).await, given);
        let found = identity.find_key(given.id.as_str(), Some(given.token.expose()), now()).await.unwrap();
        assert_eq!(found.secret, given.secret);
        for (id, secret) in &lasting {
            assert_eq!(identity.find_key(id, None, now()).await.unwrap().secret, *secret);
        }
    });
    // While it is open, so that the journal is looked at too.
    let secrets = lasting.iter().map(|(_, secret)| secret).chain([&given.secret, &given.token]);
    let secrets: Vec<&[u8]> = secrets.map(|secret| secret.expose().as_bytes()).collect();
    let (mut files, mut has_id) = (0, false);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(!secrets.iter().any(|secret| has(secret)));
        has_id |= has(given.id.as_str().as_bytes());
        files += 1;
    }
    assert!(files >= 2 && has_id, "what should be there is there, so it was looked for in the right place");
}
