//! A TCP proxy before a redis-server, which harms connections as networks and dying machines do.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use redis::Commands;

use crate::redis_server::RedisServer;

/// The fate of every connection, those that are open and those to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bytes pass as they are.
    Pass,
    /// Connections are closed, and new ones at once.
    Break,
    /// Bytes are swallowed both ways. A connection that this happened to stays dead ever after.
    BlackHole,
    /// Bytes are sent on after this delay, both ways.
    Delay(Duration),
    /// A connection is closed after this many bytes of answers.
    CutAfter(usize),
    /// One bit is flipped in about one byte of this many in answers.
    Corrupt(u64),
}

/// A proxy on a free port. Its threads and sockets end with it.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    server: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    has_ended: bool,
    links: Vec<Weak<Link>>,
    seed: u64,
}

/// A connection of a client, and the one to the server that belongs to it.
struct Link {
    client: TcpStream,
    server: UnixStream,
    is_dead: AtomicBool,
}

impl Proxy {
    /// A proxy before `server`. The seed decides which bytes a connection's answers get corrupted.
    pub fn start(server: &RedisServer, seed: u64) -> Self {
        Self::before(server.socket(), seed)
    }

    /// A proxy before the server of a socket.
    pub fn before(server: PathBuf, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Mutex::new(State { mode: Mode::Pass, has_ended: false, links: Vec::new(), seed });
        let shared = Arc::new(Shared { server, state, changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        let accepting = Some(thread::spawn(move || accepting.accept(&listener)));
        Self { shared, address, accepting }
    }

    /// The URL for `--cache`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.state();
        state.mode = mode;
        for link in state.links.iter().filter_map(Weak::upgrade) {
            match mode {
                Mode::Break => link.close(),
                Mode::BlackHole => link.is_dead.store(true, Ordering::Release),
                Mode::Pass | Mode::Delay(_) | Mode::CutAfter(_) | Mode::Corrupt(_) => {}
            }
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().has_ended = true;
        self.set(Mode::Break);
        // Wakes the thread that accepts, which has waited for all others when it ends.
        drop(TcpStream::connect(self.address));
        self.accepting.take().unwrap().join().unwrap();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn accept(&self, listener: &TcpListener) {
        thread::scope(|scope| {
            for client in listener.incoming().map_while(Result::ok) {
                let Some((link, seed)) = self.admit(client) else {
                    if self.state().has_ended {
                        return;
                    }
                    continue;
                };
                let questions = Arc::clone(&link);
                scope.spawn(move || self.pass(&questions, &questions.client, &questions.server, &mut |_, _| true));
                scope.spawn(move || self.pass(&link, &link.server, &link.client, &mut answers(seed)));
            }
        });
    }

    /// Connects a client to the server, unless connections break or the server is down.
    fn admit(&self, client: TcpStream) -> Option<(Arc<Link>, u64)> {
        let mut state = self.state();
        if state.mode == Mode::Break {
            return None;
        }
        client.set_nodelay(true).ok()?;
        let server = UnixStream::connect(&self.server).ok()?;
        let link = Arc::new(Link { client, server, is_dead: AtomicBool::new(state.mode == Mode::BlackHole) });
        state.links.retain(|link| link.strong_count() > 0);
        state.links.push(Arc::downgrade(&link));
        state.seed += 1;
        Some((link, state.seed))
    }

    /// Passes bytes on, after they met their fate, until one of both ends is closed or the fate says so.
    fn pass(
        &self,
        link: &Link,
        mut from: impl Read,
        mut to: impl Write,
        fate: &mut dyn FnMut(Mode, &mut Vec<u8>) -> bool,
    ) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mode = self.mode_after_delay();
            if link.is_dead.load(Ordering::Acquire) {
                continue;
            }
            let mut bytes = buffer[..count].to_vec();
            let goes_on = fate(mode, &mut bytes);
            if to.write_all(&bytes).is_err() || !goes_on {
                break;
            }
        }
        link.close();
    }

    /// A delay ends early when the mode changes.
    fn mode_after_delay(&self) -> Mode {
        let state = self.state();
        let Mode::Delay(delay) = state.mode else { return state.mode };
        let is_delayed = |state: &mut State| state.mode == Mode::Delay(delay);
        self.changed.wait_timeout_while(state, delay, is_delayed).unwrap().0.mode
    }
}

impl Link {
    fn close(&self) {
        // The other end may have closed it already.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

/// The fate of the answers on one connection; false when it is to be closed.
fn answers(seed: u64) -> impl FnMut(Mode, &mut Vec<u8>) -> bool {
    let (mut random, mut passed) = (seed, 0);
    move |mode, bytes| {
        if let Mode::Corrupt(one_in) = mode {
            for byte in bytes.iter_mut() {
                let drawn = next_random(&mut random);
                if drawn.is_multiple_of(one_in) {
                    *byte ^= 1 << (drawn >> 32 & 7);
                }
            }
        }
        let Mode::CutAfter(limit) = mode else { return true };
        bytes.truncate(limit - limit.min(passed));
        passed += bytes.len();
        passed < limit
    }
}

/// `SplitMix64` (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", 2014).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// The length of the value that is asked for.
const LENGTH: usize = 30_000;

/// The length of a value that comes through, if any does.
fn value(mut connection: &TcpStream) -> Option<usize> {
    let mut answer = vec![0; "$30000\r\n".len() + LENGTH + 2];
    let mut length = 0;
    connection.write_all(b"GET key\r\n").ok()?;
    while length < answer.len() {
        match connection.read(&mut answer[length..]) {
            Ok(0) | Err(_) => break,
            Ok(count) => length += count,
        }
    }
    Some(String::from_utf8_lossy(&answer[..length]).matches('x').count()).filter(|&count| count > 0)
}

#[test]
fn each_mode_does_what_it_says() {
    let short = Duration::from_millis(200);
    let redis = RedisServer::start();
    let () = redis.connection().set("key", "x".repeat(LENGTH)).unwrap();
    let proxy = Proxy::start(&redis, 1);
    let connect = || {
        let connection = TcpStream::connect(proxy.address).unwrap();
        connection.set_read_timeout(Some(short)).unwrap();
        connection
    };

    let (first, second) = (connect(), connect());
    assert_eq!((value(&first), value(&second)), (Some(LENGTH), Some(LENGTH)));
    proxy.set(Mode::Delay(short / 4));
    let start = Instant::now();
    assert!(value(&first) == Some(LENGTH) && start.elapsed() >= short / 2, "both ways");
    proxy.set(Mode::BlackHole);
    let third = connect();
    assert_eq!((value(&first), value(&third)), (None, None));
    proxy.set(Mode::Pass);
    assert_eq!((value(&first), value(&second), value(&third)), (None, None, None), "dead ever after");
    let fourth = connect();
    assert_eq!(value(&fourth), Some(LENGTH));
    proxy.set(Mode::CutAfter(1_008));
    assert_eq!((value(&fourth), value(&connect())), (Some(1_000), Some(1_000)));
    let fifth = connect();
    proxy.set(Mode::Corrupt(300));
    let left = value(&fifth).unwrap();
    assert!((LENGTH - 200..LENGTH - 50).contains(&left), "{left}");
    proxy.set(Mode::Break);
    assert_eq!((value(&fifth), value(&connect())), (None, None));
    proxy.set(Mode::Pass);
    assert_eq!(value(&connect()), Some(LENGTH));
}
