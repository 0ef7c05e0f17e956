//! The commands and the settings, as an operator uses them.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use sha2::{Digest, Sha256};
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

/// The message on a mistake; nothing is on stdout.
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
    assert_eq!(printed(&["pi-digits", "1"]), "3\n");
    assert_eq!(printed(&["pi-digits", "2"]), "3.1\n");
    assert_eq!(printed(&["pi-digits", "20"]), "3.1415926535897932384\n");
    let digits = printed(&["pi-digits", "1000000"]).replace(['.', '\n'], "");
    // Of "31415…", by two methods.
    let hash: String = Sha256::digest(&digits).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, "387877db67fdddbde761c053c4376e0b411b10fd2b126fd8b1249963cb628877");
    assert!(refused(&["fib", "1000000001"]).contains("not a whole number from 0 to 1000000000"));
    assert!(refused(&["fib", "-1"]).contains("not a whole number from 0 to 1000000000"));
    for count in ["0", "-1", "100000001", "1e6"] {
        assert!(refused(&["pi-digits", count]).contains("not a whole number from 1 to 100000000"), "{count}");
    }
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
        ("memory:".to_owned(), "cache: memory:; a restart forgets what is there".to_owned()),
        (file.clone(), format!("cache: {file}")),
        (redis.url(), format!("cache: {}?db=0", redis.url())),
    ];
    for (cache, line) in rows {
        let service = Service::start(&cache);
        service.logs(&line);
        assert!(service.log().lines().next().unwrap().ends_with(&line), "{}", service.log());
    }
    let service = Service::start_with("memory:", &["--log-format", "json"]);
    service.logs("a restart forgets");
    let first: serde_json::Value = serde_json::from_str(service.log().lines().next().unwrap()).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(first["message"], format!("phipi {version} starts, cache: memory:; a restart forgets what is there"));
    assert_eq!((&first["version"], &first["location"]), (&version.into(), &"memory:".into()));
}

#[test]
fn the_log_has_what_its_level_asks_for() {
    let logged = |level: &str| {
        let mut command = program();
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cache", "memory:"]);
        command.args(["--log-level", level]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(get(&format!("{}/fib/10", line.trim_end().strip_prefix("listening on ").unwrap())).0, 200);
        kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
        String::from_utf8(process.wait_with_output().unwrap().stderr).unwrap()
    };
    assert_eq!(logged("warn"), "");
    let info = logged("INFO");
    assert!(
        info.contains(" INFO request answered") && info.contains(" INFO phipi ") && !info.contains("DEBUG"),
        "{info}"
    );
    let debug = logged("debug");
    assert!(
        debug.contains(" INFO request answered") && debug.contains("DEBUG http: a connection was accepted"),
        "{debug}"
    );
}

/// With wrong variables a command that has no use for them runs, and one that has blames them by name.
#[test]
fn variables_that_are_empty_are_not_set_and_those_that_are_wrong_are_named() {
    let with = |variables: &[(&str, &str)], arguments: &[&str]| {
        let output = program().envs(variables.iter().copied()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let all = [
        "PHIPI_LISTEN",
        "PHIPI_ADMIN_LISTEN",
        "PHIPI_CACHE",
        "PHIPI_CACHE_PREFIX",
        "PHIPI_CACHE_PASSWORD_FILE",
        "PHIPI_CACHE_TLS_CA",
        "PHIPI_CACHE_TLS_CERT",
        "PHIPI_CACHE_TLS_KEY",
        "PHIPI_MAX_N",
        "PHIPI_CORS_ORIGIN",
        "PHIPI_DRAIN_DELAY",
        "PHIPI_LOG_FORMAT",
        "PHIPI_LOG_LEVEL",
        "REDIS_URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_SERVICE_NAME",
    ];
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for variable in all {
        assert!(help.contains(variable), "{variable} is in the help");
        assert_eq!(with(&[(variable, "")], &["fib", "10"]), (Some(0), String::new()), "{variable}");
        assert_eq!(with(&[(variable, "\n")], &["fib", "10"]), (Some(0), String::new()), "{variable}");
    }
    let empty = all.map(|variable| (variable, ""));
    let folder = tempdir().unwrap();
    let mut command = program();
    command.envs(empty).env("XDG_CACHE_HOME", folder.path());
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    Service::spawn(command).logs("cache: sqlite:");

    for (variable, wrong) in [
        ("PHIPI_LISTEN", "8000"),
        ("PHIPI_ADMIN_LISTEN", "nowhere"),
        ("PHIPI_MAX_N", "many"),
        ("PHIPI_CORS_ORIGIN", "example.org"),
        ("PHIPI_DRAIN_DELAY", "-1"),
        ("PHIPI_LOG_FORMAT", "xml"),
        ("PHIPI_LOG_LEVEL", "loud"),
    ] {
        let (status, said) = with(&[(variable, wrong)], &[]);
        assert!(status == Some(2) && said.contains(&format!("for '{variable}'")), "{variable}: {said}");
    }
    let (_, said) = with(&[("PHIPI_MAX_N", "7")], &["--max-n", "x"]);
    assert!(said.contains("for '--max-n <N>'"), "a flag that is written is blamed itself: {said}");
    let (status, said) = with(&[("PHIPI_CACHE_TLS_CERT", "/dev/null"), ("PHIPI_CACHE", "rediss://h")], &[]);
    assert!(status == Some(2) && said.contains("PHIPI_CACHE_TLS_KEY"), "{said}");
}

/// No refusal repeats a possible password.
#[test]
fn a_url_in_the_wrong_place_is_not_repeated() {
    for arguments in [
        &["check", "redis://:hunter2@h"][..],
        &["redis://:hunter2@h"],
        &["--cache", "redis://u:p", "hunter2@h"],
        &["--cache", "redis://h", "--cache-password-file", "hunter2"],
        &["health", "http://user:hunter2@127.0.0.1:8001"],
    ] {
        let said = refused(arguments);
        assert!(!said.contains("hunter2"), "{arguments:?}: {said}");
    }
}

#[test]
fn what_is_no_command_or_setting_is_told_as_such() {
    for (arguments, hint) in [
        (&["--cache", "memory:", "wram", "--fib", "7"][..], "'warm'"),
        (&["--listen", "127.0.0.1:8000", "127.0.0.1:8001"], "unrecognized subcommand '127.0.0.1:8001'"),
        (&["--json", "check", "--cache", "sqlite:/nowhere/file"], "there is no file /nowhere/file"),
        (&["--max-n", "-1"], "not a whole number from 0 to 1000000000"),
        (&["--drain-delay", "-1"], "not a whole number from 0 to 3600"),
        (&["--cache", ""], "'--cache <URL>'"),
        (&["check", "--cache", ""], "'--cache <URL>'"),
        (&["--cache", "redis://bob@h"], "redis://USER:PASSWORD@HOST:PORT"),
    ] {
        let said = refused(arguments);
        assert!(said.contains(hint), "{arguments:?}: {said}");
    }
}

#[test]
fn help_fits_its_terminal_and_is_short_on_request() {
    let (short, long) = (printed(&["-h"]), printed(&["--help"]));
    assert!(short.lines().count() < long.lines().count() / 2, "{short}");
    for word in ["/metrics", "rediss-cluster", "rediss-sentinel", "OTEL_EXPORTER_OTLP_ENDPOINT", "NO_COLOR"] {
        assert!(long.contains(word), "{word}");
    }
    let longest = long.lines().chain(short.lines()).map(|line| line.chars().count()).max();
    assert!(longest.is_some_and(|longest| longest <= 100), "{longest:?}");
}

#[test]
fn health_tells_whether_a_process_is_ready() {
    let mut service = Service::start("memory:");
    let admin = service.admin_url("").trim_start_matches("http://").to_owned();
    let ask = |target: &str| {
        let output = program().args(["health", target]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for target in [admin.clone(), format!("http://{admin}"), format!("http://{admin}/readyz")] {
        let (status, said, errors) = ask(&target);
        assert!(status == Some(0) && said.starts_with(r#"{"status":"ready""#) && errors.is_empty(), "{said}{errors}");
    }
    let output = program().arg("health").env("PHIPI_ADMIN_LISTEN", &admin).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let public = service.url("").replace("http://", "");
    let (status, said, errors) = ask(&public);
    assert!(status == Some(1) && said.is_empty() && errors.contains("is not ready: it answers 404"), "{errors}");
    for wrong in ["nowhere", "127.0.0.1", "https://127.0.0.1/x"] {
        let (status, _, errors) = ask(wrong);
        assert!(status == Some(1) && errors.contains("HOST:PORT"), "{errors}");
    }
    service.signal(Signal::TERM);
    assert!(service.exit().success());
    let (status, _, errors) = ask(&admin);
    assert!(status == Some(1) && errors.contains("is phipi running"), "{errors}");
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
    let file = format!("{}/phipi/cache.sqlite", folder.path().display());
    let first = started(&[]);
    first.logs(&format!("cache: sqlite:{file}; set --cache or REDIS_URL to share it with other machines"));
    first.logs(&format!("cache: the file {file} was created"));
    started(&[("REDIS_URL", "")]).logs("cache: sqlite:");
    started(&[("REDIS_URL", &redis.url())]).logs(&format!("cache: {}", redis.url()));
    started(&[("REDIS_URL", &redis.url()), ("PHIPI_CACHE", "memory:")]).logs("cache: memory:");

    let limited = started(&[("PHIPI_CACHE", &redis.url()), ("PHIPI_CACHE_PREFIX", "other:"), ("PHIPI_MAX_N", "300")]);
    assert_eq!(get(&limited.url("/fib/301")).0, 400);
    assert!(!limited.fib_cached(300) && !limited.pi_cached(7));
    let keys = ["other:1:fib:rung:0", "other:1:fib:rung:1", "other:1:fib:rung:2", "other:1:fib:top", "other:1:pi:7"];
    assert_eq!(redis.keys(), keys);
}

#[test]
fn a_url_that_cant_be_right_is_refused_at_the_start_by_its_setting_and_without_its_password() {
    let rows = [
        ("redis://:pass/word@127.0.0.1:6379", "has to be percent-encoded"),
        ("redis://:pass#word@127.0.0.1:6379", "has to be percent-encoded"),
        ("redis://pass#word@host", "has to be percent-encoded"),
        ("redis://:pass?word@127.0.0.1:6379", "has to be percent-encoded"),
        ("redis://:pass%word@127.0.0.1:6379", "has to be percent-encoded"),
        ("redis://:pass@word/0@127.0.0.1:6379", "has to be percent-encoded"),
        ("redis-cluster://:pass#word@127.0.0.1:6379", "has to be percent-encoded"),
        ("valkeys-sentinel://:pass/word@127.0.0.1:6379/main", "has to be percent-encoded"),
        ("redis+unix:///run/redis.sock?pass=pass#word", "in a password # is written %23"),
        ("rediss://:password@127.0.0.1:6379#insecure", "--cache-tls-ca FILE"),
        ("redis://:password:6379", "redis://HOST:PORT/DB"),
        ("redis://::1:6379", "in brackets"),
        ("redis://127.0.0.1:6379/pass", "the database is a number"),
        ("redis-cluster://127.0.0.1:6379/3", "no numbered databases"),
        ("sqlite:~/pass.sqlite", "write sqlite:$HOME/phipi.sqlite"),
        ("http://pass:word@127.0.0.1", "write sqlite:PATH"),
    ];
    for (url, words) in rows {
        let by_flag = program().args(["--cache", url]).output().unwrap();
        let by_variable = |name: &str| program().env(name, url).output().unwrap();
        let settings = [
            ("--cache: ", by_flag),
            ("PHIPI_CACHE: ", by_variable("PHIPI_CACHE")),
            ("REDIS_URL: ", by_variable("REDIS_URL")),
        ];
        for (setting, output) in settings {
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{url}: {told}");
            assert!(told.starts_with(&format!("phipi: {setting}")) && told.contains(words), "{url}: {told}");
            let is_shown = ["pass/", "pass#", "pass%", "word@", "word/"].iter().any(|part| told.contains(part));
            assert!(!is_shown && told.lines().count() == 1, "{url}: {told}");
        }
    }
}

#[test]
fn who_has_no_home_folder_is_told_that_a_restart_forgets_all() {
    const NOBODY: &str = "64123";
    let mut command = if geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={NOBODY}"), "--clear-groups"]);
        command
    } else {
        let mut command = Command::new("unshare");
        command.args(["--user", &format!("--map-user={NOBODY}")]);
        command
    };
    command.arg(program().get_program()).args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let service = Service::spawn({
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command
    })
    .expecting_warnings();
    service.logs("a restart forgets all entries; set --cache sqlite:PATH");
    assert!(service.log().lines().next().unwrap().contains("WARN phipi "), "{}", service.log());
}
