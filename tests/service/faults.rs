//! The store forgets, lies, hangs or dies: answers stay right, and `cached` never lies.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use redis::{Commands, cmd};
use rusqlite::{Connection, params};
use rustix::process::Signal;

use crate::{
    file_size::limited,
    oracle::{BLOCK_DIGITS, digits_of_pi, fibonacci},
    redis_server::{PREFIX, RedisServer},
    service::{Service, eventually, get, program, undisturbed},
};

/// Ways to spoil a stored entry, and why each might get through.
fn poisons(entry: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    let mut other_digit = entry.to_vec();
    other_digit[0] ^= 1;
    let mut beyond_the_base = entry.to_vec();
    let top = beyond_the_base.len() - 1;
    beyond_the_base[top] = 0xff;
    vec![
        (other_digit, "a wrong digit in a well-formed entry"),
        (beyond_the_base, "a limb that is none"),
        (entry[..entry.len() - 1].to_vec(), "cut"),
        ([entry, &[0]].concat(), "too long"),
        (Vec::new(), "empty"),
        (b"146178119651438213260386312206974243796773059".to_vec(), "text"),
    ]
}

/// Every entry that the answers to F(300), F(100,001), π(1000) and the digits of π left is spoiled in every way: a fresh
/// process serves the right answer, `cached` is false that once, and the entry is repaired.
fn poison_is_never_served(cache: &str, read: impl Fn(&str) -> Vec<u8>, write: impl Fn(&str, &[u8])) {
    let first = Service::start(cache);
    let (_, pi) = (first.fib(100_001), first.query("{ pi(terms: 1000) { result } }"));
    first.pi_digits(2 * BLOCK_DIGITS, 1);
    for name in ["1:fib:rung:2", "1:fib:n:100001", "1:pi:1000", "1:pi:digits:1"] {
        let key = format!("{PREFIX}{name}");
        let entry = read(&key);
        for (poison, why) in poisons(&entry) {
            write(&key, &poison);
            let service = Service::start(cache).expecting_warnings();
            let ask = || {
                if name == "1:pi:1000" {
                    let answer = service.query("{ pi(terms: 1000) { result cached } }");
                    assert_eq!(answer["data"]["pi"]["result"], pi["data"]["pi"]["result"], "{name}: {why}");
                    return answer["data"]["pi"]["cached"] == true;
                }
                if name == "1:pi:digits:1" {
                    let (digits, cached) = service.pi_digits(BLOCK_DIGITS + 1, 20);
                    assert_eq!(digits, digits_of_pi()[BLOCK_DIGITS + 1..][..20], "{name}: {why}");
                    return cached;
                }
                let n = if name == "1:fib:rung:2" { 300 } else { 100_001 };
                let (digits, cached) = service.fib(n);
                assert_eq!(digits, fibonacci(n), "{name}: {why}");
                cached
            };
            assert!(!ask(), "{name}: {why}");
            assert!(ask(), "{name}: {why}");
            assert_eq!(read(&key), entry, "repaired after {why}");
            service.logs(&format!("the entry {name} failed its proof"));
        }
    }
}

#[test]
fn poison_in_redis_is_never_served() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let read = |key: &str| redis.connection().get(key).unwrap();
        let write = |key: &str, value: &[u8]| redis.connection().set(key, value).unwrap();
        poison_is_never_served(&redis.url(), read, write);
    });
}

#[test]
fn poison_in_sqlite_is_never_served() {
    undisturbed(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.sqlite");
        let open = |path: &Path| {
            let connection = Connection::open(path).unwrap();
            connection.busy_timeout(Duration::from_secs(5)).unwrap();
            connection
        };
        let table = |key: &str| if key.ends_with(":pi:1000") { "cheap" } else { "entry" };
        let read = |key: &str| {
            let select = format!("SELECT value FROM {} WHERE name = ?1", table(key));
            open(&path).query_row(&select, [key], |row| row.get(0)).unwrap()
        };
        let write = |key: &str, value: &[u8]| {
            let update = format!("UPDATE {} SET value = ?2 WHERE name = ?1", table(key));
            let changed = open(&path).execute(&update, params![key, value]).unwrap();
            assert_eq!(changed, 1);
        };
        poison_is_never_served(&format!("sqlite:{}", path.display()), read, write);
    });
}

#[test]
fn a_mark_without_rungs_vouches_for_nothing() {
    undisturbed(|| {
        let redis = RedisServer::start();
        for mark in ["100000", "1e18", "inf"] {
            let mut connection = redis.connection();
            cmd("FLUSHALL").exec(&mut connection).unwrap();
            cmd("ZADD").arg("phipi:1:fib:top").arg(mark).arg("n").exec(&mut connection).unwrap();
            let service = Service::start(&redis.url());
            assert_eq!(service.fib(213), (fibonacci(213), false), "a mark of {mark}");
            assert_eq!(service.fib(213), (fibonacci(213), true), "a mark of {mark}");
            let fresh = Service::start(&redis.url());
            assert_eq!(fresh.fib(213), (fibonacci(213), true), "a mark of {mark}, to a fresh process");
        }
    });
}

#[test]
fn a_lost_rung_is_repaired_by_the_answer_that_noticed() {
    undisturbed(|| {
        let redis = RedisServer::start();
        Service::start(&redis.url()).fib(2_000);
        let _: () = redis.connection().del("phipi:1:fib:rung:3").unwrap();
        let fresh = Service::start(&redis.url());
        assert_eq!(fresh.fib(400), (fibonacci(400), false));
        assert_eq!(fresh.fib(401), (fibonacci(401), true));
        assert_eq!(Service::start(&redis.url()).fib(402), (fibonacci(402), true), "in the store as well");
    });
}

#[test]
fn a_flushed_store_is_written_anew_before_the_mark_is() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let remembers = Service::start(&redis.url());
        assert!(!remembers.fib_cached(30_000));
        cmd("FLUSHALL").exec(&mut redis.connection()).unwrap();
        assert_eq!(remembers.fib(30_001), (fibonacci(30_001), false));
        let fresh = Service::start(&redis.url());
        for n in (0..=30_001).rev().step_by(61) {
            assert_eq!(fresh.fib(n), (fibonacci(n), true), "F({n})");
        }
        assert!(!fresh.fib_cached(30_002));
    });
}

#[test]
fn answers_go_on_while_the_store_is_flushed() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [Service::start(&redis.url()), Service::start(&redis.url())];
        std::thread::scope(|scope| {
            for (offset, service) in (0_u32..).zip(&services) {
                scope.spawn(move || {
                    for k in 0..200 {
                        let n = 2 + (k * 331 + offset * 17) % 20_000;
                        assert_eq!(service.fib(n).0, fibonacci(n));
                    }
                });
            }
            for _ in 0..20 {
                cmd("FLUSHALL").exec(&mut redis.connection()).unwrap();
            }
        });
        // Whatever the mark is now, a cached value is right.
        let fresh = Service::start(&redis.url());
        for n in (0..20_000).step_by(499) {
            assert_eq!(fresh.fib(n).0, fibonacci(n));
            assert_eq!(fresh.fib(n), (fibonacci(n), true), "repaired by the answer before");
        }
    });
}

#[test]
fn a_mark_is_raised_after_its_rungs_alone() {
    let redis = RedisServer::start();
    redis.run("ACL SETUSER default -set");
    let service = Service::start(&redis.url()).expecting_warnings();
    assert_eq!(service.fib(213), (fibonacci(213), false));
    service.logs("the store can't be written");
    let has_rungs = redis.keys().iter().any(|key| key.contains("rung"));
    assert!(!has_rungs && redis.mark().is_none(), "with the answer or behind it");

    redis.run("ACL SETUSER default +set");
    service.logs("the store is written again");
    eventually("it is there, though nobody asked again", || redis.mark() == Some(213));
    assert_eq!(redis.keys(), ["phipi:1:fib:rung:0", "phipi:1:fib:rung:1", "phipi:1:fib:top"]);
}

#[test]
fn a_rung_that_the_store_has_lost_is_repaired_by_who_remembers_it_too() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let service = Service::start(&redis.url());
        assert!(!service.fib_cached(200));
        let () = redis.connection().del("phipi:1:fib:rung:1").unwrap();
        assert!(!service.fib_cached(213), "above the mark");
        assert!(Service::start(&redis.url()).fib_cached(213), "the mark does not rise over a gap");
    });
}

#[test]
fn a_mark_that_was_lost_in_an_outage_is_raised_by_an_answer_below_it() {
    let mut redis = RedisServer::start();
    let services = [(); 2].map(|()| Service::start(&redis.url()).expecting_warnings());
    assert!(!services[0].fib_cached(1_000));
    eventually("the other process has seen the mark", || services[1].fib_cached(10));
    redis.kill();
    assert!(!services[1].fib_cached(500), "it has not seen the rung");
    redis.restart();
    eventually("the mark is raised", || redis.mark() == Some(500));
    eventually("nothing waits", || services[1].metric("phipi_cache_write_queue_bytes") == 0);
    undisturbed(|| assert!(Service::start(&redis.url()).fib_cached(500)));
}

#[test]
fn a_store_that_comes_back_empty_gets_the_whole_ladder() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let service = Service::start(&redis.url()).expecting_warnings();
        assert!(!service.fib_cached(1_000));
        redis.run("ACL SETUSER default -set");
        assert!(!service.fib_cached(5_000));
        service.logs("the store can't be written");
        // Earlier observations say nothing of the store as it is now.
        redis.run("FLUSHALL");
        redis.run("ACL SETUSER default +set");
        eventually("the mark is raised", || redis.mark() == Some(5_000));
        let fresh = Service::start(&redis.url());
        for n in (0..=5_000).step_by(77) {
            assert_eq!(fresh.fib(n), (fibonacci(n), true), "F({n})");
        }
    });
}

#[test]
fn nobody_waits_for_a_store_that_hangs_once_the_breaker_is_open() {
    let redis = RedisServer::start();
    let service = Service::start(&redis.url()).expecting_warnings();
    redis.signal(Signal::STOP);
    let mut terms = 0;
    eventually("the breaker has opened", || {
        terms += 1;
        service.pi_cached(terms);
        service.metric("phipi_cache_circuit_breaker_open{operation=\"read\"}") == 1
    });
    let waited = || service.metric("phipi_cache_wait_timeouts_total");
    let (before, start) = (waited(), Instant::now());
    for terms in 1_000_000..1_200_000_u32 {
        service.pi_cached(terms);
        if start.elapsed() > Duration::from_secs(1) {
            let (asked, waited) = (u64::from(terms - 1_000_000), waited() - before);
            // One that came while the breaker was closed for a moment may have.
            assert!(waited <= 2 && asked > 20, "{waited} of {asked} waited");
            break;
        }
    }
    redis.signal(Signal::CONT);
    service.logs("the store is read again");
    let log = service.log();
    assert_eq!(log.matches("the store can't be read").count(), 1, "told once: {log}");
    assert_eq!(log.matches("the store is read again").count(), 1, "told once: {log}");
}

#[test]
fn what_was_answered_meanwhile_is_written_when_the_store_is_back() {
    let mut redis = RedisServer::start();
    redis.kill();
    let service = Service::start(&redis.url()).expecting_warnings();
    let indices = [213, 5_000, 60_000, 100_001, 120_000, 800_000];
    for n in indices {
        assert!(!service.fib_cached(n), "F({n})");
    }
    for terms in 0..50 {
        assert!(!service.pi_cached(terms), "π({terms})");
    }
    assert!(service.metric("phipi_cache_write_queue_bytes") > 0);
    redis.restart();
    eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
    eventually("the mark is raised", || redis.mark() == Some(100_000));
    undisturbed(|| {
        let fresh = Service::start(&redis.url());
        for n in indices.into_iter().chain([2, 127, 128, 99_999]) {
            assert_eq!(fresh.fib(n), (fibonacci(n), true), "F({n})");
        }
        assert!((0..50).all(|terms| fresh.pi_cached(terms)));
    });
    assert!(service.metric("phipi_cache_writes_dropped_total") == 0);
}

/// The budgets of the design, and the delay of a busy machine.
const BOTH_BUDGETS: Duration = Duration::from_millis(200);
const SLACK: Duration = Duration::from_millis(800);

fn answers_right_and_in_time(service: &Service, n: u32) {
    let expected = fibonacci(n);
    let start = Instant::now();
    assert_eq!(service.fib(n).0, expected);
    assert!(start.elapsed() < BOTH_BUDGETS + SLACK, "F({n}) took {:?}", start.elapsed());
}

#[test]
fn a_store_that_is_not_there_delays_no_one_for_long() {
    let mut redis = RedisServer::start();
    redis.kill();
    let service = Service::start(&redis.url()).expecting_warnings();
    for n in [213, 214, 5_000, 100_001] {
        answers_right_and_in_time(&service, n);
    }
    assert!(service.fib_cached(213), "the process remembers by itself");
    redis.restart();
    what_is_new_is_stored_again(&service, &redis);
}

fn what_is_new_is_stored_again(service: &Service, redis: &RedisServer) {
    let mut terms = 0;
    eventually("approximations are stored again", || {
        terms += 1;
        service.pi_cached(terms);
        redis.keys().contains(&format!("phipi:1:pi:{terms}"))
    });
    let log = service.log();
    let (lost, back) = (log.matches("the store can't be read").count(), log.matches("the store is read again").count());
    assert!(lost <= back + 1, "the log tells of changes alone: {log}");
}

#[test]
fn a_store_that_hangs_delays_no_one_for_long() {
    let redis = RedisServer::start();
    let service = Service::start(&redis.url()).expecting_warnings();
    assert!(!service.fib_cached(213));
    redis.signal(Signal::STOP);
    for n in [300, 400, 100_001] {
        answers_right_and_in_time(&service, n);
    }
    redis.signal(Signal::CONT);
    what_is_new_is_stored_again(&service, &redis);
}

/// Another program that holds the lock of the file for writing.
fn holding_the_lock(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[test]
fn a_file_that_is_locked_delays_no_one_for_long_and_nothing_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.sqlite");
    let cache = format!("sqlite:{}", path.display());
    let mut service = Service::start(&cache).expecting_warnings();
    assert!(!service.fib_cached(213));
    let lock = holding_the_lock(&path);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let service = &service;
            scope.spawn(move || {
                for n in [1_000 + client, 2_000 + client, 150_000 + client] {
                    answers_right_and_in_time(service, n);
                    assert!(service.fib_cached(n), "the process remembers F({n}) by itself");
                }
            });
        }
    });
    drop(lock);
    eventually("the file is written again", || {
        let fresh = || Service::start(&cache).expecting_warnings();
        fresh().fib(3_000);
        fresh().fib_cached(3_000)
    });

    // Nor does the end wait for the lock.
    let _lock = holding_the_lock(&path);
    for n in 4_000..4_020 {
        service.fib(n);
    }
    let start = Instant::now();
    service.signal(Signal::TERM);
    assert!(service.exit().success());
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn what_is_no_blob_in_sqlite_is_poison_like_any_other() {
    undisturbed(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.sqlite");
        let cache = format!("sqlite:{}", path.display());
        Service::start(&cache).fib(300);
        for change in [
            "UPDATE entry SET value = 'text'",
            "UPDATE entry SET value = 5",
            "UPDATE mark SET n = -1",
            "UPDATE mark SET n = 'text'",
            "UPDATE mark SET n = 1e300",
            "DELETE FROM mark",
            "DELETE FROM entry",
        ] {
            let file = Connection::open(&path).unwrap();
            file.busy_timeout(Duration::from_secs(5)).unwrap();
            file.execute_batch(change).unwrap();
            let service = Service::start(&cache).expecting_warnings();
            assert_eq!(service.fib(300).0, fibonacci(300), "{change}");
            let fresh = Service::start(&cache).expecting_warnings();
            assert_eq!(fresh.fib(300), (fibonacci(300), true), "{change}");
        }
    });
}

#[test]
fn a_mark_that_was_lost_is_raised_by_the_next_answer_above_it() {
    undisturbed(|| {
        let redis = RedisServer::start();
        Service::start(&redis.url()).fib(100_001);
        let _: () = redis.connection().del("phipi:1:fib:top").unwrap();
        assert!(Service::start(&redis.url()).fib_cached(100_001), "its own entry vouches for it");
        assert!(Service::start(&redis.url()).fib_cached(77_777), "and its answer raised the mark again");
    });
}

#[test]
fn a_file_that_cant_be_opened_leaves_memory_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("folder");
    std::fs::write(&in_the_way, "in the way").unwrap();
    let service = at_the_default_path(&in_the_way);
    assert_eq!(service.fib(213), (fibonacci(213), false));
    assert_eq!(service.fib(213), (fibonacci(213), true));
    let mut terms = 0;
    eventually("the breaker has opened", || {
        terms += 1;
        service.pi_cached(terms);
        service.log().contains("the store can't be read")
    });
    std::fs::remove_file(&in_the_way).unwrap();
    service.logs("the store is read again");
    eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
    eventually("what was answered before is there", || at_the_default_path(&in_the_way).fib_cached(213));
}

/// Starts a process whose file is at the default path, in a folder for the caches of a user.
fn at_the_default_path(folder: &Path) -> Service {
    let mut command = program();
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).env("XDG_CACHE_HOME", folder);
    Service::spawn(command).expecting_warnings()
}

#[test]
fn a_file_that_is_no_cache_is_moved_aside_by_one_of_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phipi/cache.sqlite");
    let garbage = "this is no cache, but somebody may miss it\n".repeat(1_000);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, &garbage).unwrap();
    let services = std::thread::scope(|scope| {
        [(); 2].map(|()| scope.spawn(|| at_the_default_path(folder.path()))).map(|start| start.join().unwrap())
    });
    eventually("it is moved", || services.iter().any(|service| service.log().contains("takes its place")));
    let aside = folder.path().join("phipi/cache.sqlite.aside-1");
    assert_eq!(std::fs::read_to_string(&aside).unwrap(), garbage, "nothing is lost");
    let mut n = 200;
    eventually("they share the new file", || {
        n += 1;
        services[0].fib(n);
        services[1].fib_cached(n)
    });
    let told: usize = services.iter().map(|service| service.log().matches("takes its place").count()).sum();
    assert_eq!(told, 1, "by one of them");
    assert!(!folder.path().join("phipi/cache.sqlite.aside-2").exists());
}

#[test]
fn a_file_that_is_deleted_or_cut_under_running_processes_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phipi/cache.sqlite");
    let services = [(); 2].map(|()| at_the_default_path(folder.path()));
    let mut n = 100_001;
    let mut share = |what: &str| {
        eventually(what, || {
            n += 1;
            assert_eq!(services[0].fib(n).0, fibonacci(n));
            services[1].fib_cached(n)
        });
    };
    share("both use one file");
    std::fs::remove_file(&path).unwrap();
    share("both use a new file");
    // The log of the file goes into the file, of which half is then cut away.
    let file = Connection::open(&path).unwrap();
    eventually("the log is empty", || {
        file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0)).is_ok_and(|held| !held)
    });
    drop(file);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    share("both use a sound file");
}

#[test]
fn an_idle_process_notices_that_the_store_is_gone_and_that_it_is_back() {
    let mut redis = RedisServer::start();
    let service = Service::start(&redis.url()).expecting_warnings();
    let is_well = || get(&service.admin_url("/readyz")).1.contains(r#""status":"ok""#);
    eventually("the store is well", is_well);
    redis.kill();
    // Nobody asks it anything.
    eventually("readiness tells of the outage", || !is_well());
    assert_eq!(service.metric(r#"phipi_cache_circuit_breaker_open{operation="read"}"#), 1);
    redis.restart();
    eventually("the store is well again", is_well);
}

#[test]
fn a_full_disk_stops_writes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = format!("sqlite:{}", folder.path().join("cache.sqlite").display());
    assert!(!Service::start(&cache).fib_cached(1_000));
    // No file of this process can grow beyond 256 KiB.
    let mut limited = limited("ulimit -f 256; exec \"$0\" \"$@\"");
    limited.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cache", &cache]);
    let service = Service::spawn(limited).expecting_warnings();
    assert_eq!(service.fib(70_000).0, fibonacci(70_000));
    service.logs("the store can't be written");
    assert_eq!(service.fib(70_001).0, fibonacci(70_001));
    let (_, readiness) = get(&service.admin_url("/readyz"));
    assert!(readiness.contains(r#""reads":"ok""#), "{readiness}");
    assert!(readiness.contains("make room on its disk or raise the limit of the size of files"), "{readiness}");
    let failures = |cause: &str| {
        service.metric(&format!(r#"phipi_cache_store_failures_total{{cause="{cause}",operation="write"}}"#))
    };
    assert!(failures("refuses_writes") > 0 && failures("connection") == 0, "a full disk is no lost connection");
    let fresh = Service::start(&cache).expecting_warnings();
    assert!(fresh.fib_cached(900), "what was there before is there");
}

#[test]
fn a_value_that_the_store_refuses_holds_up_no_other() {
    let redis = RedisServer::start();
    // Redis closes a connection that sends more.
    redis.run("CONFIG SET proto-max-bulk-len 1mb");
    let service = Service::start_with(&redis.url(), &["--max-n", "20000000"]).expecting_warnings();
    // Of 1.1 MB, and then five of 0.7 MB.
    service.fib(12_000_000);
    let smaller = [7_000_001, 7_000_002, 7_000_003, 7_000_004, 7_000_005];
    for n in smaller {
        service.fib(n);
    }
    eventually("the others are stored", || {
        smaller.iter().all(|n| redis.keys().contains(&format!("phipi:1:fib:n:{n}")))
    });
    service.logs("the store refuses phipi:1:fib:n:12000000, which is not stored");
    eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
    assert_eq!(service.metric("phipi_cache_writes_dropped_total"), 1);
    assert_eq!(service.metric("phipi_cache_circuit_breaker_open"), 0);
}
