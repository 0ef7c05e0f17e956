//! The shared tier: one small interface before SQLite and Redis.

use std::{io, sync::Arc, time::Duration};

use redis::RedisError;
use thiserror::Error;
use tokio::time::timeout;

use super::{
    location::Location,
    record::{Height, Reading, Record},
    redis::{Redis, code_of, describe, trouble},
    sqlite::{FileError, Sqlite},
};
use crate::telemetry::Trouble;

/// The timeout for closing the store at the end of the process.
const CLOSING: Duration = Duration::from_secs(5);

/// The outcome of a write of which the store has taken something.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The names of the records that it refused, with its reasons.
    pub(super) refused: Vec<(String, StoreError)>,
    /// The generation of the ladder, if it was asked for. `None` when the key of the mark holds something else.
    pub(super) generation: Option<u64>,
}

/// The error of an operation on the store. No text has a secret.
#[derive(Debug, Error)]
pub(super) enum StoreError {
    #[error("{}", describe(.0))]
    Redis(#[from] RedisError),
    #[error("{0}")]
    Sqlite(#[from] FileError),
    #[error("no answer within {0:?}")]
    Late(Duration),
}

impl StoreError {
    /// Whether it may be about a single record that was written, and not about the store: a server may refuse one, or
    /// close the connection over it.
    pub(super) fn may_be_of_one_record(&self) -> bool {
        matches!(self, Self::Redis(_)) && matches!(self.trouble(), Trouble::Other | Trouble::Broken)
    }

    /// Whether it means that nothing can be read or written, and not that one kind of command fails.
    pub(super) fn stops_everything(&self) -> bool {
        match self {
            Self::Redis(error) if code_of(error).as_deref() == Some("NOPERM") => false,
            _ => !matches!(self.trouble(), Trouble::RefusesWrites | Trouble::Other),
        }
    }

    /// The kind of trouble that it is, as the metrics count it.
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Late(_) => Trouble::Late,
            Self::Redis(error) => trouble(error),
            Self::Sqlite(error) => error.trouble(),
        }
    }
}

/// The outcome of an operation, with a timeout.
pub(super) async fn within<T>(
    limit: Duration,
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, operation).await.unwrap_or(Err(StoreError::Late(limit)))
}

/// A store that several processes may use at once.
#[derive(Clone)]
pub(super) enum Store {
    Sqlite(Sqlite),
    Redis(Redis),
}

impl Store {
    /// Begins to open the store; a memory has none. `marks` are the names of the marks, by ladder.
    ///
    /// # Errors
    /// When it is a file that is no cache, or the system starts no thread.
    pub(super) fn open(location: &Location, marks: Vec<String>) -> io::Result<Option<Self>> {
        Ok(match location {
            Location::Memory { .. } => None,
            Location::Sqlite { path, is_default } => {
                Some(Self::Sqlite(Sqlite::open(path, *is_default, marks).map_err(io::Error::other)?))
            }
            Location::Redis(server) => Some(Self::Redis(Redis::open(server, marks))),
        })
    }

    /// Reads the marks of these ladders and the entries of these names, of about `bytes` bytes, in one round trip.
    pub(super) async fn read(
        &self,
        ladders: Vec<usize>,
        names: Vec<String>,
        bytes: usize,
    ) -> Result<Reading, StoreError> {
        match self {
            Self::Sqlite(file) => Ok(file.read(ladders, names).await?),
            Self::Redis(server) => Ok(server.read(&ladders, &names, bytes).await?),
        }
    }

    /// Reads the mark of the first ladder and no entry, to learn whether the store can be read; of a cluster, whether any part
    /// of it can be.
    pub(super) async fn probe(&self) -> Result<Reading, StoreError> {
        match self {
            Self::Sqlite(file) => Ok(file.read(vec![0], Vec::new()).await?),
            Self::Redis(server) => Ok(server.probe().await?),
        }
    }

    /// Writes entries, all in one round trip; when it returns they are acknowledged or refused. Before entries that the
    /// mark of `ladder` is to vouch for, this sees to it that the ladder has a generation, and asks for it.
    ///
    /// # Errors
    /// When nothing was written.
    pub(super) async fn write(&self, records: Vec<Arc<Record>>, ladder: Option<usize>) -> Result<Written, StoreError> {
        match self {
            Self::Sqlite(file) => {
                let mut written = Written::default();
                match ladder {
                    Some(ladder) => written.generation = file.write_below_mark(records, ladder).await?,
                    None => file.write(records).await?,
                }
                Ok(written)
            }
            Self::Redis(server) => {
                let (generation, refused) = server.write(&records, ladder).await?;
                Ok(Written {
                    refused: refused.into_iter().map(|(name, error)| (name, error.into())).collect(),
                    generation,
                })
            }
        }
    }

    /// Raises the mark of a ladder under a generation; it never falls. False when the store has another generation by now,
    /// so that the mark vouches for nothing.
    pub(super) async fn raise(&self, to: Height, generation: u64) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(file) => Ok(file.raise(to, generation).await?),
            Self::Redis(server) => Ok(server.raise(to, generation).await?),
        }
    }

    /// Sends a write that changes nothing, to learn whether the store takes writes.
    pub(super) async fn touch(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(file) => Ok(file.touch().await?),
            Self::Redis(server) => Ok(server.touch().await?),
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
