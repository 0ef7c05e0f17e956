//! What an operator does to a store: `phipi warm` and `phipi check`, on any of them.

use std::process::Output;

use redis::Commands;
use serde_json::{Value, json};

use crate::{
    oracle::fibonacci,
    redis_cluster::RedisCluster,
    redis_server::{PREFIX, RedisServer},
    service::{Service, program, undisturbed},
};

fn run(arguments: &[&str], cache: &str) -> Output {
    program().args(arguments).args(["--cache", cache]).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// The report on a store, and whether it is a good one.
fn check(cache: &str, flags: &[&str]) -> (Value, bool) {
    let output = run(&[&["check", "--json"], flags].concat(), cache);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    (report, output.status.success())
}

fn whole(entries: usize, mark: u32) -> Value {
    json!({
        "entries": entries, "proven": entries, "bad": [], "unknown": [], "mark": mark, "lost_rungs": [], "removed": 0,
    })
}

fn is_filled_and_checked(cache: &str) {
    for (n, told) in [("1000", "F(1000) is there now\n"), ("1000", "F(1000) was there\n"), ("0", "F(0) was there\n")] {
        let output = run(&["warm", "--fib", n], cache);
        assert_eq!(text(&output.stdout), told, "{}", text(&output.stderr));
    }
    assert_eq!(check(cache, &[]), (whole(8, 1_000), true));
    let service = Service::start(cache);
    assert!(service.fib_cached(1_000) && service.fib_cached(513) && !service.fib_cached(1_001));
    assert!(!service.pi_cached(7));
    service.stop();
    assert_eq!(text(&run(&["warm", "--fib", "150000"], cache).stdout), "F(150000) is there now\n");
    assert_eq!(check(cache, &[]), (whole(782 + 2, 100_000), true));
    let service = Service::start(cache);
    assert_eq!(service.fib(150_000), (fibonacci(150_000), true));
    assert!(service.fib_cached(99_999));
}

#[test]
fn sqlite_is_filled_and_checked() {
    undisturbed(|| {
        let folder = tempfile::tempdir().unwrap();
        is_filled_and_checked(&format!("sqlite:{}", folder.path().join("cache.sqlite").display()));
    });
}

#[test]
fn redis_is_filled_and_checked() {
    undisturbed(|| is_filled_and_checked(&RedisServer::start().url()));
}

#[test]
fn a_cluster_is_filled_and_checked() {
    let cluster = RedisCluster::start();
    undisturbed(|| {
        cluster.flush();
        is_filled_and_checked(&cluster.url());
    });
}

#[test]
fn what_is_bad_is_found_and_removed_and_what_is_unknown_is_not() {
    let redis = RedisServer::start();
    run(&["warm", "--fib", "1000"], &redis.url());
    let mut operator = redis.connection();
    let key = |name: &str| format!("{PREFIX}{name}");
    for (name, value) in [("1:pi:7", "3"), ("1:fib:rung:3", "x"), ("1:fib:rung:782", "x"), ("0:fib:n:7", "13")] {
        let () = operator.set(key(name), value).unwrap();
    }
    let () = operator.del(key("1:fib:rung:5")).unwrap();
    let () = operator.set("another:1:pi:7", "3").unwrap();
    let expected = |removed: usize| {
        json!({
            "entries": 10, "proven": 6, "bad": ["1:fib:rung:3", "1:pi:7"], "unknown": ["0:fib:n:7", "1:fib:rung:782"],
            "mark": 1_000, "lost_rungs": [3, 5], "removed": removed,
        })
    };
    assert_eq!(check(&redis.url(), &[]), (expected(0), false));
    let told = run(&["check"], &redis.url());
    assert_eq!(
        text(&told.stdout),
        "10 entries, of which 6 are proven\n\
         the ladder is vouched for up to F(1000); 2 of its rungs are lost\n\
         2 are not what they should be; remove them with --repair: 1:fib:rung:3, 1:pi:7\n\
         2 are not of this version, and are left alone: 0:fib:n:7, 1:fib:rung:782\n"
    );
    assert_eq!(check(&redis.url(), &["--repair"]), (expected(2), true));
    let keys = redis.keys();
    assert!(
        !keys.contains(&key("1:pi:7")) && keys.contains(&key("0:fib:n:7")) && keys.contains(&"another:1:pi:7".into())
    );
    assert_eq!(text(&run(&["warm", "--fib", "1000"], &redis.url()).stdout), "F(1000) is there now\n");
    let (report, is_good) = check(&redis.url(), &[]);
    assert!(is_good && report["lost_rungs"] == json!([]), "warming writes lost rungs anew: {report}");
}

#[test]
fn what_cant_be_done_is_told() {
    for (arguments, told) in [
        (&["warm", "--fib", "10", "--cache", "memory:"][..], "memory: keeps nothing for others"),
        (&["check", "--cache", "memory:"], "memory: keeps nothing for others"),
        (&["check", "--cache", "redis://127.0.0.1:1"], "the store can't be read or written: "),
        (
            &["warm", "--fib", "10", "--cache", "redis+unix:///nowhere/redis.sock"],
            "the store can't be read or written: ",
        ),
        (&["warm", "--cache", "memory:"], "--fib <N>"),
        (&["warm", "--fib", "-1"], "from 0 to 1000000000"),
    ] {
        let output = program().args(arguments).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(text(&output.stderr).contains(told), "{arguments:?}: {}", text(&output.stderr));
    }
    let full = RedisServer::start_with(&["--maxmemory", "1"]);
    let output = run(&["warm", "--fib", "10"], &full.url());
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("the store does not hold it: it is full"), "{}", text(&output.stderr));
}
