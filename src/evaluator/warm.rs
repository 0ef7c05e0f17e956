//! Fills a store before anybody asks.

use std::{sync::Arc, time::Duration};

use thiserror::Error;

use super::{
    Evaluator,
    failure::Failure,
    functions::{MARKS, Question},
};
use crate::cache::{Height, Location, Retention, Survey, SurveyError};

/// Gives up the rest after this long without a write: no client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a store is not filled.
#[derive(Debug, Error)]
pub enum WarmError {
    /// The store can't be reached or read.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// A value could not be evaluated.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The store did not take the new entries.
    #[error("the store does not hold it: {0}")]
    NotStored(String),
}

impl Evaluator {
    /// Sees to it that the store at `location`, which is this evaluator's, holds all that its [limits](Self::limits) admit of
    /// some functions. Returns whether all of it was there before. It must be the last call.
    ///
    /// # Errors
    /// When the store can't be reached, or does not hold it in the end.
    pub async fn warm(
        self: &Arc<Self>,
        location: &Location,
        prefix: &str,
        questions: Vec<Question>,
    ) -> Result<bool, WarmError> {
        // A store that can't be reached or written is reported before anything is evaluated. A file may have to be made first.
        match location {
            Location::Memory { .. } => return Err(SurveyError::Memory.into()),
            Location::Redis(_) => drop(Survey::open(location, prefix, &MARKS, false).await?),
            Location::Sqlite { .. } => {}
        }
        self.cache.probe_writes().await.map_err(WarmError::NotStored)?;
        let answers = self.answer(questions.clone()).await;
        let was_warm = answers.are_cached();
        if let Some(failure) = answers.failure() {
            return Err(failure.into());
        }
        self.drain(PATIENCE).await;
        let mut survey = Survey::open(location, prefix, &MARKS, false).await?;
        for question in questions {
            self.is_stored(question, prefix, &mut survey).await?;
        }
        Ok(was_warm)
    }

    /// Checks that a store holds what answers a question.
    async fn is_stored(&self, question: Question, prefix: &str, survey: &mut Survey) -> Result<(), WarmError> {
        let not_stored = |why: String| WarmError::NotStored(self.condition().writes.unwrap_or(why));
        if let Some(Height { ladder, mark: top }) = question.top(&self.limits) {
            let mark = survey.mark(ladder).await?;
            if mark < Some(top) {
                return Err(not_stored(format!("the mark {prefix}{} is at {}", MARKS[ladder], mark.unwrap_or(0))));
            }
        }
        let mut wants = Vec::new();
        question.add_wants(&mut wants);
        for key in wants.into_iter().map(|want| want.key) {
            if !survey.has(&key.to_string()).await? {
                let why = match key.retention() {
                    Retention::Local => "values over 16 MiB are not stored",
                    _ => "an entry is missing: it was evicted, or deleted by somebody else",
                };
                return Err(not_stored(why.into()));
            }
        }
        Ok(())
    }
}
