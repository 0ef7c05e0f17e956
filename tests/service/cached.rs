//! `cached`, exactly: over processes and restarts, on every store.

use std::{path::Path, sync::Barrier, thread};

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use redis::Commands;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    oracle::{BLOCK_DIGITS, Model, digits_of_pi, fibonacci},
    redis_server::{PREFIX, RedisServer, RoundTrips, mark_in, runs_of},
    service::{Questions, Service, client, eventually, undisturbed},
};

fn sqlite_in(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("cache.sqlite").display())
}

/// The story of the design, told on any store that outlives a process.
pub fn a_story(cache: &str) {
    let first = Service::start(cache);
    assert!(first.fib_cached(0) && first.fib_cached(1), "the definition is known from the start");
    assert!(!first.fib_cached(213));
    assert!(first.fib_cached(200), "answered with F(213)");
    first.stop();

    let again = Service::start(cache);
    assert!(again.fib_cached(213), "after a restart");
    let another = Service::start(cache);
    assert_eq!(another.fib(213), (fibonacci(213), true), "in another process");
    assert!(!another.fib_cached(214), "above all that were answered");
    assert!(again.fib_cached(214), "answered by the other process");
    assert!(!again.pi_cached(213), "fib and pi share nothing");
    assert!(another.pi_cached(213));
    assert!(!another.pi_cached(212), "approximations are known one by one");

    assert!(!again.fib_cached(100_001));
    assert!(another.fib_cached(100_000) && another.fib_cached(100_001));
    assert!(!another.fib_cached(100_002), "beyond the ladder values are known one by one");

    assert!(another.pi_digits(0, 1).1, "the 3 is the definition");
    assert!(!another.pi_digits(BLOCK_DIGITS + 1, 1).1);
    assert!(again.pi_digits(0, 100).1, "every digit before one that was answered is known");
    assert!(again.pi_digits(BLOCK_DIGITS, BLOCK_DIGITS + 1).1, "and all of two blocks");
    assert!(!again.pi_digits(2 * BLOCK_DIGITS, 2).1, "above all that were answered");
    assert!(another.pi_digits(4 * BLOCK_DIGITS, 1).1, "which were evaluated ahead with it");
    let (digits, cached) = Service::start(cache).pi_digits(0, 4 * BLOCK_DIGITS + 1);
    assert!(cached && digits == digits_of_pi()[..=4 * BLOCK_DIGITS]);
}

#[test]
fn a_story_on_redis() {
    undisturbed(|| a_story(&RedisServer::start().url()));
}

#[test]
fn a_story_on_sqlite() {
    undisturbed(|| a_story(&sqlite_in(tempfile::tempdir().unwrap().path())));
}

/// A number of terms with ten digits, as most have.
const FLOOD: u32 = 1_500_000_000;

#[test]
fn a_flood_of_approximations_evicts_its_own_kind_alone_from_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let cache = sqlite_in(folder.path());
    // A busy machine may be late for a budget.
    let first = Service::start(&cache).expecting_warnings();
    assert!(!first.fib_cached(200_001));
    // The file has room for 156,000.
    first.flood(FLOOD, 165);
    assert!(first.fib_cached(200_001) && first.fib_cached(99_999));
    first.stop();

    let again = Service::start(&cache).expecting_warnings();
    assert!(again.fib_cached(200_001) && again.fib_cached(99_999));
    assert!(again.pi_cached(FLOOD + 164_999) && again.pi_cached(FLOOD + 15_000));
    assert!(!again.pi_cached(FLOOD), "the oldest made room");
}

#[test]
fn a_flood_of_approximations_drops_no_value_that_waits_for_redis() {
    let mut redis = RedisServer::start();
    let service = Service::start(&redis.url()).expecting_warnings();
    redis.kill();
    assert!(!service.fib_cached(200_001));
    // The queue has room for 350,000.
    service.flood(FLOOD, 375);
    assert!(service.metric("phipi_cache_writes_dropped_total") > 0, "the queue is full");
    redis.restart();
    eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
    // The store itself is asked: on a busy machine it would be late for another process.
    let mut store = redis.connection();
    let mut has = |name: &str, n: u32| store.exists(format!("{PREFIX}1:{name}:{n}")).unwrap();
    assert!(has("fib:n", 200_001) && has("pi", FLOOD + 374_999) && !has("pi", FLOOD));
    eventually("the ladder is whole", || mark_in(&mut store) == Some(100_000));
}

#[test]
fn a_flood_of_approximations_evicts_its_own_kind_alone_from_memory() {
    let service = Service::start("memory:");
    assert!(!service.fib_cached(200_001));
    // The memory has room for 65,536.
    service.flood(FLOOD, 70);
    assert!(service.fib_cached(200_001) && service.fib_cached(99_999));
    assert!(service.pi_cached(FLOOD + 69_999) && service.pi_cached(FLOOD + 5_000));
    assert!(!service.pi_cached(FLOOD), "the oldest made room");
}

#[test]
fn memory_remembers_until_the_process_ends() {
    let service = Service::start("memory:");
    assert!(!service.fib_cached(213) && service.fib_cached(200) && !service.fib_cached(214));
    assert!(!service.pi_cached(0) && service.pi_cached(0));
    assert!(!service.fib_cached(200_000) && service.fib_cached(200_000) && service.fib_cached(99_999));
    assert!(!Service::start("memory:").fib_cached(213));
}

#[test]
fn all_fields_see_the_cache_as_of_one_lookup() {
    let service = Service::start("memory:");
    let document = "{a: fib(n: 213) {cached} b: fib(n: 213) {cached} c: fib(n: 200) {cached}}";
    let cached = |answer: &Value| ["a", "b", "c"].map(|field| answer["data"][field]["cached"].clone());
    assert_eq!(cached(&service.query(document)), [false; 3]);
    assert_eq!(cached(&service.query(document)), [true; 3]);

    let operation =
        |n: u32| serde_json::json!({"query": format!("{{fib(n: {n}) {{cached}} pi(terms: {n}) {{cached}}}}")});
    let batch = Value::Array([400, 300, 400].map(operation).to_vec());
    let answers = service.post(&batch);
    for answer in answers.as_array().unwrap() {
        assert_eq!(answer["data"]["fib"]["cached"], false, "{answers}");
        assert_eq!(answer["data"]["pi"]["cached"], false, "{answers}");
    }
    assert!(service.fib_cached(350) && service.pi_cached(300));
}

#[test]
fn a_large_batch_is_one_request_too() {
    let service = Service::start("memory:");
    let operation = |first: u32| {
        let fields: String = (0..100).map(|k| format!("f{k}: fib(n: {}) {{ cached }} ", first + k)).collect();
        serde_json::json!({"query": format!("{{ {fields} }}")})
    };
    let answers = service.post(&Value::Array((0..10).map(|k| operation(5_000 - 100 * k)).collect()));
    assert!(!answers.to_string().contains("true"), "as of one lookup, before any was answered");
    assert_eq!(answers.to_string().matches("false").count(), 1_000);
}

#[test]
fn what_is_selected_never_matters() {
    let service = Service::start("memory:");
    for (n, selection) in [(500, "cached"), (600, "__typename"), (700, "n"), (800, "digitCount")] {
        service.query(&format!("{{ fib(n: {n}) {{ {selection} }} pi(terms: {n}) {{ __typename }} }}"));
        assert!(service.fib_cached(n) && service.pi_cached(n), "after {selection}");
    }
}

#[test]
fn a_hundred_aliases_are_one_request() {
    let service = Service::start("memory:");
    let fields: String = (0..100).map(|k| format!("f{k}: fib(n: {}) {{ result cached }} ", 2 + k * 70)).collect();
    let answer = service.query(&format!("{{ {fields} }}"));
    for k in 0..100 {
        let field = &answer["data"][format!("f{k}")];
        assert_eq!(field["result"], fibonacci(2 + k * 70), "{k}");
        assert_eq!(field["cached"], false, "{k}");
    }
}

#[test]
fn a_rung_is_evaluated_once_for_all_indices_on_it_and_not_at_all_when_it_is_found() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [(); 2].map(|()| Service::start(&redis.url()));
        let fields: String = (640..740).map(|n| format!("f{n}: fib(n: {n}) {{ result cached }} ")).collect();
        let answer = services[0].query(&format!("{{ {fields} }}"));
        for n in 640..740 {
            let field = &answer["data"][format!("f{n}")];
            assert_eq!((&field["result"], &field["cached"]), (&fibonacci(n).into(), &false.into()), "F({n})");
        }
        assert_eq!(services[0].metric("phipi_evaluations_total"), 1);
        // The mark is at 770, and the rung of 780 is there.
        services[0].fib(770);
        assert_eq!(services[1].fib(780), (fibonacci(780), false));
        assert_eq!(services[1].metric("phipi_evaluations_total"), 0);
        assert_eq!(services[0].fib(790), (fibonacci(790), false), "from its own memory");
        assert_eq!(services[0].metric("phipi_evaluations_total"), 2);
        assert!(Service::start(&redis.url()).fib_cached(785), "the mark is raised all the same");
    });
}

#[test]
fn a_request_costs_three_round_trips_at_most() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [Service::start(&redis.url()), Service::start(&redis.url())];
        let mut round_trips = RoundTrips::seen_by(redis.observer(2));
        let mut takes = |service: &Service, document: &str, expected, why: &str| {
            round_trips.of(|| drop(service.query(document)), expected, why);
        };
        let several =
            "{ a: fib(n: 600) { cached } b: fib(n: 7) { cached } pi(terms: 7) { cached } c: pi(terms: 8) { error } }";
        takes(&services[0], several, 3, "one to read, one to write, one for the mark");
        takes(&services[0], several, 0, "all in memory");
        takes(&services[1], several, 1, "one to read all of them");
        takes(&services[1], "{ fib(n: 601) { cached } }", 2, "on a known rung the mark alone rises");
        takes(&services[1], "{ pi(terms: 9) { cached } }", 2, "without the ladder there is no mark");
        takes(&services[0], "{ fib(n: 1) { cached } __typename }", 0, "the definition is known");
    });
}

#[test]
fn a_crowd_shares_one_evaluation() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let service = Service::start(&redis.url());
        let expected = fibonacci(300_000);
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| assert_eq!(service.fib(300_000).0, expected));
            }
        });
        let rungs = 782;
        assert_eq!(runs_of("set", &mut redis.connection()), 1 + rungs, "the value and the ladder, once");
        assert_eq!(service.metric("phipi_evaluations_total"), 1);
        assert!(service.metric("phipi_single_flight_joins_total") > 0, "who comes meanwhile is counted");
    });
}

#[test]
fn a_fleet_evaluates_once_for_each_process_at_most() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [(); 8].map(|()| Service::start(&redis.url()));
        let (expected, start) = (fibonacci(2_000_000), Barrier::new(64));
        thread::scope(|scope| {
            for client in 0..64 {
                let (service, start, expected) = (&services[client % 8], &start, &expected);
                scope.spawn(move || {
                    start.wait();
                    assert_eq!(service.fib(2_000_000).0, *expected);
                });
            }
        });
        let evaluations: u64 = services.iter().map(|service| service.metric("phipi_evaluations_total")).sum();
        println!("8 processes, 64 clients, one new n: {evaluations} evaluations");
        assert!((1..=8).contains(&evaluations), "{evaluations}");
    });
}

/// Concurrent clients that ask for different new indices make the ladder grow.
fn a_crowd_leaves_the_ladder_whole(cache: &str) {
    let index = |client: u32, k: u32| 2 + (client * 4_999 + k * 12_347) % 90_000;
    let services = [Service::start(cache), Service::start(cache)];
    thread::scope(|scope| {
        for client in 0..16 {
            let service = &services[client as usize % 2];
            scope.spawn(move || {
                for k in 0..8 {
                    assert_eq!(service.fib(index(client, k)).0, fibonacci(index(client, k)));
                }
            });
        }
    });
    let highest = (0..16).flat_map(|client| (0..8).map(move |k| index(client, k))).max().unwrap();
    let fresh = Service::start(cache);
    for n in (0..=highest).rev().step_by(977) {
        assert_eq!(fresh.fib(n), (fibonacci(n), true), "F({n})");
    }
}

#[test]
fn a_crowd_leaves_the_ladder_whole_on_redis() {
    undisturbed(|| a_crowd_leaves_the_ladder_whole(&RedisServer::start().url()));
}

#[test]
fn a_crowd_leaves_the_ladder_whole_on_sqlite() {
    undisturbed(|| a_crowd_leaves_the_ladder_whole(&sqlite_in(tempfile::tempdir().unwrap().path())));
}

/// One step of a random history over two processes.
#[derive(Clone, Debug)]
enum Step {
    Ask { process: usize, questions: Questions },
    Restart { process: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let index = prop_oneof![
        4 => 0..40_u32,
        4 => 0..1_000_u32,
        // On both sides of a rung.
        4 => (0..8_u32, 0..3_u32).prop_map(|(rung, offset)| (rung * 128 + offset).saturating_sub(1)),
        1 => 0..20_000_u32,
        // On both sides of the top of the ladder.
        1 => 99_998..100_004_u32,
        1 => prop::sample::select(vec![120_000, 150_000]),
    ];
    // On both sides of the end of a block, most of them of an early one.
    let span = (prop_oneof![8 => 0..3_usize, 1 => 3..27_usize], 0..3_usize, 1..50_usize)
        .prop_map(|(block, offset, count)| ((block * BLOCK_DIGITS + offset).saturating_sub(1), count));
    prop_oneof![
        12 => (0..2_usize, prop::collection::vec(index, 0..4), prop::collection::vec(0..6_u32, 0..3), prop::collection::vec(span, 0..2))
            .prop_map(|(process, indices, terms, spans)| {
                Step::Ask { process, questions: Questions { indices, terms, spans } }
            }),
        1 => (0..2_usize).prop_map(|process| Step::Restart { process }),
    ]
}

fn follows_the_model(cache: &str, steps: &[Step]) {
    let mut services = [Service::start(cache), Service::start(cache)];
    let mut model = Model::default();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Restart { process } => services[*process] = Service::start(cache),
            Step::Ask { process, questions } => {
                let answers = services[*process].ask(&client(), questions).unwrap();
                for (&n, (digits, cached)) in questions.indices.iter().zip(&answers.fibs) {
                    assert_eq!(*cached, model.fib_cached(n), "step {at}: fib({n}); {model:?}");
                    assert_eq!(*digits, fibonacci(n), "step {at}: fib({n})");
                }
                for (&n, (_, cached)) in questions.terms.iter().zip(&answers.pis) {
                    assert_eq!(*cached, model.pi_cached(n), "step {at}: pi({n}); {model:?}");
                }
                for (&(from, count), (digits, cached)) in questions.spans.iter().zip(&answers.digits) {
                    let name = format!("step {at}: piDigits({from}, {count})");
                    assert_eq!(*cached, model.digits_cached(from, count), "{name}; {model:?}");
                    assert_eq!(*digits, digits_of_pi()[from..from + count], "{name}");
                }
                model.note(questions);
            }
        }
    }
}

/// Histories are random but the same in each run, and none is shrunk: each is a story of its own.
pub fn histories(store: impl Fn() -> (String, Box<dyn std::any::Any>)) {
    let config = Config { cases: 8, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner
        .run(&prop::collection::vec(step(), 40..60), |steps| {
            undisturbed(|| {
                let (cache, _kept) = store();
                follows_the_model(&cache, &steps);
            });
            Ok(())
        })
        .unwrap();
}

#[test]
fn every_history_on_redis_follows_the_model() {
    histories(|| {
        let redis = RedisServer::start();
        (redis.url(), Box::new(redis))
    });
}

#[test]
fn every_history_on_sqlite_follows_the_model() {
    histories(|| {
        let folder: TempDir = tempfile::tempdir().unwrap();
        (sqlite_in(folder.path()), Box::new(folder))
    });
}

#[test]
fn two_processes_write_one_file_and_neither_finds_it_locked() {
    let folder = tempfile::tempdir().unwrap();
    let cache = sqlite_in(folder.path());
    // Both start on no file at once.
    let services = thread::scope(|scope| {
        [(); 2].map(|()| scope.spawn(|| Service::start(&cache))).map(|start| start.join().unwrap())
    });
    thread::scope(|scope| {
        for (process, service) in services.iter().enumerate() {
            for client in 0..4 {
                scope.spawn(move || {
                    for k in 0..25 {
                        let n = u32::try_from(2 + k * 397 + client * 101 + process * 53).unwrap();
                        assert_eq!(service.fib(n).0, fibonacci(n));
                    }
                });
            }
        }
    });
    // A warning, such as of a locked file, fails the test when the services are dropped.
    eventually("each knows what the other answered", || services.iter().all(|service| service.fib_cached(9_800)));
}
