//! Why a question has no answer.

use thiserror::Error;

use crate::workers::Panicked;

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
