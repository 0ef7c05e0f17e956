//! The shared tier in an SQLite file, for one machine without Redis.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread::sleep,
    time::{Duration, Instant},
};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::store::{Reading, Record, StoreError};

/// How large the file may grow: 256 MiB in pages of 4 KiB.
const PAGE_BYTES: u32 = 4096;
const MAX_PAGES: u32 = 256 * 1024 * 1024 / PAGE_BYTES;

/// How long one process waits for another's lock. No answer waits that long: the cache has its budgets.
const BUSY: Duration = Duration::from_secs(5);

/// Between attempts to do what SQLite does not wait for by itself, and how long they go on.
const RETRY: Duration = Duration::from_millis(5);
const RETRIES_END: Duration = BUSY;

/// A file, by one connection that reads and one that writes: in WAL mode neither waits for the other.
#[derive(Clone)]
pub(super) struct Sqlite {
    reader: Blocking,
    writer: Blocking,
    mark: Arc<str>,
    max_pages: u32,
}

impl Sqlite {
    /// Opens the file, making it and its folder when they are not there.
    pub(super) fn open(path: &Path, mark: String) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut writer = connect(path)?;
        prepare(&mut writer)?;
        let reader = Blocking::start("sqlite-reader", connect(path)?)?;
        let writer = Blocking::start("sqlite-writer", writer)?;
        Ok(Self { reader, writer, mark: mark.into(), max_pages: MAX_PAGES })
    }

    pub(super) async fn read(&self, names: Vec<String>) -> Result<Reading, StoreError> {
        let mark = Arc::clone(&self.mark);
        self.reader
            .run(move |connection| {
                // One transaction, so that the mark and what it vouches for are of one moment.
                let snapshot = connection.transaction()?;
                let mark = snapshot
                    .prepare_cached("SELECT n FROM mark WHERE name = ?1")?
                    .query_row([&mark], |row| row.get_ref(0).map(mark_of))
                    .optional()?
                    .flatten();
                let mut value = snapshot.prepare_cached("SELECT value FROM entry WHERE name = ?1")?;
                let values =
                    names.iter().map(|name| value.query_row([name], |row| row.get_ref(0).map(bytes_of)).optional());
                Ok(Reading { mark, values: values.collect::<Result<_, _>>()? })
            })
            .await
    }

    pub(super) async fn write(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let max_pages = self.max_pages;
        self.writer
            .run(move |connection| {
                let change = begin(connection)?;
                make_room(&change, &records, max_pages)?;
                {
                    let mut insert = change.prepare_cached(
                        "INSERT INTO entry (name, value, pinned) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET value = excluded.value",
                    )?;
                    for record in &records {
                        insert.execute(params![record.name, &*record.bytes, record.pinned])?;
                    }
                }
                change.commit()
            })
            .await
    }

    pub(super) async fn raise(&self, mark: u32) -> Result<(), StoreError> {
        let name = Arc::clone(&self.mark);
        self.writer
            .run(move |connection| {
                let change = begin(connection)?;
                change.execute(
                    "INSERT INTO mark (name, n) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET n = max(n, excluded.n)",
                    params![name, mark],
                )?;
                change.commit()
            })
            .await
    }
}

/// A connection on a thread of its own, since SQLite blocks.
#[derive(Clone)]
struct Blocking {
    jobs: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

impl Blocking {
    fn start(name: &str, mut connection: Connection) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let work = move || queue.into_iter().for_each(|job| job(&mut connection));
        std::thread::Builder::new().name(name.into()).spawn(work)?;
        Ok(Self { jobs })
    }

    /// Waits for the turn of `work`, and runs it; when nobody waits for it any more, it is left out.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, result) = oneshot::channel();
        let job = move |connection: &mut Connection| {
            if !done.is_closed() {
                // Whoever waited may have gone meanwhile.
                let _ = done.send(work(connection));
            }
        };
        self.jobs.send(Box::new(job)).map_err(|_| StoreError::Aborted)?;
        Ok(result.await.map_err(|_| StoreError::Aborted)??)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    // Survives the death of the process; after a loss of power the last entries may be missing, never wrong.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Sets up the file. Two processes may start on no file at once, and the change to WAL does not wait for locks by
/// itself: it is tried again.
fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    let until = Instant::now() + RETRIES_END;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    // Can only be chosen before the first table; without it a file never shrinks.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    while let Err(error) = connection.pragma_update(None, "journal_mode", "WAL") {
        if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) || Instant::now() > until {
            return Err(error);
        }
        sleep(RETRY);
    }
    let change = begin(connection)?;
    change.execute_batch(
        "CREATE TABLE IF NOT EXISTS entry (name TEXT NOT NULL UNIQUE, value BLOB NOT NULL, pinned INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;",
    )?;
    change.commit()
}

/// A stored value, whatever its type: what is not what it should be fails its proof and is written anew.
fn bytes_of(value: ValueRef<'_>) -> Vec<u8> {
    match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.to_vec(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => Vec::new(),
    }
}

/// A stored mark. One that no `raise` can have written and none could lower is taken for what it claims: entries are
/// proven in any case.
fn mark_of(value: ValueRef<'_>) -> Option<u32> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(mark) if mark < 0 => None,
        ValueRef::Integer(mark) => Some(u32::try_from(mark).unwrap_or(u32::MAX)),
        ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => Some(u32::MAX),
    }
}

/// Takes the lock for writing from the start: a reader that becomes a writer is refused without any waiting.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Deletes the oldest entries that are not pinned until `records` fit below `max_pages`.
fn make_room(change: &Transaction<'_>, records: &[Record], max_pages: u32) -> rusqlite::Result<()> {
    // A page for the remainder of each, and one for its place in the index.
    let pages = |record: &Record| u32::try_from(record.bytes.len()).unwrap_or(u32::MAX) / PAGE_BYTES + 2;
    let wanted: u32 = records.iter().map(pages).sum();
    let pragma = |name| change.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    while pragma("page_count")? - pragma("freelist_count")? + wanted > max_pages {
        let deleted =
            change.execute("DELETE FROM entry WHERE rowid = (SELECT min(rowid) FROM entry WHERE NOT pinned)", [])?;
        if deleted == 0 {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, length: usize, pinned: bool) -> Record {
        Record { name: name.into(), bytes: vec![7; length].into(), pinned }
    }

    #[tokio::test]
    async fn the_oldest_make_room_and_the_pinned_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = Sqlite::open(&folder.path().join("new/cache.sqlite"), "top".into()).unwrap();
        file.max_pages = 100;
        file.write(vec![record("pinned", 40_000, true)]).await.unwrap();
        for number in 0..20 {
            file.write(vec![record(&number.to_string(), 40_000, false)]).await.unwrap();
        }
        let names = ["pinned", "0", "19"].map(String::from).to_vec();
        let found = file.read(names).await.unwrap().values;
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
        let size = std::fs::metadata(folder.path().join("new/cache.sqlite")).unwrap().len();
        assert!(size <= 100 * u64::from(PAGE_BYTES), "{size} bytes");
    }

    #[tokio::test]
    async fn the_mark_never_falls() {
        let folder = tempfile::tempdir().unwrap();
        let file = Sqlite::open(&folder.path().join("cache.sqlite"), "top".into()).unwrap();
        assert_eq!(file.read(vec![]).await.unwrap().mark, None);
        for (raised, found) in [(7, 7), (5, 7), (9, 9)] {
            file.raise(raised).await.unwrap();
            assert_eq!(file.read(vec![]).await.unwrap().mark, Some(found));
        }
    }
}
