//! Errors of the plain endpoints as problem details (RFC 9457).

use axum::{
    Json,
    http::{
        HeaderValue, Method, StatusCode, Uri,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::graphql::{Code, Fault};

/// A fault with the status that fits it.
pub(super) struct Problem {
    status: StatusCode,
    fault: Fault,
}

impl<F: Into<Fault>> From<F> for Problem {
    fn from(fault: F) -> Self {
        let fault = fault.into();
        let status = match fault.code {
            Code::BadUserInput
            | Code::ParseFailed
            | Code::ValidationFailed
            | Code::OperationResolutionFailure
            | Code::BadRequest => StatusCode::BAD_REQUEST,
            Code::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, fault }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, fault } = self;
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": fault.message,
            "code": fault.code.as_str(),
        });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// For a path that is none of ours.
pub(super) async fn not_found(uri: Uri) -> Problem {
    let message = format!("there is no {} here; there are /graphql, /fib/N, /pi/TERMS and /schema.graphql", uri.path());
    Problem { status: StatusCode::NOT_FOUND, fault: Fault::new(Code::BadRequest, message) }
}

/// For a method that a path does not take.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let message = format!("{} takes GET, not {method}", uri.path());
    Problem { status: StatusCode::METHOD_NOT_ALLOWED, fault: Fault::new(Code::BadRequest, message) }
}
