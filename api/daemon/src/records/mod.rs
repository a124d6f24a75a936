//! The record store of one host: `compute::store::Store` on SQLite. One thread writes, and lets all transactions that wait
//! share one fsync; readers have connections of their own and never wait for it. Several hosts share etcd instead.

mod schema;
mod watch;
mod writer;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use compute::store::{
    Answer, CommitError, Key, MAX_PAGE, Page, ReadError, Record, Revision, Store, Transaction, Watch,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use storage::ownership;
use tokio::sync::{Semaphore, mpsc, oneshot};

use writer::{Job, Writer};

/// Most reads at a time. More would only wait for the same processors.
const READERS: usize = 8;
/// Most transactions that wait to be written. A caller beyond it waits for its turn.
const WAITING: usize = 1024;

/// Why a store could not be opened. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another daemon has it open.
    #[error("another bothyd uses this record store: stop it first")]
    InUse,
    /// It is a database of another program.
    #[error("this file is a database, but no record store of bothyd")]
    Foreign,
    /// It was written by a later bothyd.
    #[error(
        "this record store has version {version}, and this bothyd knows up to {}: install a newer one",
        schema::VERSION
    )]
    Newer {
        /// Its version.
        version: i64,
    },
    /// The file or its folder cannot be used.
    #[error("{path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite cannot use it.
    #[error("the record store cannot be opened")]
    Sqlite(#[from] rusqlite::Error),
}

/// A record store in a file.
pub struct SqliteStore {
    reading: Arc<Reading>,
    jobs: Option<mpsc::Sender<Job>>,
    latest: tokio::sync::watch::Receiver<Revision>,
    writer: Option<JoinHandle<()>>,
    /// Held as long as we live; the kernel lets it go when we die.
    _lock: File,
}

/// Connections to read with. One is opened when it is first needed.
struct Reading {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

impl SqliteStore {
    /// Opens the store in this file, makes it if there is none, and brings an older one up to date.
    ///
    /// # Errors
    ///
    /// Another daemon has it, it is none of ours or of a later version, it is damaged, or the file system refuses.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = |path: &Path, source| OpenError::File { path: path.to_owned(), source };
        let lock_path = path.with_added_extension("lock");
        let mut ours = OpenOptions::new();
        ours.create(true).truncate(false).read(true).write(true).mode(0o600);
        let lock = ours.open(&lock_path).map_err(|error| file(&lock_path, error))?;
        if !ownership::take(&lock).map_err(|error| file(&lock_path, error))? {
            return Err(OpenError::InUse);
        }
        // SQLite would make it readable for others; its journal gets the mode of the database.
        ours.open(path).map_err(|error| file(path, error))?;

        let mut connection = schema::connect(path)?;
        schema::prepare(&mut connection)?;
        let revision = Revision(schema::counter(&connection, "revision")?);
        let (jobs, waiting) = mpsc::channel(WAITING);
        let (tell, latest) = tokio::sync::watch::channel(revision);
        let writer = Writer::new(connection, waiting, tell);
        let writer = std::thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| file(path, error))?;
        let reading = Reading {
            path: path.to_owned(),
            idle: Mutex::new(Vec::new()),
            turns: Semaphore::const_new(READERS),
        };
        Ok(Self { reading: Arc::new(reading), jobs: Some(jobs), latest, writer: Some(writer), _lock: lock })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // The writer ends when nobody can ask it any more, after all that was asked.
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // It has answered whom it could; that it panicked was said when it did.
            let _ = writer.join();
        }
    }
}

impl Reading {
    /// Reads on a thread where waiting for a disk harms nobody.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let _turn = self.turns.acquire().await.map_err(|error| unavailable(&error))?;
        let this = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let idle = this.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match idle {
                Some(connection) => connection,
                None => schema::connect(&this.path)?,
            };
            // One transaction, so that all is read as of one revision.
            let transaction = connection.unchecked_transaction()?;
            let result = read(&transaction)?;
            transaction.finish()?;
            this.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok(result)
        });
        work.await.map_err(|error| unavailable(&error))?.map_err(read_error)
    }
}

impl Store for SqliteStore {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Result<Option<Record>, ReadError>> {
        let key = key.clone();
        Box::pin(self.reading.read(move |connection| {
            connection
                .prepare_cached("SELECT key, value, created, modified FROM records WHERE key = ?1")?
                .query_row([key.as_str()], record)
                .optional()
        }))
    }

    fn get_all<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Result<Vec<Option<Record>>, ReadError>> {
        let keys = keys.to_vec();
        Box::pin(self.reading.read(move |connection| {
            let mut select = connection
                .prepare_cached("SELECT key, value, created, modified FROM records WHERE key = ?1")?;
            keys.iter().map(|key| select.query_row([key.as_str()], record).optional()).collect()
        }))
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Answer<'a, Result<Page, ReadError>> {
        // One lower bound: of two, SQLite seeks to one and steps over what the other excludes.
        let from = after.map_or_else(|| prefix.to_owned(), |key| next_to(key).max(prefix.to_owned()));
        let end = end_of(prefix);
        let limit = limit.clamp(1, MAX_PAGE);
        let one_more = i64::try_from(limit).map_or(i64::MAX, |limit| limit + 1);
        Box::pin(self.reading.read(move |connection| {
            let revision = Revision(schema::counter(connection, "revision")?);
            let mut select = connection.prepare_cached(
                "SELECT key, value, created, modified FROM records
                 WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
            )?;
            let rows = select.query_map(params![from, end, one_more], record)?;
            let mut records = rows.collect::<Result<Vec<Record>, _>>()?;
            let more = records.len() > limit;
            records.truncate(limit);
            Ok(Page { records, more, revision })
        }))
    }

    fn commit(&self, transaction: Transaction) -> Answer<'_, Result<Revision, CommitError>> {
        Box::pin(async move {
            transaction.check()?;
            let (reply, answer) = oneshot::channel();
            let gone = || unavailable(&"the store is closed");
            let jobs = self.jobs.as_ref().ok_or_else(gone)?;
            jobs.send(Job { transaction, reply }).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        })
    }

    fn watch(&self, prefix: &str, after: Revision) -> Box<dyn Watch> {
        Box::new(watch::Changes::new(Arc::clone(&self.reading), self.latest.clone(), prefix, after))
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        key: key(row, 0)?,
        value: row.get(1)?,
        created: Revision(row.get::<_, i64>(2)?.cast_unsigned()),
        modified: Revision(row.get::<_, i64>(3)?.cast_unsigned()),
    })
}

fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<Key> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: compute::store::KeyError| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// A text between the key and all keys behind it: no key has a character before `!`.
fn next_to(key: &Key) -> String {
    format!("{} ", key.as_str())
}

/// A text behind all keys that begin with the prefix: no key has a character behind `~`.
fn end_of(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}

fn unavailable(why: &dyn std::fmt::Display) -> ReadError {
    ReadError::Unavailable { why: why.to_string() }
}

fn read_error(error: rusqlite::Error) -> ReadError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let why = error.to_string();
    match error {
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
            ReadError::Corrupt { why }
        }
        _ => match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => ReadError::Corrupt { why },
            Some(_) | None => ReadError::Unavailable { why },
        },
    }
}
