//! What the record store acknowledged is there after its process was killed at any moment, and after its disk was full.

#![expect(
    clippy::unwrap_used,
    reason = "all of it is a test, which clippy cannot see without the usual harness"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bothyd::records::SqliteStore;
use compute::store::{CommitError, Key, Revision, Store, Transaction, Write, get, list, put};
use tokio::runtime::Runtime;

/// Writers in the process that is killed.
const WRITERS: u64 = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "write", path] => write_for_ever(Path::new(path)),
        [_, "fill", folder] => fill(Path::new(folder)),
        _ => {
            killed_at_any_moment();
            println!("test killed_at_any_moment ... ok");
            full_disk();
            println!("test full_disk ... ok");
        }
    }
}

fn writer_key(writer: u64) -> Key {
    format!("writer/{writer}").parse().expect("a good key")
}

/// Each writer counts, and prints each number when it is acknowledged.
fn write_for_ever(path: &Path) {
    Runtime::new().unwrap().block_on(async {
        let store = Arc::new(SqliteStore::open(path).unwrap());
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    let key = writer_key(writer);
                    let last = get::<u64>(&*store, &key).await.unwrap().map_or(0, |kept| kept.value);
                    for number in last + 1.. {
                        let writes = vec![put(key.clone(), &number)];
                        let revision =
                            store.commit(Transaction { conditions: vec![], writes }).await.unwrap();
                        // One write for one line, so that a line is whole or not there.
                        let line = format!("{writer} {number} {revision}\n");
                        std::io::stdout().write_all(line.as_bytes()).unwrap();
                        std::io::stdout().flush().unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

fn killed_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records");
    let mut acknowledged: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut highest = 0;
    // A number of lines that differs from round to round; where in its work a line finds the writer is chance anyway.
    for round in 0..12_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("write")
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut take = |line: String| {
            let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
            let [writer, number, revision] = numbers[..] else { panic!("{line}") };
            let before = acknowledged.insert(writer, (number, revision));
            assert!(before.is_none_or(|before| before.0 < number && before.1 < revision), "{line}");
            highest = highest.max(revision);
        };
        for line in lines.by_ref().take(3 + 17 * round) {
            take(line.unwrap());
        }
        child.kill().unwrap();
        // What it had said before it died counts as well.
        lines.for_each(|line| take(line.unwrap()));
        child.wait().unwrap();

        let store = SqliteStore::open(&path).unwrap();
        Runtime::new().unwrap().block_on(async {
            for (writer, (number, _)) in &acknowledged {
                let kept = get::<u64>(&store, &writer_key(*writer)).await.unwrap().expect("acknowledged");
                assert!(kept.value >= *number, "writer {writer}: {} after {number}", kept.value);
            }
            let (_, latest) = list::<u64>(&store, "").await.unwrap();
            assert!(latest >= Revision(highest));
            // Each revision was one write: the history has them all, each once.
            let (mut watch, mut next) = (store.watch("", Revision(0)), 1);
            while next <= latest.0 {
                for change in watch.next().await.unwrap() {
                    assert_eq!((change.revision.0, change.records.len()), (next, 1));
                    next += 1;
                }
            }
        });
    }
}

/// Runs `fill` on a file system of its own that is as good as full.
fn full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=2m tmpfs "$1" && exec "$0" fill "$1""#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(folder.path())
        .output()
        .expect("unshare is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn fill(folder: &Path) {
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let store = SqliteStore::open(&folder.join("records")).unwrap();
    let commit = |key: &str, size: usize| {
        let write = Write::Put(key.parse().unwrap(), vec![b'1'; size]);
        store.commit(Transaction { conditions: vec![], writes: vec![write] })
    };
    Runtime::new().unwrap().block_on(async {
        let mut kept = Vec::new();
        let full = loop {
            let key = format!("fill/{}", kept.len());
            match commit(&key, 50_000).await {
                Ok(_) => kept.push(key),
                Err(error) => break error,
            }
            assert!(kept.len() < 100, "the disk is never full");
        };
        assert!(matches!(full, CommitError::Full), "{full:?}");
        assert!(full.to_string().contains("disk"), "{full}");
        // Reading goes on.
        assert_eq!(store.range("fill/", None, 1000).await.unwrap().records.len(), kept.len());

        // A great one fails beside a small one, which may find room or not; but nothing else.
        let (great, small) = tokio::join!(commit("great", 900_000), commit("small", 1));
        assert!(matches!(great, Err(CommitError::Full)), "{great:?}");
        assert!(matches!(small, Ok(_) | Err(CommitError::Full)), "{small:?}");

        std::fs::remove_file(&ballast).unwrap();
        commit("after", 1).await.expect("there is room");
        for key in kept {
            let record = store.get(&key.parse().unwrap()).await.unwrap().expect("acknowledged");
            assert_eq!(record.value.len(), 50_000);
        }
        let has_small = store.get(&"small".parse().unwrap()).await.unwrap().is_some();
        assert_eq!(has_small, small.is_ok());
        assert!(store.get(&"great".parse().unwrap()).await.unwrap().is_none());
    });
}
