//! The answers to a request: each is a value, and whether it was cached.

use super::{
    failure::Failure,
    functions::{FromValue, Question, Value},
};
use crate::telemetry::Spent;

/// A value, and whether it was vouched for before it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// True if and only if the value was vouched for before this request and was read from stored data.
    pub cached: bool,
}

/// The answers to the questions of one request.
#[derive(Debug, Default)]
pub struct Answers {
    /// In the order of the questions.
    pub(super) found: Vec<(Question, Answer<Result<Value, Failure>>)>,
    /// The time spent on them.
    pub spent: Spent,
}

impl Answers {
    /// The answer to a question of the request.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn of<F: FromValue>(&self, question: F) -> Result<Answer<F::Value>, Failure> {
        let answer = self.get(question.into()).ok_or(Failure::Internal)?;
        let value = F::from_value(answer.value.clone()?).ok_or(Failure::Internal)?;
        Ok(Answer { value, cached: answer.cached })
    }

    /// Whether the answer to a question is there, and was cached.
    #[must_use]
    pub fn is_cached(&self, question: Question) -> bool {
        self.get(question).is_some_and(|answer| answer.cached && answer.value.is_ok())
    }

    /// Whether all answers were cached, as those by definition are.
    #[must_use]
    pub fn are_cached(&self) -> bool {
        self.found.iter().all(|(_, answer)| answer.cached && answer.value.is_ok())
    }

    /// Why there is an answer that has no value, if there is one.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.found.iter().find_map(|(_, answer)| answer.value.as_ref().err().copied())
    }

    fn get(&self, question: Question) -> Option<&Answer<Result<Value, Failure>>> {
        let place = self.found.binary_search_by_key(&question, |(asked, _)| *asked);
        place.ok().map(|place| &self.found[place].1)
    }
}
