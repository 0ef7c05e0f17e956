//! The codes of errors, with the names that clients know.

use async_graphql::{ErrorExtensionValues, ServerError};

use crate::evaluator::{Failure, OutOfRange};

/// What kind of error it is, as `extensions.code` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// An argument or a variable is not what it must be.
    BadUserInput,
    /// The document is not GraphQL.
    ParseFailed,
    /// The document does not fit the schema.
    ValidationFailed,
    /// The document does not tell which operation to run.
    OperationResolutionFailure,
    /// The request is not what the transport asks for.
    BadRequest,
    /// Too much is being evaluated.
    Overloaded,
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
            Self::Overloaded => "OVERLOADED",
            Self::Internal => "INTERNAL_SERVER_ERROR",
        }
    }
}

/// An error for a client: a code, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub code: Code,
    /// What is wrong and what is right.
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

/// The error of a whole request.
impl From<Fault> for ServerError {
    fn from(fault: Fault) -> Self {
        let extensions = Some(fault.extensions());
        Self { extensions, ..Self::new(fault.message, None) }
    }
}
