//! The shared tier in an SQLite file, for one machine without Redis.

mod connections;
mod fault;
mod file;
mod identity;
mod inspection;

use std::{
    collections::HashSet,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, Transaction, params, types::ValueRef};
use tokio::sync::oneshot;

pub(super) use self::fault::FileError;
use self::{
    connections::{Connections, Role},
    file::{PAGE_BYTES, Purpose, Scrutiny, begin, bound_log},
};
use super::record::{Height, MarkSnapshot, Reading, Record, Retention, new_generation};

/// The bound of the file: 256 MiB in pages.
const MAX_PAGES: u32 = 256 * 1024 * 1024 / PAGE_BYTES;

/// The bound of the log beside it when a write begins: several of the largest writes.
const MAX_LOG_BYTES: u64 = 64 * 1024 * 1024;

/// One part in 16 of the file, 16 MiB, is for cheap entries: it has room for 156,000 with a name of 21 bytes and a
/// value of 17.
const CHEAP_SHARE: u32 = 16;

/// The bytes of a cheap entry beside its value and twice its name, which is in the table and in the index: its headers,
/// its position, and its part of what is free in each page. It was measured at 27 bytes after four turns of the ring.
const CHEAP_OVERHEAD: usize = 48;

/// The least bytes of a large value that a page holds; the rest goes into pointers and the map of pages.
const PAGE_CONTENT: usize = 4000;

/// The number of uses that are remembered until the next write.
const MAX_USES: usize = 4096;

/// The interval at which an idle thread looks whether the file is still the same.
const WATCH: Duration = Duration::from_secs(1);

/// A file, by one connection that reads and one that writes: in WAL mode neither waits for the other.
#[derive(Clone)]
pub(super) struct Sqlite {
    reader: Blocking,
    writer: Blocking,
    /// The names of the marks, by ladder.
    marks: Arc<[String]>,
    uses: Uses,
    max_pages: u32,
    max_log_bytes: u64,
}

impl Sqlite {
    /// Starts the threads, and opens the file. One that can't be opened now is opened by the first that has work, and
    /// again whenever that is needed; garbage at the default path is moved aside.
    ///
    /// # Errors
    /// When the file is no cache and is not to be replaced, or has no folder.
    pub(super) fn open(path: &Path, is_default: bool, marks: Vec<String>) -> Result<Self, FileError> {
        let connections = Connections::new(path.into(), Purpose::Serve { is_default });
        match connections.open(Role::Reader, Scrutiny::Claim) {
            Err(error) if error.forbids_start() => Err(error),
            _ => Self::start(connections, marks),
        }
    }

    /// Opens a file that is there, and examines all of it: to remove entries, or only to read, which changes nothing.
    ///
    /// # Errors
    /// When there is none, or it is no sound cache.
    pub(super) fn survey(path: &Path, is_repaired: bool, marks: Vec<String>) -> Result<Self, FileError> {
        let purpose = if is_repaired { Purpose::Repair } else { Purpose::Inspect };
        let connections = Connections::new(path.into(), purpose);
        connections.open(Role::Reader, Scrutiny::Whole)?;
        Self::start(connections, marks)
    }

    fn start(connections: Connections, marks: Vec<String>) -> Result<Self, FileError> {
        let connections = Arc::new(connections);
        let thread = |name, role| Blocking::start(name, Arc::clone(&connections), role).map_err(FileError::Thread);
        Ok(Self {
            reader: thread("sqlite-reader", Role::Reader)?,
            writer: thread("sqlite-writer", Role::Writer)?,
            marks: marks.into(),
            uses: Uses::default(),
            max_pages: MAX_PAGES,
            max_log_bytes: MAX_LOG_BYTES,
        })
    }

    pub(super) async fn read(&self, ladders: Vec<usize>, names: Vec<String>) -> Result<Reading, FileError> {
        let marks = Arc::clone(&self.marks);
        self.reader
            .run(move |connection| {
                // One transaction, so that the marks and what they vouch for are of one moment.
                let snapshot = connection.transaction()?;
                let marks = ladders.iter().map(|&ladder| mark_in(&snapshot, &marks[ladder]).map(Some));
                let marks = marks.collect::<Result<_, _>>()?;
                // An older cache has cheap entries among the others; one that was written anew counts.
                let mut value = snapshot.prepare_cached(
                    "SELECT value FROM cheap WHERE name = ?1 UNION ALL SELECT value FROM entry WHERE name = ?1",
                )?;
                let values =
                    names.iter().map(|name| value.query_row([name], |row| row.get_ref(0).map(bytes_of)).optional());
                Ok(Reading { marks, values: values.collect::<Result<_, _>>()? })
            })
            .await
    }

    /// Some names that begin with `prefix`, in order, after the name `last`; none at the end.
    pub(super) async fn names(&self, prefix: String, last: String) -> Result<Vec<String>, FileError> {
        const NAMES: &str = "
            SELECT name FROM cheap WHERE name > ?1 AND substr(name, 1, length(?2)) = ?2
            UNION SELECT name FROM entry WHERE name > ?1 AND substr(name, 1, length(?2)) = ?2
            ORDER BY name LIMIT 1000";
        self.reader
            .run(move |connection| {
                let mut names = connection.prepare_cached(NAMES)?;
                Ok(names.query_map([&last, &prefix], |row| row.get(0))?.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// The bytes of each value; 0 where there is none.
    pub(super) async fn sizes(&self, names: Vec<String>) -> Result<Vec<usize>, FileError> {
        const SIZE: &str = "
            SELECT octet_length(value) FROM cheap WHERE name = ?1
            UNION ALL SELECT octet_length(value) FROM entry WHERE name = ?1";
        self.reader
            .run(move |connection| {
                let mut size = connection.prepare_cached(SIZE)?;
                let size_of = |name: &String| -> rusqlite::Result<usize> {
                    // The library bounds a value to a gigabyte.
                    let bytes: Option<Option<u32>> = size.query_row([name], |row| row.get(0)).optional()?;
                    Ok(bytes.flatten().unwrap_or(0) as usize)
                };
                Ok(names.iter().map(size_of).collect::<Result<_, _>>()?)
            })
            .await
    }

    pub(super) async fn remove(&self, names: Vec<String>) -> Result<(), FileError> {
        self.writer
            .run(move |connection| {
                let change = begin(connection)?;
                for name in &names {
                    change.execute("DELETE FROM cheap WHERE name = ?1", [name])?;
                    change.execute("DELETE FROM entry WHERE name = ?1", [name])?;
                }
                Ok(change.commit()?)
            })
            .await
    }

    pub(super) async fn write(&self, records: Vec<Arc<Record>>) -> Result<(), FileError> {
        self.insert_after(records, |_| Ok(())).await
    }

    /// Writes records that the mark of a ladder is to vouch for. Sees to it that there is a generation, and gives it.
    pub(super) async fn write_below_mark(
        &self,
        records: Vec<Arc<Record>>,
        ladder: usize,
    ) -> Result<Option<u64>, FileError> {
        let marks = Arc::clone(&self.marks);
        self.insert_after(records, move |change| begin_generation(change, &marks[ladder])).await
    }

    /// Runs `first` and writes records, in one transaction.
    async fn insert_after<T: Send + 'static>(
        &self,
        records: Vec<Arc<Record>>,
        first: impl Fn(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, FileError> {
        let (max_pages, max_log_bytes) = (self.max_pages, self.max_log_bytes);
        let uses = self.uses.clone();
        self.writer
            .run(move |connection| {
                bound_log(connection, max_log_bytes)?;
                let change = begin(connection)?;
                let done = first(&change)?;
                uses.store(&change)?;
                make_room(&change, &records, max_pages)?;
                insert(&change, &records)?;
                change.commit()?;
                Ok(done)
            })
            .await
    }

    pub(super) async fn raise(&self, to: Height, generation: u64) -> Result<bool, FileError> {
        const RAISE: &str = "
            INSERT INTO mark (name, n) SELECT ?1, ?2 WHERE (SELECT n FROM mark WHERE name = ?3) = ?4
            ON CONFLICT DO UPDATE SET n = max(n, excluded.n)";
        let marks = Arc::clone(&self.marks);
        self.writer
            .run(move |connection| {
                let change = begin(connection)?;
                let name = &marks[to.ladder];
                let (row, generation_row) = (mark_row(name, generation), generation_row(name));
                let raised = change.execute(RAISE, params![row, to.mark, generation_row, generation.cast_signed()])?;
                change.commit()?;
                Ok(raised > 0)
            })
            .await
    }

    pub(super) async fn touch(&self) -> Result<(), FileError> {
        self.writer
            .run(move |connection| {
                let change = begin(connection)?;
                // Pages are written only if a row changes, and there may be none.
                change.execute("INSERT OR REPLACE INTO mark (name, n) VALUES ('', 0)", [])?;
                change.execute("DELETE FROM mark WHERE name = ''", [])?;
                Ok(change.commit()?)
            })
            .await
    }

    /// Notes that these entries were used; the next write stores it.
    pub(super) fn note_used(&self, names: impl IntoIterator<Item = String>) {
        self.uses.note(names);
    }

    /// Closes the file, with all that was written in it and, when no other process uses it, nothing beside it.
    pub(super) async fn close(&self) -> Result<(), FileError> {
        let uses = self.uses.clone();
        let last_work = move |connection: &mut Connection| {
            let change = begin(connection)?;
            uses.store(&change)?;
            Ok(change.commit()?)
        };
        self.writer.with_connections(move |connections, _| connections.finish(last_work)).await
    }
}

/// Names of entries that were used since the last write. It is a hint: names that do not fit are left out, and those
/// that are not stored in the end are lost.
#[derive(Clone, Default)]
struct Uses(Arc<Mutex<HashSet<String>>>);

impl Uses {
    fn note(&self, names: impl IntoIterator<Item = String>) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            if uses.len() < MAX_USES {
                uses.insert(name);
            }
        }
    }

    /// Sets the bit of each entry that is there and may be evicted.
    fn store(&self, change: &Transaction<'_>) -> rusqlite::Result<()> {
        let uses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut set = change.prepare_cached(
            "INSERT OR IGNORE INTO used (entry) SELECT rowid FROM entry WHERE name = ?1 AND NOT pinned",
        )?;
        uses.iter().try_for_each(|name| set.execute([name]).map(drop))
    }
}

/// One of the connections, on a thread of its own, since SQLite blocks.
#[derive(Clone)]
struct Blocking {
    jobs: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce(&Connections, Role) + Send>;

impl Blocking {
    fn start(name: &str, connections: Arc<Connections>, role: Role) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let work = move || {
            loop {
                match queue.recv_timeout(WATCH) {
                    Ok(job) => {
                        // After a panic nothing is known of the connection; a new one is made.
                        if catch_unwind(AssertUnwindSafe(|| job(&connections, role))).is_err() {
                            connections.close();
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => connections.tend(role),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        std::thread::Builder::new().name(name.into()).spawn(work)?;
        Ok(Self { jobs })
    }

    /// Waits for the turn of `work`, and runs it; when nobody waits for it any more, it is left out.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        self.with_connections(move |connections, role| connections.run(role, work)).await?
    }

    /// [`Self::run`], for work on all of the connections.
    async fn with_connections<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connections, Role) -> T + Send + 'static,
    ) -> Result<T, FileError> {
        let (done, result) = oneshot::channel();
        let job = move |connections: &Connections, role: Role| {
            if !done.is_closed() {
                // The waiter may have gone meanwhile.
                let _ = done.send(work(connections, role));
            }
        };
        self.jobs.send(Box::new(job)).map_err(|_| FileError::Aborted)?;
        result.await.map_err(|_| FileError::Aborted)
    }
}

/// A stored value, whatever its type: a wrong one fails its proof and is written anew.
fn bytes_of(value: ValueRef<'_>) -> Vec<u8> {
    match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.to_vec(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => Vec::new(),
    }
}

/// The name of the row in which the generation is.
fn generation_row(mark: &str) -> String {
    format!("{mark}:generation")
}

/// The name of the row in which the mark of a generation is.
fn mark_row(mark: &str, generation: u64) -> String {
    format!("{mark}:{generation}")
}

/// Sees to it that there is a generation, and gives it.
fn begin_generation(change: &Transaction<'_>, mark: &str) -> rusqlite::Result<Option<u64>> {
    const BEGIN: &str = "
        INSERT INTO mark (name, n) VALUES (?1, ?2)
        ON CONFLICT DO UPDATE SET n = excluded.n WHERE typeof(n) <> 'integer'";
    change.execute(BEGIN, params![generation_row(mark), new_generation().cast_signed()])?;
    Ok(mark_in(change, mark)?.generation)
}

/// The generation and its mark.
fn mark_in(snapshot: &Connection, mark: &str) -> rusqlite::Result<MarkSnapshot> {
    let mut row = snapshot.prepare_cached("SELECT n FROM mark WHERE name = ?1")?;
    let generation = row.query_row([generation_row(mark)], |row| Ok(row.get_ref(0)?.as_i64().ok())).optional()?;
    let Some(generation) = generation.flatten().map(i64::cast_unsigned) else { return Ok(MarkSnapshot::default()) };
    let mark = row.query_row([mark_row(mark, generation)], |row| row.get_ref(0).map(mark_of)).optional()?.flatten();
    Ok(MarkSnapshot { generation: Some(generation), mark, is_taken: false })
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

/// Deletes entries until `records` fit below `max_pages`, which SQLite then holds to: of the cheap ones the oldest that
/// are beyond their share, and of the others, which never get into that share, those that are neither pinned nor used.
///
/// Deleted entries leave free pages, which the next ones take: a file within the bound needs no shrinking. One that was
/// larger before, of another version, is shrunk here, in the same transaction.
fn make_room(change: &Transaction<'_>, records: &[Arc<Record>], max_pages: u32) -> rusqlite::Result<()> {
    let unused = make_room_for_cheap(change, records, max_pages / CHEAP_SHARE)?;
    // Pages for the remainder of each, its row and its place in the index.
    let pages = |record: &Arc<Record>| u32::try_from(record.bytes.len() / PAGE_CONTENT).unwrap_or(u32::MAX / 2) + 3;
    let wanted = records.iter().filter(|record| !is_cheap(record)).map(pages).fold(unused, u32::saturating_add);
    let pragma = |name| change.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    loop {
        let needed = (pragma("page_count")? - pragma("freelist_count")?).saturating_add(wanted);
        let lacking = needed.saturating_sub(max_pages);
        if lacking == 0 || !make_room_for_dear(change, lacking)? {
            break;
        }
    }
    let excess = pragma("page_count")?.saturating_sub(max_pages);
    if excess > 0 {
        change.pragma(None, "incremental_vacuum", excess, |_| Ok(()))?;
    }
    // SQLite takes the size of the file for the bound if that is larger, so it comes after the shrinking.
    change.pragma(None, "max_page_count", max_pages, |_| Ok(()))
}

/// Deletes the oldest cheap entries until those of `records` fit beside the rest of them into `pages`. Gives how many
/// of these pages no cheap entry uses yet.
///
/// Positions count the bytes of all cheap entries that were ever written. So the distance from the first position to
/// the last is the number of bytes the table holds, without a look at its rows.
fn make_room_for_cheap(change: &Transaction<'_>, records: &[Arc<Record>], pages: u32) -> rusqlite::Result<u32> {
    const BYTES: &str = "SELECT coalesce((SELECT max(position) FROM cheap) - (SELECT min(position) FROM cheap), 0)";
    let room = i64::from(pages) * i64::from(PAGE_BYTES);
    let wanted: i64 = records.iter().filter(|record| is_cheap(record)).map(cheap_bytes).sum();
    change
        .prepare_cached("DELETE FROM cheap WHERE position <= (SELECT max(position) FROM cheap) - ?1")?
        .execute([room - wanted])?;
    let used: i64 = change.prepare_cached(BYTES)?.query_row([], |row| row.get(0))?;
    Ok(u32::try_from((room - used).max(0) / i64::from(PAGE_BYTES)).unwrap_or(pages))
}

fn is_cheap(record: &Arc<Record>) -> bool {
    record.retention == Retention::Cheap
}

/// The most bytes that a cheap entry takes in the file.
fn cheap_bytes(record: &Arc<Record>) -> i64 {
    (CHEAP_OVERHEAD + 2 * record.name.len() + record.bytes.len()).try_into().unwrap_or(i64::MAX)
}

/// Makes room of about `pages` pages among the entries that are not pinned: those that were not used since they were
/// last looked at are deleted, one at least. False when there are none.
///
/// It is the second-chance algorithm (CLOCK): entries stand in the order of their row numbers. The first is deleted,
/// unless its bit is set; then it loses the bit and is moved behind all others.
fn make_room_for_dear(change: &Transaction<'_>, pages: u32) -> rusqlite::Result<bool> {
    let mut next = change.prepare_cached(
        "SELECT rowid, length(name) + length(value), EXISTS (SELECT * FROM used WHERE used.entry = entry.rowid)
         FROM entry WHERE rowid > ?1 AND NOT pinned ORDER BY rowid LIMIT 1",
    )?;
    let mut unset = change.prepare_cached("DELETE FROM used WHERE entry = ?1")?;
    let mut move_back =
        change.prepare_cached("UPDATE entry SET rowid = (SELECT max(rowid) + 1 FROM entry) WHERE rowid = ?1")?;
    let mut delete = change.prepare_cached("DELETE FROM entry WHERE rowid = ?1")?;
    let (mut missing, mut last, mut has_deleted) = (i64::from(pages) * i64::from(PAGE_BYTES), 0, false);
    while missing > 0
        && let Some((row, bytes, is_used)) = next
            .query_row([last], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?)))
            .optional()?
    {
        last = row;
        if is_used {
            unset.execute([row])?;
            move_back.execute([row])?;
        } else {
            delete.execute([row])?;
            missing -= bytes;
            has_deleted = true;
        }
    }
    Ok(has_deleted)
}

fn insert(change: &Transaction<'_>, records: &[Arc<Record>]) -> rusqlite::Result<()> {
    let mut insert = change.prepare_cached(
        "INSERT INTO entry (name, value, pinned) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    let mut insert_cheap = change.prepare_cached(
        "INSERT INTO cheap (position, name, value)
         VALUES (coalesce((SELECT max(position) FROM cheap), 0) + ?3, ?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?;
    for record in records {
        let (name, value) = (&record.name, &*record.bytes);
        match record.retention {
            Retention::Cheap => insert_cheap.execute(params![name, value, cheap_bytes(record)])?,
            retention => insert.execute(params![name, value, retention == Retention::Pinned])?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests;
