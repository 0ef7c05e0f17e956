//! CORS (Fetch standard): pages of other origins may call from a browser, never with credentials, since the API is
//! public and read-only.

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
        },
    },
    response::{IntoResponse, Response},
};

/// The seconds for which a browser may cache a preflight: a day, which browsers cap.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("86400");

/// The header with the origins that may read the timing of a response (Resource Timing), `Server-Timing` included.
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");

/// The wildcard, which is valid without credentials.
const ALL: HeaderValue = HeaderValue::from_static("*");

/// All headers: the wildcard does not include `Authorization`.
const ALL_HEADERS: HeaderValue = HeaderValue::from_static("*,authorization");

/// The origins that may call from a browser.
#[derive(Clone, Debug)]
pub enum Origins {
    /// Every origin: the API is public and read-only.
    Any,
    /// These origins alone.
    These(Vec<HeaderValue>),
}

impl Origins {
    /// Whether a request may open a WebSocket, for which browsers send no preflight. A client other than a browser
    /// sends no origin. The server's own pages may always call: their origin has the host of the request, with any
    /// scheme, since TLS may end at a proxy.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        let (Self::These(origins), Some(origin)) = (self, headers.get(ORIGIN)) else { return true };
        origins.contains(origin) || headers.get(HOST).is_some_and(|host| is_at(origin.as_bytes(), host.as_bytes()))
    }

    /// Adds the headers that let `origin` read a response, if it may.
    pub(super) fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let allowed = match self {
            Self::Any => Some(ALL),
            Self::These(origins) => {
                headers.append(VARY, HeaderValue::from_static("origin"));
                origin.filter(|origin| origins.contains(origin)).cloned()
            }
        };
        let Some(allowed) = allowed else { return };
        headers.insert(TIMING_ALLOW_ORIGIN, allowed.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ALL);
    }
}

/// Whether an origin is a page of this host and port.
fn is_at(origin: &[u8], host: &[u8]) -> bool {
    let authority = [&b"https://"[..], b"http://"].into_iter().find_map(|scheme| origin.strip_prefix(scheme));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// Whether a request is a CORS preflight.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The response to a preflight, which permits all methods and headers.
pub(super) fn preflight() -> Response {
    let head = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,POST")),
        (ACCESS_CONTROL_ALLOW_HEADERS, ALL_HEADERS),
        (ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE),
    ];
    (StatusCode::NO_CONTENT, head).into_response()
}
