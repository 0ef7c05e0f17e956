//! Start, readiness, drain and end of a process.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    attackers::exchange,
    redis_server::{RedisServer, runs_of},
    service::{PATIENCE, Service, client, eventually, get, program},
};

#[test]
fn is_alive_and_ready_from_the_start() {
    let service = Service::start("memory:");
    assert_eq!(get(&service.admin_url("/livez")), (200, "alive\n".to_owned()));
    let well = r#"{"status":"ready","store":{"location":"memory:","reads":"ok","status":"ok","writes":"ok"}}"#;
    assert_eq!(get(&service.admin_url("/readyz")), (200, well.to_owned()));
    assert_eq!(get(&service.url("/readyz")).0, 404, "operators have a listener of their own");
}

const BODY: &str = r#"{"query":"{ fib(n: 213) { result } }"}"#;

/// A request whose body is still to come, and that the server is waiting for.
fn half_a_request(service: &Service) -> TcpStream {
    let mut stream = service.connect();
    write!(
        stream,
        "POST /graphql HTTP/1.1\r\nHost: phipi\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        BODY.len()
    )
    .unwrap();
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut answer = vec![0; go_on.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, go_on);
    stream
}

#[test]
fn a_body_that_does_not_come_is_told_so() {
    let service = Service::start("memory:");
    let mut open = half_a_request(&service);
    let mut answer = String::new();
    open.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("the body did not come in time: send it at once"), "{answer}");
}

#[test]
fn a_drain_answers_what_is_open_and_takes_nothing_new() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut service = Service::start("memory:");
        let mut open = half_a_request(&service);
        service.signal(signal);
        eventually("readiness tells of the drain", || get(&service.admin_url("/readyz")).0 == 503);
        eventually("new connections are refused", || client().get(service.url("/fib/5")).call().is_err());
        open.write_all(BODY.as_bytes()).unwrap();
        let mut answer = String::new();
        open.read_to_string(&mut answer).unwrap();
        let expected = r#"{"data":{"fib":{"result":"146178119651438213260386312206974243796773058"}}}"#;
        assert!(answer.ends_with(expected), "{answer}");
        assert!(service.exit().success());
    }
}

/// The status and the head of the answer to a GET on a connection.
fn ask(connection: &mut TcpStream) -> (u16, String) {
    let answer = exchange(connection, b"GET /fib/5 HTTP/1.1\r\nHost: phipi\r\n\r\n", b"").unwrap();
    (answer.status, answer.head)
}

#[test]
fn a_request_that_meets_a_drain_on_an_idle_connection_is_answered() {
    let mut service = Service::start("memory:");
    let mut idle = service.connect();
    let (status, head) = ask(&mut idle);
    assert!(status == 200 && !head.contains("connection: close"), "{head}");
    service.signal(Signal::TERM);
    eventually("new connections are refused", || TcpStream::connect(service.address()).is_err());
    let (status, head) = ask(&mut idle);
    assert!(status == 200 && head.contains("connection: close"), "{head}");
    is_closed(&idle);
    assert!(service.exit().success());
}

#[test]
fn new_connections_are_taken_for_the_delay_of_a_drain() {
    let mut service = Service::start_with("memory:", &["--drain-delay", "3"]);
    let signalled = Instant::now();
    service.signal(Signal::TERM);
    eventually("readiness tells of the drain", || get(&service.admin_url("/readyz")).0 == 503);
    let mut new = service.connect();
    let (status, head) = ask(&mut new);
    assert!(status == 200 && head.contains("connection: close"), "a proxy leaves with an answer: {head}");
    is_closed(&new);
    eventually("new connections are refused", || TcpStream::connect(service.address()).is_err());
    assert!(signalled.elapsed() >= Duration::from_secs(3));
    assert!(service.exit().success());
}

#[test]
fn signals_that_come_together_ask_for_one_drain() {
    let mut service = Service::start("memory:");
    let mut open = half_a_request(&service);
    service.signal(Signal::INT);
    service.signal(Signal::TERM);
    eventually("new connections are refused", || client().get(service.url("/fib/5")).call().is_err());
    open.write_all(BODY.as_bytes()).unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(service.exit().success());
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut service = Service::start_with("memory:", &["--drain-delay", "3600"]);
    let _open = half_a_request(&service);
    service.signal(Signal::TERM);
    eventually("readiness tells of the drain", || get(&service.admin_url("/readyz")).0 == 503);
    // One that follows at once says the same: a terminal and a parent send one each.
    eventually("the process has ended", || {
        service.signal(Signal::INT);
        service.has_ended()
    });
    assert_eq!(service.exit().code(), Some(1));
    service.logs("a second signal ended the process at once");
}

#[test]
fn who_is_started_to_outlive_its_terminal_does() {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"trap "" HUP && exec "$0" "$@""#]).arg(program().get_program()).env_clear();
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cache", "memory:"]);
    let service = Service::spawn(command);
    service.signal(Signal::HUP);
    assert_eq!(get(&service.url("/fib/5")).0, 200);
    assert_eq!(get(&service.admin_url("/readyz")).0, 200);
    service.stop();
}

#[test]
fn a_drain_does_not_wait_forever() {
    let mut service = Service::start("memory:").expecting_warnings();
    let _open = half_a_request(&service);
    service.signal(Signal::TERM);
    assert!(service.exit().success());
    service.logs("the deadline cut");
}

#[test]
fn a_drain_that_is_cut_still_tells_what_the_store_did_not_take() {
    let mut redis = RedisServer::start();
    redis.kill();
    let mut service = Service::start(&redis.url()).expecting_warnings();
    service.fib(213);
    let _open = half_a_request(&service);
    service.signal(Signal::TERM);
    assert!(service.exit().success());
    service.logs("bytes in the write-behind queue");
    service.logs("the deadline cut");
}

#[test]
fn http_2_is_served_to_clients_that_know_of_it() {
    let service = Service::start("memory:");
    for (path, expected) in
        [("/fib/10", r#"{"cached":false,"result":55}"#), ("/fib/0", r#"{"cached":true,"result":0}"#)]
    {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--http2-prior-knowledge",
            "--write-out",
            " by HTTP/%{http_version}",
            "--max-time",
            "30",
        ]);
        let output = curl.arg(service.url(path)).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{expected} by HTTP/2"));
    }
}

#[test]
fn a_refusal_of_a_head_over_http_2_has_no_body() {
    let service = Service::start("memory:");
    for (path, header, expected) in [
        ("/fib/10", "If-Match: \"other\"", 412),
        ("/graphql?query=%7B__typename%7D", "If-Match: \"other\"", 412),
        ("/fib/-1", "Accept: */*", 400),
        ("/nowhere", "Accept: */*", 404),
    ] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--http2-prior-knowledge", "--head", "--max-time", "30", "--header", header]);
        let output =
            curl.args(["--write-out", "%{http_code}", "--output", "/dev/null"]).arg(service.url(path)).output();
        let output = output.unwrap();
        let status = String::from_utf8(output.stdout).unwrap();
        assert_eq!((output.status.code(), &*status), (Some(0), &*expected.to_string()), "{path}: {header}");
    }
}

/// Waits until the server closes a connection on which it has nothing to say.
fn is_closed(mut connection: &TcpStream) {
    assert_eq!(connection.read(&mut [0]).unwrap(), 0, "it says something");
}

#[test]
fn who_asks_nothing_in_time_is_cut() {
    const HEAD: Duration = Duration::from_secs(10);
    let service = Service::start("memory:");
    let opened = Instant::now();
    let (silent, mut half) = (service.connect(), service.connect());
    half.write_all(b"GET /fib/5 HT").unwrap();
    eventually("both are counted", || service.metric("phipi_http_connections") == 2);
    is_closed(&silent);
    is_closed(&half);
    let open = opened.elapsed();
    assert!(open >= HEAD && open < HEAD + PATIENCE / 2, "closed after {open:?}");
    eventually("both are gone", || service.metric("phipi_http_connections") == 0);
    assert_eq!(service.metric(r#"phipi_http_connection_timeouts_total{cause="idle"}"#), 2);
}

#[test]
fn without_a_file_left_accepting_rests_and_recovers() {
    let mut command = Command::new("/bin/sh");
    // Both limits, so that there is nothing to raise.
    command.args(["-c", r#"ulimit -n 64 && exec "$0" "$@""#]).arg(program().get_program());
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cache", "memory:"]).env_clear();
    let service = Service::spawn(command).expecting_warnings();
    let connections: Vec<TcpStream> = (0..200).map(|_| service.connect()).collect();
    service.logs("the public listener can't accept connections");
    let (before, since) = (service.cpu_time(), Instant::now());
    // The first to come is cut ten seconds later: all the while more wait than there are files.
    is_closed(&connections[0]);
    let (spent, passed) = (service.cpu_time().saturating_sub(before), since.elapsed());
    assert!(spent < passed / 20, "{spent:?} of {passed:?} were spent on waiting");
    drop(connections);
    assert_eq!(get(&service.url("/fib/10")), (200, r#"{"cached":false,"result":55}"#.to_owned()));
    assert_eq!(service.log().matches("the public listener can't accept connections").count(), 1, "{}", service.log());
}

#[test]
fn what_a_client_that_goes_away_had_asked_for_is_kept() {
    let redis = RedisServer::start();
    let service = Service::start_with(&redis.url(), &["--max-n", "30000000"]);
    let (mut observer, mut client) = (redis.connection(), service.connect());
    let mut looked_up = || runs_of("mget", &mut observer);
    let before = looked_up();
    write!(client, "GET /fib/20000001 HTTP/1.1\r\nHost: phipi\r\n\r\n").unwrap();
    eventually("the question is looked up", || looked_up() > before);
    // The client goes when its answer has been begun, which takes several times as long.
    let begun = service.cpu_time();
    eventually("it is evaluated", || service.cpu_time() >= begun + Duration::from_millis(20));
    drop(client);
    eventually("the evaluation outlives its client", || {
        redis.keys().iter().any(|key| key.starts_with("phipi:1:fib:n:"))
    });
}
