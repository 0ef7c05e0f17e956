//! The connections of this process to the file: opened one by one when there is work, and closed all together.
//!
//! SQLite keeps one index of the log for each process and file, which all of its connections share. So a new connection
//! beside an old one goes on with the old index, and with the log that it belongs to. When the file, its log or its
//! index is no longer what the path names, or the file could not be written, every connection is closed before one is
//! opened anew.
//!
//! The identity of all three is compared before each operation and after it. Work that was done on what the path no
//! longer names counts for nothing, and is done again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, config::DbConfig};

use super::{
    fault::{FileError, Remedy},
    file::{Place, Purpose, Scrutiny, checkpoint, unless_missing},
    identity::{Closeness, INDEX, Identity, LOG, Trace, beside},
    inspection,
};
use crate::telemetry::{self, Trouble};

/// The time after a failure to open the file in which its cause is repeated without another attempt.
const PACE: Duration = Duration::from_millis(200);

/// The most attempts at work, when the file changes under it or is examined after it.
const TRIES: usize = 4;

/// The two connections, by their use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Reader,
    Writer,
}

type Slot = Option<Opened>;

/// The connections to one file.
pub(super) struct Connections {
    path: PathBuf,
    purpose: Purpose,
    reader: Mutex<Slot>,
    writer: Mutex<Slot>,
    refusal: Mutex<Option<Refusal>>,
    /// Set while all are locked.
    has_finished: AtomicBool,
}

/// One connection, and the identity of the file that it was opened on.
struct Opened {
    connection: Connection,
    identity: Identity,
}

/// The last attempt to open the file, which failed.
struct Refusal {
    cause: String,
    trouble: Trouble,
    since: Instant,
    /// The file, when its content is the cause: until it changes, another attempt would fail too.
    condemned: Option<Trace>,
}

/// Every connection, locked: always in the same order.
struct All<'a> {
    reader: MutexGuard<'a, Slot>,
    writer: MutexGuard<'a, Slot>,
}

impl<'a> All<'a> {
    fn slot(&mut self, role: Role) -> &mut Slot {
        match role {
            Role::Reader => &mut self.reader,
            Role::Writer => &mut self.writer,
        }
    }

    fn into_slot(self, role: Role) -> MutexGuard<'a, Slot> {
        match role {
            Role::Reader => self.reader,
            Role::Writer => self.writer,
        }
    }

    /// One that is open; any of them can checkpoint.
    fn opened(&mut self) -> Option<&mut Opened> {
        self.writer.as_mut().or(self.reader.as_mut())
    }

    /// Closes every connection, and leaves the log as it is: it may belong to others by now.
    fn let_go(&mut self) {
        for opened in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            // Without it, only the log is checkpointed once more.
            let _ = opened.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

impl Connections {
    /// No connection is open yet.
    pub(super) fn new(path: PathBuf, purpose: Purpose) -> Self {
        Self {
            path,
            purpose,
            reader: Mutex::default(),
            writer: Mutex::default(),
            refusal: Mutex::default(),
            has_finished: AtomicBool::new(false),
        }
    }

    /// Opens the connection of a role, if it is not open.
    pub(super) fn open(&self, role: Role, scrutiny: Scrutiny) -> Result<(), FileError> {
        self.current(role, scrutiny).map(drop)
    }

    /// Does `work`, and does it again when the file was replaced meanwhile. When it fails because of the file, the file
    /// is examined, and `work` is done once more.
    pub(super) fn run<T>(
        &self,
        role: Role,
        work: impl Fn(&mut Connection) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let mut scrutiny = Scrutiny::Claim;
        for _ in 0..TRIES {
            let mut slot = self.current(role, scrutiny)?;
            let Some(opened) = &mut *slot else { continue };
            let outcome = work(&mut opened.connection);
            if !opened.is_current(&self.path) {
                continue;
            }
            drop(slot);
            let Err(error) = outcome else { return outcome };
            match error.remedy() {
                Remedy::Patience => return Err(error),
                Remedy::Reopen => {
                    self.close();
                    return Err(error);
                }
                Remedy::Examine => self.close(),
            }
            if scrutiny == Scrutiny::Whole {
                self.refuse(&error);
                return Err(error);
            }
            scrutiny = Scrutiny::Whole;
        }
        Err(FileError::Changed(self.path.clone()))
    }

    /// Closes every connection; the next work opens new ones.
    pub(super) fn close(&self) {
        self.all().let_go();
    }

    /// Closes connections to what the path no longer names, when no work does so.
    pub(super) fn tend(&self, role: Role) {
        // As a rule it is current, and the other connection is not waited for.
        let is_stale = lock(self.slot(role)).as_ref().is_some_and(|opened| !opened.is_current(&self.path));
        if is_stale && let Ok(place) = Place::of(&self.path) {
            let mut all = self.all();
            // If the log can't be saved now, the next look tries again.
            let _ = place.guard().and_then(|_guard| self.let_go_of_stale(&mut all, &place));
        }
    }

    /// Does some last work, and leaves one file with all that was written, as far as other processes let it: the log is
    /// folded into it, and the last to close deletes the log and its index. None is opened afterwards.
    pub(super) fn finish(&self, last_work: impl FnOnce(&mut Connection) -> Result<(), FileError>) {
        let mut all = self.all();
        self.has_finished.store(true, Ordering::Relaxed);
        let Ok(place) = Place::of(&self.path) else { return all.let_go() };
        let _guard = place.guard();
        // It is tried as far as it goes: the process ends in any case, and the log outlives it.
        let _ = self.let_go_of_stale(&mut all, &place);
        if let Some(opened) = all.opened().filter(|_| self.purpose != Purpose::Inspect) {
            let _ = last_work(&mut opened.connection);
            let _ = checkpoint(&opened.connection);
        }
        *all.reader = None;
        *all.writer = None;
    }

    /// The connection of a role, opened on what the path names now.
    fn current(&self, role: Role, scrutiny: Scrutiny) -> Result<MutexGuard<'_, Slot>, FileError> {
        let slot = lock(self.slot(role));
        if slot.as_ref().is_some_and(|opened| opened.is_current(&self.path)) {
            return Ok(slot);
        }
        // All are locked in their order, so none may be held before.
        drop(slot);
        let mut all = self.all();
        if !all.slot(role).as_ref().is_some_and(|opened| opened.is_current(&self.path)) {
            self.admit()?;
            let opened = self.renew(&mut all, scrutiny).inspect_err(|error| self.refuse(error))?;
            *all.slot(role) = Some(opened);
        }
        Ok(all.into_slot(role))
    }

    /// Opens a connection; before that, if those that are open are on something else, closes them.
    fn renew(&self, all: &mut All<'_>, scrutiny: Scrutiny) -> Result<Opened, FileError> {
        if self.purpose == Purpose::Inspect {
            if all.opened().is_some() {
                return Err(FileError::Changed(self.path.clone()));
            }
            let (connection, identity) = inspection::open(&self.path)?;
            return Ok(Opened { connection, identity });
        }
        let place = Place::made(&self.path, self.purpose)?;
        let _guard = place.guard()?;
        self.let_go_of_stale(all, &place)?;
        let connection = place.open(scrutiny, self.purpose)?;
        let identity = Identity::of(&self.path, Closeness::Inode)?;
        let identity = identity.ok_or_else(|| FileError::at(&self.path)(io::ErrorKind::NotFound.into()))?;
        Ok(Opened { connection, identity })
    }

    /// Closes all connections if they are on what the path no longer names. The place is guarded.
    ///
    /// The committed part of a log that was deleted or replaced is known to its connections alone: it is checkpointed
    /// into the file, unless another process did so before and has begun a new log and index. Then nobody else may go on
    /// with the old index.
    fn let_go_of_stale(&self, all: &mut All<'_>, place: &Place) -> Result<(), FileError> {
        let Some(opened) = all.opened() else { return Ok(()) };
        let now = Identity::of(&self.path, Closeness::Inode)?;
        if self.purpose == Purpose::Inspect || now.as_ref() == Some(&opened.identity) {
            return Ok(());
        }
        let was = opened.identity.clone();
        let companions = [(LOG, &was.log), (INDEX, &was.index)];
        if now.is_some_and(|now| now.file == was.file) {
            let trace = |suffix| Trace::of(&beside(place.file(), suffix), Closeness::Inode);
            let (log, index) = (trace(LOG)?, trace(INDEX)?);
            if index.is_some() && index != was.index {
                all.let_go();
                return Ok(());
            }
            match checkpoint(&opened.connection) {
                Err(error) if error.is_of_others() => return Err(error),
                // A log that has its name still is read anew by the next connection.
                Err(_) if log == was.log => {
                    all.let_go();
                    return remove(&beside(place.file(), INDEX));
                }
                outcome => telemetry::log_replaced(&self.path, outcome.err().as_ref()),
            }
            all.let_go();
            return companions.iter().try_for_each(|(suffix, _)| remove(&beside(place.file(), suffix)));
        }
        all.let_go();
        // Beside another file they would be taken for its own.
        companions.iter().try_for_each(|(suffix, trace)| {
            let path = beside(place.file(), suffix);
            let is_ours = trace.is_some() && Trace::of(&path, Closeness::Inode)? == **trace;
            if is_ours { remove(&path) } else { Ok(()) }
        })
    }

    /// Fails after the end, and while another attempt to open the file is not due.
    fn admit(&self) -> Result<(), FileError> {
        if self.has_finished.load(Ordering::Relaxed) {
            return Err(FileError::Finished);
        }
        match &*lock(&self.refusal) {
            Some(Refusal { cause, trouble, since, condemned })
                if since.elapsed() < PACE || (condemned.is_some() && *condemned == self.content()) =>
            {
                Err(FileError::Closed { cause: cause.clone(), trouble: *trouble })
            }
            _ => Ok(()),
        }
    }

    fn refuse(&self, error: &FileError) {
        let condemned = self.content().filter(|_| error.is_lasting());
        let (cause, trouble) = (error.to_string(), error.trouble());
        *lock(&self.refusal) = Some(Refusal { cause, trouble, since: Instant::now(), condemned });
    }

    /// The file as its content is now, if there is one.
    fn content(&self) -> Option<Trace> {
        Trace::of(&self.path, Closeness::Content).ok().flatten()
    }

    fn slot(&self, role: Role) -> &Mutex<Slot> {
        match role {
            Role::Reader => &self.reader,
            Role::Writer => &self.writer,
        }
    }

    fn all(&self) -> All<'_> {
        All { reader: lock(&self.reader), writer: lock(&self.writer) }
    }
}

impl Opened {
    fn is_current(&self, path: &Path) -> bool {
        Identity::of(path, self.identity.closeness).is_ok_and(|now| now.as_ref() == Some(&self.identity))
    }
}

fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    // After a panic every connection is closed.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove(path: &Path) -> Result<(), FileError> {
    unless_missing(fs::remove_file(path)).map_err(FileError::at(path))
}
