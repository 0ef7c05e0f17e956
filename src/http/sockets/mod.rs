//! Operations over sockets of the Web (graphql-transport-ws): subscriptions, and any other.
//!
//! A socket is one task: it hears, or it asks its operations for their next response and sends that, one at a time. A
//! client that is slow to take responses is asked for none, and one that takes none at all is given up.

mod message;
mod operations;

use std::{sync::Arc, time::Duration};

use async_graphql_axum::GraphQLProtocol;
use axum::{
    extract::{
        FromRequestParts, Request, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::{
        HeaderMap, Method, StatusCode,
        header::{ORIGIN, UPGRADE},
    },
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use tokio::time::{Instant, Interval, interval_at, sleep_until, timeout};

use self::{
    message::{Close, OPERATIONS, PROTOCOL, Said},
    operations::Operations,
};
use super::{BODY_BYTES, Service, cors::Origins, negotiation::Media, refusal::Refusal};
use crate::telemetry::{self, Account};

/// From the upgrade to the first message.
const INIT: Duration = Duration::from_secs(10);

/// How often a client is asked whether it is still there; one that has said nothing since the last time but one is not.
const PING: Duration = Duration::from_secs(15);

/// How long a message may take to be sent.
const STALL: Duration = Duration::from_secs(35);

/// Whether a request wants to become a WebSocket.
pub(super) fn is_upgrade(method: &Method, headers: &HeaderMap) -> bool {
    let is_websocket = |value: &axum::http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    method == Method::GET && headers.get_all(UPGRADE).iter().any(is_websocket)
}

/// `GET /graphql` that wants to become a WebSocket. Browsers leave it to the server whether a page may.
pub(super) async fn upgrade(service: &Arc<Service>, origins: &Origins, request: Request) -> Response {
    if !origins.admit(request.headers().get(ORIGIN)) {
        let message = "pages of this origin may not call; the operator names those that may";
        return Refusal::new(StatusCode::FORBIDDEN, message).into_errors(Media::Json);
    }
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Refusal::new(rejection.status(), rejection.body_text()).into_errors(Media::Json),
    };
    if GraphQLProtocol::from_request_parts(&mut parts, &()).await.is_err() {
        let message = format!("name the protocol of the WebSocket: Sec-WebSocket-Protocol: {PROTOCOL}");
        return Refusal::new(StatusCode::BAD_REQUEST, message).into_errors(Media::Json);
    }
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(BODY_BYTES).max_frame_size(BODY_BYTES);
    let service = Arc::clone(service);
    let sockets = service.sockets.clone();
    let mut response = upgrade.on_upgrade(async move |socket| {
        let _open = telemetry::socket_opened();
        sockets.track_future(Socket::new(socket, service).run()).await;
    });
    response.extensions_mut().insert(Account::SUBSCRIPTION);
    response.into_response()
}

struct Socket {
    way: WebSocket,
    service: Arc<Service>,
    operations: Operations,
    is_acknowledged: bool,
    pings: Interval,
    /// Pings since the client was heard last.
    unanswered: u32,
}

/// What ends a socket.
enum End {
    /// The client is told why.
    Close(Close),
    /// There is nobody to tell.
    Gone,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

impl Socket {
    fn new(way: WebSocket, service: Arc<Service>) -> Self {
        let pings = interval_at(Instant::now() + PING, PING);
        Self { way, service, operations: Operations::default(), is_acknowledged: false, pings, unanswered: 0 }
    }

    /// Serves the socket to its end.
    async fn run(mut self) {
        let Err(end) = self.serve().await;
        let End::Close(close) = end else { return };
        if close == Close::GoingAway {
            for id in self.operations.take_all() {
                if self.send(Message::Text(message::completed(&id).into())).await.is_err() {
                    return;
                }
            }
        }
        let (code, reason) = close.frame();
        telemetry::socket_closed(code);
        let frame = CloseFrame { code, reason: reason.into() };
        if self.send(Message::Close(Some(frame))).await.is_ok() {
            // The client answers by closing too; what it sent before is not heard any more.
            let _ = timeout(Duration::from_secs(1), async { while let Some(Ok(_)) = self.way.next().await {} }).await;
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        if self.way.protocol().is_none() {
            return Err(Close::Protocol.into());
        }
        let init = Instant::now() + INIT;
        let draining = self.service.draining.clone();
        loop {
            tokio::select! {
                () = draining.cancelled() => return Err(Close::GoingAway.into()),
                heard = self.way.next() => match heard {
                    Some(Ok(message)) => self.hear(&message).await?,
                    Some(Err(_)) | None => return Err(End::Gone),
                },
                (id, execution) = self.operations.next() => match execution {
                    Some(execution) => {
                        let (text, is_last) = message::response(&id, &execution);
                        if is_last {
                            self.operations.remove(&id);
                        }
                        self.send(Message::Text(text.into())).await?;
                    }
                    None => self.send(Message::Text(message::completed(&id).into())).await?,
                },
                () = sleep_until(init), if !self.is_acknowledged => {
                    return Err(Close::Silent.into());
                }
                _ = self.pings.tick() => {
                    self.unanswered += 1;
                    if self.unanswered > 2 {
                        return Err(End::Gone);
                    }
                    self.send(Message::Ping(axum::body::Bytes::new())).await?;
                }
            }
        }
    }

    async fn hear(&mut self, message: &Message) -> Result<(), End> {
        self.unanswered = 0;
        match message {
            Message::Text(text) => {
                let said = serde_json::from_str(text).map_err(|_| Close::Invalid)?;
                self.heed(said).await
            }
            Message::Binary(_) => Err(Close::Invalid.into()),
            // A ping of the transport is answered by the transport.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(End::Gone),
        }
    }

    async fn heed(&mut self, said: Said) -> Result<(), End> {
        match said {
            Said::ConnectionInit {} if self.is_acknowledged => Err(Close::InitAgain.into()),
            Said::ConnectionInit {} => {
                self.is_acknowledged = true;
                self.send(Message::Text(message::acknowledged().into())).await
            }
            Said::Ping {} => self.send(Message::Text(message::pong().into())).await,
            Said::Pong {} => Ok(()),
            Said::Subscribe { .. } if !self.is_acknowledged => Err(Close::Unacknowledged.into()),
            Said::Subscribe { id, .. } if self.operations.has(&id) => Err(Close::Taken.into()),
            Said::Subscribe { .. } if self.operations.len() == OPERATIONS => Err(Close::TooMany.into()),
            Said::Subscribe { id, payload } => {
                let service = Arc::clone(&self.service);
                let responses = futures_util::stream::once(async move { service.api.subscribe(payload).await });
                self.operations.add(id, responses.flatten().boxed());
                Ok(())
            }
            Said::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(STALL, self.way.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}
