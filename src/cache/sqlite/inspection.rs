//! The file opened to be read, with nothing changed in its folder: neither the file, nor its log, nor the index of it.
//!
//! SQLite itself writes the index of the log whenever it reads a file that has a log, and it makes both for a file that
//! has none. There are three ways around it, one for each state in which a file is found.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    fault::FileError,
    file::{BUSY, Content, Place, content, examine},
    identity::{Closeness, Identity},
};

/// Opens a cache for reading, and examines all of it. The identity shows whether it was changed since.
///
/// # Errors
/// When there is no file, it is damaged, or it belongs to another program.
pub(super) fn open(path: &Path) -> Result<(Connection, Identity), FileError> {
    let absent = || FileError::Absent(path.into());
    let identity = Identity::of(path, Closeness::Content)?.ok_or_else(absent)?;
    let place = Place::of(path)?;
    if place.is_empty() && identity.log.is_none() {
        return Err(FileError::Empty(path.into()));
    }
    let (way, closeness) = match (identity.log, identity.index) {
        // Nobody has it open, so that it can be taken for a file that never changes.
        (None, _) => ("immutable=1", Closeness::Content),
        // Other processes may have it open, whose locks and index are used; without any, the index is made in memory.
        (Some(_), Some(_)) => ("readonly_shm=1", Closeness::Inode),
        // Nobody can have it open in good order. Without locks the index is in memory.
        (Some(_), None) => ("vfs=unix-none", Closeness::Content),
    };
    // Before it is read: a change from now on is noticed.
    let identity = Identity::of(path, closeness)?.ok_or_else(absent)?;
    let read = || {
        let connection = connect(place.file(), way)?;
        match content(&connection, path)? {
            Content::Nothing => return Err(FileError::Empty(path.into())),
            // Those of an older cache are empty, as empty tables of this connection alone show them.
            Content::Cache { lacking } => lacking.iter().try_for_each(|table| {
                connection.execute_batch(&table.replacen("CREATE TABLE", "CREATE TEMP TABLE", 1))
            })?,
        }
        examine(&connection, path)?;
        Ok(connection)
    };
    match read() {
        Ok(connection) => Ok((connection, identity)),
        Err(_) if Identity::of(path, closeness)?.as_ref() != Some(&identity) => Err(FileError::Changed(path.into())),
        Err(error) => Err(error.about(path)),
    }
}

fn connect(file: &Path, way: &str) -> Result<Connection, FileError> {
    let uri = format!("file:{}?mode=ro&{way}", encoded(file));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if way.starts_with("vfs") {
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    Ok(connection)
}

/// A path as it stands in a URI: every byte that could mean something else is written as a number.
fn encoded(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let byte = |&byte: &u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.as_os_str().as_bytes().iter().map(byte).collect()
}
