//! Start, readiness, drain and end of a process.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use rustix::process::Signal;

use crate::{
    redis_server::{RedisServer, runs_of},
    service::{Service, client, eventually, get},
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
fn a_drain_answers_what_is_open_and_takes_nothing_new() {
    for signal in [Signal::TERM, Signal::INT] {
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

#[test]
fn a_drain_does_not_wait_forever() {
    let mut service = Service::start("memory:").expecting_warnings();
    let _open = half_a_request(&service);
    service.signal(Signal::TERM);
    assert!(service.exit().success());
    service.logs("the deadline cut");
}

#[test]
fn what_a_client_that_goes_away_had_asked_for_is_kept() {
    let redis = RedisServer::start();
    let service = Service::start_with(&redis.url(), &["--max-n", "30000000"]);
    let mut n = 20_000_000;
    let mut observer = redis.connection();
    let mut looked_up = || runs_of("mget", &mut observer);
    eventually("an evaluation outlives its client", || {
        // Each client goes as soon as its question was looked up, long before its answer is evaluated; whether the
        // evaluation had begun by then is a matter of microseconds, so that it takes one or two.
        n += 1;
        let before = looked_up();
        let mut client = service.connect();
        write!(client, "GET /fib/{n} HTTP/1.1\r\nHost: phipi\r\n\r\n").unwrap();
        eventually("the question is looked up", || looked_up() > before);
        drop(client);
        redis.keys().iter().any(|key| key.starts_with("phipi:1:fib:n:"))
    });
}
