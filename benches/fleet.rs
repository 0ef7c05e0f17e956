//! A fleet on one Redis: the requests a second that one, two and four processes answer when each has to ask Redis, and
//! the round trips that a request costs. `scripts/bench-fleet` builds and runs it.
//!
//! Each request asks for both values, of an index and a number of terms that its process was never asked for. All is in
//! Redis, so that it is cached, and nothing is in the memory of the process. The processes, Redis and the clients share
//! the machine: on a small one more processes have no more of it. The figures are medians of the rounds.

mod client;

use std::{
    array,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use self::client::{Connection, address, median, post, program};

const ROUNDS: usize = 5;
const CLIENTS: usize = 32;
/// The requests of a round, one after another.
const REQUESTS: u32 = 10_000;

fn main() {
    let redis = Redis::start();
    {
        let filler = Phipi::start(&redis);
        let mut client = Connection::to(&filler.address);
        for first in (0..REQUESTS).step_by(50) {
            let fields: String = (first..first + 50).map(|k| format!("f{k}: {} p{k}: {} ", fib(k), pi(k))).collect();
            let answer = client.send(&post(&format!(r#"{{"query":"{{ {fields} }}"}}"#)));
            assert!(!answer.body.contains("errors"), "{}", answer.body);
        }
    }
    println!("{:<12}{:>12}{:>20}{:>24}", "processes", "requests/s", "round trips to read", "of a request for new");
    for processes in [1, 2, 4] {
        let rounds: Vec<[f64; 2]> = (0..ROUNDS).map(|_| round(&redis, processes)).collect();
        let [rate, trips] = array::from_fn(|figure| median(rounds.iter().map(|round| round[figure]).collect()));
        println!("{processes:<12}{rate:>12.0}{trips:>20.2}{:>24.2}", trips_of_new_values(&redis));
    }
}

fn fib(k: u32) -> String {
    // Above the ladder, whose rungs stand for 128 values each.
    format!("fib(n: {}) {{ result cached }}", 100_001 + k)
}

fn pi(k: u32) -> String {
    format!("pi(terms: {k}) {{ result cached }}")
}

/// Requests a second of `processes` fresh processes, and round trips for each request.
fn round(redis: &Redis, processes: usize) -> [f64; 2] {
    let fleet: Vec<Phipi> = (0..processes).map(|_| Phipi::start(redis)).collect();
    let (next, before, start) = (AtomicU32::new(0), redis.round_trips(), Instant::now());
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (process, next) = (&fleet[client % processes], &next);
            scope.spawn(move || {
                let mut connection = Connection::to(&process.address);
                loop {
                    let k = next.fetch_add(1, Ordering::Relaxed);
                    if k >= REQUESTS {
                        break;
                    }
                    let answer = connection.send(&post(&format!(r#"{{"query":"{{ {} {} }}"}}"#, fib(k), pi(k))));
                    assert_eq!(answer.body.matches(r#""cached":true"#).count(), 2, "{}", answer.body);
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    [f64::from(REQUESTS) / seconds, (redis.round_trips() - before) / f64::from(REQUESTS)]
}

/// The round trips of a request for an index and numbers of terms that are new to a store. The writes are short, since
/// Redis counts every 16 KiB that it reads.
fn trips_of_new_values(redis: &Redis) -> f64 {
    static STORES: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("new-{}:", STORES.fetch_add(1, Ordering::Relaxed));
    let process = Phipi::start_with(redis, &["--cache-prefix", &prefix]);
    let mut client = Connection::to(&process.address);
    // Connections are made by the first questions.
    client.send(&post(r#"{"query":"{ pi(terms: 0) { cached } }"}"#));
    let before = redis.round_trips();
    let fields: String = (1..=10).map(|k| format!("p{k}: {} ", pi(k))).collect();
    client.send(&post(&format!(r#"{{"query":"{{ fib(n: 200) {{ cached }} {fields} }}"}}"#)));
    redis.round_trips() - before
}

/// A redis-server on a port of its own.
struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("it has one").port();
        drop(free);
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server (Debian: apt-get install redis-server)");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "redis-server does not listen");
            sleep(Duration::from_millis(5));
        }
        Self { process, port }
    }

    /// All that were made so far, without those that ask for it: a question is read, and later the end of its connection.
    fn round_trips(&self) -> f64 {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.write_all(b"INFO stats\r\n").expect("it reads");
        let mut reader = BufReader::new(stream);
        let mut length = String::new();
        reader.read_line(&mut length).expect("a length");
        let mut text = vec![0; length.trim_start_matches('$').trim().parse().expect("a number")];
        reader.read_exact(&mut text).expect("figures");
        let text = String::from_utf8(text).expect("text");
        let trips = text.lines().find_map(|line| line.strip_prefix("total_reads_processed:")).expect("a figure");
        trips.parse::<f64>().expect("a number") - f64::from(2 * ASKED.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A process of the fleet.
struct Phipi {
    process: Child,
    address: String,
}

impl Phipi {
    fn start(redis: &Redis) -> Self {
        Self::start_with(redis, &[])
    }

    fn start_with(redis: &Redis, flags: &[&str]) -> Self {
        let cache = format!("redis://127.0.0.1:{}", redis.port);
        let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cache", &cache];
        let mut process = program("phipi").args(listen).args(flags).stderr(Stdio::null()).spawn().expect("phipi");
        let address = address(&mut BufReader::new(process.stdout.take().expect("it is piped")));
        Self { process, address }
    }
}

impl Drop for Phipi {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
