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
use super::record::{MarkSnapshot, Reading, Record, Retention, new_generation};

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
    mark: Arc<str>,
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
    pub(super) fn open(path: &Path, is_default: bool, mark: String) -> Result<Self, FileError> {
        let connections = Connections::new(path.into(), Purpose::Serve { is_default });
        match connections.open(Role::Reader, Scrutiny::Claim) {
            Err(error) if error.forbids_start() => Err(error),
            _ => Self::start(connections, mark),
        }
    }

    /// Opens a file that is there, and examines all of it: to remove entries, or only to read, which changes nothing.
    ///
    /// # Errors
    /// When there is none, or it is no sound cache.
    pub(super) fn survey(path: &Path, is_repaired: bool, mark: String) -> Result<Self, FileError> {
        let purpose = if is_repaired { Purpose::Repair } else { Purpose::Inspect };
        let connections = Connections::new(path.into(), purpose);
        connections.open(Role::Reader, Scrutiny::Whole)?;
        Self::start(connections, mark)
    }

    fn start(connections: Connections, mark: String) -> Result<Self, FileError> {
        let connections = Arc::new(connections);
        let thread = |name, role| Blocking::start(name, Arc::clone(&connections), role).map_err(FileError::Thread);
        Ok(Self {
            reader: thread("sqlite-reader", Role::Reader)?,
            writer: thread("sqlite-writer", Role::Writer)?,
            mark: mark.into(),
            uses: Uses::default(),
            max_pages: MAX_PAGES,
            max_log_bytes: MAX_LOG_BYTES,
        })
    }

    pub(super) async fn read(&self, names: Vec<String>) -> Result<Reading, FileError> {
        let mark = Arc::clone(&self.mark);
        self.reader
            .run(move |connection| {
                // One transaction, so that the mark and what it vouches for are of one moment.
                let snapshot = connection.transaction()?;
                let mark = mark_in(&snapshot, &mark)?;
                // An older cache has cheap entries among the others; one that was written anew counts.
                let mut value = snapshot.prepare_cached(
                    "SELECT value FROM cheap WHERE name = ?1 UNION ALL SELECT value FROM entry WHERE name = ?1",
                )?;
                let values =
                    names.iter().map(|name| value.query_row([name], |row| row.get_ref(0).map(bytes_of)).optional());
                Ok(Reading { mark, values: values.collect::<Result<_, _>>()? })
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

    pub(super) async fn write(&self, records: Vec<Record>) -> Result<(), FileError> {
        self.insert_after(records, |_| Ok(())).await
    }

    /// Writes records that a mark is to vouch for. Sees to it that there is a generation, and gives it.
    pub(super) async fn write_below_mark(&self, records: Vec<Record>) -> Result<Option<u64>, FileError> {
        let mark = Arc::clone(&self.mark);
        self.insert_after(records, move |change| begin_generation(change, &mark)).await
    }

    /// Runs `first` and writes records, in one transaction.
    async fn insert_after<T: Send + 'static>(
        &self,
        records: Vec<Record>,
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

    pub(super) async fn raise(&self, mark: u32, generation: u64) -> Result<bool, FileError> {
        const RAISE: &str = "
            INSERT INTO mark (name, n) SELECT ?1, ?2 WHERE (SELECT n FROM mark WHERE name = ?3) = ?4
            ON CONFLICT DO UPDATE SET n = max(n, excluded.n)";
        let name = Arc::clone(&self.mark);
        self.writer
            .run(move |connection| {
                let change = begin(connection)?;
                let (row, generation_row) = (mark_row(&name, generation), generation_row(&name));
                let raised = change.execute(RAISE, params![row, mark, generation_row, generation.cast_signed()])?;
                change.commit()?;
                Ok(raised > 0)
            })
            .await
    }

    pub(super) async fn touch(&self) -> Result<(), FileError> {
        self.writer
            .run(move |connection| {
                let change = begin(connection)?;
                change.execute("UPDATE mark SET n = n", [])?;
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

    /// The same for work on all of the connections.
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
    Ok(MarkSnapshot { generation: Some(generation), mark })
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
fn make_room(change: &Transaction<'_>, records: &[Record], max_pages: u32) -> rusqlite::Result<()> {
    let unused = make_room_for_cheap(change, records, max_pages / CHEAP_SHARE)?;
    // Pages for the remainder of each, its row and its place in the index.
    let pages = |record: &Record| u32::try_from(record.bytes.len() / PAGE_CONTENT).unwrap_or(u32::MAX / 2) + 3;
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
/// the last tells how many bytes the table holds, without a look at its rows.
fn make_room_for_cheap(change: &Transaction<'_>, records: &[Record], pages: u32) -> rusqlite::Result<u32> {
    const BYTES: &str = "SELECT coalesce((SELECT max(position) FROM cheap) - (SELECT min(position) FROM cheap), 0)";
    let room = i64::from(pages) * i64::from(PAGE_BYTES);
    let wanted: i64 = records.iter().filter(|record| is_cheap(record)).map(cheap_bytes).sum();
    change
        .prepare_cached("DELETE FROM cheap WHERE position <= (SELECT max(position) FROM cheap) - ?1")?
        .execute([room - wanted])?;
    let used: i64 = change.prepare_cached(BYTES)?.query_row([], |row| row.get(0))?;
    Ok(u32::try_from((room - used).max(0) / i64::from(PAGE_BYTES)).unwrap_or(pages))
}

fn is_cheap(record: &Record) -> bool {
    record.retention == Retention::Cheap
}

/// The most bytes that a cheap entry takes in the file.
fn cheap_bytes(record: &Record) -> i64 {
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

fn insert(change: &Transaction<'_>, records: &[Record]) -> rusqlite::Result<()> {
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
mod tests {
    use std::{
        fs,
        path::PathBuf,
        thread,
        time::{Duration, Instant},
    };

    use tempfile::TempDir;

    use super::{
        Retention::{Cheap, Dear, Pinned},
        *,
    };

    /// A folder of its own, and where the file will be.
    fn place() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.sqlite");
        (folder, path)
    }

    /// The file at the default path.
    fn opened(path: &Path) -> Sqlite {
        Sqlite::open(path, true, "top".into()).unwrap()
    }

    fn opened_by_name(path: &Path) -> Result<Sqlite, FileError> {
        Sqlite::open(path, false, "top".into())
    }

    fn record(name: &str, length: usize, retention: Retention) -> Record {
        Record { name: name.into(), bytes: vec![7; length].into(), retention }
    }

    async fn put(file: &Sqlite, name: &str) {
        file.write(vec![record(name, 1_000, Dear)]).await.unwrap();
    }

    /// Which of these are there.
    async fn has<const N: usize>(file: &Sqlite, names: [&str; N]) -> [bool; N] {
        let values = file.read(names.map(String::from).to_vec()).await.unwrap().values;
        values.iter().map(Option::is_some).collect::<Vec<_>>().try_into().unwrap()
    }

    fn aside(path: &Path, number: u32) -> PathBuf {
        path.with_extension(format!("sqlite.aside-{number}"))
    }

    /// Brings all that was written from the log into the file.
    fn fold(path: &Path) {
        let held = Connection::open(path)
            .unwrap()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
            .unwrap();
        assert!(!held);
    }

    fn halve(path: &Path) {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    }

    /// Ends a store, and waits until its threads have let go of the file: only then can it leave WAL mode.
    fn ended(file: Sqlite, path: &Path) {
        drop(file);
        let until = Instant::now() + Duration::from_secs(10);
        let another = Connection::open(path).unwrap();
        while another.pragma_update(None, "journal_mode", "DELETE").is_err() {
            assert!(Instant::now() < until, "the file is still open");
            thread::yield_now();
        }
    }

    /// Waits until the file is read: after a failure that is tried again only now and then.
    async fn answers(file: &Sqlite) {
        let until = Instant::now() + Duration::from_secs(10);
        while file.read(vec![]).await.is_err() {
            assert!(Instant::now() < until, "the file is never opened");
            thread::yield_now();
        }
    }

    async fn works_on_a_new_file(file: &Sqlite) {
        put(file, "new").await;
        assert_eq!(has(file, ["new"]).await, [true]);
    }

    #[tokio::test]
    async fn the_oldest_make_room_and_the_pinned_stay() {
        let (folder, _) = place();
        let path = folder.path().join("new/cache.sqlite");
        let mut file = opened(&path);
        file.max_pages = 100;
        file.write(vec![record("pinned", 40_000, Pinned)]).await.unwrap();
        for number in 0..20 {
            file.write(vec![record(&number.to_string(), 40_000, Dear)]).await.unwrap();
        }
        assert_eq!(has(&file, ["pinned", "0", "19"]).await, [true, false, true]);
        let size = fs::metadata(path).unwrap().len();
        assert!(size <= 100 * u64::from(PAGE_BYTES), "{size} bytes");
    }

    #[tokio::test]
    async fn what_is_used_stays_however_many_newer_ones_come() {
        const PAGES: u32 = 100;
        let (_folder, path) = place();
        let mut file = opened(&path);
        file.max_pages = PAGES;
        file.write(vec![record("pinned", 40_000, Pinned)]).await.unwrap();
        for name in ["used", "once", "never"] {
            file.write(vec![record(name, 20_000, Dear)]).await.unwrap();
        }
        file.note_used(["once".into()]);
        // 20 of them are more than all pages, so that 80 are four turns of the ring and more.
        for number in 0..80 {
            file.note_used(["used".into(), "pinned".into(), "nowhere".into()]);
            file.write(vec![record(&number.to_string(), 20_000, Dear)]).await.unwrap();
            let size = fs::metadata(&path).unwrap().len();
            assert!(size <= u64::from(PAGES * PAGE_BYTES), "{size} bytes");
            if number == 20 {
                assert_eq!(has(&file, ["used", "once", "never", "0"]).await, [true, true, false, false]);
            }
        }
        assert_eq!(has(&file, ["pinned", "used", "once", "79"]).await, [true, true, false, true]);
        for number in 80..120 {
            file.write(vec![record(&number.to_string(), 20_000, Dear)]).await.unwrap();
        }
        assert_eq!(has(&file, ["pinned", "used", "119"]).await, [true, false, true], "what is used no more goes");
        let bits = Connection::open(&path).unwrap().query_row("SELECT count(*) FROM used", [], |row| row.get(0));
        assert_eq!(bits, Ok(0));
    }

    #[tokio::test]
    async fn a_use_that_no_write_followed_is_stored_at_the_end() {
        let (_folder, path) = place();
        let mut file = opened(&path);
        for name in ["unused", "used"] {
            file.write(vec![record(name, 20_000, Dear)]).await.unwrap();
        }
        file.note_used(["used".into()]);
        file.close().await.unwrap();
        let pages = fs::metadata(&path).unwrap().len() / u64::from(PAGE_BYTES);
        file = opened(&path);
        // One of them has to go.
        file.max_pages = u32::try_from(pages).unwrap() + 5;
        file.write(vec![record("new", 20_000, Dear)]).await.unwrap();
        assert_eq!(has(&file, ["unused", "used", "new"]).await, [false, true, true]);
    }

    #[test]
    fn no_number_of_uses_takes_more_than_its_room() {
        let uses = Uses::default();
        uses.note((0..2 * MAX_USES).map(|number| number.to_string()));
        assert_eq!(uses.0.lock().unwrap().len(), MAX_USES);
    }

    #[tokio::test]
    async fn no_number_of_cheap_entries_evicts_another() {
        let (_folder, path) = place();
        let mut file = opened(&path);
        file.max_pages = 160;
        file.write(vec![record("pinned", 40_000, Pinned)]).await.unwrap();
        let values: Vec<String> = (0..40).map(|number| format!("value {number}")).collect();
        for value in &values {
            file.write(vec![record(value, 20_000, Dear)]).await.unwrap();
        }
        let before = file.read(values.clone()).await.unwrap().values;
        let kept = before.iter().filter(|value| value.is_some()).count();
        assert!((15..40).contains(&kept), "the file is full: of 40 it has {kept}");
        for flood in 0..100 {
            let name = |number: u32| format!("cheap {}", 100 * flood + number);
            file.write((0..100).map(|number| record(&name(number), 18, Cheap)).collect()).await.unwrap();
        }
        assert_eq!(file.read(values).await.unwrap().values, before);
        assert_eq!(has(&file, ["pinned", "cheap 0", "cheap 9700", "cheap 9999"]).await, [true, false, true, true]);
        let size = fs::metadata(path).unwrap().len();
        assert!(size <= 160 * u64::from(PAGE_BYTES), "{size} bytes");
    }

    #[tokio::test]
    async fn values_take_nothing_from_the_share_of_cheap_entries() {
        let (_folder, path) = place();
        let mut file = opened(&path);
        file.max_pages = 160;
        file.write((0..300).map(|number| record(&format!("cheap {number}"), 18, Cheap)).collect()).await.unwrap();
        for number in 0..40 {
            file.write(vec![record(&number.to_string(), 20_000, Dear)]).await.unwrap();
        }
        assert_eq!(has(&file, ["cheap 0", "cheap 299", "0", "39"]).await, [true, true, false, true]);
    }

    #[tokio::test]
    async fn entries_of_both_kinds_are_named_in_order_and_removed() {
        let (_folder, path) = place();
        let file = opened(&path);
        let records = [("a", Cheap), ("b", Dear), ("c", Cheap), ("d", Pinned), ("other", Cheap)];
        file.write(records.map(|(name, retention)| record(&format!("p:{name}"), 10, retention)).to_vec())
            .await
            .unwrap();
        let names = async |last: &str| file.names("p:".into(), last.into()).await.unwrap();
        assert_eq!(names("").await, ["p:a", "p:b", "p:c", "p:d", "p:other"]);
        file.remove(["p:b", "p:c"].map(String::from).to_vec()).await.unwrap();
        assert_eq!(names("p:a").await, ["p:d", "p:other"]);
        assert_eq!(file.names("q:".into(), String::new()).await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_file_above_the_bound_shrinks() {
        let (_folder, path) = place();
        let mut file = opened(&path);
        for number in 0..20 {
            file.write(vec![record(&number.to_string(), 40_000, Dear)]).await.unwrap();
        }
        file.max_pages = 50;
        put(&file, "small").await;
        assert_eq!(has(&file, ["0", "19", "small"]).await, [false, true, true]);
        fold(&path);
        let size = fs::metadata(path).unwrap().len();
        assert!(size <= 50 * u64::from(PAGE_BYTES), "{size} bytes");
    }

    #[tokio::test]
    async fn a_write_beyond_the_bound_fails_and_changes_nothing() {
        let (_folder, path) = place();
        let mut file = opened(&path);
        file.max_pages = 50;
        put(&file, "before").await;
        let full = file.write(vec![record("large", 50 * 4_096, Dear)]).await.unwrap_err();
        assert!(full.to_string().contains("full"), "{full}");
        assert_eq!(has(&file, ["before", "large"]).await, [true, false]);
        works_on_a_new_file(&file).await;
    }

    #[tokio::test]
    async fn a_file_that_was_closed_is_not_opened_by_work_that_comes_late() {
        let (folder, path) = place();
        let file = opened(&path);
        put(&file, "before").await;
        file.close().await.unwrap();
        assert!(file.read(vec![]).await.is_err() && file.touch().await.is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is beside it again");
        assert_eq!(has(&opened(&path), ["before"]).await, [true]);
    }

    #[tokio::test]
    async fn the_mark_never_falls() {
        let (_folder, path) = place();
        let file = opened(&path);
        assert_eq!(file.read(vec![]).await.unwrap().mark, MarkSnapshot::default());
        let generation = file.write_below_mark(vec![]).await.unwrap().unwrap();
        for (raised, found) in [(7, 7), (5, 7), (9, 9)] {
            assert!(file.raise(raised, generation).await.unwrap());
            let mark = MarkSnapshot { generation: Some(generation), mark: Some(found) };
            assert_eq!(file.read(vec![]).await.unwrap().mark, mark);
        }
        assert_eq!(file.write_below_mark(vec![]).await.unwrap(), Some(generation), "the first one stays");
    }

    #[tokio::test]
    async fn a_mark_of_another_generation_is_not_raised() {
        let (_folder, path) = place();
        let file = opened(&path);
        let lost = file.write_below_mark(vec![]).await.unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!file.raise(7, lost).await.unwrap(), "the new file has none");
        let generation = file.write_below_mark(vec![]).await.unwrap();
        assert!(!file.raise(7, lost).await.unwrap(), "it has another one");
        assert_eq!(file.read(vec![]).await.unwrap().mark, MarkSnapshot { generation, mark: None });
    }

    #[tokio::test]
    async fn a_generation_that_is_no_number_is_replaced() {
        let (_folder, path) = place();
        let file = opened(&path);
        file.write_below_mark(vec![]).await.unwrap();
        Connection::open(&path).unwrap().execute("UPDATE mark SET n = 'x'", []).unwrap();
        assert_eq!(file.read(vec![]).await.unwrap().mark, MarkSnapshot::default());
        assert!(file.write_below_mark(vec![]).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn garbage_is_moved_aside_and_nothing_is_overwritten() {
        let (_folder, path) = place();
        for number in 1..=2 {
            let garbage = format!("garbage {number}").repeat(1_000);
            fs::write(&path, &garbage).unwrap();
            let file = opened(&path);
            assert_eq!(has(&file, ["new"]).await, [false]);
            works_on_a_new_file(&file).await;
            assert_eq!(fs::read_to_string(aside(&path, number)).unwrap(), garbage);
            ended(file, &path);
        }
        assert!(aside(&path, 1).exists());
    }

    #[tokio::test]
    async fn garbage_written_over_an_open_file_is_moved_aside() {
        let (_folder, path) = place();
        let file = opened(&path);
        put(&file, "before").await;
        fold(&path);
        fs::write(&path, "garbage".repeat(10_000)).unwrap();
        works_on_a_new_file(&opened(&path)).await;
        assert_eq!(has(&file, ["before", "new"]).await, [false, true]);
        assert!(aside(&path, 1).exists());
    }

    #[tokio::test]
    async fn a_truncated_file_is_moved_aside() {
        let (_folder, path) = place();
        let file = opened(&path);
        file.write((0..200).map(|number| record(&number.to_string(), 1_000, Dear)).collect()).await.unwrap();
        fold(&path);
        ended(file, &path);
        halve(&path);
        let file = opened(&path);
        assert_eq!(has(&file, ["0", "199"]).await, [false, false]);
        works_on_a_new_file(&file).await;
        assert!(aside(&path, 1).exists());
    }

    #[tokio::test]
    async fn a_file_that_is_truncated_while_open_is_moved_aside() {
        let (_folder, path) = place();
        let file = opened(&path);
        let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        file.write(names.iter().map(|name| record(name, 1_000, Dear)).collect()).await.unwrap();
        fold(&path);
        halve(&path);
        assert!(file.read(names).await.unwrap().values.iter().all(Option::is_none));
        works_on_a_new_file(&file).await;
        assert!(aside(&path, 1).exists());
        assert_eq!(has(&opened(&path), ["new"]).await, [true]);
    }

    #[tokio::test]
    async fn a_file_that_is_emptied_while_open_is_made_anew() {
        let (_folder, path) = place();
        let file = opened(&path);
        put(&file, "before").await;
        fold(&path);
        fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        let another = opened(&path);
        works_on_a_new_file(&another).await;
        assert_eq!(has(&file, ["before", "new"]).await, [false, true]);
    }

    #[tokio::test]
    async fn what_belongs_to_another_program_is_refused_whoever_named_it() {
        let [cheap, entry, mark] = [
            "CREATE TABLE cheap (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, value BLOB NOT NULL)",
            "CREATE TABLE entry (name TEXT NOT NULL UNIQUE, value BLOB NOT NULL, pinned INTEGER NOT NULL)",
            "CREATE TABLE mark (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
        ];
        let rows = [
            ("other tables", "CREATE TABLE theirs (n)".into()),
            ("tables beside ours", format!("{entry}; {mark}; CREATE TABLE theirs (n)")),
            ("our tables with other columns", "CREATE TABLE entry (name, value); CREATE TABLE mark (n)".into()),
            ("only one of our tables", entry.into()),
            ("two of our tables that no cache had alone", format!("{cheap}; {mark}")),
            ("another's mark", format!("{entry}; {mark}; PRAGMA application_id = 7")),
            ("nothing but another's mark", "PRAGMA application_id = 7".into()),
        ];
        for (what, tables) in rows {
            let (folder, path) = place();
            Connection::open(&path).unwrap().execute_batch(&tables).unwrap();
            let content = fs::read(&path).unwrap();
            for is_default in [true, false] {
                let refusal = Sqlite::open(&path, is_default, "top".into()).err().expect(what).to_string();
                assert!(refusal.contains("belongs to another program") && refusal.contains("--cache"), "{refusal}");
                assert!(refusal.starts_with(path.to_str().unwrap()), "{refusal}");
            }
            assert_eq!(fs::read(&path).unwrap(), content, "{what}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{what}");
        }
    }

    #[tokio::test]
    async fn garbage_that_was_named_is_refused_and_left() {
        let (folder, path) = place();
        fs::write(&path, "garbage".repeat(1_000)).unwrap();
        let refusal = opened_by_name(&path).err().unwrap().to_string();
        assert!(refusal.contains("is not an SQLite database") && refusal.contains("--cache"), "{refusal}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "garbage".repeat(1_000));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_named_file_that_becomes_garbage_is_left_until_somebody_removes_or_replaces_it() {
        let (folder, path) = place();
        let file = opened_by_name(&path).unwrap();
        let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        file.write(names.iter().map(|name| record(name, 1_000, Dear)).collect()).await.unwrap();
        fold(&path);
        let sound = fs::read(&path).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        for mend in [
            (|path, _| fs::remove_file(path)) as fn(&Path, &Path) -> io::Result<()>,
            |path, elsewhere| fs::rename(elsewhere, path),
            |path, elsewhere| fs::copy(elsewhere, path).map(drop),
        ] {
            fs::write(&elsewhere, &sound).unwrap();
            fs::rename(&elsewhere, &path).unwrap();
            fs::write(&elsewhere, &sound).unwrap();
            answers(&file).await;
            fold(&path);
            halve(&path);
            let damage = fs::read(&path).unwrap();
            for _ in 0..2 {
                let refusal = file.read(names.clone()).await.unwrap_err().to_string();
                assert!(refusal.contains("is damaged") && refusal.contains("move it away"), "{refusal}");
            }
            assert_eq!(fs::read(&path).unwrap(), damage);
            mend(&path, &elsewhere).unwrap();
            answers(&file).await;
            works_on_a_new_file(&file).await;
            assert!(!aside(&path, 1).exists());
        }
    }

    #[tokio::test]
    async fn an_older_cache_without_our_mark_is_kept() {
        let (_folder, path) = place();
        let file = opened(&path);
        put(&file, "before").await;
        Connection::open(&path).unwrap().pragma_update(None, "application_id", 0).unwrap();
        ended(file, &path);
        assert_eq!(has(&opened(&path), ["before"]).await, [true]);
        assert!(!aside(&path, 1).exists());
    }

    #[tokio::test]
    async fn an_older_cache_that_lacks_tables_is_kept() {
        for lacking in ["DROP TABLE used", "DROP TABLE cheap; DROP TABLE used"] {
            older_cache_is_kept(lacking).await;
        }
    }

    async fn older_cache_is_kept(lacking: &str) {
        let (_folder, path) = place();
        let file = opened(&path);
        file.write(vec![record("value", 10, Dear), record("cheap", 10, Dear)]).await.unwrap();
        ended(file, &path);
        Connection::open(&path).unwrap().execute_batch(lacking).unwrap();
        let survey = Sqlite::survey(&path, false, "top".into()).unwrap();
        assert_eq!(has(&survey, ["value", "cheap"]).await, [true, true]);
        survey.close().await.unwrap();
        let file = opened(&path);
        assert_eq!(has(&file, ["value", "cheap"]).await, [true, true]);
        file.write(vec![record("cheap", 20, Cheap)]).await.unwrap();
        let values = file.read(vec!["cheap".into()]).await.unwrap().values;
        assert_eq!(values, [Some(vec![7; 20])], "what was not what it should be is written anew");
        assert_eq!(file.names(String::new(), String::new()).await.unwrap(), ["cheap", "value"]);
        assert!(!aside(&path, 1).exists());
    }

    #[tokio::test]
    async fn an_empty_file_is_used() {
        let (_folder, path) = place();
        fs::write(&path, "").unwrap();
        works_on_a_new_file(&opened(&path)).await;
        assert!(!aside(&path, 1).exists());
    }

    #[tokio::test]
    async fn a_folder_in_the_way_is_told_and_no_longer_once_it_is_gone() {
        let (_folder, path) = place();
        let file = opened(&path);
        put(&file, "before").await;
        for extension in ["sqlite", "sqlite-wal", "sqlite-shm"] {
            fs::remove_file(path.with_extension(extension)).unwrap();
        }
        fs::create_dir(&path).unwrap();
        for _ in 0..2 {
            let refusal = file.read(vec![]).await.unwrap_err().to_string();
            assert!(refusal.starts_with(&format!("{} is not a file", path.display())), "{refusal}");
        }
        fs::remove_dir(&path).unwrap();
        answers(&file).await;
        works_on_a_new_file(&file).await;
    }

    #[tokio::test]
    async fn a_file_that_is_deleted_while_open_is_made_anew() {
        for leavings in [&["sqlite"][..], &["sqlite", "sqlite-wal", "sqlite-shm"]] {
            let (_folder, path) = place();
            let file = opened(&path);
            put(&file, "before").await;
            assert_eq!(has(&file, ["before"]).await, [true]);
            for extension in leavings {
                fs::remove_file(path.with_extension(extension)).unwrap();
            }
            assert_eq!(has(&file, ["before"]).await, [false]);
            works_on_a_new_file(&file).await;
            assert_eq!(has(&opened(&path), ["before", "new"]).await, [false, true]);
        }
    }

    #[tokio::test]
    async fn what_another_process_has_replaced_is_left_for_the_new_one() {
        let (folder, path) = place();
        let file = opened(&path);
        put(&file, "before").await;
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        let another = opened(&path);
        put(&another, "theirs").await;
        put(&file, "ours").await;
        assert_eq!(has(&file, ["before", "theirs", "ours"]).await, [false, true, true]);
        assert_eq!(has(&another, ["before", "theirs", "ours"]).await, [false, true, true]);
    }

    #[test]
    fn of_two_that_start_on_garbage_neither_loses_what_the_other_wrote() {
        for _ in 0..20 {
            let (_folder, path) = place();
            fs::write(&path, "garbage".repeat(1_000)).unwrap();
            thread::scope(|scope| {
                for name in ["one", "other"] {
                    let path = &path;
                    scope.spawn(move || {
                        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                        runtime.block_on(async { put(&opened(path), name).await });
                    });
                }
            });
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            assert_eq!(runtime.block_on(has(&opened(&path), ["one", "other"])), [true, true]);
            assert!(aside(&path, 1).exists() && !aside(&path, 2).exists());
        }
    }

    #[tokio::test]
    async fn the_lock_of_another_program_holds_no_write_for_long_and_no_read() {
        let (_folder, path) = place();
        let file = opened(&path);
        put(&file, "before").await;
        let lock = Connection::open(&path).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        let start = Instant::now();
        let locked = file.write(vec![record("late", 10, Dear)]).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert!(locked.to_string().contains("locked"), "{locked}");
        assert_eq!(has(&opened(&path), ["before", "late"]).await, [true, false]);
        drop(lock);
        works_on_a_new_file(&file).await;
    }

    #[tokio::test]
    async fn a_reader_that_does_not_end_stops_the_writes_before_the_log_is_too_large() {
        let (_folder, path) = place();
        let mut file = opened(&path);
        file.max_log_bytes = 200_000;
        put(&file, "before").await;
        let snapshot = Connection::open(&path).unwrap();
        snapshot.execute_batch("BEGIN; SELECT * FROM mark").unwrap();
        let mut writes = 0..20;
        let held = loop {
            let name = writes.next().expect("a write is refused").to_string();
            if let Err(error) = file.write(vec![record(&name, 40_000, Dear)]).await {
                break error.to_string();
            }
        };
        assert!(held.contains("log"), "{held}");
        let size = || fs::metadata(path.with_extension("sqlite-wal")).unwrap().len();
        assert!(size() < 300_000, "{} bytes", size());
        drop(snapshot);
        works_on_a_new_file(&file).await;
        assert!(size() < 100_000, "{} bytes", size());
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_work_alone() {
        let (_folder, path) = place();
        let file = opened(&path);
        let outcome = file.writer.run::<()>(|_| panic!("on purpose")).await;
        assert!(matches!(outcome, Err(FileError::Aborted)));
        works_on_a_new_file(&file).await;
    }
}
