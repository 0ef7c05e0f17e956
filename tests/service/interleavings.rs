//! Random interleavings of two processes, kills and faults on each store: no digit is wrong, `cached` never lies, and
//! with a healthy store every answer that was not cached is cached afterwards, for a process that remembers nothing.

use std::{
    array, env, fs,
    iter::from_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use redis::Commands;
use rusqlite::Connection;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    oracle::{BLOCK_DIGITS, Model, Truth},
    proxy::{Mode, Proxy},
    redis_cluster::RedisCluster,
    redis_server::RedisServer,
    service::{Answers, PATIENCE, Questions, Service, alone, client, eventually, get},
};

const SEQUENCES: u32 = 1_000;

/// Much of a sequence is waiting: for processes to start, and for budgets to be spent.
const SIDE_BY_SIDE: usize = 20;

/// The largest index of the ladder that is asked for: sixteen rungs are enough for gaps, and quickly written.
const LARGEST: u32 = 2_000;

/// Above the ladder.
const LONG: u32 = 100_001;

/// Four blocks of digits of π are enough for gaps, and quickly evaluated.
const DIGITS: usize = 4 * BLOCK_DIGITS;

/// The keys that a store may lose from one step to the next: all, the rungs, some of them, one, or the mark; and the same of
/// the digits of π.
const FORGOTTEN: [&str; 8] = [
    "*",
    "1:fib:rung:*",
    "1:fib:rung:?",
    "1:fib:rung:1",
    "1:fib:top",
    "1:pi:digits:?",
    "1:pi:digits:0",
    "1:pi:digits:top",
];

#[derive(Clone, Debug)]
enum Step {
    Ask {
        process: usize,
        questions: Questions,
    },
    AskBoth([Questions; 2]),
    /// The same with a healthy store, and then to a process that remembers nothing.
    AskAnew {
        process: usize,
        questions: Questions,
    },
    /// Asks for indices one above all that were asked for, where a mark that is only a little too high is a lie.
    Climb {
        process: usize,
        indices: usize,
    },
    KillAndStart {
        process: usize,
    },
    /// All connections to the store are in this mode from now on.
    Connections(Mode),
    Forget(&'static str),
}

fn questions() -> impl Strategy<Value = Questions> {
    let index = prop_oneof![
        40 => 0..40_u32,
        // On both sides of a rung.
        40 => (0..16_u32, 0..3_u32).prop_map(|(rung, offset)| (rung * 128 + offset).saturating_sub(1)),
        20 => 0..=LARGEST,
        // Writes the whole ladder, which is the dearest step of all.
        1 => Just(LONG),
    ];
    // On both sides of the end of a block.
    let span = (0..=4_usize, 0..3_usize, 1..50_usize).prop_map(|(block, offset, count)| {
        ((block * BLOCK_DIGITS + offset).saturating_sub(1).min(DIGITS - count), count)
    });
    let several = (
        prop::collection::vec(index.clone(), 0..4),
        prop::collection::vec(0..6_u32, 0..3),
        prop::collection::vec(span.clone(), 0..2),
    );
    prop_oneof![
        4 => index.prop_map(|n| Questions { indices: vec![n], ..Questions::default() }),
        1 => (0..6_u32).prop_map(|n| Questions { terms: vec![n], ..Questions::default() }),
        1 => span.prop_map(|span| Questions { spans: vec![span], ..Questions::default() }),
        2 => several.prop_map(|(indices, terms, spans)| Questions { indices, terms, spans }),
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        6 => Just(Mode::Pass),
        1 => Just(Mode::Break),
        1 => Just(Mode::BlackHole),
        // Within the budgets of the store, and beyond.
        1 => prop::sample::select(vec![5, 60, 300]).prop_map(|ms| Mode::Delay(Duration::from_millis(ms))),
        // In the handshake, in short answers and in rungs.
        1 => (0..1_000_usize).prop_map(Mode::CutAfter),
        // A mark is damaged now and then, and hardly ever twice in one answer, which nobody could notice.
        3 => Just(Mode::Corrupt(1_000)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2_usize, questions()).prop_map(|(process, questions)| Step::Ask { process, questions }),
        3 => prop::array::uniform2(questions()).prop_map(Step::AskBoth),
        3 => (0..2_usize, questions()).prop_map(|(process, questions)| Step::AskAnew { process, questions }),
        2 => (0..2_usize, 1..32_usize).prop_map(|(process, indices)| Step::Climb { process, indices }),
        1 => (0..2_usize).prop_map(|process| Step::KillAndStart { process }),
        4 => mode().prop_map(Step::Connections),
        2 => prop::sample::select(FORGOTTEN.to_vec()).prop_map(Step::Forget),
    ]
}

fn sequence(seed: u32) -> Vec<Step> {
    let seed: [u8; 32] = array::from_fn(|at| seed.to_le_bytes().get(at).copied().unwrap_or(0));
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    prop::collection::vec(step(), 8..=14).new_tree(&mut runner).unwrap().current()
}

/// The stores, of which each sequence has a part of one.
struct Stores {
    redis: RedisServer,
    cluster: RedisCluster,
}

/// The part of a store that belongs to a sequence.
enum Store<'a> {
    /// A prefix in a server, behind a proxy.
    Redis(&'a RedisServer, Proxy),
    /// A prefix in a cluster.
    Cluster(&'a RedisCluster),
    /// A file.
    Sqlite(TempDir),
}

impl<'a> Store<'a> {
    /// Six sequences of ten are played on one server, and two each on a cluster and on a file.
    fn of(seed: u32, stores: &'a Stores) -> Self {
        match seed % 10 {
            0..6 => Self::Redis(&stores.redis, Proxy::start(&stores.redis, seed.into())),
            6..8 => Self::Cluster(&stores.cluster),
            _ => Self::Sqlite(tempfile::tempdir().unwrap()),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Redis(_, proxy) => proxy.url(),
            Self::Cluster(cluster) => cluster.url(),
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("cache.sqlite").display()),
        }
    }

    fn connections(&self, mode: Mode) {
        if let Self::Redis(_, proxy) = self {
            proxy.set(mode);
        }
    }

    /// Makes it lose the keys of a pattern.
    fn forget(&self, prefix: &str, what: &str) {
        match self {
            Self::Redis(redis, _) => {
                let mut store = redis.connection();
                let keys: Vec<String> = store.keys(format!("{prefix}{what}")).unwrap();
                if !keys.is_empty() {
                    let () = store.del(keys).unwrap();
                }
            }
            Self::Cluster(cluster) => cluster.forget(&format!("{prefix}{what}")),
            Self::Sqlite(folder) => {
                let path = folder.path().join("cache.sqlite");
                // A process may just have been killed that was to make it.
                match what {
                    "*" => fs::remove_file(path).unwrap_or_default(),
                    _ => forget_rows(&Connection::open(path).unwrap(), &format!("{prefix}{what}")),
                }
            }
        }
    }
}

/// Deletes rows; a file that has no tables yet has none of them.
fn forget_rows(file: &Connection, pattern: &str) {
    file.busy_timeout(PATIENCE).unwrap();
    for table in ["entry", "cheap", "mark"] {
        if file.table_exists(None, table).unwrap() {
            // The mark is in rows that begin with its name.
            let delete = format!("DELETE FROM {table} WHERE name GLOB ?1 OR name GLOB ?1 || ':*'");
            file.execute(&delete, [pattern]).unwrap();
        }
    }
}

/// Two processes of phipi and their way to the store.
struct Scene<'a> {
    truth: &'a Truth,
    store: Store<'a>,
    prefix: String,
    services: [Service; 2],
    asked: Model,
}

fn start(store: &Store<'_>, prefix: &str) -> Service {
    Service::start_with(&store.url(), &["--cache-prefix", prefix]).expecting_warnings()
}

impl<'a> Scene<'a> {
    fn open(truth: &'a Truth, stores: &'a Stores, seed: u32) -> Self {
        let (store, prefix) = (Store::of(seed, stores), format!("sequence-{seed}:"));
        let services = [(); 2].map(|()| start(&store, &prefix));
        Self { truth, store, prefix, services, asked: Model::default() }
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Ask { process, questions } => self.ask(*process, questions),
            Step::Climb { process, indices } => {
                let from = self.asked.first_above();
                for n in (from..=LARGEST).take(*indices) {
                    self.ask(*process, &Questions { indices: vec![n], ..Questions::default() });
                }
            }
            Step::AskBoth(questions) => self.ask_both(questions),
            Step::AskAnew { process, questions } => self.ask_anew(*process, questions),
            Step::KillAndStart { process } => {
                self.services[*process].signal(Signal::KILL);
                self.services[*process] = start(&self.store, &self.prefix);
            }
            Step::Connections(mode) => self.store.connections(*mode),
            Step::Forget(what) => self.store.forget(&self.prefix, what),
        }
    }

    fn ask(&mut self, process: usize, questions: &Questions) {
        let answers = self.services[process].ask(&client(), questions).unwrap();
        self.check(&self.asked, questions, &answers);
        self.asked.note(questions);
    }

    /// Asks when the store is well, and asks a process that remembers nothing for all that was not cached.
    fn ask_anew(&mut self, process: usize, questions: &Questions) {
        self.store.connections(Mode::Pass);
        let settled = |service: &Service| {
            service.metric("phipi_cache_write_queue_bytes") == 0
                && service.metric("phipi_cache_circuit_breaker_open") == 0
        };
        eventually("the store is well", || self.services.iter().all(settled));
        let failures = || self.services[process].metric("phipi_cache_store_failures_total");
        let before = failures();
        let answers = self.services[process].ask(&client(), questions).unwrap();
        let has_failed = failures() > before;
        self.check(&self.asked, questions, &answers);
        self.asked.note(questions);
        eventually("it is written", || settled(&self.services[process]));
        if has_failed {
            // The connection was still being made anew: an answer that did not hear the store repairs nothing.
            return;
        }
        let was_new = |(&n, (_, cached)): (&u32, &(String, bool))| (!cached).then_some(n);
        let new = Questions {
            indices: questions.indices.iter().zip(&answers.fibs).filter_map(was_new).collect(),
            terms: questions
                .terms
                .iter()
                .zip(&answers.pis)
                .filter(|(_, (_, cached))| !cached)
                .map(|(&n, _)| n)
                .collect(),
            spans: (questions.spans.iter().zip(&answers.digits))
                .filter(|(_, (_, cached))| !cached)
                .map(|(&span, _)| span)
                .collect(),
        };
        // A store that is late for a budget, on a busy machine, says nothing.
        let until = Instant::now() + PATIENCE;
        loop {
            let fresh = start(&self.store, &self.prefix);
            let answers = fresh.ask(&client(), &new).unwrap();
            if answers.are_cached() {
                break;
            }
            let is_late = fresh.metric("phipi_cache_wait_timeouts_total") > 0;
            assert!(is_late && Instant::now() < until, "{new:?} to a fresh process: {answers:?}; {}", fresh.log());
        }
    }

    /// Either process may see what the other was asked at the same time.
    fn ask_both(&mut self, questions: &[Questions; 2]) {
        let ask = |process: usize| self.services[process].ask(&client(), &questions[process]).unwrap();
        let answers = thread::scope(|scope| {
            [0, 1].map(|process| scope.spawn(move || ask(process))).map(|asking| asking.join().unwrap())
        });
        for process in [0, 1] {
            let mut asked = self.asked.clone();
            asked.note(&questions[1 - process]);
            self.check(&asked, &questions[process], &answers[process]);
        }
        questions.iter().for_each(|questions| self.asked.note(questions));
    }

    /// Digits are right, and nothing is cached that was never asked for; under faults less may be.
    fn check(&self, asked: &Model, questions: &Questions, answers: &Answers) {
        assert_eq!(self.truth.refutes(questions, answers), None);
        for (&n, (_, cached)) in questions.indices.iter().zip(&answers.fibs) {
            assert!(!cached || asked.fib_cached(n), "fib({n}) is said to be cached; {asked:?}");
        }
        for (&terms, (_, cached)) in questions.terms.iter().zip(&answers.pis) {
            assert!(!cached || asked.pi_cached(terms), "pi({terms}) is said to be cached; {asked:?}");
        }
        for (&(from, count), (_, cached)) in questions.spans.iter().zip(&answers.digits) {
            assert!(
                !cached || asked.digits_cached(from, count),
                "piDigits({from}, {count}) is said to be cached; {asked:?}"
            );
        }
    }
}

/// Whether the sequence of this seed does what the design says; if not, its seed and steps are printed.
fn holds(truth: &Truth, stores: &Stores, seed: u32) -> bool {
    let steps = sequence(seed);
    let at = AtomicU32::new(0);
    let mut scene = Scene::open(truth, stores, seed);
    let played = catch_unwind(AssertUnwindSafe(|| {
        for step in &steps {
            at.fetch_add(1, Ordering::Relaxed);
            scene.play(step);
        }
        scene.store.forget(&scene.prefix, "*");
    }));
    if played.is_err() {
        eprintln!("sequence {seed}, up to step {}: {steps:#?}", at.load(Ordering::Relaxed));
        for service in &scene.services {
            let (_, readiness) = get(&service.admin_url("/readyz"));
            eprintln!("{readiness}, {} bytes wait\n{}", service.metric("phipi_cache_write_queue_bytes"), service.log());
        }
    }
    played.is_ok()
}

#[test]
fn no_interleaving_brings_a_wrong_digit_or_a_false_cached() {
    let _alone = alone();
    let truth = Truth::of((0..=LARGEST).chain([LONG]).collect());
    let stores = Stores { redis: RedisServer::start(), cluster: RedisCluster::start() };
    // One seed alone can be played again, and more of them on a machine that has the time.
    let number = |name| env::var(name).ok().map(|number| number.parse::<u32>().unwrap());
    let seeds = match number("PHIPI_SEQUENCE") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PHIPI_SEQUENCES").unwrap_or(SEQUENCES),
    };
    let seeds = Mutex::new(seeds);
    let has_failed = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                let next = || seeds.lock().unwrap().next().filter(|_| !has_failed.load(Ordering::Relaxed));
                for seed in from_fn(next) {
                    if !holds(&truth, &stores, seed) {
                        has_failed.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(!has_failed.into_inner(), "a sequence failed; PHIPI_SEQUENCE=seed plays it again alone");
}
