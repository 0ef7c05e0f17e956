//! Preconditions of a request (RFC 9110, section 13): 304 for a client that has the bytes already, 412 for one that wants
//! other bytes.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, ETAG, IF_MATCH, IF_NONE_MATCH},
    },
    response::Response,
};
use futures_util::stream;

use super::refusal::Refusal;

/// The preconditions of a request about entity tags. Those about dates are ignored, since no response has one.
pub(super) struct Preconditions {
    /// The values of `If-Match`.
    wanted: Vec<HeaderValue>,
    /// The values of `If-None-Match`.
    known: Vec<HeaderValue>,
}

impl Preconditions {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let [wanted, known] = [IF_MATCH, IF_NONE_MATCH].map(|name| headers.get_all(name).iter().cloned().collect());
        Self { wanted, known }
    }

    /// The response of a handler; in its place a 304 when the client has its bytes. Preconditions are ignored unless the
    /// response is successful.
    ///
    /// # Errors
    /// A 412 when the client wants other bytes.
    pub(super) fn check(&self, response: Response) -> Result<Response, Refusal> {
        if !response.status().is_success() {
            return Ok(response);
        }
        let tag = response.headers().get(ETAG);
        let is_wanted = |other: &[u8]| other == b"*" || tag.is_some_and(|tag| tag == other);
        let is_known =
            |other: &[u8]| tag.is_some_and(|tag| other == b"*" || tag == other.strip_prefix(b"W/").unwrap_or(other));
        if !self.wanted.is_empty() && !has(&self.wanted, is_wanted) {
            let message = match tag.and_then(|tag| tag.to_str().ok()) {
                Some(tag) => format!("If-Match names other answers than this one, whose entity tag is {tag}"),
                None => "this answer has no entity tag that If-Match could name".into(),
            };
            return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, message));
        }
        Ok(if has(&self.known, is_known) { not_modified(response) } else { response })
    }
}

/// Whether any of the entity tags in the values of a header is a match. Commas in quotes separate nothing.
fn has(values: &[HeaderValue], is_match: impl Fn(&[u8]) -> bool) -> bool {
    values.iter().any(|value| {
        let mut is_quoted = false;
        let mut tags = value.as_bytes().split(|&byte| {
            is_quoted ^= byte == b'"';
            byte == b',' && !is_quoted
        });
        tags.any(|tag| is_match(tag.trim_ascii()))
    })
}

/// The 304 for a client that has the bytes. It has no Content-Length, which would be that of the empty body, 0.
fn not_modified(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    [CONTENT_LENGTH, CONTENT_ENCODING].iter().for_each(|name| _ = response.headers_mut().remove(name));
    response.map(|_| Body::from_stream(stream::empty::<Result<Bytes, Infallible>>()))
}
