//! A question is one thing to know: its work, the index that the ladder reaches by it, and why it may have no answer.

use std::fmt::{self, Display};

use thiserror::Error;

use crate::{
    math::{
        decimal::LIMB_BYTES,
        fib::{self, Index},
        pi::Terms,
    },
    workers::Panicked,
};

/// The highest index that the ladder vouches for: with its 782 rungs it takes 7.3 MB.
pub(super) const LADDER_TOP: u32 = 100_000;

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

    /// The digits of its value as they are counted for the cost of a request. An approximation costs none: it takes
    /// nanoseconds, and has 17 digits.
    #[must_use]
    pub fn digits(self) -> usize {
        match self {
            Self::Fib(n) => fib::digit_count(n),
            Self::Pi(_) => 0,
        }
    }

    /// Approximate bytes of its value, in memory or in transit from the store.
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
