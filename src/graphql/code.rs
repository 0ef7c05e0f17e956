//! The codes of errors, with the names that clients know.

use async_graphql::{ErrorExtensionValues, Pos, ServerError};

use crate::evaluator::{Failure, OutOfRange};

/// The kind of an error, as in `extensions.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// An argument or a variable is invalid.
    BadUserInput,
    /// The document is not GraphQL.
    ParseFailed,
    /// The document does not fit the schema.
    ValidationFailed,
    /// The document leaves open which operation to run.
    OperationResolutionFailure,
    /// The request does not fit the transport.
    BadRequest,
    /// The document or its operation is more than one request may ask for.
    QueryTooComplex,
    /// No document is registered under the name: the client sends it again, together with the document.
    PersistedQueryNotFound,
    /// Too much is being evaluated.
    Overloaded,
    /// The request took longer than any may.
    DeadlineExceeded,
    /// Something that should not happen.
    Internal,
}

impl Code {
    /// The name that clients know.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::OperationResolutionFailure => "OPERATION_RESOLUTION_FAILURE",
            Self::BadRequest => "BAD_REQUEST",
            Self::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::Overloaded => "OVERLOADED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Internal => "INTERNAL_SERVER_ERROR",
        }
    }
}

/// An error for a client: a code, and a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub code: Code,
    /// The mistake and its remedy.
    pub message: String,
}

impl Fault {
    /// A fault of this kind.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let mut message = message.into();
        shorten(&mut message);
        Self { code, message }
    }

    /// The error of a field. (The conversion that the library has for everything printable would drop the code.)
    pub(super) fn into_error(self) -> async_graphql::Error {
        let extensions = Some(self.extensions());
        async_graphql::Error { message: self.message, source: None, extensions }
    }

    fn extensions(&self) -> ErrorExtensionValues {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", self.code.as_str());
        extensions
    }
}

/// Cuts a message that repeats what a client sent, which may be long.
pub(super) fn shorten(message: &mut String) {
    const BYTES: usize = 300;
    if message.len() > BYTES {
        message.truncate(message.floor_char_boundary(BYTES));
        message.push('…');
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let code = match failure {
            Failure::Overloaded => Code::Overloaded,
            Failure::Internal => Code::Internal,
        };
        Self::new(code, failure.to_string())
    }
}

impl From<OutOfRange> for Fault {
    fn from(out_of_range: OutOfRange) -> Self {
        Self::new(Code::BadUserInput, out_of_range.to_string())
    }
}

/// Why an operation was not executed.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The kind of its errors.
    pub(super) code: Code,
    /// One at least.
    pub(super) errors: Vec<ServerError>,
}

impl Refusal {
    /// A refusal with errors of this kind.
    pub(super) fn new(code: Code, mut errors: Vec<ServerError>) -> Self {
        errors.iter_mut().for_each(|error| complete(error, code));
        Self { code, errors }
    }

    /// A refusal of a part of the document, by its place.
    pub(super) fn at(pos: Pos, code: Code, message: impl Into<String>) -> Self {
        Self::new(code, vec![ServerError::new(message, Some(pos))])
    }
}

impl From<Fault> for Refusal {
    fn from(Fault { code, message }: Fault) -> Self {
        Self::new(code, vec![ServerError::new(message, None)])
    }
}

/// Makes an error of the library fit for a client: with a code, this one unless it has its own, and no longer than need
/// be.
pub(super) fn complete(error: &mut ServerError, code: Code) {
    shorten(&mut error.message);
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        extensions.set("code", code.as_str());
    }
}
