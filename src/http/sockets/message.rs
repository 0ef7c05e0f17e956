//! The messages of the protocol graphql-transport-ws, and the codes that a socket is closed with.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::graphql::{Execution, Request, Text};

/// The name of the protocol.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";

/// What a client says.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Said {
    /// First of all; what it carries is nothing to us.
    ConnectionInit {},
    /// To be answered.
    Ping {},
    /// An answer.
    Pong {},
    /// An operation.
    Subscribe {
        /// Its name among those of this socket.
        id: String,
        /// What to execute.
        payload: Request,
    },
    /// The end of interest in an operation.
    Complete {
        /// Its name.
        id: String,
    },
}

/// Why a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The server stops.
    GoingAway,
    /// What the client says is no message of the protocol.
    Invalid,
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
    /// More operations than one socket may have.
    TooMany,
}

/// Operations side by side on one socket.
pub(super) const OPERATIONS: usize = 20;

impl Close {
    /// The code, and the reason for who reads it.
    pub(super) fn frame(self) -> (u16, String) {
        match self {
            Self::GoingAway => (1001, "the server stops; connect again".into()),
            Self::Invalid => (4400, format!("this is no message of {PROTOCOL}")),
            Self::Unacknowledged => (4401, "Unauthorized: send connection_init first".into()),
            Self::Protocol => (4406, format!("Subprotocol not acceptable: use {PROTOCOL}")),
            Self::Silent => (4408, "Connection initialisation timeout".into()),
            Self::Taken => (4409, "Subscriber already exists: each operation has an id of its own".into()),
            Self::InitAgain => (4429, "Too many initialisation requests".into()),
            Self::TooMany => (4429, format!("a socket has {OPERATIONS} operations at most")),
        }
    }
}

/// The answer to the first message.
pub(super) fn acknowledged() -> String {
    json!({"type": "connection_ack"}).to_string()
}

/// The answer to a ping.
pub(super) fn pong() -> String {
    json!({"type": "pong"}).to_string()
}

/// The end of an operation.
pub(super) fn completed(id: &str) -> String {
    json!({"type": "complete", "id": id}).to_string()
}

/// A response of an operation, and whether there is none after it since nothing was executed.
pub(super) fn response(id: &str, execution: &Execution) -> (String, bool) {
    let [response] = &execution.responses[..] else { return (completed(id), true) };
    let text = Text::of_response(response).into_pieces().concat();
    let id = Value::from(id);
    if response.refusal().is_some() {
        let errors = serde_json::from_slice(&text).map(|mut refusal: Value| refusal["errors"].take());
        return (json!({"type": "error", "id": id, "payload": errors.unwrap_or_default()}).to_string(), true);
    }
    (format!(r#"{{"type":"next","id":{id},"payload":{}}}"#, String::from_utf8_lossy(&text)), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_objects_of_the_protocol() {
        let said = |text: &str| serde_json::from_str::<Said>(text).ok();
        assert_eq!(said(r#"{"type": "connection_init"}"#), Some(Said::ConnectionInit {}));
        assert_eq!(said(r#"{"type": "connection_init", "payload": {"token": 1}}"#), Some(Said::ConnectionInit {}));
        assert_eq!(said(r#"{"type": "ping", "payload": {}}"#), Some(Said::Ping {}));
        let payload = Request::new("{x}");
        let subscribe = Said::Subscribe { id: "1".into(), payload };
        assert_eq!(said(r#"{"id": "1", "type": "subscribe", "payload": {"query": "{x}"}}"#), Some(subscribe));
        for wrong in [
            "",
            "5",
            "[]",
            "{}",
            r#"{"type": "start"}"#,
            r#"{"type": "subscribe", "payload": {"query": "{x}"}}"#,
            r#"{"type": "subscribe", "id": 1, "payload": {"query": "{x}"}}"#,
            r#"{"type": "subscribe", "id": "1"}"#,
            r#"{"type": "subscribe", "id": "1", "payload": ["{x}"]}"#,
            r#"{"type": "complete"}"#,
        ] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn reasons_fit_into_a_frame() {
        use Close::{GoingAway, InitAgain, Invalid, Protocol, Silent, Taken, TooMany, Unacknowledged};
        for close in [GoingAway, Invalid, Unacknowledged, Protocol, Silent, Taken, InitAgain, TooMany] {
            assert!(close.frame().1.len() <= 123, "{close:?}");
        }
    }
}
