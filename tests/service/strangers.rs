//! Something else than the URL says is at the address of the store, or it turns phipi away: the log says so in plain
//! words, in one line, and `/readyz` says that nothing can be read or written.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    oracle::fibonacci,
    redis_cluster::{RedisCluster, free_ports},
    redis_server::RedisServer,
    service::{Service, get},
};

/// Words of libraries, of which none belongs into a log.
const JARGON: [&str; 10] = [
    "InvalidClientConfig",
    "CaUsedAsEndEntity",
    "ResponseError",
    "InvalidCertificate",
    "InvalidContentType",
    "AlertReceived",
    "Multiplexed",
    "Pipeline",
    "os error",
    "ClusterConnectionNotFound",
];

/// A process with a store that never serves: answers come from memory, and the reason is logged as `level`. On a
/// machine so busy that time runs out first, it is tried again.
fn is_told(url: &str, flags: &[&str], level: &str, words: &str) {
    let tries = (0..10).map(|_| what_is_told(url, flags));
    let is_late = |told: &(String, Value)| {
        ["no connection within", "nothing within", "no answer within"].iter().any(|late| told.0.contains(late))
    };
    let (line, store) = tries.into_iter().find(|told| !is_late(told)).expect("a machine that is not so busy");
    assert!(line.contains(level) && line.contains(words), "{url}: {level} {words} in {line}");
    for direction in ["reads", "writes"] {
        assert!(store[direction].as_str().unwrap().contains(words), "{url}: {store}");
    }
    assert_eq!(store["status"], "degraded");
}

/// The line of the log that says why the store can't be read, and its status in `/readyz`.
fn what_is_told(url: &str, flags: &[&str]) -> (String, Value) {
    let service = Service::start_with(url, flags).expecting_warnings();
    service.logs("the store can't be read");
    assert_eq!(service.fib(213), (fibonacci(213), false));
    assert_eq!(service.fib(213), (fibonacci(213), true), "it serves on");
    let log = service.log();
    for line in log.lines() {
        let is_stamped = line.get(..2) == Some("20") && line.get(10..11) == Some("T");
        assert!(is_stamped, "{url}: a line without a time: {line}");
        assert!(!JARGON.iter().any(|word| line.contains(word)), "{url}: {line}");
    }
    let (_, readiness) = get(&service.admin_url("/readyz"));
    let store = serde_json::from_str::<Value>(&readiness).unwrap()["store"].take();
    (log.lines().find(|line| line.contains("the store can't be read")).unwrap().to_owned(), store)
}

/// A server that answers each client the same, whatever it asks, and closes the connection.
fn says(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.read(&mut [0; 1024]);
            });
        }
    });
    port
}

#[test]
fn what_is_no_redis_is_told_by_what_it_says() {
    let web = Service::start("memory:");
    let web = web.address().port();
    let rows = [
        (web, "it is no Redis: it says \\\"HTTP/1.1 400"),
        (says("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), "it is no Redis: it says \\\"SSH-2.0-OpenSSH_9.2p1"),
        (says("220 mail.example ESMTP\r\nmore\r\n"), "it is no Redis: it says \\\"220 mail.example ESMTP"),
    ];
    for (port, words) in rows {
        let words = words.replace("\\\"", "\"");
        is_told(&format!("redis://127.0.0.1:{port}"), &[], "ERROR", &words);
        is_told(&format!("redis-cluster://127.0.0.1:{port}"), &[], "ERROR", &words);
        is_told(&format!("redis-sentinel://127.0.0.1:{port}/main"), &[], "ERROR", &words);
        let roots = Pair::new();
        is_told(
            &format!("rediss://127.0.0.1:{port}"),
            &["--cache-tls-ca", &roots.path("pem")],
            "ERROR",
            "it is no Redis",
        );
    }
    let nobody = says("");
    is_told(&format!("redis://127.0.0.1:{nobody}"), &[], "WARN", "it closes the connection at once");
    let [nobody] = free_ports();
    is_told(&format!("redis://[::1]:{nobody}"), &[], "WARN", "nothing listens at its address");
    is_told("redis://no-such-host.invalid", &[], "WARN", "the name of its host leads nowhere");
    is_told("redis+unix:///nowhere/redis.sock", &[], "WARN", "there is no such socket");
}

/// The answer that Redis gives to other machines alone.
const PROTECTED: &str = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set \
                         for the default user. In this mode connections are only accepted from the loopback interface. \
                         Alternatively you can just disable it.\r\n";

#[test]
fn what_redis_says_while_it_turns_a_client_away_is_told() {
    let [port] = free_ports();
    let redis = RedisServer::start_with(&["--port", &port.to_string(), "--maxclients", "1"]);
    let _the_only_one = redis.connection();
    let words = "it has reached its limit of clients; raise its maxclients";
    is_told(&format!("redis://127.0.0.1:{port}"), &[], "WARN", words);
    is_told(&redis.url(), &[], "WARN", words);
    is_told(&format!("redis://127.0.0.1:{}", says(PROTECTED)), &[], "ERROR", "it is in protected mode");
}

/// A certificate as `openssl req -x509` makes it, and its key.
struct Pair(TempDir);

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = Self(folder);
        let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost";
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .args(["-out", &pair.path("pem"), "-keyout", &pair.path("key")])
            .output()
            .expect("openssl can't be started: run ./scripts/test, which installs it");
        assert!(output.status.success(), "{output:?}");
        pair
    }

    fn path(&self, kind: &str) -> String {
        self.0.path().join(format!("a.{kind}")).to_str().unwrap().to_owned()
    }
}

#[test]
fn tls_on_one_side_alone_is_told() {
    let pair = Pair::new();
    let [plain, secure] = free_ports();
    let (certificate, key) = (pair.path("pem"), pair.path("key"));
    let _redis = RedisServer::start_with(&[
        "--port",
        &plain.to_string(),
        "--tls-port",
        &secure.to_string(),
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &certificate,
        "--tls-auth-clients",
        "no",
    ]);
    let flags = ["--cache-tls-ca", &*certificate];
    is_told(
        &format!("rediss://127.0.0.1:{plain}"),
        &flags,
        "WARN",
        "if it speaks no TLS, leave out the s of the scheme",
    );
    is_told(&format!("redis://127.0.0.1:{secure}"), &[], "", "rediss://");
}

#[test]
fn a_server_of_another_form_is_told_with_the_url_that_is_right() {
    let [port, sentinel] = free_ports();
    let _server = RedisServer::start_with(&["--port", &port.to_string()]);
    let cluster = RedisCluster::start();
    let node = cluster.url().split(',').next_back().unwrap().to_owned();
    is_told(&format!("redis://{node}"), &[], "ERROR", &format!("write redis-cluster://{node}"));
    is_told(&format!("redis-cluster://127.0.0.1:{port}"), &[], "ERROR", &format!("write redis://127.0.0.1:{port}"));
    let single = format!("redis-sentinel://127.0.0.1:{port}/main");
    is_told(&single, &[], "ERROR", &format!("the sentinel 127.0.0.1:{port}: it is no sentinel"));

    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("sentinel.conf");
    fs::write(&settings, format!("bind 127.0.0.1\nport {sentinel}\nsentinel monitor main 127.0.0.1 {port} 1\n"))
        .unwrap();
    let _sentinel = RedisServer::sentinel(&settings, sentinel);
    is_told(
        &format!("redis://127.0.0.1:{sentinel}"),
        &[],
        "ERROR",
        &format!("redis-sentinel://127.0.0.1:{sentinel}/NAME"),
    );
    let other = format!("redis-sentinel://127.0.0.1:{sentinel}/other");
    is_told(&other, &[], "ERROR", "it watches no primary of the name other");
}

#[test]
fn a_database_that_is_not_there_is_told() {
    let [port] = free_ports();
    let redis = RedisServer::start_with(&["--port", &port.to_string(), "--databases", "4"]);
    is_told(&format!("redis://127.0.0.1:{port}/4"), &[], "ERROR", "it has no database 4");
    is_told(&format!("{}?db=99", redis.url()), &[], "ERROR", "it has no database 99");
    assert!(Service::start(&format!("redis://127.0.0.1:{port}/3")).fib_cached(1));
}

#[test]
fn a_password_for_a_server_without_one_is_told() {
    let [port] = free_ports();
    let _redis = RedisServer::start_with(&["--port", &port.to_string()]);
    is_told(&format!("redis://:open-sesame@127.0.0.1:{port}"), &[], "ERROR", "it has no password; leave out");
}
