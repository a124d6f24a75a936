//! The database file: its tables, its version, and how an older one becomes today's. Called once, by `SqliteStore::open`.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::OpenError;

/// "both" in ASCII: what tells a database of ours from another program's.
const APPLICATION_ID: i32 = 0x626f_7468;

/// What makes a database of version n one of version n + 1. Only ever added to: a file of version 1 exists somewhere.
const MIGRATIONS: &[&str] = &[
    // Revisions are those of compute::store. Without row ids, a table is its index: one tree to write.
    "CREATE TABLE records (
         key TEXT PRIMARY KEY,
         value BLOB NOT NULL,
         created INTEGER NOT NULL,
         modified INTEGER NOT NULL
     ) WITHOUT ROWID;
     CREATE TABLE changes (
         revision INTEGER NOT NULL,
         key TEXT NOT NULL,
         value BLOB,
         PRIMARY KEY (revision, key)
     ) WITHOUT ROWID;
     CREATE TABLE counters (
         name TEXT PRIMARY KEY,
         value INTEGER NOT NULL
     ) WITHOUT ROWID;
     INSERT INTO counters VALUES ('revision', 0), ('compacted', 0);",
];

/// Today's version.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// Opens a connection as all of ours are.
pub fn connect(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // An acknowledged transaction survives a power cut.
    connection.pragma_update(None, "synchronous", "full")?;
    Ok(connection)
}

/// Makes an empty file a database of today, and an older database too.
pub fn prepare(connection: &mut Connection) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let any: Option<i64> =
        transaction.query_row("SELECT 1 FROM sqlite_master", [], |row| row.get(0)).optional()?;
    if application != i64::from(APPLICATION_ID) && (any.is_some() || application != 0) {
        return Err(OpenError::Foreign);
    }
    if version > VERSION {
        return Err(OpenError::Newer { version });
    }
    let done = usize::try_from(version).map_err(|_| OpenError::Foreign)?;
    for migration in &MIGRATIONS[done..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// The value of a counter.
pub fn counter(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let value = connection
        .prepare_cached("SELECT value FROM counters WHERE name = ?1")?
        .query_row([name], |row| row.get::<_, i64>(0))?;
    Ok(value.cast_unsigned())
}
