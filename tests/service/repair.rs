//! A store that has lost something is repaired by the answer that notices, whatever its process remembers; and no mark
//! stands above a rung that is gone.

use std::{fs, thread, time::Duration};

use redis::{Commands, cmd};

use crate::{
    redis_server::{PREFIX, RedisServer},
    service::{Service, eventually, undisturbed},
};

fn flush(redis: &RedisServer) {
    cmd("FLUSHALL").exec(&mut redis.connection()).unwrap();
}

fn delete(redis: &RedisServer, key: &str) {
    let () = redis.connection().del(format!("{PREFIX}{key}")).unwrap();
}

/// An answer is not cached, and after it the same question is, for a process that remembers nothing.
fn is_repaired(service: &Service, n: u32, cache: &str) {
    assert!(!service.fib_cached(n), "fib({n})");
    assert!(Service::start(cache).fib_cached(n), "fib({n}), to a fresh process");
}

#[test]
fn a_lost_mark_is_raised_by_an_answer_below_the_mark_that_its_process_remembers() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [(); 2].map(|()| Service::start(&redis.url()));
        assert!(!services[0].fib_cached(100_000));
        assert!(services[1].fib_cached(10), "it has seen the mark");
        delete(&redis, "1:fib:top");
        is_repaired(&services[1], 50_000, &redis.url());
        assert!(Service::start(&redis.url()).fib_cached(49_000));
    });
}

#[test]
fn a_flushed_store_is_filled_again_by_whichever_answer_notices() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [(); 3].map(|()| Service::start(&redis.url()));
        assert!(!services[0].fib_cached(9_500));
        assert!(services[1].fib_cached(9_499) && services[2].fib_cached(3));
        flush(&redis);
        is_repaired(&services[1], 9_550, &redis.url());
        flush(&redis);
        is_repaired(&services[2], 9_400, &redis.url());
        assert!(services[0].fib_cached(9_300), "from the store, which has it again");
    });
}

#[test]
fn a_lost_rung_is_written_though_its_process_remembers_a_higher_mark() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [(); 2].map(|()| Service::start(&redis.url()));
        assert!(!services[0].fib_cached(300));
        assert!(!services[1].fib_cached(5_000));
        delete(&redis, "1:fib:rung:2");
        is_repaired(&services[0], 310, &redis.url());
    });
}

#[test]
fn a_value_and_an_approximation_that_are_lost_are_written_again() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [(); 2].map(|()| Service::start(&redis.url()));
        assert!(!services[0].fib_cached(100_001) && !services[0].pi_cached(7));
        flush(&redis);
        assert!(!services[1].fib_cached(100_001) && !services[1].pi_cached(7));
        let fresh = Service::start(&redis.url());
        assert!(fresh.fib_cached(100_001) && fresh.fib_cached(99_999) && fresh.pi_cached(7));
    });
}

#[test]
fn a_deleted_file_is_filled_again_by_whichever_answer_notices() {
    undisturbed(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.sqlite");
        let cache = format!("sqlite:{}", path.display());
        let services = [(); 2].map(|()| Service::start(&cache));
        assert!(!services[0].fib_cached(9_500) && services[1].fib_cached(10));
        fs::remove_file(&path).unwrap();
        is_repaired(&services[1], 9_400, &cache);
    });
}

#[test]
fn a_late_mark_of_a_greater_generation_does_not_stop_the_present_one() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let service = Service::start(&redis.url());
        assert!(!service.fib_cached(9_500));
        // A mark of 100,000 and of the greatest generation but one.
        let late = (((1_u64 << 36) - 2) << 17) + 100_000;
        cmd("ZADD").arg(format!("{PREFIX}1:fib:top")).arg(late).arg("mark").exec(&mut redis.connection()).unwrap();
        let fresh = Service::start(&redis.url());
        assert!(!fresh.fib_cached(9_400), "it vouches for nothing");
        eventually("the ladder is written anew", || fresh.metric("phipi_cache_write_queue_bytes") == 0);
        let fresh = Service::start(&redis.url());
        assert!(fresh.fib_cached(9_300) && !fresh.fib_cached(9_600));
        assert_eq!(lost_rungs(&redis.url()), [0; 0]);
    });
}

/// Asks concurrently for new indices that take some ten milliseconds each.
fn burst(services: &[Service; 2], round: u32) {
    thread::scope(|scope| {
        for (client, service) in (0..).zip(services.iter().cycle().take(4)) {
            scope.spawn(move || {
                for k in 0..3 {
                    service.fib(4_000_000 + 100 * round + 10 * client + k);
                }
            });
        }
    });
}

/// Empties a store at another moment of a burst each time: afterwards no mark stands above a rung that is gone.
fn no_emptying_leaves_a_hole(cache: &str, mut empty: impl FnMut() + Send, lost_rungs: impl Fn() -> Vec<u32>) {
    for round in 0..ROUNDS {
        // Nothing is remembered, so that the ladder is in the store when the burst begins.
        let services = [(); 2].map(|()| Service::start(cache).expecting_warnings());
        services[0].fib(99_000);
        let moment = Duration::from_millis(u64::from(round) * 37 % 100);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(moment);
                empty();
            });
            burst(&services, round);
        });
        eventually("nothing waits", || {
            services.iter().all(|service| service.metric("phipi_cache_write_queue_bytes") == 0)
        });
        assert_eq!(lost_rungs(), Vec::<u32>::new(), "in round {round}");
    }
}

/// The rungs below the mark that `phipi check` misses.
fn lost_rungs(cache: &str) -> Vec<u32> {
    let report = crate::service::program().args(["check", "--json", "--cache", cache]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap_or_else(|_| panic!("{report:?}"));
    serde_json::from_value(report["lost_rungs"].clone()).unwrap()
}

const ROUNDS: u32 = 60;

#[test]
fn no_flush_leaves_a_mark_above_a_rung_that_is_gone() {
    let redis = RedisServer::start();
    no_emptying_leaves_a_hole(&redis.url(), || flush(&redis), || lost_rungs(&redis.url()));
}

#[test]
fn no_server_that_comes_back_empty_leaves_a_mark_above_a_rung_that_is_gone() {
    let redis = std::sync::Mutex::new(RedisServer::start());
    let url = redis.lock().unwrap().url();
    let empty = || {
        let mut redis = redis.lock().unwrap();
        redis.kill();
        redis.restart();
    };
    no_emptying_leaves_a_hole(&url, empty, || lost_rungs(&url));
}

#[test]
fn no_deleted_file_leaves_a_mark_above_a_rung_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.sqlite");
    let cache = format!("sqlite:{}", path.display());
    // A file that is deleted after the burst is not there any more, and has no mark.
    let lost_rungs = || if path.exists() { lost_rungs(&cache) } else { Vec::new() };
    no_emptying_leaves_a_hole(&cache, || fs::remove_file(&path).unwrap_or_default(), lost_rungs);
}
