//! The commands and the settings, as an operator uses them.

use std::process::Output;

use tempfile::tempdir;

use crate::{
    oracle::fibonacci,
    redis_server::RedisServer,
    service::{Service, get, program},
};

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What is said of a mistake; nothing is on stdout.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn prints_bare_values() {
    assert_eq!(printed(&["fib", "0"]), "0\n");
    assert_eq!(printed(&["fib", "213"]), "146178119651438213260386312206974243796773058\n");
    assert_eq!(printed(&["fib", "300000"]), fibonacci(300_000) + "\n");
    assert_eq!(printed(&["pi", "0"]), "0\n");
    assert_eq!(printed(&["pi", "1000"]), "3.1406380562059932\n");
}

#[test]
fn mistakes_are_told_with_what_is_right() {
    assert!(refused(&["fib", "1000000001"]).contains("not a whole number from 0 to 1000000000"));
    assert!(refused(&["fib", "-1"]).contains("not a whole number from 0 to 1000000000"));
    assert!(refused(&["pi", "many"]).contains("not a whole number from 0 to 2147483647"));
    assert!(refused(&["--cache", "postgres://host"]).contains("write sqlite:PATH, memory:, redis://"));
    let taken = Service::start("memory:");
    let address = taken.url("").replace("http://", "");
    let said = refused(&["--cache", "memory:", "--listen", &address]);
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
}

#[test]
fn the_first_line_of_the_log_names_the_store() {
    let redis = RedisServer::start();
    let folder = tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("cache.sqlite").display());
    let rows = [
        ("memory:".to_owned(), "cache: memory:; set REDIS_URL to share it".to_owned()),
        (file.clone(), format!("cache: {file}; set REDIS_URL to share it")),
        (redis.url(), format!("cache: {}?db=0", redis.url())),
    ];
    for (cache, line) in rows {
        let service = Service::start(&cache);
        service.logs(&line);
        assert!(service.log().lines().next().unwrap().ends_with(&line), "{}", service.log());
    }
    let service = Service::start_with("memory:", &["--log-format", "json"]);
    service.logs("set REDIS_URL");
    let first: serde_json::Value = serde_json::from_str(service.log().lines().next().unwrap()).unwrap();
    assert_eq!(first["fields"]["message"], "cache: memory:; set REDIS_URL to share it");
}

#[test]
fn the_environment_sets_what_flags_do_not() {
    let redis = RedisServer::start();
    let folder = tempdir().unwrap();
    let started = |variables: &[(&str, &str)]| {
        let mut command = program();
        command.envs(variables.iter().copied()).env("XDG_CACHE_HOME", folder.path());
        command.env("PHIPI_LISTEN", "127.0.0.1:0").env("PHIPI_ADMIN_LISTEN", "127.0.0.1:0");
        Service::spawn(command)
    };
    started(&[]).logs(&format!("cache: sqlite:{}/phipi/cache.sqlite", folder.path().display()));
    started(&[("REDIS_URL", "")]).logs("cache: sqlite:");
    started(&[("REDIS_URL", &redis.url())]).logs(&format!("cache: {}", redis.url()));
    started(&[("REDIS_URL", &redis.url()), ("PHIPI_CACHE", "memory:")]).logs("cache: memory:");

    let limited = started(&[("PHIPI_CACHE", &redis.url()), ("PHIPI_CACHE_PREFIX", "other:"), ("PHIPI_MAX_N", "300")]);
    assert_eq!(get(&limited.url("/fib/301")).0, 400);
    assert!(!limited.fib_cached(300) && !limited.pi_cached(7));
    let keys = ["other:1:fib:rung:0", "other:1:fib:rung:1", "other:1:fib:rung:2", "other:1:fib:top", "other:1:pi:7"];
    assert_eq!(redis.keys(), keys);
}
