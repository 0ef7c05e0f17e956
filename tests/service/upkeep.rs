//! The upkeep of a store by an operator: `phipi warm` and `phipi check`, on any store.

use std::process::Output;

use redis::Commands;
use serde_json::{Value, json};

use crate::{
    oracle::fibonacci,
    redis_cluster::RedisCluster,
    redis_server::{PREFIX, RedisServer, runs_of},
    service::{Service, eventually, program, undisturbed},
};

fn run(arguments: &[&str], cache: &str) -> Output {
    program().args(arguments).args(["--cache", cache]).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// The report on a store, which is all of stdout, and the status that `phipi check` ended with.
fn check(cache: &str, flags: &[&str]) -> (Value, i32) {
    let output = run(&[&["check", "--json"], flags].concat(), cache);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    (report, output.status.code().unwrap())
}

fn whole(entries: usize, mark: u32) -> Value {
    json!({
        "entries": entries, "proven": entries, "bad": [], "unknown": [], "mark": mark, "lost_rungs": [], "blocks": null,
        "lost_blocks": [], "removed": 0,
    })
}

fn is_filled_and_checked(cache: &str) {
    for (n, told) in [("1000", "F(1000) is there now\n"), ("1000", "F(1000) was there\n"), ("0", "F(0) was there\n")] {
        let output = run(&["warm", "--fib", n], cache);
        assert_eq!(text(&output.stdout), told, "{}", text(&output.stderr));
    }
    assert_eq!(check(cache, &[]), (whole(8, 1_000), 0));
    let service = Service::start(cache);
    assert!(service.fib_cached(1_000) && service.fib_cached(513) && !service.fib_cached(1_001));
    assert!(!service.pi_cached(7));
    service.stop();
    assert_eq!(text(&run(&["warm", "--fib", "150000"], cache).stdout), "F(150000) is there now\n");
    assert_eq!(check(cache, &[]), (whole(782 + 2, 100_000), 0));
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

/// The key of a name in full.
fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

#[test]
fn what_is_bad_is_found_and_removed_and_what_is_unknown_is_not() {
    let redis = RedisServer::start();
    run(&["warm", "--fib", "1000"], &redis.url());
    let mut operator = redis.connection();
    for (name, value) in [("1:pi:7", "3"), ("1:fib:rung:3", "x"), ("1:fib:rung:782", "x"), ("0:fib:n:7", "13")] {
        let () = operator.set(key(name), value).unwrap();
    }
    let () = operator.del(key("1:fib:rung:5")).unwrap();
    let () = operator.set("another:1:pi:7", "3").unwrap();
    let expected = |removed: usize| {
        json!({
            "entries": 10, "proven": 6, "bad": ["phipi:1:fib:rung:3", "phipi:1:pi:7"],
            "unknown": ["phipi:0:fib:n:7", "phipi:1:fib:rung:782"], "mark": 1_000, "lost_rungs": [3, 5],
            "blocks": null, "lost_blocks": [], "removed": removed,
        })
    };
    assert_eq!(check(&redis.url(), &[]), (expected(0), 1));
    let told = |flags: &[&str]| text(&run(&[&["check"], flags].concat(), &redis.url()).stdout).to_owned();
    let report = told(&[]);
    assert_eq!(
        report,
        "10 entries: 6 proven, 2 bad, 2 unknown\n\
         the ladder is vouched for up to F(1000); 2 of its rungs are lost, and the next answers that need them write \
         them again\n\
         2 entries are not what their keys say; remove them with --repair:\n  phipi:1:fib:rung:3\n  phipi:1:pi:7\n\
         2 keys are not of this version of phipi, and are left alone:\n  phipi:0:fib:n:7\n  phipi:1:fib:rung:782\n"
    );
    for key in report.lines().filter_map(|line| line.strip_prefix("  ")) {
        assert!(redis.keys().contains(&key.to_owned()), "{key} is what redis-cli takes");
    }
    assert_eq!(check(&redis.url(), &["--repair"]), (expected(2), 0));
    let keys = redis.keys();
    assert!(
        !keys.contains(&key("1:pi:7")) && keys.contains(&key("0:fib:n:7")) && keys.contains(&"another:1:pi:7".into())
    );
    assert_eq!(text(&run(&["warm", "--fib", "1000"], &redis.url()).stdout), "F(1000) is there now\n");
    let (report, status) = check(&redis.url(), &[]);
    assert!(status == 0 && report["lost_rungs"] == json!([]), "warming writes lost rungs anew: {report}");
}

/// Puts values of other types than phipi's where its own may be, and beside; the store was filled up to F(1000).
fn keys_of_another_type_are_found_and_removed(cache: &str, mut operator: impl Commands) {
    run(&["warm", "--fib", "1000"], cache);
    for name in ["1:fib:rung:3", "1:fib:top"] {
        let () = operator.del(key(name)).unwrap();
    }
    let () = operator.rpush(key("1:fib:rung:3"), "x").unwrap();
    let () = operator.hset(key("1:pi:7"), "x", "x").unwrap();
    let () = operator.set(key("1:fib:top"), "theirs").unwrap();
    let () = operator.sadd(key("theirs"), "x").unwrap();
    let expected = |removed: usize| {
        json!({
            "entries": 11, "proven": 7, "bad": ["phipi:1:fib:rung:3", "phipi:1:fib:top", "phipi:1:pi:7"],
            "unknown": ["phipi:theirs"], "mark": null, "lost_rungs": [], "blocks": null, "lost_blocks": [],
            "removed": removed,
        })
    };
    assert_eq!(check(cache, &[]), (expected(0), 1));
    assert_eq!(check(cache, &[]), (expected(0), 1), "without --repair nothing is changed");
    assert_eq!(check(cache, &["--repair"]), (expected(3), 0));
    let is_there = |operator: &mut _, name: &str| Commands::exists::<_, bool>(operator, key(name)).unwrap();
    assert!(is_there(&mut operator, "theirs") && !is_there(&mut operator, "1:fib:top"));

    assert_eq!(text(&run(&["warm", "--fib", "1000"], cache).stdout), "F(1000) is there now\n");
    let whole = json!({
        "entries": 9, "proven": 8, "bad": [], "unknown": ["phipi:theirs"], "mark": 1_000, "lost_rungs": [], "blocks": null, "lost_blocks": [],
            "removed": 0,
    });
    assert_eq!(check(cache, &[]), (whole, 0), "what was of another type is as if it had been lost");
}

#[test]
fn keys_of_another_type_in_redis_are_found_and_removed() {
    let redis = RedisServer::start();
    undisturbed(|| {
        redis.run("FLUSHALL");
        keys_of_another_type_are_found_and_removed(&redis.url(), redis.connection());
    });
}

#[test]
fn keys_of_another_type_in_a_cluster_are_found_and_removed() {
    let cluster = RedisCluster::start();
    undisturbed(|| {
        cluster.flush();
        keys_of_another_type_are_found_and_removed(&cluster.url(), cluster.connection());
    });
}

#[test]
fn what_phipi_did_not_write_in_place_of_a_mark_has_no_ladder_and_is_repaired() {
    let redis = RedisServer::start();
    let mut observer = redis.connection();
    let key = format!("{PREFIX}1:fib:top");
    let last_mark = (1_u64 << 53) - 1;
    for theirs in [
        format!("RPUSH {key} theirs"),
        format!("ZADD {key} 5 generation 1e300 mark"),
        format!("ZADD {key} 5 generation {last_mark} mark"),
        format!("ZADD {key} {last_mark} mark"),
        format!("ZADD {key} inf generation inf mark"),
        format!("ZADD {key} -5 generation"),
        format!("ZADD {key} 5 generation 655360.5 mark"),
    ] {
        redis.run("FLUSHALL");
        redis.run("CONFIG RESETSTAT");
        redis.run(&theirs);
        let service = Service::start(&redis.url()).expecting_warnings();
        for n in 100_001..100_005 {
            assert!(!service.fib_cached(n), "{theirs}");
        }
        eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
        assert_eq!(
            runs_of("set", &mut observer),
            4,
            "{theirs}: each number is stored, and none of the rungs below them"
        );
        service.logs("the key phipi:1:fib:top holds something that phipi did not write");
        let warmed = run(&["warm", "--fib", "10"], &redis.url());
        assert!(text(&warmed.stderr).contains("the key phipi:1:fib:top is for the mark"), "{theirs}: {warmed:?}");
        let (report, status) = check(&redis.url(), &["--repair"]);
        assert_eq!((&report["bad"], status), (&json!([key]), 0), "{theirs}");
        assert!(!service.fib_cached(100_006), "{theirs}");
        eventually("there is a mark", || redis.mark() == Some(100_000));
    }
}

#[test]
fn a_mark_of_another_type_is_repaired_in_a_store_that_has_nothing_else() {
    let redis = RedisServer::start();
    redis.run(&format!("RPUSH {PREFIX}1:fib:top theirs"));
    let warmed = run(&["warm", "--fib", "10"], &redis.url());
    assert!(!warmed.status.success());
    assert!(text(&warmed.stderr).contains("the key phipi:1:fib:top is for the mark"), "{}", text(&warmed.stderr));
    redis.run("FLUSHALL");
    redis.run(&format!("RPUSH {PREFIX}1:fib:top theirs"));
    let told = run(&["check", "--repair"], &redis.url());
    assert_eq!(
        text(&told.stdout),
        "1 entry: 0 proven, 1 bad, 0 unknown\n1 entry was not what its key says, and is removed:\n  phipi:1:fib:top\n"
    );
    assert_eq!(redis.keys(), [""; 0]);
}

#[test]
fn a_key_that_is_no_text_is_unknown_and_holds_up_nothing() {
    let redis = RedisServer::start();
    run(&["warm", "--fib", "100"], &redis.url());
    let no_text = [PREFIX.as_bytes(), &[0xff]].concat();
    let () = redis.connection().set(&no_text, "theirs").unwrap();
    let expected = json!({
        "entries": 2, "proven": 1, "bad": [], "unknown": ["phipi:\u{fffd}"], "mark": 100, "lost_rungs": [], "blocks": null, "lost_blocks": [],
            "removed": 0,
    });
    assert_eq!(check(&redis.url(), &["--repair"]), (expected, 0));
    assert!(redis.connection().exists::<_, bool>(&no_text).unwrap(), "it is left alone");
}

#[test]
fn the_status_of_check_tells_what_is_wrong() {
    let mut redis = RedisServer::start();
    redis.run(&format!("SET {PREFIX}1:pi:7 3"));
    let folder = tempfile::tempdir().unwrap();
    let a_folder = format!("sqlite:{}", folder.path().display());
    let status = |arguments: &[&str], cache: &str| {
        let output = run(&[&["check"], arguments].concat(), cache);
        let (status, is_told) = (output.status.code().unwrap(), !output.stderr.is_empty());
        assert_eq!(
            (status > 1, status <= 1),
            (is_told, !output.stdout.is_empty()),
            "{arguments:?} {cache}: {output:?}"
        );
        status
    };
    let help = program().args(["check", "--help"]).output().unwrap();
    let page = include_str!("../../docs/operating.md");
    for (expected, arguments, cache) in [
        (1, &[][..], &*redis.url()),
        (1, &["--json"], &redis.url()),
        (0, &["--repair"], &redis.url()),
        (0, &[], &redis.url()),
        (2, &["--mend"], &redis.url()),
        (2, &[], "postgres://host"),
        (2, &["--cache-password-file", "/nowhere/secret"], &redis.url()),
        (3, &[], "memory:"),
        (3, &["--json"], "memory:"),
        (3, &[], "redis+unix:///nowhere/redis.sock"),
        (3, &[], &a_folder),
    ] {
        assert_eq!(status(arguments, cache), expected, "{arguments:?} {cache}");
        assert!(text(&help.stdout).contains(&format!("\n  {expected}  ")) && page.contains(&format!("| {expected} |")));
    }
    redis.run("CONFIG SET requirepass secret");
    assert_eq!(status(&[], &redis.url()), 3, "a server that refuses");
    redis.kill();
    assert_eq!(status(&[], &redis.url()), 3, "a server that is gone");
}

#[test]
fn what_cant_be_done_is_told() {
    for (arguments, told) in [
        (&["warm", "--fib", "10", "--cache", "memory:"][..], "memory: can't be filled: it keeps nothing for others"),
        (&["check", "--cache", "memory:"], "memory: can't be checked: it keeps nothing for others"),
        (
            &["check", "--cache", "redis://127.0.0.1:1"],
            "redis://127.0.0.1:1/0 can't be checked: nothing listens at its address",
        ),
        (
            &["warm", "--fib", "10", "--cache", "redis+unix:///nowhere/redis.sock"],
            "redis+unix:///nowhere/redis.sock?db=0 can't be filled: there is no such socket",
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
