//! The answers to a request: each is a value, and whether it was cached.

use std::{collections::HashMap, sync::Arc};

use super::{
    entry::Value,
    question::{Failure, Question},
};
use crate::{
    math::{decimal::Decimal, fib::Index, pi::Terms},
    telemetry::Spent,
};

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
    pub(super) found: HashMap<Question, Answer<Result<Value, Failure>>>,
    /// The time spent on them.
    pub spent: Spent,
}

impl Answers {
    /// F(n).
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn fib(&self, n: Index) -> Result<Answer<Arc<Decimal>>, Failure> {
        if n.get() <= 1 {
            return Ok(Answer { value: Arc::new(Decimal::from(u64::from(n.get()))), cached: true });
        }
        match self.get(Question::Fib(n))? {
            Answer { value: Value::Fib(value), cached } => Ok(Answer { value, cached }),
            Answer { value: Value::Pi(_) | Value::Rung(_), .. } => Err(Failure::Internal),
        }
    }

    /// The approximation of π.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn pi(&self, terms: Terms) -> Result<Answer<f64>, Failure> {
        match self.get(Question::Pi(terms))? {
            Answer { value: Value::Pi(value), cached } => Ok(Answer { value, cached }),
            Answer { value: Value::Fib(_) | Value::Rung(_), .. } => Err(Failure::Internal),
        }
    }

    /// Whether the answer to a question is there, and was cached.
    #[must_use]
    pub fn is_cached(&self, question: Question) -> bool {
        match question {
            Question::Fib(n) => self.fib(n).is_ok_and(|answer| answer.cached),
            Question::Pi(terms) => self.pi(terms).is_ok_and(|answer| answer.cached),
        }
    }

    /// Whether all answers were cached, as those by definition are.
    #[must_use]
    pub fn are_cached(&self) -> bool {
        self.found.values().all(|answer| answer.cached && answer.value.is_ok())
    }

    fn get(&self, question: Question) -> Result<Answer<Value>, Failure> {
        let answer = self.found.get(&question).ok_or(Failure::Internal)?;
        Ok(Answer { value: answer.value.clone()?, cached: answer.cached })
    }
}
