//! The file itself: opened late and again, judged, moved aside and replaced, while other processes do the same.
//!
//! Whoever opens, judges or replaces the file holds an advisory lock on its folder, so that no process moves away what
//! another has just made. The folder is locked, not a file beside: that could itself be deleted along with the cache.
//!
//! Nothing here opens the file but SQLite: when any other handle of this process is closed, POSIX drops the locks that
//! SQLite holds on the file.

use std::{
    ffi::OsString,
    fs::{self, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};
use thiserror::Error;

use crate::telemetry;

/// The size of the pages of a new file.
pub(super) const PAGE_BYTES: u32 = 4096;

/// How long the lock of another process is waited for. The cache's own limits are about as long, and it tries again.
const BUSY: Duration = Duration::from_secs(1);

/// How long another process may take to open or replace the file before this one leaves it to a later operation, and
/// how often it looks.
const GUARD_WAIT: Duration = Duration::from_millis(500);
const GUARD_LOOK: Duration = Duration::from_millis(2);

/// After a failure to open the file, how long its cause is told again without another attempt.
const PACE: Duration = Duration::from_millis(200);

/// What the log of SQLite is cut to whenever it starts over.
const LOG_BYTES: u32 = 16 * 1024 * 1024;

/// Marks a file as a cache of ours: "phip" in ASCII.
const APPLICATION: i64 = 0x7068_6970;

/// All that a cache holds, as SQLite repeats it: the text tells a cache from what only looks like it. Older caches lack
/// the first.
const TABLES: [&str; 3] = [
    "CREATE TABLE cheap (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, value BLOB NOT NULL)",
    "CREATE TABLE entry (name TEXT NOT NULL UNIQUE, value BLOB NOT NULL, pinned INTEGER NOT NULL)",
    "CREATE TABLE mark (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
];

/// What SQLite puts beside a file, after its name.
const LOG: &str = "-wal";
const COMPANIONS: [&str; 3] = [LOG, "-shm", "-journal"];

/// Why the file did not serve.
#[derive(Debug, Error)]
pub(in crate::cache) enum FileError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}: {cause}", path.display())]
    Path { path: PathBuf, cause: io::Error },
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    #[error("it is not a sound cache: {0}")]
    Unfit(String),
    #[error("another process has been opening it for {GUARD_WAIT:?}")]
    Occupied,
    #[error("another program has been reading it for too long: its log can't be emptied")]
    LogHeld,
    /// The last attempt to open it failed with this, and the next one is not due.
    #[error("{0}")]
    Closed(String),
}

impl FileError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Path { path: path.into(), cause }
    }

    /// Whether somebody else has the file, and will leave it.
    pub(in crate::cache) fn is_of_others(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy),
            Self::Occupied | Self::LogHeld => true,
            Self::Path { .. } | Self::NotAFile(_) | Self::Unfit(_) | Self::Closed(_) => false,
        }
    }

    /// Whether the file itself is what is wrong, and would be the next time too.
    fn condemns(&self) -> bool {
        match self {
            Self::Unfit(_) => true,
            Self::Sqlite(error) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
            }
            _ => false,
        }
    }

    fn remedy(&self) -> Remedy {
        let Self::Sqlite(error) = self else { return Remedy::Patience };
        if error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHORT_READ) {
            return Remedy::Examine;
        }
        match error.sqlite_error_code() {
            // A table or a column that is missing is unknown to SQLite.
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => Remedy::Examine,
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull | ErrorCode::OutOfMemory,
            ) => Remedy::Patience,
            Some(_) => Remedy::Reopen,
            None if matches!(error, rusqlite::Error::SqlInputError { .. }) => Remedy::Examine,
            None => Remedy::Patience,
        }
    }
}

/// What helps after a failure of work on an open file.
enum Remedy {
    /// To do it again later: the connection is as good as before.
    Patience,
    /// A new connection.
    Reopen,
    /// A look at the whole file.
    Examine,
}

/// How closely a file is looked at before it is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scrutiny {
    /// At what it claims to be, so that a start is quick.
    Claim,
    /// At all of it, after work on it failed.
    Whole,
}

/// One connection to the file, for as long as it is the file.
pub(super) struct Handle {
    path: PathBuf,
    opened: Option<Opened>,
    refusal: Option<Refusal>,
}

struct Opened {
    connection: Connection,
    identity: Identity,
}

struct Refusal {
    cause: String,
    since: Instant,
}

impl Handle {
    /// A handle to a file that is opened by the first work on it.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, opened: None, refusal: None }
    }

    /// Does `work`. When it fails because of the file, the file is examined, replaced if it is bad, and `work` is done
    /// once more.
    pub(super) fn run<T>(&mut self, work: impl Fn(&mut Connection) -> Result<T, FileError>) -> Result<T, FileError> {
        let outcome = work(self.connection()?);
        match outcome.as_ref().err().map(FileError::remedy) {
            None | Some(Remedy::Patience) => return outcome,
            Some(Remedy::Reopen) => {
                self.close();
                return outcome;
            }
            Some(Remedy::Examine) => self.close(),
        }
        self.opened = Some(self.open(Scrutiny::Whole)?);
        work(self.connection()?).inspect_err(|error| self.refuse(error))
    }

    /// Forgets the connection; the next work makes a new one.
    pub(super) fn close(&mut self) {
        self.opened = None;
    }

    /// The connection, if the path still names its file: another process may have replaced it, or somebody deleted it.
    fn connection(&mut self) -> Result<&mut Connection, FileError> {
        let opened = match self.opened.take() {
            Some(opened) if Identity::of(&self.path)? == Some(opened.identity) => opened,
            gone => {
                drop(gone);
                self.open(Scrutiny::Claim)?
            }
        };
        Ok(&mut self.opened.insert(opened).connection)
    }

    fn open(&mut self, scrutiny: Scrutiny) -> Result<Opened, FileError> {
        match &self.refusal {
            Some(refusal) if refusal.since.elapsed() < PACE => Err(FileError::Closed(refusal.cause.clone())),
            _ => open(&self.path, scrutiny).inspect_err(|error| self.refuse(error)),
        }
    }

    fn refuse(&mut self, error: &FileError) {
        self.close();
        self.refusal = Some(Refusal { cause: error.to_string(), since: Instant::now() });
    }
}

/// Which file it is, whatever its name. As long as it is open, no other gets the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// What the path names now; `None` when there is nothing.
    fn of(path: &Path) -> Result<Option<Self>, FileError> {
        match fs::metadata(path) {
            Ok(file) if file.is_file() => Ok(Some(Self { device: file.dev(), inode: file.ino() })),
            Ok(_) => Err(FileError::NotAFile(path.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::at(path)(error)),
        }
    }
}

/// Opens the file, making it and its folder when they are not there. What is no cache is moved aside and replaced.
fn open(path: &Path, scrutiny: Scrutiny) -> Result<Opened, FileError> {
    let path = std::path::absolute(path).map_err(FileError::at(path))?;
    // What is moved and locked is where the file is, not where links to it are.
    let path = &fs::canonicalize(&path).unwrap_or(path);
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(FileError::at(folder))?;
    let _guard = guard(folder)?;
    clear_remains(path)?;
    let before = Identity::of(path)?;
    let connection = match connect(path, scrutiny) {
        Err(error) if error.condemns() && before.is_some() && Identity::of(path)? == before => {
            move_aside(path, &error)?;
            connect(path, Scrutiny::Claim)
        }
        other => other,
    }?;
    let identity = Identity::of(path)?.ok_or_else(|| FileError::at(path)(io::ErrorKind::NotFound.into()))?;
    Ok(Opened { connection, identity })
}

/// The sole right to open, judge and replace what is in the folder; it ends with the handle, or with the process.
fn guard(folder: &Path) -> Result<fs::File, FileError> {
    let handle = fs::File::open(folder).map_err(FileError::at(folder))?;
    let until = Instant::now() + GUARD_WAIT;
    loop {
        match handle.try_lock() {
            Ok(()) => return Ok(handle),
            Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(GUARD_LOOK),
            Err(TryLockError::WouldBlock) => return Err(FileError::Occupied),
            Err(TryLockError::Error(error)) => return Err(FileError::at(folder)(error)),
        }
    }
}

/// Deletes what is left of a file that was deleted or emptied while it was in use. A log without its file holds
/// nothing, and a new file of that name must not share its index with those who still use the old one.
fn clear_remains(path: &Path) -> Result<(), FileError> {
    let has_content = fs::metadata(path).is_ok_and(|file| file.len() > 0);
    if has_content || !COMPANIONS.iter().any(|companion| beside(path, companion).exists()) {
        return Ok(());
    }
    COMPANIONS.iter().chain([&""]).try_for_each(|companion| {
        let remains = beside(path, companion);
        unless_missing(fs::remove_file(&remains)).map_err(FileError::at(&remains))
    })
}

/// Renames the file and what belongs to it, to a name that nothing has. The file goes first: once it is gone, no other
/// SQLite takes it for whole without its log, nor deletes a log by its name.
fn move_aside(path: &Path, cause: &FileError) -> Result<(), FileError> {
    let taken = |aside: &Path| aside.exists() || COMPANIONS.iter().any(|companion| beside(aside, companion).exists());
    let mut names = (1_u32..).map(|number| beside(path, &format!(".aside-{number}")));
    let Some(aside) = names.find(|aside| !taken(aside)) else { return Ok(()) };
    fs::rename(path, &aside).map_err(FileError::at(path))?;
    for companion in COMPANIONS {
        let found = beside(path, companion);
        unless_missing(fs::rename(&found, beside(&aside, companion))).map_err(FileError::at(&found))?;
    }
    telemetry::file_moved_aside(path, &aside, cause);
    Ok(())
}

fn unless_missing(outcome: io::Result<()>) -> io::Result<()> {
    outcome.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// The path with something after its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Opens what is there if it is a cache or nothing yet; nothing is changed before that is known.
fn connect(path: &Path, scrutiny: Scrutiny) -> Result<Connection, FileError> {
    // Not as a URI, which a path might look like.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    match content(&connection)? {
        Content::Cache => {}
        Content::OlderCache => add_cheap(&mut connection)?,
        // Whoever has it open still sees what it was; together they would make a mess of it.
        Content::Nothing if scrutiny == Scrutiny::Whole => {
            return Err(FileError::Unfit("it was emptied while in use".into()));
        }
        Content::Nothing => create(&mut connection)?,
    }
    // One that reads waits for none that writes.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Survives the death of the process; after a loss of power the last entries may be missing, never wrong.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    if scrutiny == Scrutiny::Whole {
        examine(&connection)?;
    }
    Ok(connection)
}

/// What is in a file that this program may use.
enum Content {
    Nothing,
    Cache,
    OlderCache,
}

/// Tells what is in the file; an error says what else. Older caches bear no mark either.
fn content(connection: &Connection) -> Result<Content, FileError> {
    let application = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0))?;
    let (tables, ours, cheap) = connection.query_row(
        "SELECT count(*), count(*) FILTER (WHERE sql IN (?1, ?2, ?3)), count(*) FILTER (WHERE sql = ?1)
         FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*'",
        TABLES,
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
    )?;
    match (application, tables, ours, cheap) {
        (0, 0, ..) => Ok(Content::Nothing),
        (0 | APPLICATION, 3, 3, _) => Ok(Content::Cache),
        (0 | APPLICATION, 2, 2, 0) => Ok(Content::OlderCache),
        (0 | APPLICATION, ..) => Err(FileError::Unfit("its tables are not those of a cache".into())),
        _ => Err(FileError::Unfit("it belongs to another program".into())),
    }
}

/// Adds to an older cache the table that it lacks.
fn add_cheap(connection: &mut Connection) -> Result<(), FileError> {
    let change = begin(connection)?;
    change.execute(TABLES[0], [])?;
    Ok(change.commit()?)
}

/// Makes a cache of what is blank.
fn create(connection: &mut Connection) -> Result<(), FileError> {
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    // Can only be chosen before the first table; without it a file never shrinks.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let change = begin(connection)?;
    for table in TABLES {
        change.execute(table, [])?;
    }
    change.pragma_update(None, "application_id", APPLICATION)?;
    Ok(change.commit()?)
}

/// Reads all of the file. The quick check of SQLite would not see an index that names what is not there.
fn examine(connection: &Connection) -> Result<(), FileError> {
    let finding = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))?;
    if finding == "ok" { Ok(()) } else { Err(FileError::Unfit(finding)) }
}

/// Takes the lock for writing from the start: a reader that becomes a writer is refused without any waiting.
pub(super) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Empties the log when it has outgrown `limit` bytes. SQLite does so by itself at every thousand pages, but never
/// while somebody reads; this waits for the readers, and fails when one does not end.
pub(super) fn bound_log(connection: &Connection, limit: u64) -> Result<(), FileError> {
    let path = connection.path().unwrap_or_default();
    if fs::metadata(beside(Path::new(path), LOG)).map_or(0, |log| log.len()) <= limit {
        return Ok(());
    }
    let held = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))?;
    if held { Err(FileError::LogHeld) } else { Ok(()) }
}
