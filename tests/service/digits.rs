//! Digits of π: evaluated ahead, kept as blocks, and proven one by one.

use std::{sync::Barrier, thread, time::Duration};

use redis::{Commands, cmd};
use serde_json::json;
use ureq::Agent;

use crate::{
    oracle::{BLOCK_DIGITS, digits_of_pi},
    redis_cluster::RedisCluster,
    redis_server::{PREFIX, RedisServer, RoundTrips, runs_of},
    service::{Questions, Service, client, eventually, getting, program, undisturbed},
};

fn key(name: &str) -> String {
    format!("{PREFIX}1:pi:digits:{name}")
}

#[test]
fn reading_on_costs_an_evaluation_for_each_doubling() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let service = Service::start(&redis.url());
        let pages: String = (0..1_000).map(|page| service.pi_digits(1_000 * page, 1_000).0).collect();
        assert!(pages == digits_of_pi());
        let evaluations = service.metric("phipi_evaluations_total");
        println!("a million digits in pages of a thousand: {evaluations} evaluations");
        assert_eq!(evaluations, 6, "of 1, 2, 4, 8, 16 and 28 blocks");
        assert!(Service::start(&redis.url()).pi_digits(999_999, 1).1);
    });
}

#[test]
fn a_page_is_one_round_trip_and_evaluates_once() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [Service::start(&redis.url()), Service::start(&redis.url())];
        let mut observer = redis.observer(2);
        let before = runs_of("mget", &mut observer);
        let evaluations = services.each_ref().map(|service| service.metric("phipi_evaluations_total"));
        services[0].pi_digits(900_000, 100);
        assert_eq!(runs_of("mget", &mut observer) - before, 1);
        // On a busy machine they are written behind the response, and the mark after them.
        eventually("the mark is raised", || observer.exists(key("top")).unwrap());
        assert_eq!(runs_of("set", &mut observer), 28, "each block once");
        let mut round_trips = RoundTrips::seen_by(observer);
        let mut takes = |service: &Service, from, expected, why: &str| {
            round_trips.of(|| drop(service.pi_digits(from, 100)), expected, why);
        };
        takes(&services[0], 0, 0, "all in memory");
        takes(&services[1], BLOCK_DIGITS - 50, 1, "one to read the mark and two blocks");
        let evaluated = services.each_ref().map(|service| service.metric("phipi_evaluations_total"));
        assert_eq!(evaluated, [evaluations[0] + 1, evaluations[1]]);
    });
}

#[test]
fn a_crowd_of_readers_shares_one_evaluation() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let (service, start) = (Service::start(&redis.url()), Barrier::new(32));
        thread::scope(|scope| {
            for reader in 0..32 {
                let (service, start) = (&service, &start);
                scope.spawn(move || {
                    start.wait();
                    // Each reads a place of its own, all of them among those that are evaluated together.
                    let from = (17 + reader % 10) * BLOCK_DIGITS + 1_000 * reader;
                    assert_eq!(service.pi_digits(from, 100).0, digits_of_pi()[from..from + 100]);
                });
            }
        });
        assert_eq!(service.metric("phipi_evaluations_total"), 1);
        assert_eq!(runs_of("set", &mut redis.connection()), 28, "each block is written once");
    });
}

#[test]
fn a_block_in_the_place_of_another_is_not_believed() {
    undisturbed(|| {
        let redis = RedisServer::start();
        Service::start(&redis.url()).pi_digits(4 * BLOCK_DIGITS, 1);
        let mut store = redis.connection();
        let [first, second]: [Vec<u8>; 2] = [key("0"), key("1")].map(|key| store.get(key).unwrap());
        let () = store.set(key("0"), &second).unwrap();
        let service = Service::start(&redis.url()).expecting_warnings();
        assert_eq!(service.pi_digits(0, 100), (digits_of_pi()[..100].to_owned(), false));
        assert_eq!(service.pi_digits(0, 100), (digits_of_pi()[..100].to_owned(), true));
        assert_eq!(store.get::<_, Vec<u8>>(key("0")).unwrap(), first, "repaired by the answer that noticed");
        service.logs("the entry 1:pi:digits:0 failed its proof");
    });
}

#[test]
fn what_the_store_has_lost_is_written_again_by_the_answer_that_noticed() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let remembers = Service::start(&redis.url());
        remembers.pi_digits(4 * BLOCK_DIGITS, 1);
        let cached = |from: usize| {
            let fresh = Service::start(&redis.url());
            let (digits, cached) = fresh.pi_digits(from, 50);
            assert_eq!(digits, digits_of_pi()[from..from + 50]);
            cached
        };
        for lost in [key("2"), key("top")] {
            let () = redis.connection().del(&lost).unwrap();
            assert!(!cached(2 * BLOCK_DIGITS + 7), "without {lost}");
            assert!(cached(2 * BLOCK_DIGITS + 7), "{lost} is back");
        }
        cmd("FLUSHALL").exec(&mut redis.connection()).unwrap();
        assert!(!cached(3 * BLOCK_DIGITS));
        assert!((0..4).rev().all(|block| cached(block * BLOCK_DIGITS + 1)), "every digit before one that was answered");
        let () = redis.connection().del(key("0")).unwrap();
        cmd("ZADD").arg(key("top")).arg("9e15").arg("mark").exec(&mut redis.connection()).unwrap();
        assert!(!cached(0), "a mark that phipi did not write vouches for nothing");
    });
}

#[test]
fn what_came_while_the_store_was_away_is_there_when_it_is_back() {
    let mut redis = RedisServer::start();
    let service = Service::start(&redis.url()).expecting_warnings();
    redis.kill();
    assert_eq!(service.pi_digits(200_000, 100), (digits_of_pi()[200_000..200_100].to_owned(), false));
    assert!(service.pi_digits(0, 200_000).1, "in the memory of this process");
    redis.restart();
    eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
    eventually("another process finds them", || {
        Service::start(&redis.url()).expecting_warnings().pi_digits(0, 200_000).1
    });
}

#[test]
fn a_cluster_keeps_them() {
    let cluster = RedisCluster::start();
    undisturbed(|| {
        cluster.flush();
        let first = Service::start(&cluster.url());
        assert!(!first.pi_digits(100_000, 100).1);
        let fresh = Service::start(&cluster.url());
        let (digits, cached) = fresh.pi_digits(0, 100_000);
        assert!(cached && digits == digits_of_pi()[..100_000]);
    });
}

#[test]
fn both_ladders_grow_in_one_request() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let answer = Service::start(&redis.url())
            .query("{ fib(n: 5000) { cached } piDigits(from: 70000) { cached } pi(terms: 3) { cached } }");
        let data = json!({ "fib": { "cached": false }, "piDigits": { "cached": false }, "pi": { "cached": false } });
        assert_eq!(answer["data"], data);
        let fresh = Service::start(&redis.url());
        assert!(fresh.fib_cached(4_999) && fresh.pi_digits(0, 70_000).1 && fresh.pi_cached(3));
    });
}

#[test]
fn digits_over_rest_are_those_over_graphql() {
    let service = Service::start("memory:");
    let places = [(0, 1), (0, 100), (1, 99), (36_860, 10), (200_000, 150_000), (999_990, 10)];
    for (from, count) in places {
        let url = service.url(&format!("/pi/digits?from={from}&count={count}"));
        let expected = &digits_of_pi()[from..from + count];
        for cached in [from + count == 1, true] {
            // The digits before were evaluated with those of an earlier place.
            let (status, head, body) = getting(&url, &[("Accept", "application/json")]);
            let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, &answer["result"]), (200, &json!(expected)), "{url}");
            assert_eq!(head["content-length"], body.len().to_string());
            if cached {
                assert_eq!(answer["cached"], true);
            }
        }
        let (status, _, body) = getting(&url, &[("Accept", "text/plain")]);
        assert!(status == 200 && body == expected.as_bytes(), "{url}");
    }
    let (_, _, body) = getting(&service.url("/pi/digits?from=999999"), &[("Accept", "text/plain")]);
    assert_eq!(body, digits_of_pi().as_bytes()[999_999..1_000_000], "no more by default than there are");
    for (query, words) in [
        ("from=-1", "from must be a whole number from 0 to 999999, but it is -1"),
        ("from=1000000", "from must be a whole number from 0 to 999999"),
        ("from=999999&count=2", "count must be a whole number from 1 to 1, but it is 2"),
        ("count=0", "count must be a whole number from 1 to 1000000"),
        ("count=ten", "but it is \"ten\""),
        ("digits=10", "there is no parameter \"digits\"; there are from and count"),
        ("count=1&count=2", "the parameter count is given twice"),
    ] {
        let (status, head, body) = getting(&service.url(&format!("/pi/digits?{query}")), &[]);
        assert_eq!((status, &head["content-type"]), (400, &"application/problem+json".parse().unwrap()), "{query}");
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(words), "{query}: {problem}");
    }
}

#[test]
fn a_request_within_the_limits_is_not_too_much_to_evaluate() {
    for digits in [1_000_000, 1_200_000] {
        let service = Service::start_with("memory:", &["--max-pi-digits", &digits.to_string()]);
        let numbers: String = (1..=4).map(|k| format!("f{k}: fib(n: {}) {{ n }} ", 10_000_000 - k)).collect();
        let answer = service.query(&format!("{{ {numbers} piDigits(from: {}, count: 1) {{ cached }} }}", digits - 1));
        assert!(answer.get("errors").is_none(), "{answer}");
    }
    let folder = tempfile::tempdir().unwrap();
    let cache = format!("sqlite:{}", folder.path().join("cache.sqlite").display());
    let warm =
        program().args(["warm", "--fib", "100000", "--pi-digits", "1000000", "--cache", &cache]).output().unwrap();
    assert!(warm.status.success(), "{warm:?}");
}

#[test]
fn a_giant_evaluation_refuses_no_shorter_one() {
    let service = Service::start_with("memory:", &["--max-pi-digits", "4000000"]);
    let questions = Questions { spans: vec![(3_999_990, 10)], ..Questions::default() };
    thread::scope(|scope| {
        let giant = scope.spawn(|| service.ask(&client(), &questions).unwrap());
        eventually("it is evaluated", || service.metric("phipi_evaluations_total") == 1);
        let numbers: String = (1..=4).map(|k| format!("f{k}: fib(n: {}) {{ n }} ", 10_000_000 - k)).collect();
        let answer = service.query(&format!("{{ {numbers} piDigits(from: 140000, count: 1) {{ cached }} }}"));
        assert!(answer.get("errors").is_none(), "{answer}");
        giant.join().unwrap();
    });
}

#[test]
fn an_evaluation_whose_client_has_left_goes_on_and_is_kept() {
    let service = Service::start_with("memory:", &["--max-pi-digits", "4000000"]);
    let request = json!({ "query": "{ piDigits(from: 3000000, count: 10) { result } }" });
    let hasty: Agent = Agent::config_builder().timeout_global(Some(Duration::from_millis(20))).build().into();
    assert!(service.post_by(&hasty, &request).is_err(), "it takes longer");
    eventually("the digits are kept", || service.pi_digits(3_000_000, 10).1);
    assert!(service.pi_digits(999_999, 1).1, "and what comes before");
    assert_eq!(service.metric("phipi_evaluations_total"), 1, "by whoever asks");
}

#[test]
fn an_operator_bounds_the_digits() {
    let service = Service::start_with("memory:", &["--max-pi-digits", "1000"]);
    let answer = service.query(
        "{ limits { maxPiDigits } a: piDigits(count: 1001) { count } b: piDigits(from: 990, count: 10) { result } }",
    );
    assert_eq!(answer["data"]["limits"]["maxPiDigits"], 1_000);
    assert_eq!(answer["data"]["a"], json!(null));
    assert_eq!(answer["errors"][0]["message"], "count must be a whole number from 1 to 1000, but it is 1001");
    assert_eq!(answer["data"]["b"]["result"], digits_of_pi()[990..1_000]);

    // 836 digits of Fibonacci numbers, and those of π on top.
    let service = Service::start_with("memory:", &["--max-n", "1000", "--max-pi-digits", "40000"]);
    let numbers =
        |count: u32| -> String { (0..count).map(|k| format!("f{k}: fib(n: {}) {{ n }} ", 1_000 - k)).collect() };
    let answer = service.query(&format!("{{ piDigits(from: 39990, count: 10) {{ result }} {} }}", numbers(4)));
    assert_eq!(answer["data"]["piDigits"]["result"], digits_of_pi()[39_990..40_000], "{answer}");
    let answer = service.query(&format!("{{ piDigits(from: 39990, count: 10) {{ result }} {} }}", numbers(5)));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{answer}");
}
