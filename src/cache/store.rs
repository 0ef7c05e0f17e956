//! The shared tier: one small interface before SQLite and Redis.

use std::sync::Arc;

use thiserror::Error;

use super::{location::Location, redis::Redis, sqlite::Sqlite};

/// An entry on its way to the store.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) bytes: Arc<[u8]>,
    /// Kept when others have to make room.
    pub(super) pinned: bool,
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
    #[error("{0}")]
    Redis(#[from] ::redis::RedisError),
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("the thread of the file has ended; its panic is in the log")]
    Aborted,
    #[error("no answer within {0:?}")]
    Late(std::time::Duration),
}

/// A store that several processes may use at once.
#[derive(Clone)]
pub(super) enum Store {
    Sqlite(Sqlite),
    Redis(Redis),
}

impl Store {
    /// Opens the store; a memory has none. `mark` is the name of the mark.
    pub(super) fn open(location: &Location, mark: String) -> Result<Option<Self>, StoreError> {
        Ok(match location {
            Location::Memory => None,
            Location::Sqlite(path) => Some(Self::Sqlite(Sqlite::open(path, mark)?)),
            Location::Redis(server) => Some(Self::Redis(Redis::open(server, mark)?)),
        })
    }

    /// Reads the mark and the entries of these names, in one round trip.
    pub(super) async fn read(&self, names: Vec<String>) -> Result<Reading, StoreError> {
        match self {
            Self::Sqlite(file) => file.read(names).await,
            Self::Redis(server) => server.read(&names).await,
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
}
