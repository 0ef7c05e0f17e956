//! Questions and their answers.

use std::{
    collections::HashMap,
    fmt::{self, Display},
    sync::Arc,
};

use thiserror::Error;

use super::entry::{LADDER_TOP, Value};
use crate::{
    math::{
        decimal::{Decimal, LIMB_BYTES},
        fib::{self, Index},
        pi::Terms,
    },
    telemetry::Spent,
    workers::Panicked,
};

/// One thing to know. Questions that are equal have one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// F(n).
    Fib(Index),
    /// √(6·Σ 1/i²) over this many terms.
    Pi(Terms),
}

impl Question {
    /// The work in limbs: the length of its value, and one for an approximation.
    pub(super) fn limbs(self) -> usize {
        match self {
            Self::Fib(n) => fib::limb_count(n),
            Self::Pi(_) => 1,
        }
    }

    /// Approximate bytes of its value, in memory or on its way from the store.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.limbs() * LIMB_BYTES
    }

    /// The index that the ladder reaches once this was answered.
    pub(super) fn ladder_index(self) -> Option<u32> {
        match self {
            Self::Fib(n) => Some(n.get().min(LADDER_TOP)),
            Self::Pi(_) => None,
        }
    }
}

impl Display for Question {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fib(n) => write!(out, "fib({})", n.get()),
            Self::Pi(terms) => write!(out, "pi({})", terms.get()),
        }
    }
}

/// A value, and whether it was vouched for before it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// True if and only if the value was vouched for before this request and was read from stored data.
    pub cached: bool,
}

/// Why a question has no answer this time.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// Too much is being evaluated already.
    #[error("the server has too much to evaluate; ask for less, or try again in a second")]
    Overloaded,
    /// Something that should not happen.
    #[error("something went wrong on the server; try again")]
    Internal,
}

impl From<Panicked> for Failure {
    fn from(Panicked: Panicked) -> Self {
        Self::Internal
    }
}

/// An argument outside its range.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{argument} must be a whole number from 0 to {largest}, but it is {given}")]
pub struct OutOfRange {
    /// The name of the argument.
    pub argument: &'static str,
    /// The largest value that it may have.
    pub largest: u32,
    /// The value that was given.
    pub given: String,
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
