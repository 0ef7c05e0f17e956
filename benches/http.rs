//! phipi over HTTP beside a server of fixed bytes. `scripts/bench-http` builds and runs it, and hands its arguments on:
//!
//! `[--check] [--rounds N] [--seconds N] [MODE …]`; all modes, five rounds and three seconds by default. `--check` makes one
//! round of a second, whatever the figures, to show that all of it works.
//!
//! - `same`: requests a second when all are the same bytes;
//! - `unlike`: requests a second when no two are alike: random n, and a nonce;
//! - `p99`: the latency of requests at half of the load that the fixed bytes bear;
//! - `large`: the time to fetch two million digits, and the memory of the process afterwards;
//! - `page`: the latency of pages of a thousand digits of π beside that of Fibonacci numbers of as many digits;
//! - `sequence`: the time of F(0) to F(999) in one request beside that of F(999);
//! - `start`: the time from the start of the process until it is ready, and its memory then.
//!
//! All is cached. wrk sends from one thread over 32 connections. The servers take turns, round by round, so that a busy
//! machine slows both alike: the figures are the medians of the rounds, and the ratio is the median of their ratios.
//! The status is 1 when a figure misses its bound.

use std::{
    env, fmt, fs,
    io::{BufReader, Write},
    process::{Child, Command, ExitCode, Stdio},
    time::Instant,
};

mod client;

use self::client::{Answer, Connection, address, median, post, program};

const MODES: [&str; 7] = ["same", "unlike", "p99", "large", "page", "sequence", "start"];
const CONNECTIONS: u32 = 32;
/// A single fetch, or a start, is short: more of them are measured than rounds of wrk.
const FETCHES: usize = 51;
const STARTS: usize = 11;

const BOTH: &str = r#"{"query":"{ fib(n: 213) { result cached } pi(terms: 1000) { result cached } }"}"#;
const LARGE: &str = r#"{"query":"{ fib(n: 10000000) { result } }"}"#;
/// The request of `unlike`, up to its largest n.
const UNLIKE: &str = r#"{"query":"query ($n: Int!) { fib(n: $n) { result cached } pi(terms: 1000) { result cached } }","variables":{"n":1999}}"#;

fn main() -> ExitCode {
    let mut settings = Settings { rounds: 5, seconds: 3, modes: Vec::new() };
    let mut is_check = false;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|n| n.parse().ok()).expect("a number");
        match &*argument {
            "--check" => (is_check, settings.rounds, settings.seconds) = (true, 1, 1),
            "--rounds" => settings.rounds = number(),
            "--seconds" => settings.seconds = number(),
            mode => settings.modes.push(MODES.into_iter().find(|known| *known == mode).expect("a mode")),
        }
    }
    if settings.modes.is_empty() {
        settings.modes = MODES.to_vec();
    }
    println!("{:<28}{:>12}{:>12}{:>10}  must be", "", "fixed bytes", "phipi", "");
    let mut reached = true;
    for mode in &settings.modes {
        reached &= match *mode {
            "same" => settings.throughput("same", 0.80),
            "unlike" => settings.throughput("unlike", 0.55),
            "p99" => settings.half_load(),
            "large" => large(),
            "page" => page(settings.rounds),
            "sequence" => sequence(settings.rounds),
            _ => start(),
        };
    }
    if reached || is_check { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Settings {
    rounds: u32,
    seconds: u32,
    modes: Vec<&'static str>,
}

impl Settings {
    /// Requests a second.
    fn throughput(&self, kind: &str, least: f64) -> bool {
        let rounds = self.in_turns(&Pair::start(), &[kind], CONNECTIONS);
        compare(&format!("{kind}: requests/s"), 0, &rounds, |load| load.rate.into(), &Bound::AtLeast(least))
    }

    /// Latency while each connection waits a millisecond before each request, with as many connections as make half
    /// of the fixed bytes' greatest rate.
    fn half_load(&self) -> bool {
        let pair = Pair::start();
        let half = wrk(&pair.fixed, &["same"], CONNECTIONS, self.seconds).rate / 2;
        // The more there are, the longer each waits for its turn: a later guess is nearer than the first.
        let connections = (0..3).fold(CONNECTIONS, |connections, _| {
            let rate = wrk(&pair.fixed, &["same", "paced"], connections, 1).rate;
            (connections * half / rate).clamp(1, 1_000)
        });
        let rounds = self.in_turns(&pair, &["same", "paced"], connections);
        println!("half load: {half} requests/s wanted of {connections} connections");
        compare("half load: requests/s", 0, &rounds, |load| load.rate.into(), &Bound::None);
        compare("half load: p50 in ms", 2, &rounds, |load| load.p50_ms, &Bound::None);
        compare("half load: p99 in ms", 2, &rounds, |load| load.p99_ms, &Bound::AtMost(1.5))
    }

    /// The figures of the fixed bytes and of phipi, round by round.
    fn in_turns(&self, pair: &Pair, script: &[&str], connections: u32) -> Vec<[Load; 2]> {
        let round = |_| [&pair.fixed, &pair.phipi].map(|server| wrk(server, script, connections, self.seconds));
        (0..self.rounds).map(round).collect()
    }
}

/// The time of an answer of two million digits over a keep-alive connection, and the peak of the memory.
fn large() -> bool {
    let pair = Pair::start();
    let evaluated_mb = pair.phipi.memory_mb("VmHWM");
    let (mut fixed, mut phipi) = (pair.fixed.connect(), pair.phipi.connect());
    let (from_fixed, from_phipi) = (get("/large"), post(LARGE));
    let mut fetch = |_| [timed(|| fixed.send(&from_fixed)), timed(|| phipi.send(&from_phipi))];
    // The first are not measured: the windows of the connections have to grow.
    (0..5).for_each(|round| _ = fetch(round));
    let rounds: Vec<_> = (0..FETCHES).map(fetch).collect();
    let in_time = compare("large: ms", 2, &rounds, |ms| *ms, &Bound::LessThan(1.5));
    tell("large: peak MB, evaluated", None, evaluated_mb, &Bound::None);
    tell("large: peak MB, all fetched", None, pair.phipi.memory_mb("VmHWM"), &Bound::LessThan(80.0)) && in_time
}

/// The latency of cached pages of digits of π, no two alike, beside that of cached numbers with as many digits.
fn page(rounds: u32) -> bool {
    const PAGES: u32 = 990;
    let digits = |k: u32| format!("a{k}: piDigits(from: {}, count: 1000)", 1_000 * (k * 487 % PAGES));
    // These have 1,000 digits.
    let number = |k: u32| format!("a{k}: fib(n: {})", 4_782 + k % 4);
    let rounds = beside(rounds, PAGES, number, digits);
    println!("{:<28}{:>12}{:>12}", "", "fib", "piDigits");
    compare("page: p50 in ms", 3, &rounds, |latencies| percentile(latencies, 50), &Bound::None);
    compare("page: p99 in ms", 3, &rounds, |latencies| percentile(latencies, 99), &Bound::AtMost(1.5))
}

/// The time of a cached sequence beside that of its last value, first as the same request again and again, which is
/// answered from the response cache, and then as requests of which no two are alike.
fn sequence(rounds: u32) -> bool {
    println!("{:<28}{:>12}{:>12}", "", "fib", "fibs");
    let [number, sequence] = ["fib(n: 999)", "fibs(from: 0, count: 1000)"];
    let same = beside(rounds, 500, |_| number.to_owned(), |_| sequence.to_owned());
    let is_reached = compare("sequence: same, ms", 3, &same, |times| percentile(times, 50), &Bound::AtMost(3.0));
    let unlike = |field: &'static str| move |k: u32| format!("a{k}: {field}");
    let unlike = beside(rounds, 500, unlike(number), unlike(sequence));
    compare("sequence: unlike, ms", 3, &unlike, |times| percentile(times, 50), &Bound::None);
    is_reached
}

/// The times in ms of requests for two fields that are cached, by turns over one connection, round by round. The fields are
/// given the number of the request.
fn beside(
    rounds: u32,
    requests: u32,
    first: impl Fn(u32) -> String,
    second: impl Fn(u32) -> String,
) -> Vec<[Vec<f64>; 2]> {
    let phipi = Server::phipi();
    let mut connection = phipi.connect();
    let request = |field: String| post(&format!(r#"{{"query":"{{ {field} {{ result cached }} }}"}}"#));
    for _ in 0..2 {
        connection.send(&request("piDigits(from: 999999, count: 1)".into()));
        connection.send(&request("fib(n: 5000)".into()));
    }
    let mut round = |number| {
        let mut times = [Vec::new(), Vec::new()];
        for k in number * requests..(number + 1) * requests {
            for (times, field) in times.iter_mut().zip([first(k), second(k)]) {
                let request = request(field);
                let start = Instant::now();
                let answer = connection.send(&request);
                times.push(start.elapsed().as_secs_f64() * 1e3);
                assert!(!answer.body.contains("false"), "{}", answer.body);
            }
        }
        times
    };
    // The first is not measured: the window of the connection has to grow.
    round(0);
    (1..=rounds).map(round).collect()
}

fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() * percent / 100]
}

/// The time from the start of a process until it says that it is ready, and its memory.
fn start() -> bool {
    let starts = (0..STARTS).map(|_| {
        let start = Instant::now();
        let phipi = Server::phipi();
        let admin = phipi.admin.as_deref().expect("phipi has a listener for operators");
        assert_eq!(Connection::to(admin).send(&get("/readyz")).status, 200, "ready once it tells its address");
        (start.elapsed().as_secs_f64() * 1e3, phipi.memory_mb("VmRSS"))
    });
    let (ready_ms, memory_mb): (Vec<f64>, Vec<f64>) = starts.unzip();
    let in_time = tell("start: ms until ready", None, median(ready_ms), &Bound::LessThan(100.0));
    tell("start: idle MB", None, median(memory_mb), &Bound::LessThan(25.0)) && in_time
}

/// The bound of a figure.
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    LessThan(f64),
    None,
}

impl Bound {
    fn holds(&self, figure: f64) -> bool {
        match *self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
            Self::LessThan(bound) => figure < bound,
            Self::None => true,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(out, "≥ {bound}"),
            Self::AtMost(bound) => write!(out, "≤ {bound}"),
            Self::LessThan(bound) => write!(out, "< {bound}"),
            Self::None => Ok(()),
        }
    }
}

/// A line of the table of the figures of the fixed bytes and of phipi, round by round. Returns whether the ratio is
/// within its bound.
fn compare<T>(what: &str, decimals: usize, rounds: &[[T; 2]], figure: impl Fn(&T) -> f64, bound: &Bound) -> bool {
    let of = |wanted: fn([f64; 2]) -> f64| {
        median(rounds.iter().map(|round| wanted(round.each_ref().map(&figure))).collect())
    };
    let medians = [of(|[fixed, _]| fixed), of(|[_, phipi]| phipi)].map(|median| format!("{median:.decimals$}"));
    tell(what, Some(medians), of(|[fixed, phipi]| phipi / fixed), bound)
}

/// Prints a line of the table, and returns whether its figure is within its bound.
fn tell(what: &str, medians: Option<[String; 2]>, figure: f64, bound: &Bound) -> bool {
    let [fixed, phipi] = medians.unwrap_or_default();
    let holds = bound.holds(figure);
    let missed = if holds { "" } else { "  missed" };
    println!("{what:<28}{fixed:>12}{phipi:>12}{figure:>10.2}  {bound}{missed}");
    holds
}

/// Milliseconds that `work` takes.
fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    drop(work());
    start.elapsed().as_secs_f64() * 1e3
}

/// Both servers, whose answers are the same to the byte. All questions to them are cached.
struct Pair {
    fixed: Server,
    phipi: Server,
}

impl Pair {
    fn start() -> Self {
        let phipi = Server::phipi();
        let mut client = phipi.connect();
        let mut warm = |body: &str| {
            client.send(&post(body));
            client.send(&post(body))
        };
        let (both, large, unlike) = (warm(BOTH), warm(LARGE), warm(UNLIKE));
        for answer in [&both, &unlike] {
            assert_eq!(answer.body.matches(r#""cached":true"#).count(), 2, "{}", answer.body);
        }
        let fixed = Server::fixed(&both, &large);
        let mut client = fixed.connect();
        assert!(client.send(&post(BOTH)) == both && client.send(&get("/large")) == large, "the answers are the same");
        Self { fixed, phipi }
    }
}

/// A process that serves, until it is dropped.
struct Server {
    process: Child,
    address: String,
    admin: Option<String>,
}

impl Server {
    /// phipi with an empty cache in memory.
    fn phipi() -> Self {
        let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cache", "memory:"];
        let mut process = program("phipi").args(listen).stderr(Stdio::null()).spawn().expect("phipi");
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let (address, admin) = (address(&mut stdout), address(&mut stdout));
        Self { process, address, admin: Some(admin) }
    }

    /// The server of fixed bytes, which answers with the same type and bytes.
    fn fixed(both: &Answer, large: &Answer) -> Self {
        let mut process = program("fixed").arg(&both.content_type).stdin(Stdio::piped()).spawn().expect("fixed");
        let mut stdin = process.stdin.take().expect("it is piped");
        writeln!(stdin, "{}\n{}", both.body, large.body).expect("it reads");
        let address = address(&mut BufReader::new(process.stdout.take().expect("it is piped")));
        Self { process, address, admin: None }
    }

    fn connect(&self) -> Connection {
        Connection::to(&self.address)
    }

    /// A figure of `/proc/PID/status`, in MB.
    fn memory_mb(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a figure");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024.0 / 1e6
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// The figures of wrk.
struct Load {
    /// Requests a second.
    rate: u32,
    p50_ms: f64,
    p99_ms: f64,
}

/// Runs wrk; `script` are the arguments of `http.lua`.
fn wrk(server: &Server, script: &[&str], connections: u32, seconds: u32) -> Load {
    let lua = concat!(env!("CARGO_MANIFEST_DIR"), "/http.lua");
    let (connections, seconds) = (format!("-c{connections}"), format!("-d{seconds}"));
    let url = format!("http://{}/graphql", server.address);
    let arguments = ["-t1", &connections, &seconds, "-s", lua, &url, "--"];
    let output = Command::new("wrk").args(arguments).args(script).output().expect("wrk is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = text.lines().find_map(|line| line.strip_prefix("figures ")).unwrap_or_else(|| panic!("{output:?}"));
    let [rate, p50_ms, p99_ms, failed] = *figures.split(' ').collect::<Vec<_>>() else { panic!("{figures}") };
    assert_eq!(failed, "0", "every request is answered: {text}");
    let ms = |figure: &str| figure.parse().expect("a figure");
    Load { rate: rate.parse().expect("a rate"), p50_ms: ms(p50_ms), p99_ms: ms(p99_ms) }
}
