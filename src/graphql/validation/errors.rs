//! Errors are collected here, and the first of them refuse a document.

use async_graphql::{Name, Pos, ServerError};

use crate::graphql::code::{Code, Refusal, shorten};

/// The most errors that are reported of a document.
pub(super) const ERRORS: usize = 10;

/// The most errors that are collected before the first [`ERRORS`] of them are reported.
const KEPT_ERRORS: usize = 1_000;

/// Errors at places of the document.
#[derive(Default)]
pub(super) struct Errors(Vec<ServerError>);

impl Errors {
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= KEPT_ERRORS
    }

    pub(super) fn add(&mut self, pos: Pos, message: impl Into<String>) {
        if self.is_full() {
            return;
        }
        let mut message = message.into();
        shorten(&mut message);
        self.0.push(ServerError::new(message, Some(pos)));
    }

    /// Adds an error for each name that another one has before it. There are few: the guard has counted their tokens.
    pub(super) fn add_repeated<'a>(
        &mut self,
        names: impl Iterator<Item = (&'a Name, Pos)> + Clone,
        message: impl Fn(&Name) -> String,
    ) {
        let all = names.clone();
        for (k, (name, pos)) in names.enumerate() {
            if all.clone().take(k).any(|(other, _)| other == name) {
                self.add(pos, message(name));
            }
        }
    }

    /// Refuses a document of which there are errors, with the first of them.
    pub(super) fn check(mut self) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort_by(|one, other| one.locations.cmp(&other.locations).then_with(|| one.message.cmp(&other.message)));
        // A fragment of two operations is wrong for each of them.
        self.0.dedup();
        self.0.truncate(ERRORS);
        self.0.shrink_to_fit();
        Err(Refusal::new(Code::ValidationFailed, self.0))
    }
}
