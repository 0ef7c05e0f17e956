//! GraphQL over a WebSocket (graphql-transport-ws): subscriptions, and any other operation.
//!
//! A socket is one task: it reads a message, or it asks its operations for their next response and sends that, one at a
//! time. A client that is slow to take responses is asked for none, and one that takes them too slowly is given up.

mod handshake;
mod message;
mod operations;
mod transport;
mod wire;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{extract::Request, http::StatusCode, response};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Interval, interval_at, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::Message;

pub(super) use self::handshake::is_upgrade;
use self::{
    handshake::Handshake,
    message::{ClientMessage, Close, OPERATIONS},
    operations::Operations,
    transport::{End, Transport},
};
use super::{
    access::Access,
    cors::Origins,
    gate::{Client, Permit},
    negotiation::Media,
    refusal::{Refusal, status, up_to_panic},
    service::{BODY_TIME, REQUEST_TIME, Service},
};
use crate::{
    graphql::{Code, Execution, Fault, Prepared, Request as Operation, Response, Size},
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

/// The text of a response is held three times: as digits, as a message, and as a frame that is being written.
const TEXT_COPIES: usize = 3;

/// The memory of an operation beside its response and the text of its id, which every message repeats.
const OPERATION_BYTES: usize = 512;

/// `GET /graphql` that wants to become a WebSocket. Browsers leave it to the server whether a page may.
pub(super) async fn upgrade(
    service: &Arc<Service>,
    client: &Arc<Client>,
    origins: &Origins,
    mut request: Request,
) -> response::Response {
    if !origins.admit(request.headers()) {
        let message = "pages of this origin may not call; the operator names those that may";
        return Refusal::new(StatusCode::FORBIDDEN, message).into_errors(Media::Json);
    }
    let Handshake { upgrade, mut response, speaks_protocol } = match handshake::accept(&mut request).await {
        Ok(handshake) => handshake,
        Err(refusal) => return handshake::refuse(refusal),
    };
    let (service, client) = (Arc::clone(service), Arc::clone(client));
    let sockets = service.sockets.clone();
    tokio::spawn(sockets.track_future(async move {
        // A connection that is gone meanwhile has nobody to serve.
        let Ok(stream) = upgrade.await else { return };
        let _open = telemetry::socket_opened();
        Socket::open(stream, service, client).await.run(speaks_protocol).await;
    }));
    response.extensions_mut().insert(Account::SUBSCRIPTION);
    response
}

struct Socket {
    transport: Transport<TokioIo<Upgraded>>,
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

impl Socket {
    async fn open(stream: Upgraded, service: Arc<Service>, client: Arc<Client>) -> Self {
        let messages = Client::new(&service.messages);
        Self {
            transport: Transport::new(TokioIo::new(stream), messages).await,
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
        let end = if speaks_protocol { self.serve().await } else { self.refuse_protocol().await };
        // Nothing is evaluated while the client closes.
        drop(self.operations);
        self.transport.end(end.unwrap_err()).await;
    }

    /// Tells a client of the old protocol in its own words, which it shows to its user, before the Close does.
    async fn refuse_protocol(&mut self) -> Result<Infallible, End> {
        self.transport.send(message::old_protocol()).await?;
        Err(Close::Protocol.into())
    }

    async fn serve(&mut self) -> Result<Infallible, End> {
        let init = Instant::now() + INIT;
        let draining = self.service.draining.clone();
        loop {
            let unfinished = self.transport.unfinished_since().map(|since| since + BODY_TIME);
            tokio::select! {
                // No operation is completed: a client would take it for the end, and not ask the next process for the rest.
                () = draining.cancelled() => return Err(Close::GoingAway.into()),
                message = self.transport.receive() => self.on_frame(&message?).await?,
                (id, execution) = self.operations.next() => match execution {
                    Some(execution) => {
                        let (text, is_last) = message::response(&id, &execution);
                        if is_last {
                            self.operations.remove(&id);
                        }
                        self.transport.send(text).await?;
                    }
                    None => self.transport.send(message::completed(&id)).await?,
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
            return Err(Close::Absent.into());
        }
        self.transport.send(Message::Ping(bytes::Bytes::new())).await
    }

    async fn on_frame(&mut self, message: &Message) -> Result<(), End> {
        self.unanswered = 0;
        match message {
            Message::Text(text) => self.on_message(ClientMessage::read(text)?).await,
            // The library answers a ping of the transport.
            Message::Ping(_) | Message::Pong(_) => self.count_ping(),
            Message::Binary(_) | Message::Close(_) | Message::Frame(_) => Err(Close::Invalid("it is a text").into()),
        }
    }

    async fn on_message(&mut self, message: ClientMessage) -> Result<(), End> {
        match message {
            ClientMessage::ConnectionInit if self.is_acknowledged => Err(Close::InitAgain.into()),
            ClientMessage::ConnectionInit => {
                self.is_acknowledged = true;
                self.transport.send(message::ACKNOWLEDGED).await
            }
            ClientMessage::Ping => {
                self.count_ping()?;
                self.transport.send(message::PONG).await
            }
            ClientMessage::Pong => self.count_ping(),
            ClientMessage::Subscribe { .. } if !self.is_acknowledged => Err(Close::Unacknowledged.into()),
            ClientMessage::Subscribe { id, .. } if self.operations.has(&id) => Err(Close::Taken.into()),
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, payload).await,
            ClientMessage::Complete { id } => {
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
        let (access, deadline) = (Access::begin_operation(), Instant::now() + REQUEST_TIME);
        if self.operations.len() == OPERATIONS {
            let message = format!("a socket has {OPERATIONS} operations at most: complete one first");
            return self.refuse(&id, &Fault::new(Code::Overloaded, message), &access).await;
        }
        let Ok(prepared) = timeout_at(deadline, self.service.api.prepare(vec![request], false)).await else {
            return self.refuse(&id, &Refusal::deadline().fault, &access).await;
        };
        let Size { execution, text } = prepared.size();
        // The permit is held until its last response is sent.
        match self.client.send(execution + TEXT_COPIES * (text + id.len()) + OPERATION_BYTES) {
            Ok(permit) => {
                self.operations.add(id, responses(Arc::clone(&self.service), prepared, access, permit, deadline));
                Ok(())
            }
            Err(full) => self.refuse(&id, &full.into(), &access).await,
        }
    }

    async fn refuse(&mut self, id: &str, fault: &Fault, access: &Access) -> Result<(), End> {
        access.end_operation(Account::REFUSED, StatusCode::SERVICE_UNAVAILABLE);
        self.refusals += 1;
        if self.refusals > REFUSALS {
            return Err(Close::Flood.into());
        }
        self.transport.send(message::refused(id, fault)).await
    }
}

/// The responses of an operation, which hold its permit to the last. The first of them is reported; it is the refusal of an
/// operation that is not executed by the deadline, or that panics.
fn responses(
    service: Arc<Service>,
    prepared: Prepared,
    access: Access,
    permit: Permit,
    deadline: Instant,
) -> BoxStream<'static, Execution> {
    let begun = async move {
        let executions = timeout_at(deadline, service.api.subscribe(prepared)).await;
        executions.unwrap_or_else(|_| stream::iter([Execution::refused(Refusal::deadline().fault)]).boxed())
    };
    let first = access.span.within(Box::pin(begun));
    let mut unreported = Some(access);
    let report = move |execution: &Execution| {
        // Held with this closure.
        let _ = &permit;
        if let Some(access) = unreported.take() {
            let refusal = execution.responses.first().and_then(Response::refusal);
            access.end_operation(
                execution.account,
                refusal.map_or(StatusCode::OK, |code| status(code, Media::GraphqlResponse)),
            );
        }
    };
    up_to_panic(stream::once(first).flatten()).inspect(report).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        graphql::Batch,
        http::{events, gate::Gate},
    };

    /// A service without a store, and a request that takes it long.
    fn long_request() -> (Arc<Service>, Operation) {
        let body = br#"{"query": "{ piDigits(from: 999990, count: 10) { result } }"}"#;
        let Ok(Batch::One(request)) = Batch::from_json(body) else { panic!("it is one request") };
        (Service::in_memory(), request)
    }

    /// The paused clock goes on whenever all tasks wait, so that any deadline comes before the end of an evaluation.
    #[tokio::test(start_paused = true)]
    async fn an_operation_has_the_deadline_of_a_request() {
        let client = Client::new(&Gate::new(0, 1 << 30));
        let deadline = Instant::now() + REQUEST_TIME;

        let (service, request) = long_request();
        let prepared = service.api.prepare(vec![request], false).await;
        let (access, permit) = (Access::begin_operation(), client.send(0).unwrap());
        let execution = responses(service, prepared, access, permit, deadline).next().await.unwrap();
        let (text, is_last) = message::response("a", &execution);
        assert!(is_last && text.contains("DEADLINE_EXCEEDED"), "{text}");

        let (service, request) = long_request();
        let refusal = events::answer(&service, &client, request, Instant::now() + REQUEST_TIME).await.unwrap_err();
        assert_eq!(refusal.fault.code, Code::DeadlineExceeded);
    }
}
