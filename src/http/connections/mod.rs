//! Connections: accepting them, their timeouts, and graceful shutdown.
//!
//! A client that is slow, silent or gone holds a connection slot for a bounded time. All memory that it takes beside
//! the buffers of its connection has a permit of the [`gate`](super::gate): a head from its ninth kilobyte on, a
//! response until its last byte is written. The task of a connection enforces its [`Limits`]; the handler bounds the
//! request itself, its body and its evaluation.

mod activity;
mod answer;
mod connection;
mod http2;
mod in_place;
mod limits;
mod pause;
mod progress;
mod slot;
mod stream;

use std::{
    convert::Infallible,
    io::{self, ErrorKind},
    iter,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper_util::server::conn::auto;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::{
    http2::Streams,
    limits::BUFFER_BYTES,
    slot::{ListenerState, Slot},
};
pub(super) use self::{
    limits::{CONNECTION_BYTES, Limits, STREAM_BYTES},
    progress::PACE,
};
use super::{answers::Answers, gate::Gate};
use crate::telemetry::{self, Listener};

/// The flow-control window of HTTP/2, for a stream and for a connection: about the default of the specification.
/// Handlers read bodies as they arrive, each byte with a permit.
const WINDOW_BYTES: u32 = 64 * 1024;

/// The concurrent streams of one HTTP/2 connection: the least that the specification recommends.
const STREAMS: u32 = 100;

/// The pause before accepting is retried, when the process has no file left, unless a connection ends sooner.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// After this long without a failure to accept, the next one is logged again.
const LOG_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Serves until `draining`, then refuses new connections, answers open requests, and returns when all connections have
/// ended. Dropping the future cuts them.
pub(super) async fn serve(
    listener: Listener,
    socket: TcpListener,
    site: impl Answers,
    limits: Limits,
    gate: Arc<Gate>,
    draining: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let protocols = protocols(Streams::new(listener, &limits));
    let http2 = Arc::new(Semaphore::new(limits.http2_connections));
    let (site, ended) = (Arc::new(site), Notify::new());
    let shared =
        Arc::new(ListenerState { listener, limits, gate, http2, protocols, draining: draining.clone(), ended });
    let mut connections = JoinSet::new();
    draining.run_until_cancelled(accept(&socket, &site, &shared, &slots, &mut connections)).await;
    for stream in backlog(socket) {
        let Ok(permit) = Arc::clone(&slots).try_acquire_owned() else { break };
        connections.spawn(connection::run(stream, Arc::clone(&site), Slot::new(permit, Arc::clone(&shared))));
    }
    while connections.join_next().await.is_some() {}
}

/// The connections in the backlog of the listener, whose requests would be lost with it.
fn backlog(socket: TcpListener) -> impl Iterator<Item = TcpStream> {
    // It bypasses the runtime, which may not know the latest ones yet.
    let socket = socket.into_std().ok();
    let accept = move || {
        let (stream, _) = socket.as_ref()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    };
    iter::from_fn(accept)
}

async fn accept(
    socket: &TcpListener,
    site: &Arc<impl Answers>,
    shared: &Arc<ListenerState>,
    slots: &Arc<Semaphore>,
    connections: &mut JoinSet<()>,
) -> Infallible {
    let mut trouble: Option<Instant> = None;
    loop {
        let permit = Arc::clone(slots).acquire_owned().await.expect("the slots are never closed");
        match socket.accept().await {
            Ok((stream, _)) => {
                let slot = Slot::new(permit, Arc::clone(shared));
                connections.spawn(connection::run(stream, Arc::clone(site), slot));
                // Connections that have ended leave the set.
                while connections.try_join_next().is_some() {}
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if trouble.replace(Instant::now()).is_none_or(|last| last.elapsed() > LOG_AGAIN_AFTER) {
                    telemetry::accept_failed(shared.listener, &error);
                }
                // The next attempt shows whether a file is free.
                let _ = timeout(ACCEPT_PAUSE, shared.ended.notified()).await;
            }
        }
    }
}

/// Whether an error concerns only the connection that was accepted. Any other one, such as a process without files,
/// would fail the next accept too.
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

/// The protocols: HTTP/1.1, and HTTP/2 with prior knowledge. Their own timeouts are off, since the connection task has
/// them. A client that sends no more (a half-closed connection) is still answered; one that is gone is noticed when its
/// answer is written.
fn protocols(streams: Streams) -> auto::Builder<Streams> {
    let mut protocols = auto::Builder::new(streams);
    protocols.http1().half_close(true).header_read_timeout(None).max_buf_size(BUFFER_BYTES as usize);
    protocols
        .http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(BUFFER_BYTES)
        .max_send_buf_size(BUFFER_BYTES as usize)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    protocols
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        io::{Read, Write},
        net::{Shutdown, SocketAddr, TcpStream},
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
    };

    use axum::{
        Router,
        body::{Body, Bytes},
        routing::get,
    };
    use futures_util::{StreamExt, stream};
    use tokio::{
        runtime::{Builder, Runtime},
        task::{JoinHandle, spawn_blocking, yield_now},
    };

    use super::*;

    /// Nothing that a test waits for takes longer, however busy the machine is.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Long enough to differ from none.
    const SHORT: Duration = Duration::from_millis(200);

    /// More than the system keeps for a client that does not read.
    const LARGE: usize = 64 * 1024 * 1024;

    /// A listener that is served.
    struct House {
        runtime: Runtime,
        address: SocketAddr,
        draining: CancellationToken,
        served: JoinHandle<()>,
        /// Lets an answer of `/slow` go.
        release: Arc<Notify>,
    }

    impl House {
        fn open(limits: Limits) -> Self {
            Self::open_with(limits, &Gate::new(2 * LARGE, 2 * LARGE))
        }

        fn open_with(limits: Limits, gate: &Arc<Gate>) -> Self {
            let (runtime, draining, release) = (Runtime::new().unwrap(), CancellationToken::new(), Arc::default());
            let socket = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = socket.local_addr().unwrap();
            let (router, gate) = (router(&release), Arc::clone(gate));
            let served = runtime.spawn(serve(Listener::Public, socket, router, limits, gate, draining.clone()));
            Self { runtime, address, draining, served, release }
        }

        fn connect(&self) -> Client {
            let stream = TcpStream::connect(self.address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            Client(stream)
        }

        /// A client whose connection is certainly accepted, since a later one is served.
        fn connect_silently(&self) -> Client {
            let client = self.connect();
            assert!(self.connect().get("/").ends_with("here"));
            client
        }

        /// Begins the drain, and waits until it has begun.
        fn drain(&self) {
            self.draining.cancel();
            let until = Instant::now() + PATIENCE;
            while TcpStream::connect(self.address).is_ok() {
                assert!(Instant::now() < until, "new connections are still accepted");
            }
        }

        /// Waits until all connections have ended.
        fn close(self) {
            self.runtime.block_on(async { timeout(PATIENCE, self.served).await }).unwrap().unwrap();
        }
    }

    fn router(release: &Arc<Notify>) -> Router {
        let release = Arc::clone(release);
        let slow = async move || {
            release.notified().await;
            "released"
        };
        let panics = async || -> &'static str { panic!("as the test wants it") };
        Router::new()
            .route("/", get(async || "here"))
            .route("/panic", get(panics))
            .route("/graphql", get(panics))
            .route("/slow", get(slow))
            .route("/large", get(async || Bytes::from(vec![b'x'; LARGE])))
    }

    /// A client that does what no library would.
    struct Client(TcpStream);

    impl Client {
        fn send(&mut self, bytes: impl AsRef<[u8]>) {
            self.0.write_all(bytes.as_ref()).unwrap();
        }

        fn ask(&mut self, path: &str) {
            self.send(format!("GET {path} HTTP/1.1\r\nHost: phipi\r\n\r\n"));
        }

        fn get(&mut self, path: &str) -> String {
            self.ask(path);
            self.answer()
        }

        /// The head and the body of one answer, as text.
        fn answer(&mut self) -> String {
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(0);
                let last = answer.len() - 1;
                self.0.read_exact(&mut answer[last..]).unwrap();
            }
            let head = String::from_utf8(answer).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut body).unwrap();
            head + str::from_utf8(&body).unwrap()
        }

        /// All that comes until the server closes the connection.
        fn rest(&mut self) -> Vec<u8> {
            let mut rest = Vec::new();
            match self.0.read_to_end(&mut rest) {
                Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("not closed: {error}"),
                _ => rest,
            }
        }

        /// The answers that are left, for a client that sends no more.
        fn last_answers(mut self) -> Vec<u8> {
            self.0.shutdown(Shutdown::Write).unwrap();
            self.rest()
        }

        /// Sends a byte now and again until the server closes the connection.
        fn trickle(&mut self) {
            self.0.set_read_timeout(Some(SHORT / 20)).unwrap();
            let until = Instant::now() + PATIENCE;
            let is_open = |read: io::Result<usize>| matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock);
            while self.0.write_all(b"x").is_ok() && is_open(self.0.read(&mut [0])) {
                assert!(Instant::now() < until, "a head may take forever");
            }
        }
    }

    #[test]
    fn a_panic_costs_its_request_alone() {
        let house = House::open(Limits::PUBLIC);
        let mut client = house.connect();
        let answer = client.get("/panic");
        assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("application/problem+json"), "{answer}");
        assert!(answer.contains(r#""code":"INTERNAL_SERVER_ERROR""#), "{answer}");
        let answer = client.get("/graphql");
        let body = r#"{"errors":[{"extensions":{"code":"INTERNAL_SERVER_ERROR"},"message":"something went wrong on the server; try again"}]}"#;
        assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("application/json"), "{answer}");
        assert!(answer.ends_with(body), "{answer}");
        assert!(client.get("/").ends_with("here"), "the same connection goes on");
    }

    #[test]
    fn a_head_that_does_not_come_in_time_costs_the_connection() {
        let house = House::open(Limits { head: SHORT, ..Limits::PUBLIC });
        let opened = Instant::now();
        assert_eq!(house.connect().rest(), b"");
        assert!(opened.elapsed() >= SHORT);
        for beginning in ["", "GET / HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let mut client = house.connect();
            client.send(beginning);
            client.trickle();
        }
        let mut client = house.connect();
        assert!(client.get("/").ends_with("here"));
        assert!(house.connect().rest().is_empty(), "the limit has passed");
        assert!(client.get("/").ends_with("here"), "it is one for the first head alone");
    }

    #[test]
    fn a_next_head_that_does_not_come_in_time_costs_the_connection() {
        let house = House::open(Limits { idle: SHORT, ..Limits::PUBLIC });
        let mut idle = house.connect();
        assert!(idle.get("/").ends_with("here"));
        let answered = Instant::now();
        assert_eq!(idle.rest(), b"");
        assert!(answered.elapsed() >= SHORT / 2);
        let mut trickling = house.connect();
        assert!(trickling.get("/").ends_with("here"));
        trickling.trickle();
    }

    #[test]
    fn an_answer_that_nobody_reads_costs_the_connection() {
        let house = House::open(Limits { connections: 1, stall: SHORT, idle: SHORT, ..Limits::PUBLIC });
        let mut client = house.connect();
        client.ask("/large");
        assert!(house.connect().get("/").ends_with("here"), "the one slot is free again");
        assert!(client.rest().len() < LARGE);
    }

    #[test]
    fn who_finds_no_slot_waits_for_one() {
        let house = House::open(Limits { connections: 2, ..Limits::PUBLIC });
        let (mut first, mut second) = (house.connect(), house.connect());
        assert!(first.get("/").ends_with("here") && second.get("/").ends_with("here"));
        let mut third = house.connect();
        third.ask("/");
        third.0.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(third.0.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "there are two slots");
        third.0.set_read_timeout(Some(PATIENCE)).unwrap();
        drop(first);
        assert!(third.answer().ends_with("here"));
        assert!(second.get("/").ends_with("here"));
    }

    #[test]
    fn a_drain_closes_what_is_idle_and_finishes_what_is_under_way() {
        let house = House::open(Limits { grace: SHORT, ..Limits::PUBLIC });
        let (mut idle, mut half) = (house.connect(), house.connect());
        assert!(idle.get("/").ends_with("here"));
        half.send("GET / HT");
        let (mut waiting, mut reading) = (house.connect(), house.connect());
        waiting.ask("/slow");
        reading.ask("/large");
        reading.0.read_exact(&mut [0]).unwrap();
        house.drain();
        assert_eq!((idle.rest(), half.rest()), (vec![], vec![]));
        house.release.notify_one();
        let answer = waiting.answer();
        assert!(answer.contains("connection: close") && answer.ends_with("released"), "{answer}");
        assert!(reading.rest().len() > LARGE);
        house.close();
    }

    #[test]
    fn a_drain_waits_a_moment_for_a_first_head() {
        let house = House::open(Limits { grace: PATIENCE, ..Limits::PUBLIC });
        let mut client = house.connect_silently();
        house.drain();
        assert!(client.get("/").ends_with("here"));
    }

    #[test]
    fn who_gives_up_serving_cuts_what_is_open() {
        let house = House::open(Limits::PUBLIC);
        let mut client = house.connect_silently();
        client.send("GET / HT");
        house.served.abort();
        assert_eq!(client.rest(), b"");
    }

    #[test]
    fn a_long_head_needs_room() {
        const LONG: usize = 20_000;
        // For one long head that is being read, and the request that follows from it.
        let house = House::open_with(Limits::PUBLIC, &Gate::new(2 * BUFFER_BYTES as usize - 1, LARGE));
        let long_head = format!("GET / HTTP/1.1\r\nHost: phipi\r\nx: {}", "x".repeat(LONG));
        let (mut reading, until) = (Vec::new(), Instant::now() + PATIENCE);
        let answer = loop {
            let mut client = house.connect();
            client.send(&long_head);
            client.0.set_read_timeout(Some(SHORT)).unwrap();
            let mut answer = String::new();
            if client.0.read_to_string(&mut answer).is_ok() {
                break answer;
            }
            reading.push(client);
            assert!(Instant::now() < until, "a long head needs no room");
        };
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"), "{answer}");
        assert!(house.connect().get("/").ends_with("here"), "a short head needs none");
        let [first] = &mut reading[..] else { panic!("there was room for one") };
        first.0.set_read_timeout(Some(PATIENCE)).unwrap();
        first.send("\r\n\r\n");
        let answer = first.answer();
        assert!(answer.ends_with("here"), "{answer}");
    }

    #[test]
    fn a_short_head_needs_no_room_though_a_long_body_comes_with_it() {
        const LONG: usize = 20_000;
        let house = House::open_with(Limits::PUBLIC, &Gate::new(BUFFER_BYTES as usize - 1, LARGE));
        let head = format!("POST / HTTP/1.1\r\nHost: phipi\r\nContent-Length: {LONG}\r\n\r\n");
        for _ in 0..20 {
            let mut client = house.connect();
            client.send(head.clone() + &"x".repeat(LONG));
            let answer = client.answer();
            assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        }
    }

    #[test]
    fn the_bytes_of_an_answer_are_held_until_they_are_written() {
        let gate = Gate::new(LARGE, LARGE);
        let house = House::open_with(Limits::PUBLIC, &gate);
        let mut slow = house.connect();
        slow.ask("/large");
        slow.0.read_exact(&mut [0; 100]).unwrap();
        let refused = house.connect().get("/large");
        assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1"), "{refused}");
        assert!(refused.contains("OVERLOADED"), "{refused}");
        assert!(house.connect().get("/").ends_with("here"), "a short answer has room of its own");
        slow.0.read_exact(&mut vec![0; LARGE]).unwrap();
        let until = Instant::now() + PATIENCE;
        while !house.connect().get("/large").starts_with("HTTP/1.1 200 ") {
            assert!(Instant::now() < until, "what is written is still held");
        }
    }

    /// The kinds of frames of HTTP/2.
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GO_AWAY: u8 = 7;

    /// A frame of HTTP/2.
    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream];
        frame.extend(payload);
        frame
    }

    /// The head of `GET` for a path of one word, in the static table and two literals.
    fn head_of_get(path: &str) -> Vec<u8> {
        let path_length = u8::try_from(path.len()).unwrap();
        [&[0x82, 0x86, 0x01, 5], &b"phipi"[..], &[0x04, path_length], path.as_bytes()].concat()
    }

    impl Client {
        /// Begins HTTP/2 with these settings.
        fn begin_http2(&mut self, settings: &[u8]) {
            self.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            self.send(frame(SETTINGS, 0, 0, settings));
        }

        /// The kind, the stream and the payload of the next frame.
        fn frame(&mut self) -> (u8, u8, Vec<u8>) {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).unwrap();
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            self.0.read_exact(&mut payload).unwrap();
            (head[3], head[8], payload)
        }

        /// The payload of the next frame of a kind, and its stream.
        fn frame_of(&mut self, wanted: u8) -> (u8, Vec<u8>) {
            loop {
                let (kind, stream, payload) = self.frame();
                if kind == wanted {
                    return (stream, payload);
                }
            }
        }
    }

    #[test]
    fn a_large_answer_gives_others_their_turn_while_it_is_written() {
        const PIECES: usize = 64;
        let (turns, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(BTreeSet::new())));
        let (now, noted) = (Arc::clone(&turns), Arc::clone(&seen));
        let pieces = async move || {
            let piece = move |_| {
                noted.lock().unwrap().insert(now.load(Relaxed));
                Ok::<_, Infallible>(Bytes::from(vec![b'x'; 64 * 1024]))
            };
            Body::from_stream(stream::iter(0..PIECES).map(piece))
        };
        let others = async move {
            loop {
                turns.fetch_add(1, Relaxed);
                yield_now().await;
            }
        };
        // On one thread, the others run only when the connection yields.
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            let (router, gate) = (Router::new().route("/", get(pieces)), Gate::new(LARGE, LARGE));
            tokio::spawn(serve(Listener::Public, socket, router, Limits::PUBLIC, gate, CancellationToken::new()));
            tokio::spawn(others);
            let answer = spawn_blocking(move || {
                let mut client = Client(TcpStream::connect(address).unwrap());
                client.ask("/");
                client.last_answers()
            });
            assert!(answer.await.unwrap().len() > PIECES * 64 * 1024);
        });
        let turns = seen.lock().unwrap().len();
        assert!(turns > PIECES / 16, "others had {turns} turns");
    }

    #[test]
    fn a_client_that_sends_no_more_gets_its_answers() {
        let house = House::open(Limits::PUBLIC);
        for _ in 0..4 {
            let mut client = house.connect();
            client.ask("/large");
            client.ask("/slow");
            house.release.notify_one();
            let answers = client.last_answers();
            assert!(answers.len() > LARGE && answers.ends_with(b"released"), "{} bytes", answers.len());
        }
        house.drain();
        house.close();
    }

    #[test]
    fn http_2_is_served_to_who_begins_with_it() {
        let house = House::open(Limits { grace: SHORT, ..Limits::PUBLIC });
        let mut client = house.connect();
        client.begin_http2(&[]);
        client.send(frame(HEADERS, 0b101, 1, &head_of_get("/")));
        assert_eq!(client.frame_of(HEADERS).1[0], 0x88, "the status 200 of the static table");
        assert_eq!(client.frame_of(DATA).1, b"here");
        house.draining.cancel();
        client.frame_of(GO_AWAY);
        client.rest();
        house.close();
    }

    #[test]
    fn an_answer_that_nobody_takes_costs_its_stream_however_often_the_client_pings() {
        /// `SETTINGS_INITIAL_WINDOW_SIZE` is 0.
        const CLOSED: [u8; 6] = [0, 4, 0, 0, 0, 0];
        let house = House::open_with(Limits { stall: SHORT, ..Limits::PUBLIC }, &Gate::new(LARGE, LARGE));
        let mut client = house.connect();
        client.begin_http2(&CLOSED);
        client.send(frame(HEADERS, 0b101, 1, &head_of_get("/large")));
        client.frame_of(HEADERS);
        client.0.set_read_timeout(Some(SHORT / 20)).unwrap();
        let until = Instant::now() + PATIENCE;
        while client.0.peek(&mut [0; 26]).is_err() {
            assert!(Instant::now() < until, "the answer is still held");
            client.send(frame(PING, 0, 0, &[0; 8]));
            client.0.set_read_timeout(Some(PATIENCE)).unwrap();
            let (kind, stream, _) = client.frame();
            client.0.set_read_timeout(Some(SHORT / 20)).unwrap();
            if (kind, stream) == (RST_STREAM, 1) {
                break;
            }
        }
        client.0.set_read_timeout(Some(PATIENCE)).unwrap();
        client.send(frame(HEADERS, 0b101, 3, &head_of_get("/")));
        assert_eq!(client.frame_of(HEADERS).0, 3, "the connection goes on");
        assert!(house.connect().get("/large").starts_with("HTTP/1.1 200 "), "its bytes are held no longer");
    }

    #[test]
    fn streams_of_http_2_are_bounded_together() {
        let house = House::open(Limits { http2_streams: 1, ..Limits::PUBLIC });
        let (mut first, mut second) = (house.connect(), house.connect());
        first.begin_http2(&[]);
        first.send(frame(HEADERS, 0b101, 1, &head_of_get("/slow")));
        first.send(frame(PING, 0, 0, &[0; 8]));
        first.frame_of(PING);
        second.begin_http2(&[]);
        second.send(frame(HEADERS, 0b101, 1, &head_of_get("/")));
        assert_eq!(second.frame_of(RST_STREAM).0, 1);
        house.release.notify_one();
        first.frame_of(DATA);
        let until = Instant::now() + PATIENCE;
        for stream in (3..).step_by(2) {
            second.send(frame(HEADERS, 0b101, stream, &head_of_get("/")));
            let kind = loop {
                let (kind, of, _) = second.frame();
                if of == stream {
                    break kind;
                }
            };
            if kind == HEADERS {
                break;
            }
            assert!(Instant::now() < until, "the place is not free");
        }
    }

    #[test]
    fn connections_of_http_2_are_bounded_apart() {
        let house = House::open(Limits { http2_connections: 1, ..Limits::PUBLIC });
        let mut first = house.connect();
        first.begin_http2(&[]);
        first.send(frame(HEADERS, 0b101, 1, &head_of_get("/")));
        first.frame_of(DATA);
        let mut second = house.connect();
        for byte in b"PRI * HTTP" {
            if second.0.write_all(&[*byte]).is_err() {
                break;
            }
        }
        assert_eq!(second.frame_of(GO_AWAY).1[7], 0xb, "ENHANCE_YOUR_CALM");
        assert!(house.connect().get("/").ends_with("here"), "HTTP/1.1 is served");
        drop(first);
        let until = Instant::now() + PATIENCE;
        loop {
            let mut third = house.connect();
            third.begin_http2(&[]);
            if third.frame().0 == SETTINGS && third.frame().0 != GO_AWAY {
                break;
            }
            assert!(Instant::now() < until, "the place is not free");
        }
    }
}
