//! HTTP caching: `Cache-Control`, and 304 for a client that has the bytes already.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header::IF_NONE_MATCH},
    response::{IntoResponse, Response},
};
use futures_util::stream;

/// `Cache-Control` of an immutable response.
pub(super) const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// `Cache-Control` of a response that may change.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Whether `If-None-Match` has the entity tag: the client has these bytes.
pub(super) fn has(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| line.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag))
}

/// The 304 for a client that has the bytes. It has no Content-Length, which would be that of the empty body, 0.
pub(super) fn not_modified(head: HeaderMap) -> Response {
    (StatusCode::NOT_MODIFIED, head, Body::from_stream(stream::empty::<Result<Bytes, Infallible>>())).into_response()
}
