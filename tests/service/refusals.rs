//! The store answers, but refuses: each refusal is told apart, in plain words, and nothing else is lost.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use redis::cmd;
use serde_json::Value;

use crate::{
    oracle::fibonacci,
    redis_server::{PREFIX, RedisServer, runs_of},
    service::{Service, eventually, get, program, undisturbed},
};

fn store_of(service: &Service) -> Value {
    let (status, body) = get(&service.admin_url("/readyz"));
    assert_eq!(status, 200, "readiness does not depend on the store");
    serde_json::from_str::<Value>(&body).unwrap()["store"].take()
}

/// Whatever stops writes, reads go on, new entries wait, and they are written when they can be.
fn writes_stop_and_reads_go_on(stop: impl Fn(&RedisServer), restore: impl Fn(&RedisServer), words: &str) {
    let redis = RedisServer::start();
    assert!(!Service::start(&redis.url()).fib_cached(1_000));
    stop(&redis);
    let service = Service::start(&redis.url()).expecting_warnings();
    assert!(service.fib_cached(900), "reads go on");
    assert_eq!(service.fib(2_000), (fibonacci(2_000), false));
    assert_eq!(service.fib(100_001), (fibonacci(100_001), false));
    service.logs("the store can't be written");
    assert!(service.log().contains(words), "{words} in {}", service.log());
    let store = store_of(&service);
    assert_eq!((&store["status"], &store["reads"]), (&"degraded".into(), &"ok".into()));
    assert!(store["writes"].as_str().unwrap().contains(words), "{store}");
    assert!(service.metric("phipi_cache_write_queue_bytes") > 0);

    restore(&redis);
    service.logs("the store is written again");
    eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
    eventually("the mark has risen", || redis.mark() == Some(100_000));
    let fresh = Service::start(&redis.url());
    for n in [2_000, 77_777, 100_001] {
        assert_eq!(fresh.fib(n), (fibonacci(n), true), "F({n})");
    }
    assert_eq!(store_of(&service)["status"], "ok");
    let log = service.log();
    assert_eq!(log.matches("WARN").count(), 1, "changes alone are logged: {log}");
}

/// The same, with one command that stops writes and one that restores them.
fn commands_stop_writes(stop: &str, restore: &str, words: &str) {
    undisturbed(|| writes_stop_and_reads_go_on(|redis| redis.run(stop), |redis| redis.run(restore), words));
}

#[test]
fn a_full_server_is_read() {
    commands_stop_writes("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "raise its maxmemory");
}

#[test]
fn a_replica_is_read() {
    commands_stop_writes("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "it is a replica");
}

#[test]
fn a_server_without_its_replicas_is_read() {
    let setting = |replicas| format!("CONFIG SET min-replicas-to-write {replicas}");
    commands_stop_writes(&setting(1), &setting(0), "too few of its replicas");
}

#[test]
fn a_server_that_cant_save_is_read() {
    let restore = |redis: &RedisServer| redis.run("CONFIG SET stop-writes-on-bgsave-error no");
    undisturbed(|| writes_stop_and_reads_go_on(RedisServer::fail_to_save, restore, "it can't save"));
}

#[test]
fn what_only_an_operator_can_mend_is_told_at_the_start() {
    let rows = [
        ("CONFIG SET requirepass secret", "it asks for a password"),
        ("ACL SETUSER default resetkeys", "the user lacks a permission"),
        ("ACL SETUSER default -zscore", "the user lacks a permission"),
        ("ACL SETUSER default -mget", "the user lacks a permission"),
    ];
    for (command, words) in rows {
        let redis = RedisServer::start();
        redis.run(command);
        let service = Service::start(&redis.url()).expecting_warnings();
        // Before anybody asks.
        service.logs(words);
        assert!(service.log().contains("ERROR"), "{}", service.log());
        assert_eq!(service.fib(213), (fibonacci(213), false));
        assert_eq!(service.fib(213), (fibonacci(213), true), "it serves on");
    }
}

#[test]
fn a_store_that_cant_be_written_is_told_before_anything_has_to_be() {
    let rows = [
        ("ACL SETUSER default -zadd", "the user lacks a permission"),
        ("REPLICAOF 127.0.0.1 1", "it is a replica, which can't be written; write the address of its primary"),
        ("CONFIG SET maxmemory 1", "raise its maxmemory"),
    ];
    for (command, words) in rows {
        let redis = RedisServer::start();
        redis.run(command);
        let service = Service::start(&redis.url()).expecting_warnings();
        eventually("readiness tells", || store_of(&service)["writes"].as_str().unwrap().contains(words));
        assert_eq!(store_of(&service)["reads"], "ok", "{command}");
        service.logs("the store can't be written");
        assert_eq!(service.fib(213), (fibonacci(213), false));
    }
}

#[test]
fn a_store_is_not_filled_that_an_operator_has_to_mend() {
    let rows = [
        ("ACL SETUSER default -zadd", "the user lacks a permission"),
        ("ACL SETUSER default -zscore", "the user lacks a permission"),
        ("CONFIG SET maxmemory 1", "raise its maxmemory"),
        ("REPLICAOF 127.0.0.1 1", "write the address of its primary"),
    ];
    for (command, words) in rows {
        let redis = RedisServer::start();
        redis.run(command);
        let begun = Instant::now();
        let warm = program().args(["warm", "--fib", "1000", "--cache", &redis.url()]).output().unwrap();
        let told = String::from_utf8(warm.stderr).unwrap();
        assert!(!warm.status.success() && told.contains(words), "{command}: {told}");
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not wait for what can't be: {:?}", begun.elapsed());
    }
}

#[test]
fn a_right_that_is_missing_is_told_once() {
    for right in ["mget", "zscore", "set", "zadd"] {
        let redis = RedisServer::start();
        redis.run(&format!("ACL SETUSER default -{right}"));
        let service = Service::start(&redis.url()).expecting_warnings();
        let failures = || service.metric("phipi_cache_store_failures_total");
        assert!(!service.fib_cached(213));
        service.logs(right);
        // New answers and probes go on failing, and nothing else looks like the end of it.
        let (before, mut n) = (failures(), 1_000);
        eventually("it has failed again and again", || {
            n += 1;
            service.fib(n);
            service.pi_cached(n);
            failures() > before + 10
        });
        let log = service.log();
        let told = log.lines().filter(|line| line.contains("ERROR") && line.contains(right)).count();
        assert!((1..=2).contains(&told), "of reads, of writes or of both, once each: {log}");
        assert!(!log.contains("again"), "{log}");
    }
}

#[test]
fn what_only_an_operator_can_mend_is_told_though_another_fault_came_first() {
    let folder = tempfile::tempdir().unwrap();
    let (users, of_all) = (folder.path().join("users.acl"), "user default on nopass ~* &* +@all\n");
    fs::write(&users, of_all).unwrap();
    let mut redis = RedisServer::start_with(&["--aclfile", users.to_str().unwrap()]);
    let service = Service::start(&redis.url()).expecting_warnings();
    assert!(!service.fib_cached(213));
    redis.kill();
    let reads = || store_of(&service)["reads"].as_str().unwrap().to_owned();
    let mut n = 1_000;
    eventually("its absence is noticed", || {
        n += 1;
        service.fib(n);
        reads().contains("nothing listens")
    });
    // It comes back without the users that it had.
    fs::write(&users, "user default on >secret ~* &* +@all\n").unwrap();
    redis.restart();
    service.logs("it asks for a password");
    eventually("readiness tells the new cause", || reads().contains("it asks for a password"));
    let log = service.log();
    let told = log.lines().filter(|line| line.contains("ERROR") && line.contains("password")).count();
    assert!((1..=2).contains(&told), "of reads and of writes, once each: {log}");
}

#[test]
fn a_wrong_password_is_told_without_repeating_it() {
    let redis = RedisServer::start();
    redis.run("CONFIG SET requirepass right");
    let service = Service::start(&format!("{}?pass=open-sesame", redis.url())).expecting_warnings();
    service.logs("it rejects this user and password");
    assert_eq!(service.fib(213), (fibonacci(213), false));
    assert!(!service.log().contains("open-sesame") && !store_of(&service).to_string().contains("open-sesame"));
    // The operator gives the server that password: nothing has to be restarted.
    let mut operator = redis::Client::open(format!("{}?pass=right", redis.url())).unwrap().get_connection().unwrap();
    cmd("CONFIG").arg(&["SET", "requirepass", "open-sesame"]).exec(&mut operator).unwrap();
    let mut n = 1_000;
    eventually("it is stored", || {
        n += 1;
        service.fib(n);
        cmd("EXISTS").arg("phipi:1:fib:top").query::<bool>(&mut operator).unwrap()
    });
}

#[test]
fn a_server_that_is_busy_is_a_miss() {
    let redis = RedisServer::start();
    assert!(!Service::start(&redis.url()).fib_cached(213));
    redis.run("CONFIG SET lua-time-limit 1");
    let mut script = redis.connection();
    let mut operator = redis.connection();
    let running = thread::spawn(move || {
        // It ends by being killed, which is an error.
        let _ = cmd("EVAL").arg("while true do end").arg(0).exec(&mut script);
    });
    eventually("the server is busy", || cmd("PING").exec(&mut operator).is_err());
    let service = Service::start(&redis.url()).expecting_warnings();
    assert_eq!(service.fib(213).0, fibonacci(213));
    cmd("SCRIPT").arg("KILL").exec(&mut operator).unwrap();
    running.join().unwrap();
    eventually("another process finds what was stored before", || {
        Service::start(&redis.url()).expecting_warnings().fib_cached(200)
    });
}

#[test]
fn a_key_of_somebody_else_in_place_of_the_mark_holds_up_nothing_else() {
    undisturbed(|| {
        let redis = RedisServer::start();
        redis.run(&format!("SET {PREFIX}1:fib:top theirs"));
        let service = Service::start(&redis.url()).expecting_warnings();
        for n in [213, 214] {
            assert_eq!(service.fib(n), (fibonacci(n), false));
        }
        assert_eq!(service.fib(100_001), (fibonacci(100_001), false));
        assert!(!service.pi_cached(5));
        service.logs("the key phipi:1:fib:top holds something that phipi did not write");
        assert_eq!(service.log().matches("ERROR").count(), 1, "told once: {}", service.log());
        assert_eq!(store_of(&service)["status"], "ok");

        let fresh = Service::start(&redis.url()).expecting_warnings();
        assert_eq!(fresh.fib(100_001), (fibonacci(100_001), true), "values vouch for themselves");
        assert!(fresh.pi_cached(5));
        redis.run(&format!("DEL {PREFIX}1:fib:top"));
        fresh.fib(1_000);
        eventually("the ladder is vouched for again", || Service::start(&redis.url()).fib_cached(999));
    });
}

#[test]
fn a_connection_that_the_server_has_closed_costs_no_answer() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [Service::start(&redis.url()), Service::start(&redis.url())];
        // The connection that the server closes is there, and not just being made.
        assert!(!services[1].pi_cached(100));
        for terms in 1..20 {
            assert!(!services[0].pi_cached(terms));
            redis.run("CLIENT KILL TYPE normal");
            assert!(services[1].pi_cached(terms), "π({terms})");
        }
        assert!(services[1].metric("phipi_cache_reconnects_total") >= 18);
    });
}

#[test]
fn what_was_refused_is_written_whole_to_a_server_that_comes_back_empty() {
    undisturbed(|| {
        let mut redis = RedisServer::start();
        let service = Service::start(&redis.url()).expecting_warnings();
        assert!(!service.fib_cached(1_000));
        // The lookup sees the mark of a server that is then gone.
        redis.run("CONFIG SET maxmemory 1");
        assert!(!service.fib_cached(2_000));
        redis.kill();
        redis.restart();
        eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
        let fresh = Service::start(&redis.url());
        for n in [2_000, 1_000, 2] {
            assert_eq!(fresh.fib(n), (fibonacci(n), true), "F({n})");
        }
    });
}

/// The advice on a server that nothing bounds.
const UNBOUNDED: &str = "nothing bounds the memory of Redis; set its maxmemory, and maxmemory-policy allkeys-lfu";

#[test]
fn a_server_that_nothing_bounds_is_told_of() {
    let told = UNBOUNDED;
    Service::start(&RedisServer::start().url()).logs(told);
    for bound in [["--maxmemory", "100mb"], ["--maxmemory-policy", "allkeys-lru"]] {
        let redis = RedisServer::start_with(&bound);
        let service = Service::start(&redis.url());
        // It has been asked by then.
        eventually("the server is asked", || runs_of("info", &mut redis.connection()) > 0);
        assert!(!service.pi_cached(1) && !service.log().contains(told));
    }
}

#[test]
fn a_server_that_nothing_bounds_is_told_of_once_though_it_comes_late() {
    let mut redis = RedisServer::start();
    redis.kill();
    let service = Service::start(&redis.url()).expecting_warnings();
    let mut terms = 0;
    let mut ask = || {
        terms += 1;
        service.pi_cached(terms)
    };
    eventually("the server is missed", || !ask() && service.log().contains("the store can't be read"));
    redis.restart();
    service.logs(UNBOUNDED);
    redis.kill();
    redis.restart();
    eventually("the next server is in use", || !ask() && runs_of("mget", &mut redis.connection()) > 0);
    assert_eq!(service.log().matches(UNBOUNDED).count(), 1, "{}", service.log());
}
