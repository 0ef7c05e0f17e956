//! Connections: how many there are, how long each may do nothing, and how they end.
//!
//! A client that is slow, silent or gone costs a slot for a bounded time, and never more memory than a few buffers. One
//! watch over each connection holds it against all of its [`Limits`]; what bounds a request itself, its body and its
//! evaluation, is up to its handler.

mod answer;
mod connection;
mod in_place;
mod pulse;
mod stream;

use std::{
    convert::Infallible,
    io::{self, ErrorKind},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, extract::Request, response::Response};
use hyper_util::{rt::TokioExecutor, server::conn::auto};
use tokio::{
    net::TcpListener,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::telemetry::{self, Listener};

/// The longest head of a request, and what may wait in a buffer of a connection: room for a long document in a URL.
const BUFFER_BYTES: u32 = 64 * 1024;

/// Requests side by side on one connection of HTTP/2: the least that its specification recommends.
const STREAMS: u32 = 100;

/// How long accepting rests when the process has no file left, unless a connection ends sooner.
const REST: Duration = Duration::from_millis(100);

/// When accepting went well for so long, its next trouble is told of again.
const CALM: Duration = Duration::from_secs(10);

/// What the connections of a listener may take.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// How many may be open; the rest waits in the backlog.
    pub(super) connections: usize,
    /// From being accepted to the end of the first head.
    pub(super) head: Duration,
    /// From the last answer to the end of the next head.
    pub(super) idle: Duration,
    /// For a request that is open, but of which no byte moves.
    pub(super) stall: Duration,
    /// For a head that is on its way when a drain begins.
    pub(super) grace: Duration,
}

impl Limits {
    /// Those of the service.
    pub(super) const REAL: Self = Self {
        connections: 10_000,
        head: Duration::from_secs(10),
        idle: Duration::from_secs(30),
        // A handler answers within 30 s, whatever its request: what stands still for longer waits for the client.
        stall: Duration::from_secs(35),
        grace: Duration::from_secs(1),
    };
}

/// What the requests of a listener are answered by.
pub(super) trait Answers: Send + Sync + 'static {
    /// The answer to a request. A panic is caught.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;
}

impl Answers for Router {
    async fn answer(&self, request: Request) -> Response {
        match self.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// What the connections of a listener share.
struct Door {
    listener: Listener,
    limits: Limits,
    protocols: auto::Builder<TokioExecutor>,
    draining: CancellationToken,
    /// Woken when a connection has ended, and its file is free.
    ended: Notify,
}

/// Serves until `draining`, then refuses what is new, answers what is open, and returns when all connections have ended.
/// To drop it cuts them.
pub(super) async fn serve(
    listener: Listener,
    socket: TcpListener,
    site: impl Answers,
    limits: Limits,
    draining: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (site, protocols, ended) = (Arc::new(site), protocols(), Notify::new());
    let door = Arc::new(Door { listener, limits, protocols, draining: draining.clone(), ended });
    let mut connections = JoinSet::new();
    draining.run_until_cancelled(accept(&socket, &site, &door, &slots, &mut connections)).await;
    drop(socket);
    while connections.join_next().await.is_some() {}
}

async fn accept(
    socket: &TcpListener,
    site: &Arc<impl Answers>,
    door: &Arc<Door>,
    slots: &Arc<Semaphore>,
    connections: &mut JoinSet<()>,
) -> Infallible {
    let mut trouble: Option<Instant> = None;
    loop {
        let permit = Arc::clone(slots).acquire_owned().await.expect("the slots are never closed");
        match socket.accept().await {
            Ok((stream, _)) => {
                let slot = Slot::new(permit, Arc::clone(door));
                connections.spawn(connection::run(stream, Arc::clone(site), slot));
                // What has ended leaves the set.
                while connections.try_join_next().is_some() {}
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if trouble.replace(Instant::now()).is_none_or(|last| last.elapsed() > CALM) {
                    telemetry::accepting_rests(door.listener, &error);
                }
                // Whether a file is free by now shows when accepting is tried again.
                let _ = timeout(REST, door.ended.notified()).await;
            }
        }
    }
}

/// Whether only the connection that was to be accepted is lost. All other errors, such as no file being left, would
/// meet the next one as well.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::Interrupted
            | ErrorKind::NetworkUnreachable
    )
}

/// HTTP/1.1, and HTTP/2 for clients that begin with it. Neither keeps time: the watch over the connection does.
fn protocols() -> auto::Builder<TokioExecutor> {
    let mut protocols = auto::Builder::new(TokioExecutor::new());
    protocols.http1().header_read_timeout(None).max_buf_size(BUFFER_BYTES as usize);
    protocols
        .http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(BUFFER_BYTES)
        .max_send_buf_size(BUFFER_BYTES as usize)
        .initial_stream_window_size(BUFFER_BYTES)
        // Bodies that no handler has read yet: a few of them, of all streams together.
        .initial_connection_window_size(8 * BUFFER_BYTES);
    protocols
}

/// A connection's place among those that may be open; free again when it is dropped.
struct Slot {
    _permit: OwnedSemaphorePermit,
    door: Arc<Door>,
}

impl Slot {
    fn new(permit: OwnedSemaphorePermit, door: Arc<Door>) -> Self {
        telemetry::connection_opened(door.listener);
        Self { _permit: permit, door }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        telemetry::connection_closed(self.door.listener);
        self.door.ended.notify_one();
    }
}
