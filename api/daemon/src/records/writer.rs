//! The thread that writes. It takes all transactions that wait and commits them to disk together: an fsync is by far the
//! dearest part of each. A transaction that fails harms none of those beside it.

use compute::store::{CommitError, Revision, Transaction, Write};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::{read_error, schema};
use crate::fail;

/// Most transactions in one commit. Ten times as many would not be much faster, and the first would wait for the last.
const BATCH: usize = 128;

/// How many revisions the history keeps for watchers. One that is further behind lists anew.
const HISTORY: u64 = 10_000;

/// A transaction, and who waits for it.
pub struct Job {
    pub transaction: Transaction,
    pub reply: oneshot::Sender<Result<Revision, CommitError>>,
}

/// The one that writes.
pub struct Writer {
    connection: Connection,
    jobs: mpsc::Receiver<Job>,
    latest: watch::Sender<Revision>,
}

impl Writer {
    pub fn new(connection: Connection, jobs: mpsc::Receiver<Job>, latest: watch::Sender<Revision>) -> Self {
        Self { connection, jobs, latest }
    }

    /// Writes until nobody can ask any more.
    pub fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
            let transactions: Vec<&Transaction> = batch.iter().map(|job| &job.transaction).collect();
            let answers = match self.write(&transactions) {
                Ok(answers) => answers,
                // Alone, each gets the answer that is its own: a full disk may have room for a small one.
                Err(_) if batch.len() > 1 => transactions.iter().map(|one| self.write_alone(one)).collect(),
                Err(error) => vec![Err(commit_error(error))],
            };
            for (job, answer) in batch.drain(..).zip(answers) {
                // Whoever does not wait any more has been written all the same.
                let _ = job.reply.send(answer);
            }
        }
    }

    fn write_alone(&mut self, transaction: &Transaction) -> Result<Revision, CommitError> {
        match self.write(&[transaction]) {
            Ok(mut answers) => answers.pop().expect("an answer for each transaction"),
            Err(error) => Err(commit_error(error)),
        }
    }

    /// Writes transactions to disk, all that can be: the answer to each. An error means that none was.
    fn write(
        &mut self,
        transactions: &[&Transaction],
    ) -> rusqlite::Result<Vec<Result<Revision, CommitError>>> {
        let before = schema::counter(&self.connection, "revision")?;
        let mut revision = before;
        let disk = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut answers = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let answer = match conflict(&disk, transaction)? {
                Some(conflict) => Err(conflict),
                None => {
                    revision += 1;
                    apply(&disk, transaction, revision)?;
                    Ok(Revision(revision))
                }
            };
            answers.push(answer);
        }
        if revision > before {
            set(&disk, "revision", revision)?;
            if let Some(oldest @ 1..) = revision.checked_sub(HISTORY) {
                disk.prepare_cached("DELETE FROM changes WHERE revision <= ?1")?
                    .execute([oldest.cast_signed()])?;
                set(&disk, "compacted", oldest)?;
            }
        }
        fail::point("records.committing");
        disk.commit()?;
        fail::point("records.committed");
        if revision > before {
            self.latest.send_replace(Revision(revision));
        }
        Ok(answers)
    }
}

/// The first condition that does not hold. Conditions are looked at before anything is written, and see what the
/// transactions before in the same batch have written.
fn conflict(disk: &Connection, transaction: &Transaction) -> rusqlite::Result<Option<CommitError>> {
    let mut select = disk.prepare_cached("SELECT modified FROM records WHERE key = ?1")?;
    for condition in &transaction.conditions {
        let key = condition.key();
        let modified = select.query_row([key.as_str()], |row| row.get::<_, i64>(0)).optional()?;
        let modified = modified.map(|revision| Revision(revision.cast_unsigned()));
        if !condition.holds(modified) {
            return Ok(Some(CommitError::Conflict { key: key.clone(), modified }));
        }
    }
    Ok(None)
}

fn apply(disk: &Connection, transaction: &Transaction, revision: u64) -> rusqlite::Result<()> {
    let revision = revision.cast_signed();
    let mut change = disk.prepare_cached("INSERT INTO changes VALUES (?1, ?2, ?3)")?;
    for write in &transaction.writes {
        let key = write.key().as_str();
        match write {
            Write::Put(_, value) => {
                disk.prepare_cached(
                    "INSERT INTO records VALUES (?1, ?2, ?3, ?3)
                     ON CONFLICT (key) DO UPDATE SET value = ?2, modified = ?3",
                )?
                .execute(params![key, value, revision])?;
                change.execute(params![revision, key, value])?;
            }
            Write::Delete(_) => {
                let removed = disk.prepare_cached("DELETE FROM records WHERE key = ?1")?.execute([key])?;
                if removed > 0 {
                    change.execute(params![revision, key, rusqlite::types::Null])?;
                }
            }
        }
    }
    Ok(())
}

fn set(disk: &Connection, name: &str, value: u64) -> rusqlite::Result<()> {
    disk.prepare_cached("UPDATE counters SET value = ?2 WHERE name = ?1")?
        .execute(params![name, value.cast_signed()])?;
    Ok(())
}

fn commit_error(error: rusqlite::Error) -> CommitError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => CommitError::Full,
        Some(_) | None => read_error(error).into(),
    }
}
