//! Error responses: errors of GraphQL, or problem details (RFC 9457).

use std::panic::AssertUnwindSafe;

use axum::{
    http::{
        HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};

use super::{caching::NO_STORE, gate::Full, negotiation::Media};
use crate::graphql::{Code, Execution, Fault};

/// A fault with its HTTP status.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    pub(super) fault: Fault,
    header: Option<(HeaderName, HeaderValue)>,
}

/// The status of a response without data.
///
/// In `application/json` GraphQL's own errors have the status 200: old clients take any other status for a response of
/// an intermediary. In every other form the status tells errors from data.
pub(super) fn status(code: Code, media: Media) -> StatusCode {
    match code {
        Code::Overloaded | Code::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::BadRequest => StatusCode::BAD_REQUEST,
        Code::BadUserInput
        | Code::ParseFailed
        | Code::ValidationFailed
        | Code::OperationResolutionFailure
        | Code::QueryTooComplex
        | Code::PersistedQueryNotFound => match media {
            Media::Json => StatusCode::OK,
            Media::GraphqlResponse | Media::Html | Media::Text | Media::EventStream => StatusCode::BAD_REQUEST,
        },
    }
}

impl Refusal {
    /// Rejects a request that is wrong in the way that the status says.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, fault: Fault::new(Code::BadRequest, message), header: None }
    }

    /// Adds a header that names the remedy.
    pub(super) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// The request reached its deadline.
    pub(super) fn deadline() -> Self {
        let message = "the request reached its deadline of 30 s; an evaluation that has begun goes on: retry later";
        Fault::new(Code::DeadlineExceeded, message).into()
    }

    /// The server has a bug.
    pub(super) fn internal() -> Self {
        Fault::new(Code::Internal, "something went wrong on the server; try again").into()
    }

    /// Responds with errors of GraphQL to a request to `/graphql`, and else with problem details.
    pub(super) fn respond_to(self, speaks_graphql: bool) -> Response {
        if speaks_graphql { self.into_errors(Media::Json) } else { self.into_response() }
    }

    /// Responds with errors of GraphQL, in this form if it is one of GraphQL's.
    pub(super) fn into_errors(self, media: Media) -> Response {
        let media = if media == Media::GraphqlResponse { media } else { Media::Json };
        let error = json!({"message": self.fault.message, "extensions": {"code": self.fault.code.as_str()}});
        self.respond(media.content_type(), &json!({ "errors": [error] }))
    }

    fn respond(self, content_type: &'static str, body: &Value) -> Response {
        const AFTER: (HeaderName, HeaderValue) = (RETRY_AFTER, HeaderValue::from_static("1"));
        let is_passing = self.status == StatusCode::SERVICE_UNAVAILABLE;
        let head = [(CONTENT_TYPE, HeaderValue::from_static(content_type)), (CACHE_CONTROL, NO_STORE)];
        let mut response = (self.status, head, body.to_string()).into_response();
        response.headers_mut().extend(self.header);
        response.headers_mut().extend(is_passing.then_some(AFTER));
        response
    }
}

/// Responds with problem details.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.fault.message,
            "code": self.fault.code.as_str(),
        });
        self.respond("application/problem+json", &problem)
    }
}

impl From<Full> for Fault {
    fn from(full: Full) -> Self {
        Self::new(Code::Overloaded, format!("{full}; ask for less, or try again in a second"))
    }
}

/// Outside GraphQL every refusal has a status of its own.
impl<F: Into<Fault>> From<F> for Refusal {
    fn from(fault: F) -> Self {
        let fault = fault.into();
        Self { status: status(fault.code, Media::Text), fault, header: None }
    }
}

/// Rejects a method that a path does not have.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} takes GET, not {method}", uri.path()))
}

/// The responses of an operation, up to its refusal if it panics.
pub(super) fn up_to_panic(responses: impl Stream<Item = Execution>) -> impl Stream<Item = Execution> {
    let refused = |_| Execution::refused(Refusal::internal().fault);
    AssertUnwindSafe(responses).catch_unwind().map(move |response| response.unwrap_or_else(refused))
}

/// Rejects a path that does not exist.
pub(super) async fn not_found(uri: Uri) -> Refusal {
    let message = format!(
        "there is no {} here; there are /graphql, /fib/N, /fib, /pi/TERMS, /pi/digits and /schema.graphql",
        uri.path()
    );
    Refusal::new(StatusCode::NOT_FOUND, message)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};

    use super::*;
    use crate::telemetry::Account;

    #[test]
    fn a_panic_ends_the_responses_of_its_operation_with_a_refusal() {
        let response = |number: u32| {
            assert!(number < 2, "as the test wants it");
            Execution { responses: Vec::new(), account: Account::default() }
        };
        let responses: Vec<Execution> =
            up_to_panic(stream::iter(0..9).map(response)).collect().now_or_never().expect("nothing waits");
        let errors: Vec<_> = responses.iter().map(|response| response.responses.first()).collect();
        assert!(matches!(errors[..], [None, None, Some(refusal)] if refusal.refusal() == Some(Code::Internal)));
    }
}
