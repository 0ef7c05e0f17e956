//! The messages of the protocol graphql-transport-ws, and the codes that a socket is closed with.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    graphql::{Execution, Fault, Request, Text},
    http::service::BODY_BYTES,
};

/// The name of the protocol.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";

/// The name of the protocol of subscriptions-transport-ws, which came before and is not served.
pub(super) const OLD_PROTOCOL: &str = "graphql-ws";

/// A message of a client.
#[derive(Debug, PartialEq)]
pub(super) enum ClientMessage {
    /// The first message.
    ConnectionInit,
    /// A question that is answered with a pong.
    Ping,
    /// An answer.
    Pong,
    /// An operation.
    Subscribe {
        /// Its identifier among those of this socket.
        id: String,
        /// The operation itself.
        payload: Request,
    },
    /// The end of interest in an operation.
    Complete {
        /// Its identifier.
        id: String,
    },
}

/// The members of any message.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Close::Invalid`] when it is not one of the protocol's objects.
    pub(super) fn read(text: &str) -> Result<Self, Close> {
        // An array of the members' values would be read as well.
        let is_object = text.trim_ascii_start().starts_with('{');
        let members: Option<Members> = is_object.then(|| serde_json::from_str(text).ok()).flatten();
        members.ok_or(Close::Invalid("it is a JSON object, with texts as type and id"))?.message()
    }
}

impl Members<'_> {
    fn message(self) -> Result<ClientMessage, Close> {
        // The payload is an optional object, which the server ignores.
        let has_details = self.payload.is_none_or(|payload| payload.get().starts_with('{'));
        let plain = |message| if has_details { Ok(message) } else { Err(Close::Invalid("its payload is an object")) };
        let id = self.id.filter(|id| !id.is_empty()).ok_or(Close::Invalid("it needs an id that is not empty"));
        match &*self.kind {
            "connection_init" => plain(ClientMessage::ConnectionInit),
            "ping" => plain(ClientMessage::Ping),
            "pong" => plain(ClientMessage::Pong),
            "subscribe" => {
                let payload = self.payload.and_then(request);
                let payload = payload.ok_or(Close::Invalid("its payload is a request, with a query"))?;
                Ok(ClientMessage::Subscribe { id: id?, payload })
            }
            "complete" => Ok(ClientMessage::Complete { id: id? }),
            _ => Err(Close::Invalid("its type is connection_init, ping, pong, subscribe or complete")),
        }
    }
}

/// A request that names a document, by its text or by its hash.
fn request(payload: &RawValue) -> Option<Request> {
    let request: Request = serde_json::from_str(payload.get()).ok()?;
    (request.document.is_some() || request.persisted.is_some()).then_some(request)
}

/// Why a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.frame().1)]
pub(super) enum Close {
    /// The server stops.
    GoingAway,
    /// The client sent no message of the protocol; the text is the rule that it broke.
    Invalid(&'static str),
    /// An operation before the first message.
    Unacknowledged,
    /// The protocol is another one.
    Protocol,
    /// No first message in time.
    Silent,
    /// The name of an operation is taken.
    Taken,
    /// A second first message.
    InitAgain,
    /// A flood of operations that the socket had no room for.
    Flood,
    /// More pings and pongs than keep a socket alive.
    TooManyPings,
    /// The client answered no ping.
    Absent,
    /// A message did not come to its end in time.
    Unfinished,
    /// There was no room for a message.
    Full,
    /// A message is longer than any may be.
    TooLong,
    /// A text is not UTF-8.
    NotText,
    /// The frames are not those of a WebSocket.
    Broken,
}

/// Concurrent operations on one socket.
pub(super) const OPERATIONS: usize = 20;

impl Close {
    /// The code, and the reason for a human reader.
    pub(super) fn frame(self) -> (u16, String) {
        match self {
            Self::GoingAway => (1001, "the server stops; connect again".into()),
            Self::Invalid(rule) => (4400, format!("this is no message of {PROTOCOL}: {rule}")),
            Self::Unacknowledged => (4401, "Unauthorized: send connection_init first".into()),
            Self::Protocol => (4406, format!("Subprotocol not acceptable: use {PROTOCOL}")),
            Self::Silent => (4408, "Connection initialisation timeout".into()),
            Self::Taken => (4409, "Subscriber already exists: each operation has an id of its own".into()),
            Self::InitAgain => (4429, "Too many initialisation requests".into()),
            Self::Flood => (4429, format!("a socket has {OPERATIONS} operations at most")),
            Self::TooManyPings => (1008, "too many pings".into()),
            // Registered as "timeout": clients try again, which they would not after a code of the protocol.
            Self::Absent => (3008, "the client answered no ping; connect again".into()),
            Self::Unfinished => (1008, "the message did not come in time: send it at once".into()),
            Self::Full => (1013, "the server's buffers for clients are full; try again later".into()),
            Self::TooLong => (1009, format!("a message has at most {BODY_BYTES} bytes")),
            Self::NotText => (1007, "a text has to be UTF-8".into()),
            Self::Broken => (1002, "these are no frames of a WebSocket".into()),
        }
    }
}

/// The refusal of a client that speaks the old protocol, in that protocol.
pub(super) fn old_protocol() -> String {
    json!({"type": "connection_error", "payload": {"message": Close::Protocol.to_string()}}).to_string()
}

/// The answer to the first message.
pub(super) const ACKNOWLEDGED: &str = r#"{"type":"connection_ack"}"#;

/// The answer to a ping.
pub(super) const PONG: &str = r#"{"type":"pong"}"#;

/// The end of an operation.
pub(super) fn completed(id: &str) -> String {
    json!({"type": "complete", "id": id}).to_string()
}

/// The end of an operation that is not executed, or not any more.
pub(super) fn refused(id: &str, fault: &Fault) -> String {
    let error = json!({"message": fault.message, "extensions": {"code": fault.code.as_str()}});
    json!({"type": "error", "id": id, "payload": [error]}).to_string()
}

/// A response of an operation, and whether there is none after it since nothing was executed.
pub(super) fn response(id: &str, execution: &Execution) -> (String, bool) {
    let [response] = &execution.responses[..] else { return (completed(id), true) };
    let (text, is_refused) = (Text::of_response(response).into_pieces(), response.refusal().is_some());
    if is_refused {
        let errors = serde_json::from_slice(&text.concat()).map(|mut refusal: Value| refusal["errors"].take());
        return (json!({"type": "error", "id": id, "payload": errors.unwrap_or_default()}).to_string(), true);
    }
    let head = format!(r#"{{"type":"next","id":{},"payload":"#, Value::from(id));
    let mut message = String::with_capacity(head.len() + text.iter().map(Bytes::len).sum::<usize>() + 1);
    message.push_str(&head);
    text.iter().for_each(|piece| message.push_str(&String::from_utf8_lossy(piece)));
    message.push('}');
    (message, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_objects_of_the_protocol() {
        let said = |text: &str| ClientMessage::read(text).ok();
        assert_eq!(said(r#" {"type": "connection_init"}"#), Some(ClientMessage::ConnectionInit));
        for (details, is_read) in
            [("{}", true), (r#"{"token": [1]}"#, true), ("null", true), ("[]", false), (r#""x""#, false), ("5", false)]
        {
            for kind in ["connection_init", "ping", "pong"] {
                let text = format!(r#"{{"type": "{kind}", "payload": {details}}}"#);
                assert_eq!(said(&text).is_some(), is_read, "{text}");
            }
        }
        let payload = Request::new("{x}");
        let subscribe = ClientMessage::Subscribe { id: "1".into(), payload };
        assert_eq!(said(r#"{"id": "1", "type": "subscribe", "payload": {"query": "{x}"}}"#), Some(subscribe));
        for wrong in [
            "",
            "5",
            "[]",
            "{}",
            r#"["ping"]"#,
            r#"["complete", "1"]"#,
            r#"["subscribe", "1", {"query": "{x}"}]"#,
            r#"{"type": ["ping"]}"#,
            r#"{"type": "start"}"#,
            r#"{"type": "connection_ack"}"#,
            r#"{"type": "next", "id": "1", "payload": {}}"#,
            r#"{"type": "subscribe", "payload": {"query": "{x}"}}"#,
            r#"{"type": "subscribe", "id": 1, "payload": {"query": "{x}"}}"#,
            r#"{"type": "subscribe", "id": "", "payload": {"query": "{x}"}}"#,
            r#"{"type": "subscribe", "id": "1"}"#,
            r#"{"type": "subscribe", "id": "1", "payload": ["{x}"]}"#,
            r#"{"type": "subscribe", "id": "1", "payload": {}}"#,
            r#"{"type": "subscribe", "id": "1", "payload": {"query": 5}}"#,
            r#"{"type": "subscribe", "id": "1", "payload": {"query": "{x}", "variables": []}}"#,
            r#"{"type": "subscribe", "id": "1", "payload": {"query": "{x}", "extensions": []}}"#,
            r#"{"type": "subscribe", "id": "1", "payload": {"query": "{x}", "operationName": 5}}"#,
            r#"{"type": "complete"}"#,
            r#"{"type": "complete", "id": null}"#,
            r#"{"type": "complete", "id": ""}"#,
        ] {
            let Err(Close::Invalid(rule)) = ClientMessage::read(wrong) else { panic!("{wrong}") };
            assert!(Close::Invalid(rule).frame().1.len() <= 123, "{rule}");
        }
        for (wrong, rule) in [
            (r#"["ping"]"#, "it is a JSON object"),
            (r#"{"type": "subscribe", "id": 1}"#, "texts as type and id"),
            (r#"{"type": "start"}"#, "its type is connection_init,"),
            (r#"{"type": "ping", "payload": 5}"#, "its payload is an object"),
            (r#"{"type": "complete", "id": ""}"#, "it needs an id"),
            (r#"{"type": "subscribe", "id": "1", "payload": {}}"#, "its payload is a request"),
        ] {
            let close = ClientMessage::read(wrong).unwrap_err();
            assert!(close.to_string().contains(rule), "{wrong}: {close}");
        }
    }

    #[test]
    fn reasons_fit_into_a_frame() {
        use Close::{
            Absent, Broken, Flood, Full, GoingAway, InitAgain, Invalid, NotText, Protocol, Silent, Taken, TooLong,
            TooManyPings, Unacknowledged, Unfinished,
        };
        for close in [
            GoingAway,
            Invalid(""),
            Unacknowledged,
            Protocol,
            Silent,
            Taken,
            InitAgain,
            Flood,
            TooManyPings,
            Absent,
            Unfinished,
            Full,
            TooLong,
            NotText,
            Broken,
        ] {
            assert!(close.frame().1.len() <= 123, "{close:?}");
        }
    }
}
