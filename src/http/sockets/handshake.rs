//! How a request becomes a WebSocket (RFC 6455, section 4.2).

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
        },
    },
    response::Response,
};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::message::PROTOCOL;
use crate::http::refusal::Refusal;

/// The only version of the protocol.
const VERSION: &str = "13";

/// A request that becomes a WebSocket when its response is sent.
pub(super) struct Handshake {
    pub(super) upgrade: OnUpgrade,
    pub(super) response: Response,
    /// Whether client and server agree on the subprotocol.
    pub(super) speaks_protocol: bool,
}

/// Whether a request asks for a WebSocket.
pub(in crate::http) fn is_upgrade(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET && lists(headers, &UPGRADE, "websocket")
}

/// Answers a request that asks for a WebSocket.
///
/// # Errors
/// When one of its headers is not as the specification has it.
pub(super) fn accept(request: &mut Request) -> Result<Handshake, Refusal> {
    let wrong = |message: &str| Refusal::new(StatusCode::BAD_REQUEST, message);
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or_else(|| wrong("a WebSocket needs a connection of HTTP/1.1"))?;
    let headers = request.headers();
    if !lists(headers, &CONNECTION, "upgrade") {
        return Err(wrong("a WebSocket needs the header Connection: Upgrade"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        let refusal = Refusal::new(StatusCode::UPGRADE_REQUIRED, "use version 13: Sec-WebSocket-Version: 13");
        return Err(refusal.with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION)));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).filter(|key| is_key(key));
    let key = key.ok_or_else(|| wrong("Sec-WebSocket-Key must be 16 bytes in base64"))?;
    let speaks_protocol = lists(headers, &SEC_WEBSOCKET_PROTOCOL, PROTOCOL);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let head = response.headers_mut();
    head.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.insert(UPGRADE, HeaderValue::from_static("websocket"));
    head.extend(HeaderValue::try_from(derive_accept_key(key)).ok().map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)));
    head.extend(speaks_protocol.then_some((SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL))));
    Ok(Handshake { upgrade, response, speaks_protocol })
}

/// Whether a header lists a word, in any case.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|member| member.trim().eq_ignore_ascii_case(word))
}

/// Whether a key can be 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    matches!(key, [digits @ .., b'=', b'='] if digits.len() == 22 && digits.iter().all(is_digit))
}
