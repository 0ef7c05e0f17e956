//! Operations over sockets of the Web (graphql-transport-ws): subscriptions, and any other.
//!
//! A socket is one task: it reads a message, or it asks its operations for their next response and sends that, one at a
//! time. A client that is slow to take responses is asked for none, and one that takes none at all is given up.

mod handshake;
mod message;
mod operations;
mod wire;

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_graphql_axum::GraphQLProtocol;
use axum::{
    extract::{FromRequestParts, Request},
    http::{StatusCode, header::ORIGIN},
    response::{IntoResponse, Response},
};
use futures_util::{SinkExt, StreamExt, stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Interval, interval_at, sleep_until, timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

pub(super) use self::handshake::is_upgrade;
use self::{
    handshake::Handshake,
    message::{Close, OPERATIONS, PROTOCOL, Said},
    operations::Operations,
    wire::Wire,
};
use super::{
    BODY_BYTES, BODY_TIME, Service,
    cors::Origins,
    gate::{Client, Full, OUTGOING_BYTES, Permit},
    negotiation::Media,
    refusal::Refusal,
};
use crate::{
    graphql::{Code, Fault, Prepared, Request as Operation, Size},
    telemetry::{self, Account},
};

/// From the upgrade to the first message.
const INIT: Duration = Duration::from_secs(10);

/// The interval at which a client is asked whether it is still there; it is closed after two unanswered pings.
const PING: Duration = Duration::from_secs(15);

/// Pings and pongs of a client in one [`PING`] interval, of the transport or of the protocol: four a second.
const PINGS: u32 = 60;

/// Operations that a socket had no room for, in one [`PING`] interval. A client that goes on has not read the errors.
const REFUSALS: u32 = 100;

/// How long a message may take to be sent.
const STALL: Duration = Duration::from_secs(35);

/// The buffer for what comes in: room for a usual message.
const READ_BYTES: usize = 4 * 1024;

/// The text of a response is held three times: as digits, as a message, and as a frame that is being written.
const TEXT_COPIES: usize = 3;

/// What an operation takes beside its response and the text of its id, which every message repeats.
const OPERATION_BYTES: usize = 512;

/// `GET /graphql` that wants to become a WebSocket. Browsers leave it to the server whether a page may.
pub(super) async fn upgrade(
    service: &Arc<Service>,
    client: &Arc<Client>,
    origins: &Origins,
    mut request: Request,
) -> Response {
    if !origins.admit(request.headers().get(ORIGIN)) {
        let message = "pages of this origin may not call; the operator names those that may";
        return Refusal::new(StatusCode::FORBIDDEN, message).into_errors(Media::Json);
    }
    let Handshake { upgrade, mut response, speaks_protocol } = match handshake::accept(&mut request) {
        Ok(handshake) => handshake,
        Err(refusal) => return refusal.into_errors(Media::Json),
    };
    let (mut parts, _) = request.into_parts();
    if GraphQLProtocol::from_request_parts(&mut parts, &()).await.is_err() {
        let message = format!("name the protocol of the WebSocket: Sec-WebSocket-Protocol: {PROTOCOL}");
        return Refusal::new(StatusCode::BAD_REQUEST, message).into_errors(Media::Json);
    }
    let (service, client) = (Arc::clone(service), Arc::clone(client));
    let sockets = service.sockets.clone();
    tokio::spawn(sockets.track_future(async move {
        // A connection that is gone meanwhile has nobody to serve.
        let Ok(stream) = upgrade.await else { return };
        let _open = telemetry::socket_opened();
        Socket::open(stream, service, client).await.run(speaks_protocol).await;
    }));
    response.extensions_mut().insert(Account::SUBSCRIPTION);
    response.into_response()
}

struct Socket {
    stream: WebSocketStream<Wire<TokioIo<Upgraded>>>,
    service: Arc<Service>,
    client: Arc<Client>,
    operations: Operations,
    is_acknowledged: bool,
    pings: Interval,
    /// Pings since the client was heard last.
    unanswered: u32,
    /// Pings and pongs of the client since the last ping.
    client_pings: u32,
    /// Operations that were refused since the last ping.
    refusals: u32,
}

/// What ends a socket.
enum End {
    /// The client is told why.
    Close(Close),
    /// The client has closed it, and is answered.
    Closed,
    /// There is nobody to tell.
    Gone,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

/// The limits of the library: buffers that are small, messages as long as bodies, and nothing to write that has no permit.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(OUTGOING_BYTES)
        .max_message_size(Some(BODY_BYTES))
        .max_frame_size(Some(BODY_BYTES))
}

impl Socket {
    async fn open(stream: Upgraded, service: Arc<Service>, client: Arc<Client>) -> Self {
        let wire = Wire::new(TokioIo::new(stream), Client::new(&service.messages));
        Self {
            stream: WebSocketStream::from_raw_socket(wire, Role::Server, Some(config())).await,
            service,
            client,
            operations: Operations::default(),
            is_acknowledged: false,
            pings: interval_at(Instant::now() + PING, PING),
            unanswered: 0,
            client_pings: 0,
            refusals: 0,
        }
    }

    /// Serves the socket to its end.
    async fn run(mut self, speaks_protocol: bool) {
        let end = if speaks_protocol { self.serve().await.unwrap_err() } else { Close::Protocol.into() };
        let is_told = match end {
            End::Close(close) => self.close(close).await.is_ok(),
            End::Closed => true,
            End::Gone => false,
        };
        if is_told {
            // The other side closes too; nothing that it sent before is answered any more.
            let _ =
                timeout(Duration::from_secs(1), async { while let Some(Ok(_)) = self.stream.next().await {} }).await;
        }
    }

    async fn close(&mut self, close: Close) -> Result<(), End> {
        if close == Close::GoingAway {
            for id in self.operations.take_all() {
                self.send(message::completed(&id)).await?;
            }
        }
        let (code, reason) = close.frame();
        telemetry::socket_closed(code);
        self.send(Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))).await
    }

    async fn serve(&mut self) -> Result<Infallible, End> {
        let init = Instant::now() + INIT;
        let draining = self.service.draining.clone();
        loop {
            let unfinished = self.stream.get_ref().unfinished_since().map(|since| Instant::from_std(since) + BODY_TIME);
            tokio::select! {
                () = draining.cancelled() => return Err(Close::GoingAway.into()),
                message = self.stream.next() => match message {
                    Some(Ok(message)) => self.on_frame(&message).await?,
                    Some(Err(error)) => return Err(Close::from(&error).into()),
                    None => return Err(End::Gone),
                },
                (id, execution) = self.operations.next() => match execution {
                    Some(execution) => {
                        let (text, is_last) = message::response(&id, &execution);
                        if is_last {
                            self.operations.remove(&id);
                        }
                        self.send(text).await?;
                    }
                    None => self.send(message::completed(&id)).await?,
                },
                () = sleep_until(init), if !self.is_acknowledged => return Err(Close::Silent.into()),
                () = sleep_until(unfinished.unwrap_or(init)), if unfinished.is_some() => {
                    return Err(Close::Unfinished.into());
                }
                _ = self.pings.tick() => self.on_tick().await?,
            }
        }
    }

    async fn on_tick(&mut self) -> Result<(), End> {
        (self.client_pings, self.refusals) = (0, 0);
        self.unanswered += 1;
        if self.unanswered > 2 {
            return Err(End::Gone);
        }
        self.send(Message::Ping(bytes::Bytes::new())).await
    }

    async fn on_frame(&mut self, message: &Message) -> Result<(), End> {
        self.unanswered = 0;
        match message {
            Message::Text(text) => {
                let message = serde_json::from_str(text).map_err(|_| Close::Invalid)?;
                self.on_message(message).await
            }
            Message::Binary(_) | Message::Frame(_) => Err(Close::Invalid.into()),
            // The library answers a ping of the transport.
            Message::Ping(_) | Message::Pong(_) => self.count_ping(),
            Message::Close(_) => Err(End::Closed),
        }
    }

    async fn on_message(&mut self, message: Said) -> Result<(), End> {
        match message {
            Said::ConnectionInit {} if self.is_acknowledged => Err(Close::InitAgain.into()),
            Said::ConnectionInit {} => {
                self.is_acknowledged = true;
                self.send(message::acknowledged()).await
            }
            Said::Ping {} => {
                self.count_ping()?;
                self.send(message::pong()).await
            }
            Said::Pong {} => self.count_ping(),
            Said::Subscribe { .. } if !self.is_acknowledged => Err(Close::Unacknowledged.into()),
            Said::Subscribe { id, .. } if self.operations.has(&id) => Err(Close::Taken.into()),
            Said::Subscribe { id, payload } => self.subscribe(id, payload).await,
            Said::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
        }
    }

    fn count_ping(&mut self) -> Result<(), End> {
        self.client_pings += 1;
        if self.client_pings > PINGS { Err(Close::TooManyPings.into()) } else { Ok(()) }
    }

    /// Begins an operation, or sends the error of one that there is no room for.
    async fn subscribe(&mut self, id: String, request: Operation) -> Result<(), End> {
        if self.operations.len() == OPERATIONS {
            let message = format!("a socket has {OPERATIONS} operations at most: complete one first");
            return self.refuse(&id, &Fault::new(Code::Overloaded, message)).await;
        }
        let prepared = self.service.api.prepare(vec![request], false).await;
        match self.permit(&id, &prepared) {
            Ok(permit) => {
                let service = Arc::clone(&self.service);
                let responses = stream::once(async move { service.api.subscribe(prepared).await }).flatten();
                // Held until the last response is sent.
                let responses = responses.inspect(move |_| _ = &permit);
                self.operations.add(id, responses.boxed());
                Ok(())
            }
            Err(full) => self.refuse(&id, &full.into()).await,
        }
    }

    /// A permit for an operation until its last response is sent.
    fn permit(&self, id: &str, prepared: &Prepared) -> Result<Permit, Full> {
        let Size { execution, text } = prepared.size();
        self.client.send(execution + TEXT_COPIES * (text + id.len()) + OPERATION_BYTES)
    }

    async fn refuse(&mut self, id: &str, fault: &Fault) -> Result<(), End> {
        self.refusals += 1;
        if self.refusals > REFUSALS {
            return Err(Close::Flood.into());
        }
        self.send(message::refused(id, fault)).await
    }

    async fn send(&mut self, message: impl Into<Message>) -> Result<(), End> {
        match timeout(STALL, self.stream.send(message.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}
