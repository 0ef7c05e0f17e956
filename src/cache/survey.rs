//! A survey reads a whole store for its operator: every entry, page by page. No client waits for it, so that there are
//! no time budgets, and the first failure ends it.

use std::{collections::VecDeque, time::Duration};

use redis::RedisError;
use tokio::time::timeout;

use super::{
    location::Location,
    redis::Scan,
    sqlite::{FileError, Sqlite},
    store::StoreError,
};

/// The bytes of entries that are read at once. An entry that is longer is not read: phipi stores none.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// The timeout of one step.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store, to be read from its first entry to its last.
pub struct Survey {
    source: Source,
    prefix: String,
    /// The names of the marks, which are no entries, by ladder.
    marks: Vec<String>,
    /// Entries that were listed and are still to be read, each with its bytes if it is of the type that phipi writes.
    listed: VecDeque<(String, Option<usize>)>,
}

enum Source {
    File { file: Sqlite, last: Option<String> },
    Redis(Scan),
}

/// The reason why a store can't be surveyed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// Memory ends with its process.
    #[error("it keeps nothing for others to look at; name a store with --cache")]
    Memory,
    /// It is a file that is not there, or no sound cache.
    #[error("{0}")]
    File(String),
    /// The store does not answer as it should.
    #[error("{0}")]
    Store(String),
    /// Under the key of the mark is something that phipi can't have written.
    #[error("the key {0} is for the mark, but holds something else; phipi check --repair deletes it")]
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

/// An entry as it is stored: its name after the prefix, and its bytes. One of another type than phipi writes, or longer, has
/// none.
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
        Ok(Self { source, prefix: prefix.to_owned(), marks, listed: VecDeque::new() })
    }

    /// The next entries; none when all have been seen. One that is written or evicted meanwhile may be seen or not.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn next(&mut self) -> Result<Option<Vec<Stored>>, SurveyError> {
        while self.listed.is_empty() {
            let Some(mut names) = in_time(self.source.names(&self.prefix)).await? else { return Ok(None) };
            names.retain(|name| !self.marks.contains(name));
            let sizes = in_time(self.source.sizes(&names)).await?;
            self.listed = names.into_iter().zip(sizes).collect();
        }
        let (mut page, mut names, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some((name, size)) = self.listed.pop_front() {
            let Some(size) = size.filter(|&size| size <= PAGE_BYTES) else {
                page.push((name, None));
                continue;
            };
            bytes += size;
            if bytes > PAGE_BYTES {
                self.listed.push_front((name, Some(size)));
                break;
            }
            names.push(name);
        }
        let values = in_time(self.source.values(&names)).await?;
        // A name that is not UTF-8 can't be asked for as it was listed. phipi writes no such name.
        let is_there = |(name, value): &Stored| value.is_some() || name.contains(char::REPLACEMENT_CHARACTER);
        page.extend(names.into_iter().zip(values).filter(is_there));
        let after_prefix = |(name, value): Stored| Some((name.strip_prefix(&self.prefix)?.to_owned(), value));
        Ok(Some(page.into_iter().filter_map(after_prefix).collect()))
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
        Ok(in_time(self.source.values(&names)).await?.iter().any(Option::is_some))
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

    /// The bytes of each value; `None` for one of another type.
    async fn sizes(&mut self, names: &[String]) -> Result<Vec<Option<usize>>, SurveyError> {
        match self {
            // A server takes no pipeline without a command.
            _ if names.is_empty() => Ok(Vec::new()),
            Self::File { file, .. } => Ok(file.sizes(names.to_vec()).await?.into_iter().map(Some).collect()),
            Self::Redis(scan) => Ok(scan.sizes(names).await?),
        }
    }

    async fn values(&mut self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, SurveyError> {
        match self {
            // A server takes no command without a key.
            _ if names.is_empty() => Ok(Vec::new()),
            Self::File { file, .. } => Ok(file.read(Vec::new(), names.to_vec()).await?.values),
            Self::Redis(scan) => Ok(scan.values(names).await?),
        }
    }

    async fn mark(&mut self, ladder: usize, mark: &str) -> Result<Option<u32>, SurveyError> {
        let snapshot = match self {
            Self::File { file, .. } => file.read(vec![ladder], Vec::new()).await?.marks[0].unwrap_or_default(),
            Self::Redis(scan) => scan.mark(mark).await?,
        };
        if snapshot.is_taken { Err(SurveyError::MarkIsTaken(mark.to_owned())) } else { Ok(snapshot.mark) }
    }

    async fn remove(&mut self, names: Vec<String>) -> Result<(), SurveyError> {
        match self {
            Self::File { file, .. } => Ok(file.remove(names).await?),
            Self::Redis(scan) => Ok(scan.remove(names).await?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cache::{
        Access,
        record::{Record, Retention::Dear},
    };

    #[tokio::test]
    async fn a_page_is_bounded_and_has_no_value_that_is_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.sqlite");
        let file = Sqlite::open(&path, false, vec![String::new()]).unwrap();
        let sizes = [1, PAGE_BYTES / 3, PAGE_BYTES / 3 - 1, PAGE_BYTES / 3, PAGE_BYTES, PAGE_BYTES + 1, 2];
        for (name, size) in ('a'..).zip(sizes) {
            let record = Record { name: format!("our:{name}"), bytes: vec![7; size], retention: Dear };
            file.write(vec![Arc::new(record)]).await.unwrap();
        }
        file.close().await.unwrap();

        let location = Location::new(&format!("sqlite:{}", path.display()), &Access::default()).unwrap();
        let mut survey = Survey::open(&location, "our:", &[""], false).await.unwrap();
        let mut pages = Vec::new();
        while let Some(page) = survey.next().await.unwrap() {
            let sizes = page.into_iter().map(|(name, value)| format!("{name} {:?}", value.map(|value| value.len())));
            pages.push(sizes.collect::<Vec<_>>());
        }
        survey.close().await.unwrap();
        let third = PAGE_BYTES / 3;
        let expected = [
            vec![
                "a Some(1)".into(),
                format!("b Some({third})"),
                format!("c Some({})", third - 1),
                format!("d Some({third})"),
            ],
            vec!["f None".into(), format!("e Some({PAGE_BYTES})")],
            vec!["g Some(2)".into()],
        ];
        assert_eq!(pages, expected);
    }
}
