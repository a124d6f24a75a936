//! What SQLite does alone on the same disk, as durable as the daemon's record store: one connection, one commit after the
//! other. It knows no instances; that the daemon writes several of those who wait with one commit is how it can do more.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use rusqlite::{Connection, params};

/// About what a launch writes: the records of an instance, its volume, its interface and its reservation.
const COMMIT_BYTES: usize = 4096;

/// Commits a second, measured for some time.
pub fn commits_per_second(folder: &Path, length: Duration) -> anyhow::Result<f64> {
    let connection = Connection::open(folder.join("bare.sqlite")).context("making a database")?;
    let set = |name: &str, value: &str| connection.pragma_update(None, name, value);
    set("journal_mode", "wal").and_then(|()| set("synchronous", "full")).context("setting up a database")?;
    let table = "create table records (key text primary key, value blob not null) without rowid";
    connection.execute_batch(table).context("making a table")?;
    let mut insert = connection.prepare("insert into records values (?1, ?2)").context("preparing")?;
    let (value, begun, mut count) = (vec![b'1'; COMMIT_BYTES], Instant::now(), 0_u32);
    while begun.elapsed() < length {
        count += 1;
        insert.execute(params![format!("instance/{count:010}"), value]).context("committing")?;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}
