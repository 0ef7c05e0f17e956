//! Fills a store before anybody asks.

use std::{sync::Arc, time::Duration};

use thiserror::Error;

use super::{
    Evaluator,
    entry::{Key, LADDER_MARK},
    question::{Failure, LADDER_TOP, Question},
};
use crate::{
    cache::{Location, Survey, SurveyError},
    math::{fib::Index, rung::Rung},
};

/// Gives up the rest after this long without a write: no client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The outcome of warming a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warmth {
    /// Whether all of it was there before.
    pub was_warm: bool,
}

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
    /// Sees to it that the store at `location`, which is this evaluator's, holds the ladder up to `n`, and beyond the
    /// ladder F(n) too. It must be the last call.
    ///
    /// # Errors
    /// When the store can't be reached, or does not hold it in the end.
    pub async fn warm(self: &Arc<Self>, location: &Location, prefix: &str, n: Index) -> Result<Warmth, WarmError> {
        // A server that can't be reached is reported before anything is evaluated. A file may have to be made first.
        let reached = match location {
            Location::Memory { .. } => return Err(SurveyError::Memory.into()),
            Location::Redis(_) => Some(Survey::open(location, prefix, LADDER_MARK, false).await?),
            Location::Sqlite { .. } => None,
        };
        // An index of each rung, so that lost ones are written anew.
        let top = n.get().min(LADDER_TOP);
        let on_rungs = (2..=top).step_by(Rung::SPACING as usize).chain([top]).filter_map(Index::new);
        let questions = on_rungs.chain([n]).map(Question::Fib).collect();
        let answers = self.answer(questions).await;
        let was_warm = answers.are_cached();
        answers.fib(n)?;
        self.drain(PATIENCE).await;
        let mut survey = match reached {
            Some(survey) => survey,
            None => Survey::open(location, prefix, LADDER_MARK, false).await?,
        };
        let mark = survey.mark().await?;
        // F(0) and F(1) are the definition.
        if top > 1 && mark < Some(top) {
            let why = self.condition().writes.unwrap_or_else(|| format!("its mark is at {}", mark.unwrap_or(0)));
            return Err(WarmError::NotStored(why));
        }
        if n.get() > LADDER_TOP && !survey.has(&Key::Fib(n).to_string()).await? {
            let why = self.condition().writes;
            return Err(WarmError::NotStored(why.unwrap_or_else(|| "values over 16 MiB are not stored".into())));
        }
        Ok(Warmth { was_warm })
    }
}
