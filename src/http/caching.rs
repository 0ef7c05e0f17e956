//! How long a response holds is said here, and a client that has its bytes is not sent them again.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header::IF_NONE_MATCH},
    response::{IntoResponse, Response},
};
use futures_util::stream;

/// `Cache-Control` of an immutable answer.
pub(super) const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// `Cache-Control` of an answer that holds once.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Whether a client has the bytes of the tag.
pub(super) fn has(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| line.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag))
}

/// Tells a client that it has the bytes. There is no Content-Length on a 304: a HEAD would announce that of the empty
/// body, 0.
pub(super) fn not_modified(head: HeaderMap) -> Response {
    (StatusCode::NOT_MODIFIED, head, Body::from_stream(stream::empty::<Result<Bytes, Infallible>>())).into_response()
}
