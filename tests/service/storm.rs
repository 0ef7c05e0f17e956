//! The store fails in every way under load: answers stay right and in time, and answered values are kept.
//!
//! The duration of a fault is part of this test, so that it sleeps. `PHIPI_FAULT` names the faults to try, by a part of
//! their names; without it all are tried.

use std::{
    env,
    fmt::{self, Display},
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use redis::{Connection, cmd};
use rustix::process::Signal;

use crate::{
    load::{self, Record, while_asked},
    oracle::Truth,
    proxy::{Mode, Proxy},
    redis_server::{PREFIX, RedisServer, mark_in},
    service::{Service, alone, client, eventually, get},
};

/// Without a fault, to know the latency that the others are measured against: 200 requests.
const CALM: Duration = Duration::from_secs(1);

/// The time for a breaker to open, with requests that wait for their budgets, 50 and 150 ms.
const OPENING: Duration = Duration::from_secs(1);

/// Long enough for some ten probes of an open breaker, which must not close it.
const FAULT: Duration = Duration::from_secs(3);

/// The period of a fault that is repeated.
const BEAT: Duration = Duration::from_millis(50);

/// Added at most to the worst latency while the breaker opens: both budgets, spent one after the other.
const ADDED_AT_FIRST: Duration = Duration::from_millis(200);

/// And then, when a request may still find the breaker closed for a moment.
const ADDED_LATER: Duration = Duration::from_millis(100);

/// The most that a busy machine adds to the worst of some hundred requests.
const SLACK: Duration = Duration::from_millis(100);

/// The largest median of a new value while the store is silent: less than the budget for reading.
const MEDIAN_OF_SILENCE: Duration = Duration::from_millis(30);

/// The time until a restored store is in use: an attempt to connect that led nowhere may last for a second, an attempt
/// to write for another, and then probes come each 200 ms.
const RECOVERY: Duration = Duration::from_secs(3);

/// A machine that is busy now may be less so in a moment.
const ATTEMPTS: u32 = 3;

/// The number of values answered during a fault that are asked for again.
const SAMPLE: usize = 20;

/// The means of a fault.
#[derive(Clone, Copy)]
enum Means {
    /// Connections are in this mode.
    Connections(Mode),
    /// The server is stopped, and goes on.
    Stop,
    /// The server is killed, and comes back empty.
    Kill,
    /// The server is given orders when the fault begins, and one that undoes them.
    Orders(&'static [&'static str], &'static str),
    /// The server is given an order again and again.
    Repeated(&'static str),
    /// The server sleeps, and can do nothing else.
    Sleep,
    /// The server fails to save, and refuses writes for it.
    FailToSave,
}

struct Fault {
    name: &'static str,
    means: Means,
    /// Nothing is answered within a budget, so that the breakers open and stay open.
    is_silent: bool,
    /// The store goes on forgetting what it acknowledged, so that nobody can say what is there afterwards.
    forgets: bool,
}

impl Fault {
    const fn new(name: &'static str, means: Means) -> Self {
        Self { name, means, is_silent: false, forgets: false }
    }

    const fn silent(name: &'static str, means: Means) -> Self {
        Self { is_silent: true, ..Self::new(name, means) }
    }
}

const FAULTS: [Fault; 18] = [
    Fault::new("connections are broken", Means::Connections(Mode::Break)),
    Fault::silent("connections lead nowhere", Means::Connections(Mode::BlackHole)),
    Fault::silent("300 ms each way", Means::Connections(Mode::Delay(Duration::from_millis(300)))),
    Fault::new("cut after 5 bytes, in the handshake", Means::Connections(Mode::CutAfter(5))),
    Fault::new("cut after 100 bytes", Means::Connections(Mode::CutAfter(100))),
    Fault::new("cut after 20,000 bytes", Means::Connections(Mode::CutAfter(20_000))),
    Fault::new("one byte in 300 is another", Means::Connections(Mode::Corrupt(300))),
    Fault::silent("the server is stopped (SIGSTOP)", Means::Stop),
    Fault::silent("the server sleeps (DEBUG SLEEP)", Means::Sleep),
    Fault::new("the server is killed and comes back empty", Means::Kill),
    Fault { forgets: true, ..Fault::new("everything is deleted, 20 times a second", Means::Repeated("FLUSHALL")) },
    Fault::new("clients are thrown out, 20 times a second", Means::Repeated("CLIENT KILL TYPE normal")),
    Fault::new("out of memory (OOM)", Means::Orders(&["CONFIG SET maxmemory 1"], "CONFIG SET maxmemory 0")),
    Fault::new("a replica of nobody (READONLY)", Means::Orders(&["REPLICAOF 127.0.0.1 1"], "REPLICAOF NO ONE")),
    Fault::new("too few replicas (NOREPLICAS)", {
        Means::Orders(&["CONFIG SET min-replicas-to-write 1"], "CONFIG SET min-replicas-to-write 0")
    }),
    Fault::new("no disk to save to (MISCONF)", Means::FailToSave),
    Fault::new("another password (NOAUTH)", {
        let begin = &["CONFIG SET requirepass another", "CLIENT KILL TYPE normal"];
        Means::Orders(begin, "ACL SETUSER default nopass")
    }),
    Fault::new("no rights on the keys (NOPERM)", {
        Means::Orders(&["ACL SETUSER default resetkeys"], "ACL SETUSER default allkeys")
    }),
];

/// A Redis with a proxy before it, and a connection past the proxy to give it orders.
struct Store {
    redis: RedisServer,
    proxy: Proxy,
    operator: Connection,
}

impl Store {
    fn start() -> Self {
        let redis = RedisServer::start_with_debug();
        let (proxy, operator) = (Proxy::start(&redis, 1), redis.connection());
        Self { redis, proxy, operator }
    }

    fn order(&mut self, order: &str) {
        let mut words = order.split(' ');
        cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).exec(&mut self.operator).unwrap();
    }

    fn begin(&mut self, means: Means) {
        match means {
            Means::Connections(mode) => self.proxy.set(mode),
            Means::Stop => self.redis.signal(Signal::STOP),
            Means::Kill => self.redis.kill(),
            Means::Orders(orders, _) => orders.iter().for_each(|order| self.order(order)),
            Means::Sleep => {
                // It sleeps a little longer than the fault lasts, and answers when it awakes.
                let sleeping = cmd("DEBUG").arg("SLEEP").arg((FAULT + BEAT * 4).as_secs_f64()).get_packed_command();
                self.operator.send_packed_command(&sleeping).unwrap();
            }
            Means::FailToSave => self.redis.fail_to_save(),
            Means::Repeated(_) => {}
        }
    }

    fn go_on(&mut self, means: Means) {
        if let Means::Repeated(order) = means {
            self.order(order);
        }
    }

    fn end(&mut self, means: Means) {
        match means {
            Means::Connections(_) => self.proxy.set(Mode::Pass),
            Means::Stop => self.redis.signal(Signal::CONT),
            Means::Kill => {
                self.redis.restart();
                self.operator = self.redis.connection();
            }
            Means::Orders(_, undoing) => self.order(undoing),
            Means::Sleep => assert!(self.operator.recv_response().is_ok()),
            Means::FailToSave => self.order("CONFIG SET stop-writes-on-bgsave-error no"),
            Means::Repeated(_) => {}
        }
    }

    /// Every rung that the mark vouches for is there: entries are written before the mark that vouches for them.
    /// Since the mark is read first, this may be asked at any time.
    fn ladder_is_whole(&mut self) -> bool {
        let rungs = mark_in(&mut self.operator).map_or(0, |mark| mark / 128 + 1);
        let names: Vec<String> = (0..rungs).map(|r| format!("{PREFIX}1:fib:rung:{r}")).collect();
        rungs == 0 || rungs == cmd("EXISTS").arg(names).query::<u32>(&mut self.operator).unwrap()
    }
}

/// When the store failed, was restored, and was in use again.
struct Times {
    begun: Instant,
    restored: Instant,
    recovered: Instant,
}

/// Brings the fault about and ends it, while the load goes on.
fn direct(fault: &Fault, store: &mut Store, services: &[Service; 2]) -> Times {
    sleep(CALM);
    let begun = Instant::now();
    store.begin(fault.means);
    while begun.elapsed() < FAULT {
        store.go_on(fault.means);
        sleep(BEAT);
    }
    services.iter().for_each(|service| is_ready(service, fault));
    store.end(fault.means);
    let restored = Instant::now();
    // A server that comes back empty is written anew, in a moment.
    let is_whole_throughout = !fault.forgets && !matches!(fault.means, Means::Kill);
    let mut terms = 1_000_000;
    eventually("what one process answers is cached for the other", || {
        assert!(!is_whole_throughout || store.ladder_is_whole(), "the mark vouches for a rung that is not there");
        terms += 1;
        services[0].pi_cached(terms);
        services[1].pi_cached(terms) && {
            terms += 1;
            services[1].pi_cached(terms);
            services[0].pi_cached(terms)
        }
    });
    Times { begun, restored, recovered: Instant::now() }
}

/// A service takes requests whatever the store does, and reports when it does without.
fn is_ready(service: &Service, fault: &Fault) {
    let (status, readiness) = get(&service.admin_url("/readyz"));
    assert!(status == 200 && readiness.contains(r#""status":"ready""#), "{readiness}");
    if fault.is_silent {
        assert!(readiness.contains("degraded"), "{readiness}");
        assert!(service.metric(r#"phipi_cache_circuit_breaker_open{operation="read"}"#) > 0, "the breaker is open");
    }
}

/// A fault as it went: a row of the table.
struct Row {
    fault: &'static str,
    requests: usize,
    errors: Vec<String>,
    worst_calm: Duration,
    worst_at_first: Duration,
    worst_later: Duration,
    /// Of new values while the store was silent.
    median_of_silence: Option<Duration>,
    /// The log has the failure of the silent store more than once.
    is_told_again: bool,
    recovery: Duration,
}

impl Row {
    fn new(fault: &Fault, times: &Times, records: &[Record], is_told_again: bool) -> Self {
        let opened = times.begun + OPENING;
        let (calm, stormy): (Vec<&Record>, Vec<_>) = records.iter().partition(|record| record.answered < times.begun);
        let (at_first, later): (Vec<&Record>, Vec<_>) = stormy.into_iter().partition(|record| record.due < opened);
        let worst = |records: &[&Record]| records.iter().map(|record| record.latency()).max().unwrap_or_default();
        let in_silence = later.iter().filter(|record| record.is_new() && record.answered < times.restored);
        let mut latencies: Vec<Duration> = in_silence.map(|record| record.latency()).collect();
        latencies.sort();
        Self {
            fault: fault.name,
            requests: records.len(),
            errors: records.iter().filter_map(|record| record.outcome.clone().err()).collect(),
            worst_calm: worst(&calm),
            worst_at_first: worst(&at_first),
            worst_later: worst(&later),
            median_of_silence: latencies.get(latencies.len() / 2).copied().filter(|_| fault.is_silent),
            is_told_again,
            recovery: times.recovered - times.restored,
        }
    }

    /// The missed bounds in time, which may be the machine's fault.
    fn too_late(&self) -> Vec<&'static str> {
        let rows = [
            (self.worst_at_first > self.worst_calm + ADDED_AT_FIRST + SLACK, "the worst in the first second"),
            (self.worst_later > self.worst_calm + ADDED_LATER + SLACK, "the worst afterwards"),
            (self.median_of_silence > Some(MEDIAN_OF_SILENCE), "the median while the store is silent"),
            (self.recovery > RECOVERY, "the recovery"),
            (self.is_told_again, "an answer of the store, so that its failure was told again"),
        ];
        rows.into_iter().filter_map(|(is_late, what)| is_late.then_some(what)).collect()
    }
}

const HEAD: &str = "\
| fault | requests | errors | worst without fault (ms) | worst in the first second (ms) | worst afterwards (ms) | \
recovery (ms) |
|---|---|---|---|---|---|---|";

impl Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "| {} | {} | {} |", self.fault, self.requests, self.errors.len())?;
        [self.worst_calm, self.worst_at_first, self.worst_later, self.recovery]
            .into_iter()
            .try_for_each(|duration| write!(out, " {} |", duration.as_millis()))
    }
}

/// Runs two processes and the load, with the fault in the middle, and holds the end against the design.
fn weather(fault: &Fault, truth: &Truth) -> Row {
    eprintln!("the fault: {}", fault.name);
    let mut store = Store::start();
    let cache = if matches!(fault.means, Means::Connections(_)) { store.proxy.url() } else { store.redis.url() };
    let services = [(); 2].map(|()| Service::start(&cache).expecting_warnings());
    let (times, records) = while_asked(&services, truth, || direct(fault, &mut store, &services));
    let mut is_told_again = false;
    for service in &services {
        eventually("all that had to wait is written", || service.metric("phipi_cache_write_queue_bytes") == 0);
        let is_told = failures_told(service) > 2 && fault.is_silent;
        if is_told {
            eprintln!("the log:\n{}", service.log());
        }
        is_told_again |= is_told;
    }
    if !fault.forgets {
        assert!(store.ladder_is_whole(), "the mark vouches for a rung that is not there");
        is_kept(&store, &times, &records);
    }
    Row::new(fault, &times, &records, is_told_again)
}

/// Values answered during the fault are found in the store by a process that has nothing else.
fn is_kept(store: &Store, times: &Times, records: &[Record]) {
    let during = times.begun..times.restored;
    let new: Vec<_> = records.iter().filter(|record| record.is_new() && during.contains(&record.answered)).collect();
    assert!(new.len() > SAMPLE, "new values are asked for during the fault");
    let highest = records.iter().flat_map(|record| &record.questions.indices).max().copied();
    eventually("the mark is where it was", || store.redis.mark() >= highest.map(|n| n.min(100_000)));
    let fresh = Service::start(&store.redis.url());
    for record in new.iter().step_by(new.len() / SAMPLE) {
        let answers = fresh.ask(&client(), &record.questions).unwrap();
        assert!(answers.are_cached(), "{:?} were answered during the fault", record.questions);
    }
}

/// The log's reports that the store can't be read or written; each end is logged too.
fn failures_told(service: &Service) -> usize {
    let told = |event: &str| service.log().matches(event).count();
    let changes = [("can't be read", "is read again"), ("the store can't be written", "the store is written again")];
    for (lost, back) in changes {
        eventually(back, || told(lost) == told(back));
    }
    changes.iter().map(|(lost, _)| told(lost)).sum()
}

#[test]
fn answers_are_right_and_in_time_whatever_the_store_does() {
    let _alone = alone();
    let truth = load::truth();
    let mut table = vec![HEAD.to_owned()];
    let wanted = env::var("PHIPI_FAULT").unwrap_or_default();
    for fault in FAULTS.iter().filter(|fault| fault.name.contains(&wanted)) {
        let mut attempt = 1;
        let row = loop {
            let row = weather(fault, &truth);
            assert!(row.errors.is_empty(), "{row}: {:#?}", row.errors);
            let late = row.too_late();
            if late.is_empty() {
                break row;
            }
            eprintln!("{row}: too late, in attempt {attempt}: {late:?}, {:?}", row.median_of_silence);
            assert!(attempt < ATTEMPTS, "{}: {late:?}", fault.name);
            attempt += 1;
        };
        eprintln!("{row}");
        table.push(row.to_string());
    }
    let table = table.join("\n");
    println!("{table}");
    if let Ok(file) = env::var("PHIPI_FAULTS_TABLE") {
        fs::write(file, table + "\n").unwrap();
    }
}
