//! A client that asks usual questions while others are greedy, and remembers how it was served.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use crate::attackers::{Answer, exchange, post};

/// The period of the small requests: half of them come over a keep-alive connection, and half over new ones.
const SMALL_PERIOD: Duration = Duration::from_millis(20);

/// The period of the large requests.
const LARGE_PERIOD: Duration = Duration::from_secs(1);

/// An answer that takes longer is a refusal.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of the small requests.
const SMALL: &str = r#"{"query":"{fib(n: 50){result} pi(terms: 10){result}}"}"#;

/// The neighbour's experience.
#[derive(Debug, Default)]
pub struct Served {
    /// The longest time of a small answer, in milliseconds.
    pub worst_ms: f64,
    /// Small requests that were not served.
    pub small_refused: u32,
    /// Seconds from when the attack stood until a large request was served and none was refused after it. It is 0 when
    /// none was refused at all, and `None` when the last one still was.
    pub large_s: Option<f64>,
    /// Large requests that were refused without saying when to come again.
    pub without_retry_after: u32,
    /// Whether the value of the last large answer was cached.
    pub large_cached: bool,
}

/// Has the neighbour ask small things while `launch` builds the attack up, and then, for at least `least` and until large
/// requests are served or `most` has passed, large ones too. The value of the large requests is evaluated before.
pub fn while_attacked<T>(
    address: SocketAddr,
    launch: impl FnOnce() -> T,
    least: Duration,
    most: Duration,
) -> (T, Served) {
    // A refusal here is none of the attack.
    let _ = ask_large(address, 0);
    let (is_over, small_refused) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let small = scope.spawn(|| ask_small(address, &is_over, &small_refused));
        let attack = launch();
        let mut served = ask_large_ones(address, least, most);
        is_over.store(true, Relaxed);
        served.worst_ms = small.join().unwrap_or(f64::INFINITY);
        served.small_refused = small_refused.load(Relaxed);
        (attack, served)
    })
}

/// Asks small things until it is over, and returns the longest time in milliseconds.
fn ask_small(address: SocketAddr, is_over: &AtomicBool, refused: &AtomicU32) -> f64 {
    let mut kept = connect(address).ok();
    let mut worst = Duration::ZERO;
    let post = post(SMALL, "");
    let (head, body) = post.split_at(post.len() - SMALL.len());
    let ask = |stream: io::Result<&mut TcpStream>| {
        let is_served = stream.and_then(|stream| exchange(stream, head, body)).is_ok_and(|answer| answer.status == 200);
        refused.fetch_add(u32::from(!is_served), Relaxed);
        is_served
    };
    while !is_over.load(Relaxed) {
        for is_kept in [true, false] {
            let begun = Instant::now();
            if !is_kept {
                ask(connect(address).as_mut().map_err(|error| error.kind().into()));
            } else if !ask(kept.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())) {
                kept = connect(address).ok();
            }
            worst = worst.max(begun.elapsed());
            sleep(SMALL_PERIOD);
        }
    }
    worst.as_secs_f64() * 1e3
}

fn ask_large_ones(address: SocketAddr, least: Duration, most: Duration) -> Served {
    let (stood, mut served) = (Instant::now(), Served { large_s: Some(0.0), ..Served::default() });
    for number in 1.. {
        let due = stood + LARGE_PERIOD * number;
        match ask_large(address, number) {
            Ok(answer) if answer.status == 200 => {
                served.large_s.get_or_insert(stood.elapsed().as_secs_f64());
                served.large_cached = answer.body.windows(13).any(|text| text == br#""cached":true"#);
            }
            refusal => {
                served.large_s = None;
                if refusal.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
                    // The process has ended, and nothing will come of more.
                    return served;
                }
                let says = refusal.is_ok_and(|answer| answer.head.contains("\r\nretry-after:"));
                served.without_retry_after += u32::from(!says);
            }
        }
        if (served.large_s.is_some() && stood.elapsed() >= least) || stood.elapsed() >= most {
            return served;
        }
        sleep(due.saturating_duration_since(Instant::now()));
    }
    served
}

/// Two million digits, under a name of its own, so that it is no kept answer.
fn ask_large(address: SocketAddr, number: u32) -> io::Result<Answer> {
    let body = format!(r#"{{"query":"{{a{number}:fib(n:9999000){{cached result}}}}"}}"#);
    exchange(&mut connect(address)?, &post(&body, ""), b"")
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    // Head and body are two writes, of which the second must not wait for the acknowledgement of the first.
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
