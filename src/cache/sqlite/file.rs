//! Examines, makes, moves aside and replaces the file, while other processes do the same.
//!
//! A process that opens, examines or replaces the file locks its folder (advisory), so that none moves away a file that
//! another has just made. The folder is locked, not a file beside: that could itself be deleted along with the cache.
//!
//! Nothing here opens the file but SQLite: when any other handle of this process is closed, POSIX drops the locks that
//! SQLite holds on the file.

use std::{
    fs::{self, TryLockError},
    io,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::{
    fault::FileError,
    identity::{Closeness, INDEX, LOG, Trace, beside},
};
use crate::telemetry;

/// The size of the pages of a new file.
pub(super) const PAGE_BYTES: u32 = 4096;

/// The timeout for the lock of another process. The cache's own timeouts are about as long, and it retries.
pub(super) const BUSY: Duration = Duration::from_secs(1);

/// The timeout for another process that opens or replaces the file, after which this one leaves it to a later
/// operation, and the interval at which it looks.
const GUARD_WAIT: Duration = Duration::from_millis(500);
const GUARD_LOOK: Duration = Duration::from_millis(2);

/// The size that the log of SQLite is cut to whenever it starts over.
const LOG_BYTES: u32 = 16 * 1024 * 1024;

/// Marks a file as a cache of ours: "phip" in ASCII.
const APPLICATION: i64 = 0x7068_6970;

/// All that a cache holds, as SQLite repeats it: the text distinguishes a cache from a file that only looks like one.
const TABLES: [&str; 4] = [
    "CREATE TABLE entry (name TEXT NOT NULL UNIQUE, value BLOB NOT NULL, pinned INTEGER NOT NULL)",
    "CREATE TABLE mark (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE cheap (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, value BLOB NOT NULL)",
    "CREATE TABLE used (entry INTEGER PRIMARY KEY)",
];

/// Every cache has the first two of its tables; an older one may lack any of the others.
const ALWAYS_THERE: usize = 2;

/// All that SQLite may put beside a file.
const COMPANIONS: [&str; 3] = [LOG, INDEX, "-journal"];

/// The byte of the index that everyone who uses it holds a lock on.
const INDEX_IN_USE: u64 = 128;

/// The purpose that the file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To use it. It is made when it is not there. When its path is the default one, so is its folder, and garbage is
    /// moved aside.
    Serve { is_default: bool },
    /// To remove entries from it. It is never made or replaced.
    Repair,
    /// To read it. Nothing is changed.
    Inspect,
}

/// The depth of the examination of a file before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scrutiny {
    /// Its claim to be a cache, so that a start is quick.
    Claim,
    /// All of it, after work on it failed.
    Whole,
}

/// The place of a file, which may not exist yet.
pub(super) struct Place {
    /// Without links, as SQLite has it: the file is moved and locked where it is.
    file: PathBuf,
    /// The path as the operator gave it.
    given: PathBuf,
}

impl Place {
    /// The place that a path names.
    pub(super) fn of(path: &Path) -> Result<Self, FileError> {
        let absolute = std::path::absolute(path).map_err(FileError::at(path))?;
        Ok(Self { file: fs::canonicalize(&absolute).unwrap_or(absolute), given: path.into() })
    }

    /// [`Self::of`], with a folder for a file that may be made there. A folder that an operator named is not made: the path
    /// may be mistyped.
    pub(super) fn made(path: &Path, purpose: Purpose) -> Result<Self, FileError> {
        let place = Self::of(path)?;
        match purpose {
            Purpose::Serve { is_default: true } => {
                fs::create_dir_all(place.folder()).map_err(FileError::at(place.folder()))?;
            }
            Purpose::Serve { is_default: false } => place.has_folder()?,
            Purpose::Repair | Purpose::Inspect if Trace::of(path, Closeness::Inode)?.is_none() => {
                return Err(FileError::Absent(path.into()));
            }
            Purpose::Repair | Purpose::Inspect => {}
        }
        Ok(place)
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    fn has_folder(&self) -> Result<(), FileError> {
        let folder = self.folder();
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() => Ok(()),
            Err(error) if ![io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
                Err(FileError::at(folder)(error))
            }
            _ => Err(FileError::NoFolder(folder.into())),
        }
    }

    fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(&self.file)
    }

    /// Whether the file has no content, or is not there.
    pub(super) fn is_empty(&self) -> bool {
        !fs::metadata(&self.file).is_ok_and(|file| file.len() > 0)
    }

    /// The sole right to open, examine and replace what is in the folder; it ends with the handle, or with the process.
    pub(super) fn guard(&self) -> Result<fs::File, FileError> {
        let handle = fs::File::open(self.folder()).map_err(FileError::at(self.folder()))?;
        let until = Instant::now() + GUARD_WAIT;
        loop {
            match handle.try_lock() {
                Ok(()) => return Ok(handle),
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(GUARD_LOOK),
                Err(TryLockError::WouldBlock) => return Err(FileError::Occupied),
                Err(TryLockError::Error(error)) => return Err(FileError::at(self.folder())(error)),
            }
        }
    }

    /// Opens the file for writing. To serve, it is made when it is not there; garbage at the default path is moved aside
    /// and replaced. The place is guarded.
    pub(super) fn open(&self, scrutiny: Scrutiny, purpose: Purpose) -> Result<Connection, FileError> {
        let identity = || Trace::of(&self.file, Closeness::Inode);
        match purpose {
            Purpose::Serve { .. } => self.clear_remains()?,
            Purpose::Repair | Purpose::Inspect if self.is_empty() => return Err(FileError::Empty(self.given.clone())),
            Purpose::Repair | Purpose::Inspect => {}
        }
        self.check_log()?;
        self.check_size()?;
        self.share_permissions();
        let before = identity()?;
        match self.connect(scrutiny, purpose).map_err(|error| error.about(&self.given)) {
            Err(error)
                if error.is_garbage()
                    && purpose == (Purpose::Serve { is_default: true })
                    && before.is_some()
                    && identity()? == before =>
            {
                self.move_aside(&error)?;
                self.connect(Scrutiny::Claim, purpose)
            }
            other => other,
        }
    }

    /// Deletes the remains of a file that was deleted or emptied while it was in use. A log without its file holds
    /// nothing, and a new file of that name must not share its index with those who still use the old one.
    fn clear_remains(&self) -> Result<(), FileError> {
        if !self.is_empty() || !COMPANIONS.iter().any(|companion| beside(&self.file, companion).exists()) {
            return Ok(());
        }
        COMPANIONS.iter().chain([&""]).try_for_each(|companion| {
            let remains = beside(&self.file, companion);
            unless_missing(fs::remove_file(&remains)).map_err(FileError::at(&remains))
        })
    }

    /// Fails when the log alone was deleted while other processes use it. A process that opened the file then would
    /// share their index, which belongs to a log without a name; they save its content as soon as they notice.
    fn check_log(&self) -> Result<(), FileError> {
        let (log, index) = (beside(&self.file, LOG), beside(&self.file, INDEX));
        if log.exists() || !index.exists() {
            return Ok(());
        }
        let handle = fs::File::open(&index).map_err(FileError::at(&index))?;
        let mut lock = Flock::from(FlockType::WriteLock);
        (lock.start, lock.length) = (INDEX_IN_USE, 1);
        match fcntl_getlk(&handle, &lock) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(FileError::LogGone(self.given.clone())),
            Err(error) => Err(FileError::at(&index)(error.into())),
        }
    }

    /// Fails on a file of one byte, which is no database, though SQLite takes it for an empty one.
    fn check_size(&self) -> Result<(), FileError> {
        match fs::metadata(&self.file) {
            Ok(file) if file.len() == 1 => Err(FileError::NotADatabase(self.given.clone())),
            _ => Ok(()),
        }
    }

    /// Gives the files beside it the permissions of the file, as SQLite does when it makes them: a log that was made
    /// beside a file that could not be written can't be written either, and stays when the file can be.
    fn share_permissions(&self) {
        let Ok(file) = fs::metadata(&self.file) else { return };
        for companion in COMPANIONS.map(|suffix| beside(&self.file, suffix)) {
            if fs::metadata(&companion).is_ok_and(|found| found.permissions() != file.permissions()) {
                // Only its owner may; others get the error of SQLite.
                let _ = fs::set_permissions(&companion, file.permissions());
            }
        }
    }

    /// Renames the file and what belongs to it, to a name that nothing has. The file goes first: once it is gone, no
    /// other SQLite takes it for whole without its log, nor deletes a log by its name.
    fn move_aside(&self, cause: &FileError) -> Result<(), FileError> {
        let path = &self.file;
        let taken =
            |aside: &Path| aside.exists() || COMPANIONS.iter().any(|companion| beside(aside, companion).exists());
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

    /// Opens the file if it is a cache or empty; nothing is changed before that is known.
    fn connect(&self, scrutiny: Scrutiny, purpose: Purpose) -> Result<Connection, FileError> {
        let is_made = matches!(purpose, Purpose::Serve { .. });
        // The path is absolute, so that it is not taken for a URI.
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, is_made);
        let mut connection = Connection::open_with_flags(&self.file, flags)?;
        connection.busy_timeout(BUSY)?;
        match content(&connection, &self.given)? {
            Content::Cache { lacking } if lacking.is_empty() => {}
            Content::Cache { lacking } => add(&mut connection, &lacking)?,
            Content::Nothing if !is_made => return Err(FileError::Empty(self.given.clone())),
            // A process that has it open still sees its old content; together they would corrupt it.
            Content::Nothing if scrutiny == Scrutiny::Whole => return Err(FileError::Emptied(self.given.clone())),
            Content::Nothing => {
                create(&mut connection)?;
                telemetry::file_made(&self.given);
            }
        }
        // One that reads waits for none that writes.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Survives the death of the process; after a loss of power the last entries may be missing, never wrong.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        if scrutiny == Scrutiny::Whole {
            examine(&connection, &self.given)?;
        }
        Ok(connection)
    }
}

pub(super) fn unless_missing(outcome: io::Result<()>) -> io::Result<()> {
    outcome.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// The content of a file that this program may use.
pub(super) enum Content {
    Nothing,
    /// A cache, and the tables that it lacks because it is an older one.
    Cache {
        lacking: Vec<&'static str>,
    },
}

/// Finds out what the file holds; an error names any other content. Older caches do not name their program either.
pub(super) fn content(connection: &Connection, path: &Path) -> Result<Content, FileError> {
    let foreign = |why| FileError::Foreign { path: path.into(), why };
    let application = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0))?;
    if ![0, APPLICATION].contains(&application) {
        return Err(foreign("its application_id is not that of phipi"));
    }
    let found: Vec<Option<String>> = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let has = |table: &&str| found.iter().flatten().any(|sql| sql == table);
    let (there, lacking): (Vec<_>, Vec<_>) = TABLES.into_iter().partition(has);
    match found.len() {
        0 => Ok(Content::Nothing),
        count if count == there.len() && TABLES[..ALWAYS_THERE].iter().all(has) => Ok(Content::Cache { lacking }),
        _ => Err(foreign("its tables are not those of a cache")),
    }
}

/// Adds to an older cache the tables that it lacks.
fn add(connection: &mut Connection, tables: &[&str]) -> Result<(), FileError> {
    let change = begin(connection)?;
    for table in tables {
        change.execute(table, [])?;
    }
    Ok(change.commit()?)
}

/// Makes a cache of a blank file.
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
pub(super) fn examine(connection: &Connection, path: &Path) -> Result<(), FileError> {
    let finding = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))?;
    if finding == "ok" {
        return Ok(());
    }
    Err(FileError::Damaged { path: path.into(), cause: finding.replace(char::is_control, " ") })
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
    checkpoint(connection)
}

/// Brings all that was written from the log into the file, and empties the log. It waits for those who read; when one
/// does not end, it fails.
pub(super) fn checkpoint(connection: &Connection) -> Result<(), FileError> {
    let held = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))?;
    if held { Err(FileError::LogHeld) } else { Ok(()) }
}
