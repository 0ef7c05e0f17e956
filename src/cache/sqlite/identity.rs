//! The identity of the file, its log and its index, as the path names them.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::fault::FileError;

/// The log and its index, which SQLite puts beside a file, by their suffixes.
pub(super) const LOG: &str = "-wal";
pub(super) const INDEX: &str = "-shm";

/// The depth of a comparison of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closeness {
    /// Whether it is the same file. Others may write it.
    Inode,
    /// Whether it has the same content too, as far as its size and the time of its last change show.
    Content,
}

/// The file, its log and its index, as the path names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) closeness: Closeness,
    pub(super) file: Trace,
    pub(super) log: Option<Trace>,
    pub(super) index: Option<Trace>,
}

impl Identity {
    /// `None` when there is no file.
    pub(super) fn of(path: &Path, closeness: Closeness) -> Result<Option<Self>, FileError> {
        let Some(file) = Trace::of(path, closeness)? else { return Ok(None) };
        // SQLite follows links before it names what is beside a file.
        let real = fs::canonicalize(path).map_err(FileError::at(path))?;
        let companion = |suffix| Trace::of(&beside(&real, suffix), closeness);
        Ok(Some(Self { closeness, file, log: companion(LOG)?, index: companion(INDEX)? }))
    }
}

/// One file, whatever its name. As long as it is open, no other gets the same device and inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    device: u64,
    inode: u64,
    content: Option<(u64, Option<SystemTime>)>,
}

impl Trace {
    /// The file that the path names now; `None` when there is none.
    pub(super) fn of(path: &Path, closeness: Closeness) -> Result<Option<Self>, FileError> {
        match fs::metadata(path) {
            Ok(file) if file.is_file() => {
                let content = (closeness == Closeness::Content).then(|| (file.len(), file.modified().ok()));
                Ok(Some(Self { device: file.dev(), inode: file.ino(), content }))
            }
            Ok(_) => Err(FileError::NotAFile(path.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::at(path)(error)),
        }
    }
}

/// The path with something after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
