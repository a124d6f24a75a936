//! Watching the history: a watcher remembers a revision and reads on from there, so that a slow one costs nothing and
//! misses nothing. It waits only for the number of the latest revision.

use std::sync::Arc;

use compute::store::{Answer, Change, Key, ReadError, Revision, Watch, WatchError};
use rusqlite::{Connection, params};
use tokio::sync::watch::Receiver;

use super::{Reading, end_of, key, schema, unavailable};

/// Most changed records that are read at once; a transaction that goes beyond is read to its end.
const ROWS: usize = 1000;

/// The changes under a prefix.
pub struct Changes {
    reading: Arc<Reading>,
    latest: Receiver<Revision>,
    prefix: String,
    after: Revision,
}

/// What one look at the history gives.
struct Look {
    compacted: u64,
    changes: Vec<Change>,
    /// Up to where the history was looked through.
    seen: Revision,
}

impl Changes {
    pub fn new(reading: Arc<Reading>, latest: Receiver<Revision>, prefix: &str, after: Revision) -> Self {
        Self { reading, latest, prefix: prefix.to_owned(), after }
    }

    async fn read(&mut self) -> Result<Vec<Change>, WatchError> {
        loop {
            let after = self.after;
            let waited = self.latest.wait_for(|latest| *latest > after).await;
            waited.map_err(|_| WatchError::from(unavailable(&"the store is closed")))?;
            let prefix = self.prefix.clone();
            let look = self.reading.read(move |connection| look(connection, &prefix, after)).await;
            let look = look.map_err(|error: ReadError| WatchError::from(error))?;
            if look.compacted > after.0 {
                return Err(WatchError::Compacted { oldest: Revision(look.compacted) });
            }
            // Only now: whoever drops this future before loses nothing.
            self.after = look.seen;
            if !look.changes.is_empty() {
                return Ok(look.changes);
            }
        }
    }
}

impl Watch for Changes {
    fn next(&mut self) -> Answer<'_, Result<Vec<Change>, WatchError>> {
        Box::pin(self.read())
    }
}

fn look(connection: &Connection, prefix: &str, after: Revision) -> rusqlite::Result<Look> {
    let compacted = schema::counter(connection, "compacted")?;
    let mut seen = Revision(schema::counter(connection, "revision")?);
    let mut select = connection.prepare_cached(
        "SELECT revision, key, value FROM changes
         WHERE revision > ?1 AND key >= ?2 AND key < ?3 ORDER BY revision, key",
    )?;
    let mut rows = select.query(params![after.0.cast_signed(), prefix, end_of(prefix)])?;
    let mut changes: Vec<Change> = Vec::new();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let revision = Revision(row.get::<_, i64>(0)?.cast_unsigned());
        let record: (Key, Option<Vec<u8>>) = (key(row, 1)?, row.get(2)?);
        match changes.last_mut() {
            Some(change) if change.revision == revision => change.records.push(record),
            Some(change) if count >= ROWS => {
                seen = change.revision;
                break;
            }
            Some(_) | None => changes.push(Change { revision, records: vec![record] }),
        }
        count += 1;
    }
    Ok(Look { compacted, changes, seen })
}
