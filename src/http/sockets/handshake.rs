//! The handshake of a WebSocket (RFC 6455, section 4.2).

use async_graphql_axum::GraphQLProtocol;
use axum::{
    RequestExt,
    body::Body,
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version,
        header::{
            CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
        },
    },
    response::Response,
};
use hyper::body::Body as _;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::message::{OLD_PROTOCOL, PROTOCOL};
use crate::http::{head::only, negotiation::Media, refusal::Refusal};

/// The only version of the protocol.
const VERSION: &str = "13";

/// A request that becomes a WebSocket when its response is sent.
pub(super) struct Handshake {
    pub(super) upgrade: OnUpgrade,
    pub(super) response: Response,
    /// Whether the subprotocol is [`PROTOCOL`]; else it is [`OLD_PROTOCOL`], in which the client is refused: most clients
    /// show nothing of a handshake that fails.
    pub(super) speaks_protocol: bool,
}

/// Whether a request asks for a WebSocket. HTTP/1.0 knows no upgrade.
pub(in crate::http) fn is_upgrade(request: &Request) -> bool {
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && lists(request.headers(), &UPGRADE, "websocket")
}

/// Answers a request that asks for a WebSocket.
///
/// # Errors
/// When one of its headers is not as the specification has it.
pub(super) async fn accept(request: &mut Request) -> Result<Handshake, Refusal> {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or_else(|| wrong("a WebSocket needs a connection of HTTP/1.1"))?;
    if !request.body().is_end_stream() {
        // Its bytes would be taken for frames (RFC 9110, section 7.8).
        return Err(wrong("the handshake of a WebSocket has no body")
            .with_header(CONNECTION, HeaderValue::from_static("close")));
    }
    join_lines(request.headers_mut(), &SEC_WEBSOCKET_PROTOCOL);
    let protocol = request.extract_parts::<GraphQLProtocol>().await;
    let headers = request.headers();
    if !lists(headers, &CONNECTION, "upgrade") {
        return Err(wrong("a WebSocket needs the header Connection: Upgrade"));
    }
    if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        let refusal = Refusal::new(StatusCode::UPGRADE_REQUIRED, "use version 13: Sec-WebSocket-Version: 13");
        return Err(refusal.with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION)));
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).filter(|key| is_key(key));
    let key = key.ok_or_else(|| wrong("Sec-WebSocket-Key must be 16 bytes in base64"))?;
    // The library compares names in any case, but a client takes no name that it has not offered (section 4.1).
    let is_offered = |name: &&str| members(headers, &SEC_WEBSOCKET_PROTOCOL).any(|member| member == *name);
    let protocol = protocol.ok().and_then(|_| [PROTOCOL, OLD_PROTOCOL].into_iter().find(is_offered));
    let protocol = protocol
        .ok_or_else(|| wrong(format!("name the protocol of the WebSocket: Sec-WebSocket-Protocol: {PROTOCOL}")))?;
    Ok(Handshake { upgrade, response: switch(key, protocol), speaks_protocol: protocol == PROTOCOL })
}

/// Makes one line of all lines of a header that is a list (RFC 9110, section 5.3), for a reader that sees the first alone.
fn join_lines(headers: &mut HeaderMap, name: &HeaderName) {
    let lines: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b", "[..]))
    {
        headers.insert(name, joined);
    }
}

fn wrong(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, message)
}

/// The response of a connection that becomes a WebSocket.
fn switch(key: &[u8], protocol: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let head = response.headers_mut();
    offer(head);
    head.extend(HeaderValue::try_from(derive_accept_key(key)).ok().map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)));
    head.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    response
}

/// The response of a refused handshake. One that demands an upgrade names it (RFC 9110, section 15.5.22).
pub(super) fn refuse(refusal: Refusal) -> Response {
    let mut response = refusal.into_errors(Media::Json);
    if response.status() == StatusCode::UPGRADE_REQUIRED {
        offer(response.headers_mut());
    }
    response
}

/// Says that the connection becomes, or can become, a WebSocket.
fn offer(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Whether a header lists a word, in any case.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    members(headers, name).any(|member| member.eq_ignore_ascii_case(word))
}

/// The members of all lines of a header that is a list.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether a key can be 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    matches!(key, [digits @ .., b'=', b'='] if digits.len() == 22 && digits.iter().all(is_digit))
}
