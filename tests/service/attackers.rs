//! Greedy clients. Each makes the server hold as much as it can for one client, and finishes or takes nothing.
//!
//! They are programs of plain sockets, so that nothing of a library is polite on their behalf. `scripts/greedy-clients`
//! runs them at their full size, and the tests run a share of it.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    ops::BitOr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{JoinHandle, sleep, spawn},
    time::{Duration, Instant},
};

use tokio::{
    net::TcpSocket,
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::frames::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, literal,
};

/// The size of a body, and of a message, that is one byte too short to be whole when one byte is missing.
const BODY_BYTES: usize = 1024 * 1024;

/// Pushing ends after this time, since a server under attack may read slowly or never.
const PUSH: Duration = Duration::from_secs(12);

/// Answers that have to be evaluated are awaited no longer.
const ANSWERED: Duration = Duration::from_secs(25);

/// The server has this long to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// No more is read of what an attacker was answered.
const READ_BYTES: usize = 16 * 1024 * 1024;

/// The largest index that the server admits.
const MAX_N: usize = 10_000_000;

/// The files of the pages, among which is the largest one.
const FILES: &str = include_str!("../../web/dist/list.rs");

/// The clients that send in a row.
const BURST: usize = 16;

/// Leaves its core for the shortest time. Attackers come from other machines; but a thread that never sleeps keeps its core
/// for tenths of a second, however low its priority is, and all threads of the server share the other one meanwhile.
fn leave_core() {
    sleep(Duration::from_micros(1));
}

/// One kind of greed.
pub struct Attack {
    pub name: &'static str,
    /// Returns when the server was sent everything, or would read no more.
    pub launch: fn(&Target) -> Standing,
}

/// All of them, in the order of the table.
pub const ATTACKS: [Attack; 20] = [
    Attack { name: "ping-flood", launch: ping_flood },
    Attack { name: "kept-answers", launch: kept_answers },
    Attack { name: "http2-window", launch: http2_window },
    Attack { name: "unread-rest", launch: unread_rest },
    Attack { name: "bodies", launch: bodies },
    Attack { name: "http2-bodies-1", launch: |target| http2_bodies(target, "/graphql", 1) },
    Attack { name: "http2-bodies", launch: |target| http2_bodies(target, "/graphql", target.share(50)) },
    Attack { name: "idle-sockets", launch: idle_sockets },
    Attack { name: "messages", launch: unfinished_messages },
    Attack { name: "frames", launch: announced_frames },
    Attack { name: "heads", launch: heads },
    Attack { name: "documents", launch: documents },
    Attack { name: "pages", launch: pages },
    Attack { name: "pi-flood", launch: pi_flood },
    Attack { name: "http2-heads", launch: http2_heads },
    Attack { name: "chunks", launch: chunks },
    Attack { name: "waiting", launch: waiting_documents },
    Attack { name: "readers", launch: readers },
    Attack { name: "refused-bodies", launch: refused_bodies },
    Attack { name: "refused-streams", launch: |target| http2_bodies(target, "/nowhere", target.share(900)) },
];

/// The attack of this name.
pub fn attack(name: &str) -> Option<&'static Attack> {
    ATTACKS.iter().find(|attack| attack.name == name)
}

/// The server, and the share of the full attack that it is to bear, in percent.
pub struct Target {
    pub address: SocketAddr,
    pub percent: usize,
}

impl Target {
    fn share(&self, full: usize) -> usize {
        (full * self.percent / 100).max(1)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, CONNECT)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection that the system takes little for ahead of its client, as a distant client's would.
    fn connect_narrow(&self, runtime: &Runtime) -> io::Result<TcpStream> {
        const RECEIVE_BYTES: u32 = 4096;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        let connected = runtime.block_on(async { timeout(CONNECT, socket.connect(self.address)).await });
        let stream = connected.map_err(|_| ErrorKind::TimedOut)??;
        stream.set_nodelay(true)?;
        // It does not block.
        stream.into_std()
    }

    /// This many clients, each of which says `first` and then `rest`. Fewer come when the server accepts no more.
    fn push(&self, clients: usize, first: impl Fn(usize) -> Vec<u8>, rest: &[u8]) -> Vec<TcpStream> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connect = |number| {
            let stream = self.connect_narrow(&runtime).ok()?;
            Some(Client { stream, first: first(number), sent: Some(0) })
        };
        let mut clients: Vec<Client> = (0..clients).map_while(connect).collect();
        let until = Instant::now() + PUSH;
        while Instant::now() < until && clients.iter().any(|client| client.sent.is_some()) {
            let mut moved = false;
            for clients in clients.chunks_mut(BURST) {
                let pushed = clients.iter_mut().map(|client| client.push(rest)).fold(false, bool::bitor);
                if pushed {
                    leave_core();
                }
                moved |= pushed;
            }
            if !moved {
                sleep(Duration::from_millis(1));
            }
        }
        clients.into_iter().map(|client| client.stream).collect()
    }
}

/// A client that is sending.
struct Client {
    stream: TcpStream,
    first: Vec<u8>,
    /// Bytes sent so far; `None` when all are, or when the server hung up.
    sent: Option<usize>,
}

impl Client {
    /// Sends as much as the server takes at once; returns whether that was anything.
    fn push(&mut self, rest: &[u8]) -> bool {
        let Some(sent) = self.sent else { return false };
        let left = match sent.checked_sub(self.first.len()) {
            None => &self.first[sent..],
            Some(sent) => &rest[sent..],
        };
        if left.is_empty() {
            self.sent = None;
            return true;
        }
        match self.stream.write(&left[..left.len().min(64 * 1024)]) {
            Ok(bytes) => self.sent = Some(sent + bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => self.sent = None,
        }
        true
    }
}

/// An attack that stands until it is dropped.
#[derive(Default)]
pub struct Standing {
    clients: Vec<TcpStream>,
    going_on: Option<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

/// The bytes of a client of an attack that reads at last.
pub struct Found {
    pub bytes: Vec<u8>,
    pub is_closed: bool,
}

impl Found {
    /// Whether it is a refusal that says when to come again.
    pub fn is_refusal(&self) -> bool {
        let text = String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(4096)]).to_ascii_lowercase();
        text.contains(" 503 ") && text.contains("retry-after:")
    }
}

impl Standing {
    fn of(clients: Vec<TcpStream>) -> Self {
        let mut standing = Self::default();
        standing.clients = clients;
        standing
    }

    /// Goes on with `work` until it fails or the attack is over.
    fn going_on(mut self, mut work: impl FnMut() -> io::Result<()> + Send + 'static) -> Self {
        let is_over = Arc::clone(&self.is_over);
        self.going_on = Some(spawn(move || while !is_over.load(Relaxed) && work().is_ok() {}));
        self
    }

    /// The bytes that have arrived for each client.
    pub fn found(&mut self) -> Vec<Found> {
        self.clients.iter_mut().map(found).collect()
    }
}

fn found(stream: &mut TcpStream) -> Found {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    // A stream that can't be set is closed, which reading shows too.
    let _ = stream.set_nonblocking(true);
    while bytes.len() < READ_BYTES {
        match stream.read(&mut piece) {
            Ok(0) => return Found { bytes, is_closed: true },
            Ok(read) => bytes.extend(&piece[..read]),
            Err(error) => return Found { bytes, is_closed: error.kind() != ErrorKind::WouldBlock },
        }
    }
    Found { bytes, is_closed: false }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        self.going_on.take().map(JoinHandle::join);
    }
}

/// A WebSocket pings without pause for three seconds, and reads no pong.
fn ping_flood(target: &Target) -> Standing {
    const FLOOD: Duration = Duration::from_secs(3);
    let clients = target.push(1, |_| upgrade(), &[]);
    let flooding = clients.first().and_then(|client| client.try_clone().ok());
    let (pings, until) = (message(0x89, &[b'x'; 100]).repeat(500), Instant::now() + FLOOD);
    Standing::of(clients).going_on(move || {
        let mut stream = flooding.as_ref().ok_or(ErrorKind::NotConnected)?;
        if Instant::now() > until {
            return Err(ErrorKind::TimedOut.into());
        }
        match stream.write(&pings) {
            // Frames are cut anywhere: the rest of one follows, so that each stays whole.
            Ok(sent) => {
                leave_core();
                finish(stream, &pings[sent..], until)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                sleep(Duration::from_millis(1));
                Ok(())
            }
            Err(error) => Err(error),
        }
    })
}

fn finish(mut stream: &TcpStream, mut rest: &[u8], until: Instant) -> io::Result<()> {
    while !rest.is_empty() && Instant::now() < until {
        match stream.write(rest) {
            Ok(sent) => rest = &rest[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(Duration::from_millis(1)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Thirty-two answers of 8.36 MB that are 39 kB compressed, each asked for four times so that it is kept.
fn kept_answers(target: &Target) -> Standing {
    let document = |number: usize, aliases: usize| {
        let fields: String = (0..aliases).map(|k| format!("a{number}x{k}:fib(n:400000){{result}}")).collect();
        post(&format!(r#"{{"query":"{{{fields}}}"}}"#), "Accept-Encoding: br\r\n")
    };
    if let Ok(mut stream) = target.connect() {
        let documents = (0..target.share(32)).map(|number| document(number, 100));
        for document in documents.chain([document(99, 11)]) {
            for _ in 0..4 {
                if exchange(&mut stream, &document, b"").is_err() {
                    return Standing::of(vec![stream]);
                }
            }
        }
    }
    Standing::default()
}

/// Thirty-four answers of 8.3 MB on one connection of HTTP/2 that gives no window, and a PING each five seconds.
fn http2_window(target: &Target) -> Standing {
    const PERIOD: Duration = Duration::from_secs(5);
    let asked = |k: usize| {
        let fields: String = (0..4).map(|alias| format!("a{alias}:fib(n:{}){{result}}", MAX_N - alias)).collect();
        format!(r#"{{"query":"{{{fields}}}","extensions":{{"nonce":{k}}}}}"#)
    };
    let ask = |k: usize| {
        let body = asked(k);
        [request(k, END_HEADERS, "POST", "/graphql", &[]), frame(DATA, END_STREAM, id(k), body.as_bytes())].concat()
    };
    let asks: Vec<u8> = (0..34).flat_map(ask).collect();
    let clients = target.push(1, |_| [closed_preface(), asks.clone()].concat(), &[]);
    let mut pinging = clients.first().and_then(|client| client.try_clone().ok());
    let mut last = Instant::now();
    Standing::of(clients).going_on(move || {
        if last.elapsed() > PERIOD {
            last = Instant::now();
            pinging.as_mut().ok_or(ErrorKind::NotConnected)?.write_all(&frame(PING, 0, 0, &[0; 8]))?;
        }
        sleep(Duration::from_millis(50));
        Ok(())
    })
}

/// Connections that ask for two million digits each, no two for the same, and read none.
fn unread_rest(target: &Target) -> Standing {
    // The system takes the first ahead of its client, and the process holds the second.
    let ask = |k: usize| [2 * k, 2 * k + 1].map(|k| get(&format!("/fib/{}", MAX_N - k), "")).concat();
    let clients = target.push(target.share(1_200), ask, &[]);
    await_answers(&clients);
    Standing::of(clients)
}

/// Waits until each client has a byte of its answer, which it does not take.
fn await_answers(clients: &[TcpStream]) {
    let until = Instant::now() + ANSWERED;
    let waits = |client: &TcpStream| client.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    while Instant::now() < until && clients.iter().any(waits) {
        sleep(Duration::from_millis(20));
    }
}

/// Bodies of which the last byte is missing.
fn bodies(target: &Target) -> Standing {
    let head = format!("{}Content-Length: {BODY_BYTES}\r\n\r\n", post_line());
    Standing::of(target.push(target.share(1_500), |_| head.clone().into_bytes(), &vec![b' '; BODY_BYTES - 1]))
}

/// Sockets that greet, and do nothing else.
fn idle_sockets(target: &Target) -> Standing {
    Standing::of(target.push(target.share(9_000), |_| greeting(), &[]))
}

/// Messages of which the end is missing, on sockets that send a pong each second.
fn unfinished_messages(target: &Target) -> Standing {
    const PERIOD: Duration = Duration::from_secs(1);
    let (unfinished, pong) = (message(0x01, &vec![b' '; BODY_BYTES - 1]), message(0x8A, b""));
    let clients = target.push(target.share(200), |_| greeting(), &unfinished);
    let mut ponging: Vec<TcpStream> = clients.iter().filter_map(|client| client.try_clone().ok()).collect();
    let mut last = Instant::now();
    Standing::of(clients).going_on(move || {
        if last.elapsed() > PERIOD {
            last = Instant::now();
            ponging.retain_mut(|client| client.write_all(&pong).is_ok());
        }
        sleep(Duration::from_millis(50));
        Ok(())
    })
}

/// Frames of a megabyte that are announced, and of which nothing comes.
fn announced_frames(target: &Target) -> Standing {
    let frame = message(0x81, &vec![b' '; BODY_BYTES]);
    Standing::of(target.push(target.share(2_000), |_| greeting(), &frame[..14]))
}

/// Heads of 60 kB that do not end.
fn heads(target: &Target) -> Standing {
    let head = [b"GET / HTTP/1.1\r\nHost: phipi\r\nx: ".as_slice(), &vec![b'x'; 60_000]].concat();
    Standing::of(target.push(target.share(9_900), |_| Vec::new(), &head))
}

/// Documents of 990 fields, no two alike.
fn documents(target: &Target) -> Standing {
    let Ok(mut stream) = target.connect() else { return Standing::default() };
    let ask = |k: usize| post(&wide(k), "");
    let _ = (0..target.share(1_000)).try_for_each(|k| exchange(&mut stream, &ask(k), b"").map(drop));
    Standing::of(vec![stream])
}

/// The largest file of the pages, as it was before it was compressed, over both protocols.
fn pages(target: &Target) -> Standing {
    let path = largest_file();
    let mut clients = target.push(target.share(100), |_| get(&path, "").repeat(2), &[]);
    let ask = |k| request(k, END_HEADERS | END_STREAM, "GET", &path, &[]);
    let streams: Vec<u8> = (0..target.share(100)).flat_map(ask).collect();
    clients.extend(target.push(1, |_| [closed_preface(), streams.clone()].concat(), &[]));
    await_answers(&clients);
    Standing::of(clients)
}

/// Values of pi, a thousand in each request, for as long as the attack stands.
fn pi_flood(target: &Target) -> Standing {
    let (mut stream, mut next) = (target.connect().ok(), 1_000_000);
    Standing::default().going_on(move || {
        let mut operation = || {
            next += 100;
            let fields: String =
                (next..next + 100).map(|terms| format!("a{terms}:pi(terms:{terms}){{terms}}")).collect();
            format!(r#"{{"query":"{{{fields}}}"}}"#)
        };
        let batch = (0..10).map(|_| operation()).collect::<Vec<_>>().join(",");
        let stream = stream.as_mut().ok_or(ErrorKind::NotConnected)?;
        exchange(stream, &post(&format!("[{batch}]"), ""), b"").map(drop)
    })
}

/// Heads of 15 kB on all streams of connections of HTTP/2, whose bodies never come.
fn http2_heads(target: &Target) -> Standing {
    let header = |k: usize| (format!("x-{k:04}"), "v".repeat(40));
    let headers: Vec<(String, String)> = (0..300).map(header).collect();
    let streams: Vec<u8> = (0..100).flat_map(|k| request(k, END_HEADERS, "POST", "/graphql", &headers)).collect();
    Standing::of(target.push(target.share(50), |_| preface(), &streams))
}

/// Bodies in chunks of one byte, which do not end.
fn chunks(target: &Target) -> Standing {
    let head = format!("{}Transfer-Encoding: chunked\r\n\r\n", post_line());
    Standing::of(target.push(target.share(200), |_| head.clone().into_bytes(), &b"1\r\n \r\n".repeat(500_000)))
}

/// Requests with documents of 990 fields that wait for an evaluation, no two for the same.
fn waiting_documents(target: &Target) -> Standing {
    let ask = |k: usize| post(&wide(MAX_N - 10_000 - k), "");
    Standing::of(target.push(target.share(2_000), ask, &[]))
}

/// Connections that take two million digits as fast as they come, again and again.
fn readers(target: &Target) -> Standing {
    const DIGITS: usize = 2_000_000;
    let ask = get("/fib/9999000", "");
    let connect = |_| {
        let stream = target.connect().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(Reader { stream, left: 0 })
    };
    let mut readers: Vec<Reader> = (0..target.share(100)).map_while(connect).collect();
    let mut piece = vec![0; 64 * 1024];
    Standing::default().going_on(move || {
        for readers in readers.chunks_mut(BURST) {
            for reader in readers {
                reader.step(&ask, DIGITS, &mut piece);
            }
            leave_core();
        }
        Ok(())
    })
}

/// Bodies that are refused, each followed by a head of 60 kB that does not end.
fn refused_bodies(target: &Target) -> Standing {
    let refused = b"POST /nowhere HTTP/1.1\r\nHost: phipi\r\nContent-Length: 20000\r\n\r\n";
    let refused = [refused.as_slice(), &vec![b' '; 20_000]];
    let head = [b"GET / HTTP/1.1\r\nHost: phipi\r\nx: ".as_slice(), &vec![b'x'; 60_000]];
    Standing::of(target.push(target.share(3_000), |_| refused.concat(), &head.concat()))
}

/// A client that asks again when it has an answer.
struct Reader {
    stream: TcpStream,
    /// The bytes of the answer that have not come yet.
    left: usize,
}

impl Reader {
    fn step(&mut self, ask: &[u8], length: usize, piece: &mut [u8]) {
        if self.left == 0 && self.stream.write_all(ask).is_ok() {
            self.left = length;
        }
        self.left = self.left.saturating_sub(self.stream.read(piece).unwrap_or(0));
    }
}

/// A request of a document of 990 fields.
fn wide(n: usize) -> String {
    format!(r#"{{"query":"{{fib(n:{n}){{{}}}}}"}}"#, "n ".repeat(989))
}

/// Bodies of which the last byte is missing, on a hundred streams of each connection of HTTP/2, as far as they are not refused.
fn http2_bodies(target: &Target, path: &str, connections: usize) -> Standing {
    let mut connections: Vec<Uploads> = (0..connections).map_while(|_| Uploads::begin(target, path).ok()).collect();
    let until = Instant::now() + PUSH;
    while Instant::now() < until && connections.iter().any(|connection| !connection.is_done) {
        let moved = connections.iter_mut().map(Uploads::step).fold(false, bool::bitor);
        if moved {
            leave_core();
        } else {
            sleep(Duration::from_millis(1));
        }
    }
    Standing::of(connections.into_iter().map(|connection| connection.stream).collect())
}

/// A connection of HTTP/2 that sends a body on each of its streams, within the windows that it is given.
struct Uploads {
    stream: TcpStream,
    read: Vec<u8>,
    out: Vec<u8>,
    /// The windows for sending: on the connection, and on each stream.
    window: i64,
    windows: Vec<i64>,
    /// The first window of the streams, as the server has set it.
    initial: i64,
    left: Vec<usize>,
    is_done: bool,
}

impl Uploads {
    const STREAMS: usize = 100;
    const INITIAL: i64 = 65_535;

    fn begin(target: &Target, path: &str) -> io::Result<Self> {
        let stream = target.connect()?;
        stream.set_nonblocking(true)?;
        let begin = |k| request(k, END_HEADERS, "POST", path, &[]);
        let out = [preface(), (0..Self::STREAMS).flat_map(begin).collect()].concat();
        let (windows, left) = (vec![Self::INITIAL; Self::STREAMS], vec![BODY_BYTES - 1; Self::STREAMS]);
        let window = Self::INITIAL;
        Ok(Self { stream, read: Vec::new(), out, window, windows, initial: window, left, is_done: false })
    }

    /// Reads and writes all that it can at once; returns whether that was anything.
    fn step(&mut self) -> bool {
        if self.is_done {
            return false;
        }
        let heard = self.hear();
        self.fill();
        let sent = match self.stream.write(&self.out) {
            Ok(sent) => self.out.drain(..sent).count() > 0,
            Err(error) => {
                self.is_done = error.kind() != ErrorKind::WouldBlock;
                false
            }
        };
        self.is_done |= self.out.is_empty() && self.left.iter().all(|left| *left == 0);
        heard || sent
    }

    /// Takes the frames that have arrived.
    fn hear(&mut self) -> bool {
        let found = found(&mut self.stream);
        self.is_done |= found.is_closed;
        self.read.extend(&found.bytes);
        while let Some(head) = self.read.first_chunk::<9>().copied() {
            let end = 9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            if self.read.len() < end {
                break;
            }
            let frame: Vec<u8> = self.read.drain(..end).collect();
            let stream = u32::from_be_bytes([0, head[6], head[7], head[8]]) as usize / 2;
            self.take(head[3], head[4], (head[8] % 2 == 1).then_some(stream), &frame[9..]);
        }
        !found.bytes.is_empty()
    }

    fn take(&mut self, kind: u8, flags: u8, stream: Option<usize>, payload: &[u8]) {
        let number =
            |at: usize| payload.get(at..at + 4).map_or(0, |b| i64::from(u32::from_be_bytes([b[0], b[1], b[2], b[3]])));
        match (kind, stream) {
            (WINDOW_UPDATE, None) => self.window += number(0),
            (WINDOW_UPDATE, Some(stream)) => self.windows[stream] += number(0),
            (SETTINGS, _) if flags == 0 => {
                let first = payload.chunks_exact(6).position(|setting| setting[..2] == [0, 4]);
                let initial = first.map_or(self.initial, |at| number(6 * at + 2));
                self.windows.iter_mut().for_each(|window| *window += initial - self.initial);
                self.initial = initial;
                self.out.extend(frame(SETTINGS, 1, 0, &[]));
            }
            (PING, _) if flags == 0 => self.out.extend(frame(PING, 1, 0, payload)),
            // A stream that was refused is sent no more.
            (RST_STREAM | HEADERS, Some(stream)) => self.left[stream] = 0,
            (GOAWAY, _) => self.is_done = true,
            _ => {}
        }
    }

    /// Prepares frames of data, as far as there are windows for them.
    fn fill(&mut self) {
        for stream in 0..Self::STREAMS {
            let open = self.window.min(self.windows[stream]).clamp(0, 16_384);
            let bytes = self.left[stream].min(usize::try_from(open).unwrap_or(0));
            if bytes > 0 && self.out.len() < 256 * 1024 {
                self.out.extend(frame(DATA, 0, id(stream), &vec![b' '; bytes]));
                self.left[stream] -= bytes;
                self.window -= bytes.cast_signed() as i64;
                self.windows[stream] -= bytes.cast_signed() as i64;
            }
        }
    }
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: phipi\r\n{headers}\r\n").into_bytes()
}

fn post_line() -> &'static str {
    "POST /graphql HTTP/1.1\r\nHost: phipi\r\nContent-Type: application/json\r\n"
}

/// A POST of JSON.
pub fn post(body: &str, headers: &str) -> Vec<u8> {
    format!("{}{headers}Content-Length: {}\r\n\r\n{body}", post_line(), body.len()).into_bytes()
}

/// A request for a WebSocket.
pub fn upgrade() -> Vec<u8> {
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let protocol = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n";
    get("/graphql", &format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{key}{protocol}"))
}

/// An upgrade, and the message that begins the protocol.
fn greeting() -> Vec<u8> {
    [upgrade(), message(0x81, br#"{"type":"connection_init"}"#)].concat()
}

/// A frame of a WebSocket, under a mask of zeros; `first` is its first byte.
pub fn message(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..126), _) => frame.push(MASKED + length),
        (_, Ok(length)) => {
            frame.push(MASKED + 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(MASKED + 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The number of the k-th stream of a client.
fn id(k: usize) -> u32 {
    u32::try_from(2 * k + 1).unwrap_or(0)
}

fn preface() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A preface that gives the streams no window.
fn closed_preface() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])].concat()
}

/// The head of the k-th request on a connection of HTTP/2, in literals that no table remembers.
fn request(k: usize, flags: u8, method: &str, path: &str, headers: &[(String, String)]) -> Vec<u8> {
    let method: u8 = if method == "GET" { 0x82 } else { 0x83 };
    let mut block = vec![method, 0x86, 0x04];
    block.extend(literal(path));
    block.push(0x01);
    block.extend(literal("phipi"));
    block.extend([0x0F, 0x10]);
    block.extend(literal("application/json"));
    for (name, value) in headers {
        block.push(0);
        block.extend([literal(name), literal(value)].concat());
    }
    frame(HEADERS, flags, id(k), &block)
}

/// The path of the largest file of the pages: the script of the editor.
fn largest_file() -> String {
    let is_script = |name: &&str| name.starts_with("assets/monaco-editor-") && name.strip_suffix(".js").is_some();
    format!("/{}", FILES.split('"').find(is_script).expect("the editor is a file of its own"))
}

/// An answer to a client that reads it.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// Sends the head and then the body of a request, and reads an answer that has a Content-Length.
///
/// # Errors
/// When the connection fails, or ends before the answer does.
pub fn exchange(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> io::Result<Answer> {
    stream.write_all(head)?;
    stream.write_all(body)?;
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    let mut more = |bytes: &mut Vec<u8>| match stream.read(&mut piece)? {
        0 => Err(io::Error::from(ErrorKind::UnexpectedEof)),
        read => {
            bytes.extend(&piece[..read]);
            Ok(())
        }
    };
    let end = loop {
        match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) => break end + 4,
            None => more(&mut bytes)?,
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        more(&mut bytes)?;
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    Ok(Answer { status, head, body: bytes.split_off(end) })
}
