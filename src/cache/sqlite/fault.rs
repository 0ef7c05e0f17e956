//! Failures of the file, and their remedies.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::{ErrorCode, ffi};
use rustix::io::Errno;
use thiserror::Error;

use crate::telemetry::{Trouble, plain};

/// The reason why the file did not serve.
#[derive(Debug, Error)]
pub(in crate::cache) enum FileError {
    #[error("{}{}", meaning(.0), .0)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{}: {}{}", path.display(), plain(cause), advice(cause))]
    Path { path: PathBuf, cause: io::Error },
    #[error("no thread can be started for it: {}", plain(.0))]
    Thread(io::Error),
    #[error("{} is not a file: give the path of one with --cache sqlite:PATH", .0.display())]
    NotAFile(PathBuf),
    #[error("there is no folder {}: make it, or give the path of a file elsewhere with --cache sqlite:PATH", .0.display())]
    NoFolder(PathBuf),
    #[error("there is no file {}: give the path of a cache with --cache sqlite:PATH", .0.display())]
    Absent(PathBuf),
    #[error("{} is empty and holds no cache: give the path of another file with --cache sqlite:PATH", .0.display())]
    Empty(PathBuf),
    #[error(
        "{} is not an SQLite database: give the path of another file with --cache sqlite:PATH, or move this one away",
        .0.display()
    )]
    NotADatabase(PathBuf),
    #[error(
        "{} is damaged ({cause}): move it away or delete it, and what it held is evaluated and stored anew",
        path.display()
    )]
    Damaged { path: PathBuf, cause: String },
    #[error(
        "{} belongs to another program ({why}): give the path of another file with --cache sqlite:PATH, or move this one \
         away",
        path.display()
    )]
    Foreign { path: PathBuf, why: &'static str },
    #[error("{} was emptied while in use", .0.display())]
    Emptied(PathBuf),
    #[error("{} changed while it was inspected: try again", .0.display())]
    Changed(PathBuf),
    #[error(
        "the log of {} was deleted while another process uses it, which has to bring the file in order first",
        .0.display()
    )]
    LogGone(PathBuf),
    #[error("another process has been opening it for too long")]
    Occupied,
    #[error("another program has been reading it for too long: its log can't be emptied")]
    LogHeld,
    #[error("it was closed, since the process ends")]
    Finished,
    #[error("the work on the file panicked; the panic is in the log")]
    Aborted,
    /// The last attempt to open it failed with this, and the next one is not due.
    #[error("{cause}")]
    Closed { cause: String, trouble: Trouble },
}

/// The meaning of an error of SQLite, in front of its own words.
fn meaning(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            "give this user the right to write the file and its folder: "
        }
        Some(ErrorCode::CannotOpen) => "give this user the right to read and write the file and its folder: ",
        _ if is_full(error) => {
            "make room on its disk or raise the limit of the size of files (ulimit -f), whichever is reached, or name a new \
             file if this one has 256 MiB: "
        }
        _ => "",
    }
}

/// Whether the file may not grow: its disk is full, or it reaches the limit of the size of files.
fn is_full(error: &rusqlite::Error) -> bool {
    // At that limit SQLite has no code of its own for what the system says.
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_WRITE)
}

/// The way to mend what the system says of a path.
fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => "; give this user the right to read and write the file and its folder",
        _ if is_of_name(cause) => "; give another path with --cache sqlite:PATH",
        _ => "",
    }
}

/// Whether no file can have this path: a part of it is too long, or links lead in a circle.
fn is_of_name(cause: &io::Error) -> bool {
    let errnos = [Errno::NAMETOOLONG, Errno::LOOP].map(|errno| Some(errno.raw_os_error()));
    errnos.contains(&cause.raw_os_error())
}

impl FileError {
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Path { path: path.into(), cause }
    }

    /// Names the file in an error that condemns its content.
    pub(super) fn about(self, path: &Path) -> Self {
        let Self::Sqlite(error) = &self else { return self };
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase(path.into()),
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path: path.into(), cause: error.to_string() },
            _ => self,
        }
    }

    /// The kind of trouble that it is.
    pub(in crate::cache) fn trouble(&self) -> Trouble {
        match self {
            Self::Closed { trouble, .. } => *trouble,
            Self::Sqlite(error) if is_full(error) => Trouble::RefusesWrites,
            Self::Sqlite(error) if !meaning(error).is_empty() => Trouble::Denied,
            Self::Path { cause, .. }
                if is_of_name(cause)
                    || matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                Trouble::Denied
            }
            error if error.is_of_others() => Trouble::Busy,
            error if error.forbids_start() => Trouble::Unfit,
            _ => Trouble::Broken,
        }
    }

    /// Whether somebody else has the file, and will leave it.
    pub(super) fn is_of_others(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy),
            Self::Occupied | Self::LogHeld | Self::LogGone(_) => true,
            _ => false,
        }
    }

    /// Whether the content of the file is garbage, as no other program would have left it.
    pub(super) fn is_garbage(&self) -> bool {
        matches!(self, Self::NotADatabase(_) | Self::Damaged { .. })
    }

    /// Whether the file is no cache, and will not be one until somebody changes it.
    pub(super) fn is_lasting(&self) -> bool {
        self.is_garbage() || matches!(self, Self::Foreign { .. })
    }

    /// Whether a file that an operator named can't be right, as a start finds it.
    pub(super) fn forbids_start(&self) -> bool {
        self.is_lasting() || matches!(self, Self::NotAFile(_) | Self::NoFolder(_))
    }

    pub(super) fn remedy(&self) -> Remedy {
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

/// The cure for a failure of work on an open file.
#[derive(Clone, Copy)]
pub(super) enum Remedy {
    /// To do it again later: the connection is as good as before.
    Patience,
    /// New connections. A file that could not be written stays so for a process that has any connection to it.
    Reopen,
    /// A look at the whole file.
    Examine,
}
