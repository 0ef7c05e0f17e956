//! Subscriptions over sockets of the Web and as server-sent events, and the end of hostile sockets.

use std::{
    collections::BTreeSet,
    io::Read,
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use tungstenite::{
    Message, WebSocket,
    client::IntoClientRequest,
    http::{HeaderValue, StatusCode},
    protocol::frame::coding::CloseCode,
    stream::MaybeTlsStream,
};

use crate::service::{PATIENCE, Service, client, eventually};

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

const CONVERGENCE: &str = "subscription { piConvergence(terms: 1000, points: 4) { terms cached } }";

/// Opens a socket that speaks a protocol.
fn open_with(service: &Service, protocol: &'static str, origin: &'static str) -> tungstenite::Result<Socket> {
    let mut request = service.url("/graphql").replace("http", "ws").into_client_request()?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(protocol));
    request.headers_mut().insert("Origin", HeaderValue::from_static(origin));
    let (socket, _) = tungstenite::connect(request)?;
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    Ok(socket)
}

fn open(service: &Service) -> Socket {
    open_with(service, "graphql-transport-ws", "http://example.org").unwrap()
}

fn say(socket: &mut Socket, message: &Value) {
    socket.send(Message::text(message.to_string())).unwrap();
}

/// The next message of the server; pings of the transport are answered meanwhile.
fn hear(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

/// A socket that has said hello.
fn greeted(service: &Service) -> Socket {
    let mut socket = open(service);
    say(&mut socket, &json!({"type": "connection_init"}));
    assert_eq!(hear(&mut socket), json!({"type": "connection_ack"}));
    socket
}

fn subscribe(id: &str, document: &str) -> Value {
    json!({"type": "subscribe", "id": id, "payload": {"query": document}})
}

/// The code that the server closes a socket with.
fn close_code(socket: &mut Socket) -> u16 {
    loop {
        match socket.read() {
            Ok(Message::Close(Some(frame))) => return frame.code.into(),
            Ok(_) => {}
            Err(error) => panic!("no close: {error}"),
        }
    }
}

#[test]
fn a_subscription_has_its_approximations_and_an_end() {
    let service = Service::start("memory:");
    assert!(!service.pi_cached(10));
    let mut socket = greeted(&service);
    say(&mut socket, &json!({"type": "ping"}));
    assert_eq!(hear(&mut socket), json!({"type": "pong"}));
    say(&mut socket, &subscribe("a", CONVERGENCE));
    for (terms, cached) in [(1, false), (10, true), (100, false), (1_000, false)] {
        let next = json!({"data": {"piConvergence": {"terms": terms, "cached": cached}}});
        assert_eq!(hear(&mut socket), json!({"type": "next", "id": "a", "payload": next}));
    }
    assert_eq!(hear(&mut socket), json!({"type": "complete", "id": "a"}));
    assert!(service.pi_cached(100), "it stores as pi does");

    // The id is free again; a query has one response.
    say(&mut socket, &subscribe("a", "{ fib(n: 10) { result } }"));
    let next = json!({"data": {"fib": {"result": "55"}}});
    assert_eq!(hear(&mut socket), json!({"type": "next", "id": "a", "payload": next}));
    assert_eq!(hear(&mut socket), json!({"type": "complete", "id": "a"}));

    say(&mut socket, &subscribe("b", "{ nothing }"));
    let error = hear(&mut socket);
    assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("b")));
    assert_eq!(error["payload"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    for (arguments, told) in [
        ("terms: 0", "terms must be a whole number from 1 to 2147483647, but it is 0"),
        ("terms: 5, points: 1001", "points must be a whole number from 1 to 1000, but it is 1001"),
    ] {
        say(&mut socket, &subscribe("c", &format!("subscription {{ piConvergence({arguments}) {{ terms }} }}")));
        let refused = hear(&mut socket);
        assert_eq!((&refused["type"], &refused["payload"][0]["message"]), (&json!("error"), &json!(told)), "{refused}");
        assert_eq!(refused["payload"][0]["extensions"]["code"], "BAD_USER_INPUT");
    }
    let two = "subscription { a: piConvergence(terms: 1) { terms } b: piConvergence(terms: 1) { terms } }";
    say(&mut socket, &subscribe("d", two));
    assert_eq!(hear(&mut socket)["payload"][0]["message"], "a subscription has one field, but this one has 2");
    let answer = service.query(CONVERGENCE);
    assert_eq!(answer["errors"][0]["extensions"]["code"], "OPERATION_RESOLUTION_FAILURE", "{answer}");
}

#[test]
fn operations_are_reported_as_requests_are() {
    let service = Service::start("memory:");
    let count = |service: &Service, kind: &str| {
        service.metric(&format!(r#"phipi_http_request_duration_seconds_count{{operation="{kind}"}}"#))
    };
    let responses =
        |service: &Service, class: &str| service.metric(&format!(r#"phipi_http_responses_total{{status="{class}"}}"#));
    let mut socket = greeted(&service);
    for (id, document, last) in
        [("a", "{ fib(n: 10) { n } }", "complete"), ("b", CONVERGENCE, "complete"), ("c", "{ no }", "error")]
    {
        say(&mut socket, &subscribe(id, document));
        while hear(&mut socket)["type"] != last {}
    }
    // The handshake is a subscription too.
    for (kind, operations) in [("fib", 1), ("subscription", 2), ("refused", 1)] {
        assert_eq!(count(&service, kind), operations, "{kind}");
    }
    assert_eq!((responses(&service, "2xx"), responses(&service, "4xx")), (3, 1));
}

#[test]
fn many_operations_share_a_socket_and_one_may_be_given_up() {
    let service = Service::start("memory:");
    let mut socket = greeted(&service);
    let long = "subscription { piConvergence(terms: 2147483647, points: 1000) { terms } }";
    for id in ["a", "b"] {
        say(&mut socket, &subscribe(id, long));
    }
    say(&mut socket, &json!({"type": "complete", "id": "a"}));
    let (mut of_a, mut of_b) = (0, 0);
    loop {
        let message = hear(&mut socket);
        match (message["id"].as_str().unwrap(), message["type"].as_str().unwrap()) {
            ("a", "next") => of_a += 1,
            ("b", "next") => of_b += 1,
            ("b", "complete") => break,
            _ => panic!("{message}"),
        }
    }
    assert!(of_a < of_b && of_b > 500, "{of_a} of a, {of_b} of b");
}

#[test]
fn events_tell_each_response_and_the_end() {
    let service = Service::start("memory:");
    let post = |document: &str| {
        let request = client().post(service.url("/graphql")).header("Accept", "text/event-stream");
        let mut response = request.send_json(json!({"query": document})).unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let head = (response.status().as_u16(), header("content-type"), header("cache-control"));
        (head, response.body_mut().read_to_string().unwrap())
    };
    let (head, text) = post("subscription { piConvergence(terms: 10, points: 2) { terms } }");
    assert_eq!(head, (200, "text/event-stream".into(), "no-store".into()));
    assert_eq!(
        text,
        "event: next\ndata: {\"data\":{\"piConvergence\":{\"terms\":1}}}\n\n\
         event: next\ndata: {\"data\":{\"piConvergence\":{\"terms\":10}}}\n\n\
         event: complete\ndata:\n\n"
    );
    let (_, text) = post("{ fib(n: 10) { result } }");
    assert_eq!(text, "event: next\ndata: {\"data\":{\"fib\":{\"result\":\"55\"}}}\n\nevent: complete\ndata:\n\n");
    let batch = client().post(service.url("/graphql")).header("Accept", "text/event-stream").send_json(json!([]));
    assert_eq!(batch.unwrap().status(), 400);
    let one = json!([{"query": "{ __typename }"}]);
    let batch = client().post(service.url("/graphql")).header("Accept", "text/event-stream").send_json(one);
    assert_eq!(batch.unwrap().status(), 406);
}

#[test]
fn hostile_sockets_are_closed_with_their_codes_and_leave_nothing() {
    let service = Service::start("memory:");
    let before_mb = service.memory_mb();
    let closes = |what: &str, messages: &[Message]| {
        let mut socket = greeted(&service);
        for message in messages {
            // The server may have closed before all is sent.
            if socket.send(message.clone()).is_err() {
                break;
            }
        }
        let code = close_code(&mut socket);
        println!("{what:<32}{code}");
        code
    };
    let text = |message: &Value| Message::text(message.to_string());
    assert_eq!(closes("garbage", &[Message::text("garbage")]), 4400);
    assert_eq!(closes("bytes", &[Message::binary(vec![0; 10])]), 4400);
    assert_eq!(closes("an unknown type", &[text(&json!({"type": "start", "id": "1"}))]), 4400);
    assert_eq!(
        closes("a document that is a number", &[text(&json!({"type": "subscribe", "id": "1", "payload": 5}))]),
        4400
    );
    assert_eq!(closes("two inits", &[text(&json!({"type": "connection_init"}))]), 4429);
    let long = "subscription { piConvergence(terms: 2147483647, points: 1000) { terms } }";
    assert_eq!(closes("one id twice", &[text(&subscribe("a", long)), text(&subscribe("a", long))]), 4409);
    let many: Vec<Message> = (0..20_000).map(|id| text(&subscribe(&id.to_string(), long))).collect();
    assert_eq!(closes("20,000 subscribes", &many), 4429);

    let mut early = open(&service);
    say(&mut early, &subscribe("a", CONVERGENCE));
    assert_eq!(close_code(&mut early), 4401);
    let mut other = open_with(&service, "graphql-ws", "http://example.org").unwrap();
    let told = json!({"message": "Subprotocol not acceptable: use graphql-transport-ws"});
    assert_eq!(hear(&mut other), json!({"type": "connection_error", "payload": told}));
    assert_eq!(close_code(&mut other), 4406);

    let level = |k: usize| format!("fragment f{k} on Query {{ ...f{0} ...f{0} }} ", k + 1);
    let bomb: String = (0..28).map(level).collect();
    let mut socket = greeted(&service);
    say(&mut socket, &subscribe("bomb", &format!("{{ ...f0 }} {bomb} fragment f28 on Query {{ __typename }}")));
    assert_eq!(hear(&mut socket)["payload"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX");
    drop((socket, early, other));
    eventually("no socket is open", || service.metric("phipi_http_websockets") == 0);
    eventually("the memory is given back", || service.memory_mb() <= before_mb + 50);
}

#[test]
fn a_socket_that_says_nothing_is_closed() {
    let service = Service::start("memory:");
    let (mut socket, begun) = (open(&service), Instant::now());
    assert_eq!(close_code(&mut socket), 4408);
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[test]
fn a_client_that_answers_no_ping_is_told_so() {
    let service = Service::start("memory:");
    let mut socket = greeted(&service);
    let mut stream = match socket.get_mut() {
        MaybeTlsStream::Plain(stream) => stream.try_clone().unwrap(),
        _ => panic!("a stream with TLS"),
    };
    // Two empty Pings, and a Close.
    let mut heard = [0; 8];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!((&heard[..5], &heard[6..]), (&[0x89, 0, 0x89, 0, 0x88][..], &3008_u16.to_be_bytes()[..]));
}

#[test]
fn pages_of_other_origins_may_be_kept_out() {
    let service = Service::start_with("memory:", &["--cors-origin", "http://example.org"]);
    greeted(&service);
    let refused = open_with(&service, "graphql-transport-ws", "http://elsewhere.example");
    assert!(matches!(refused, Err(tungstenite::Error::Http(response)) if response.status() == StatusCode::FORBIDDEN));
}

#[test]
fn a_drain_says_goodbye_and_completes_nothing() {
    let mut service = Service::start("memory:");
    let mut socket = greeted(&service);
    let long = "subscription { piConvergence(terms: 2147483647, points: 1000) { terms } }";
    for id in 0..20 {
        say(&mut socket, &subscribe(&id.to_string(), long));
    }
    let mut begun = BTreeSet::new();
    while begun.len() < 20 {
        begun.insert(hear(&mut socket)["id"].to_string());
    }
    service.signal(Signal::TERM);
    let mut completed = 0;
    let code = loop {
        match socket.read().unwrap() {
            Message::Text(text) => completed += usize::from(text.contains("\"complete\"")),
            Message::Close(frame) => break frame.unwrap().code,
            _ => {}
        }
    };
    assert_eq!((completed, code), (0, CloseCode::Away));
    assert!(service.exit().success());
}
