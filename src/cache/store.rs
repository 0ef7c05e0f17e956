//! The shared tier: one small interface before SQLite and Redis.

use std::{io, sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError};
use thiserror::Error;
use tokio::time::timeout;

use super::{
    Retention,
    location::Location,
    redis::Redis,
    sqlite::{FileError, Sqlite},
};
use crate::telemetry::Trouble;

/// What is larger does not share a way with what is small, which it would hold up.
pub(super) const LARGE_BYTES: usize = 64 * 1024;

/// How long the end of the process waits until the store is closed.
const CLOSING: Duration = Duration::from_secs(5);

/// An entry on its way to the store.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) bytes: Arc<[u8]>,
    pub(super) retention: Retention,
}

impl Record {
    /// About how many bytes of memory it takes while it waits, and no fewer than it takes on its way.
    pub(super) fn cost(&self) -> usize {
        const OVERHEAD: usize = 128;
        OVERHEAD + 2 * self.name.len() + self.bytes.len()
    }
}

/// What one visit to the store brought: the mark, and for each name its bytes if it was there.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) mark: Option<u32>,
    pub(super) values: Vec<Option<Vec<u8>>>,
}

/// Why the store did not do what it should. Secrets are in none of the texts.
#[derive(Debug, Error)]
pub(super) enum StoreError {
    #[error("{}{}", explanation(.0), .0)]
    Redis(#[from] RedisError),
    #[error("{0}")]
    Sqlite(#[from] FileError),
    #[error("the work on the file panicked; the panic is in the log")]
    Aborted,
    #[error("no answer within {0:?}")]
    Late(Duration),
}

impl StoreError {
    /// What kind of trouble it is, as the metrics count it.
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Late(_) => Trouble::Late,
            Self::Redis(error) => match code_of(error).as_deref() {
                Some("OOM" | "READONLY" | "MISCONF" | "NOREPLICAS") => Trouble::RefusesWrites,
                Some("LOADING" | "BUSY" | "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN") => Trouble::Busy,
                Some("NOAUTH" | "WRONGPASS" | "NOPERM") => Trouble::Denied,
                Some(_) => Trouble::Other,
                None if error.kind() == ErrorKind::AuthenticationFailed || is_distrusted(error) => Trouble::Denied,
                None => Trouble::Broken,
            },
            Self::Sqlite(error) if error.is_of_others() => Trouble::Busy,
            Self::Sqlite(_) | Self::Aborted => Trouble::Broken,
        }
    }
}

/// The code of what the server answered, be it to one command or to the first that failed of several.
pub(super) fn code_of(error: &RedisError) -> Option<String> {
    let failed = error.clone().into_server_errors()?;
    failed.first().map(|(_, error)| error.code().to_owned())
}

/// Whether the certificate of one side does not satisfy the other, which only an operator can mend.
fn is_distrusted(error: &RedisError) -> bool {
    let text = error.to_string();
    ["invalid peer certificate", "AlertReceived", "alert"].iter().any(|sign| text.contains(sign))
}

/// What a refusal means, in plain words, for an operator who has never met its code.
fn explanation(error: &RedisError) -> &'static str {
    match code_of(error).as_deref() {
        None if error.kind() == ErrorKind::AuthenticationFailed => "it does not take this user and password: ",
        None if is_distrusted(error) => {
            "the certificates don't fit; give its CA with --cache-tls-ca, and this client's own with --cache-tls-cert: "
        }
        Some("OOM") => "it is full and evicts nothing; raise its maxmemory or set maxmemory-policy allkeys-lfu: ",
        Some("READONLY") => "it is a replica, which can't be written: ",
        Some("MISCONF") => "it can't save to its own disk, and is not written until it can: ",
        Some("NOREPLICAS") => "too few of its replicas are connected: ",
        Some("LOADING") => "it is still loading its data: ",
        Some("BUSY") => "it is busy with a script: ",
        Some("CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN") => "its primary is changing: ",
        Some("NOAUTH") => "it asks for a password; give one with --cache-password-file: ",
        Some("WRONGPASS") => "it does not take this user and password: ",
        Some("NOPERM") => "the user lacks a right; docs/operating.md has the rule with all of them: ",
        _ => "",
    }
}

/// A store that several processes may use at once.
#[derive(Clone)]
pub(super) enum Store {
    Sqlite(Sqlite),
    Redis(Redis),
}

impl Store {
    /// Begins to open the store; a memory has none. `mark` is the name of the mark.
    ///
    /// # Errors
    /// When it is a file that is no cache, or the system starts no thread.
    pub(super) fn open(location: &Location, mark: String) -> io::Result<Option<Self>> {
        Ok(match location {
            Location::Memory => None,
            Location::Sqlite { path, is_default } => {
                Some(Self::Sqlite(Sqlite::open(path, *is_default, mark).map_err(io::Error::other)?))
            }
            Location::Redis(server) => Some(Self::Redis(Redis::open(server, mark))),
        })
    }

    /// Reads the mark and the entries of these names, of about so many bytes, in one round trip.
    pub(super) async fn read(&self, names: Vec<String>, bytes: usize) -> Result<Reading, StoreError> {
        match self {
            Self::Sqlite(file) => file.read(names).await,
            Self::Redis(server) => server.read(&names, bytes).await,
        }
    }

    /// Writes entries, all in one round trip; when it returns they are acknowledged.
    pub(super) async fn write(&self, records: Vec<Record>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(file) => file.write(records).await,
            Self::Redis(server) => server.write(&records).await,
        }
    }

    /// Raises the mark; it never falls.
    pub(super) async fn raise(&self, mark: u32) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(file) => file.raise(mark).await,
            Self::Redis(server) => server.raise(mark).await,
        }
    }

    /// Writes what changes nothing, to learn whether anything can be written.
    pub(super) async fn touch(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(file) => file.touch().await,
            Self::Redis(server) => server.touch().await,
        }
    }

    /// Notes that these entries were used, for a store that evicts by itself: it does not learn of those that the memory
    /// of this process answered. Nothing is written now.
    pub(super) fn note_used(&self, names: impl IntoIterator<Item = String>) {
        match self {
            Self::Sqlite(file) => file.note_used(names),
            Self::Redis(_) => {}
        }
    }

    /// Closes the store at the end: a file is left with all that was written in it. Nothing is lost if that takes too
    /// long, or fails.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(file) => _ = timeout(CLOSING, file.close()).await,
            Self::Redis(_) => {}
        }
    }
}
