//! HTTP caching: the values of `Cache-Control`.

use axum::http::HeaderValue;

/// `Cache-Control` of an immutable response.
pub(super) const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// `Cache-Control` of a response that may change.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
