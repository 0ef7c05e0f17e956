//! A survey reads a whole store for its operator: every entry, page by page. No client waits for it, so that there are
//! no time budgets, and the first failure ends it.

use std::time::Duration;

use redis::RedisError;
use tokio::time::timeout;

use super::{
    location::Location,
    redis::{Found, Scan, is_of_another_type},
    sqlite::{FileError, Sqlite},
    store::StoreError,
};

/// The number of entries that are read at once; each may have 16 MiB, but most have some thousand bytes.
const PAGE: usize = 64;

/// The timeout of one step.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store, to be read from its first entry to its last.
pub struct Survey {
    source: Source,
    prefix: String,
    /// The names of the marks, which are no entries, by ladder.
    marks: Vec<String>,
    /// Names that were listed and are still to be read.
    names: Vec<String>,
}

enum Source {
    File { file: Sqlite, last: Option<String> },
    Redis(Scan),
}

/// The reason why a store can't be surveyed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// Memory ends with its process.
    #[error("memory: keeps nothing for others to look at; name a store with --cache")]
    Memory,
    /// It is a file that is not there, or no sound cache.
    #[error("{0}")]
    File(String),
    /// The store does not answer as it should.
    #[error("the store can't be read or written: {0}")]
    Store(String),
    /// Under the key of the mark is something of another type.
    #[error("the key {0} is for the mark, but holds something of another type; phipi check --repair deletes it")]
    MarkIsTaken(String),
}

impl From<StoreError> for SurveyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<RedisError> for SurveyError {
    fn from(error: RedisError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<FileError> for SurveyError {
    fn from(error: FileError) -> Self {
        StoreError::from(error).into()
    }
}

/// An entry as it is stored: its name after the prefix, and its bytes. One of another type than phipi writes has none.
pub type Stored = (String, Option<Vec<u8>>);

impl Survey {
    /// Opens the store at `location`, of whose keys those are read that begin with `prefix`. `marks` are the keys of
    /// the marks, which are no entries.
    ///
    /// Without `is_repaired` nothing can be removed, and a file is opened so that nothing in its folder
    /// changes.
    ///
    /// # Errors
    /// When it can't be reached, or there is none; a file also when it is damaged or belongs to another program.
    pub async fn open(
        location: &Location,
        prefix: &str,
        marks: &[&str],
        is_repaired: bool,
    ) -> Result<Self, SurveyError> {
        let marks: Vec<String> = marks.iter().map(|mark| format!("{prefix}{mark}")).collect();
        let source = match location {
            Location::Memory { .. } => return Err(SurveyError::Memory),
            Location::Sqlite { path, .. } => {
                let file = Sqlite::survey(path, is_repaired, marks.clone());
                let file = file.map_err(|error| SurveyError::File(error.to_string()))?;
                Source::File { file, last: Some(String::new()) }
            }
            Location::Redis(server) => Source::Redis(Scan::open(server).await?),
        };
        Ok(Self { source, prefix: prefix.to_owned(), marks, names: Vec::new() })
    }

    /// The next entries; none when all have been seen. One that is written or evicted meanwhile may be seen or not.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn next(&mut self) -> Result<Option<Vec<Stored>>, SurveyError> {
        while self.names.is_empty() {
            let Some(names) = in_time(self.source.names(&self.prefix)).await? else { return Ok(None) };
            self.names.extend(names.into_iter().filter(|name| !self.marks.contains(name)));
        }
        let names = self.names.split_off(self.names.len().saturating_sub(PAGE));
        let values = in_time(self.source.values(&names)).await?;
        let stored = names.into_iter().zip(values).filter_map(|(name, found)| {
            let name = name.strip_prefix(&self.prefix)?.to_owned();
            match found {
                Found::Bytes(bytes) => Some((name, Some(bytes))),
                Found::OtherType => Some((name, None)),
                // A name that is not UTF-8 can't be asked for as it was listed. phipi writes no such name.
                Found::Nothing => name.contains(char::REPLACEMENT_CHARACTER).then_some((name, None)),
            }
        });
        Ok(Some(stored.collect()))
    }

    /// The mark of a ladder.
    ///
    /// # Errors
    /// When the store does not answer, or [`SurveyError::MarkIsTaken`].
    pub async fn mark(&mut self, ladder: usize) -> Result<Option<u32>, SurveyError> {
        in_time(self.source.mark(ladder, &self.marks[ladder])).await
    }

    /// Whether there is an entry of this name, after the prefix.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn has(&mut self, name: &str) -> Result<bool, SurveyError> {
        let names = [format!("{}{name}", self.prefix)];
        Ok(in_time(self.source.values(&names)).await?.iter().any(|found| matches!(found, Found::Bytes(_))))
    }

    /// Removes entries of these names, after the prefix.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn remove(&mut self, names: &[String]) -> Result<(), SurveyError> {
        let names: Vec<String> = names.iter().map(|name| format!("{}{name}", self.prefix)).collect();
        in_time(self.source.remove(names)).await
    }

    /// Closes the store; a file is left with all that was written in it.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn close(self) -> Result<(), SurveyError> {
        match self.source {
            Source::File { file, .. } => in_time(async { Ok(file.close().await?) }).await,
            Source::Redis(_) => Ok(()),
        }
    }
}

async fn in_time<T>(step: impl Future<Output = Result<T, SurveyError>>) -> Result<T, SurveyError> {
    timeout(PATIENCE, step).await.unwrap_or_else(|_| Err(StoreError::Late(PATIENCE).into()))
}

impl Source {
    /// Some names; `None` after the last.
    async fn names(&mut self, prefix: &str) -> Result<Option<Vec<String>>, SurveyError> {
        Ok(match self {
            Self::File { file, last } => {
                let Some(before) = last.take() else { return Ok(None) };
                let names = file.names(prefix.to_owned(), before).await?;
                *last = names.last().cloned();
                Some(names).filter(|names| !names.is_empty())
            }
            Self::Redis(scan) => scan.names(prefix).await?,
        })
    }

    async fn values(&mut self, names: &[String]) -> Result<Vec<Found>, SurveyError> {
        match self {
            Self::File { file, .. } => {
                Ok(file.read(Vec::new(), names.to_vec()).await?.values.into_iter().map(Found::of).collect())
            }
            Self::Redis(scan) => Ok(scan.values(names).await?),
        }
    }

    async fn mark(&mut self, ladder: usize, mark: &str) -> Result<Option<u32>, SurveyError> {
        match self {
            Self::File { file, .. } => Ok(file.read(vec![ladder], Vec::new()).await?.marks[0].mark),
            Self::Redis(scan) => match scan.mark(mark).await {
                Err(error) if is_of_another_type(&error) => Err(SurveyError::MarkIsTaken(mark.to_owned())),
                mark => Ok(mark?),
            },
        }
    }

    async fn remove(&mut self, names: Vec<String>) -> Result<(), SurveyError> {
        match self {
            Self::File { file, .. } => Ok(file.remove(names).await?),
            Self::Redis(scan) => Ok(scan.remove(names).await?),
        }
    }
}
