//! The cases of RFC 6455 as frames in and frames out, by a client of plain TCP. They follow the sections of Autobahn's
//! test suite, which wants an echo: here a `ping` of graphql-transport-ws is answered with `pong`, and an operation with
//! messages that repeat its identifier.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    attackers::{message, upgrade},
    service::{Service, client, eventually},
};

const CONTINUATION: u8 = 0x80;
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;

/// The bit of the first byte that a frame lacks when more of its message follows.
const FINAL: u8 = 0x80;

/// The mask of the examples in section 5.7.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The longest message.
const MESSAGE_BYTES: usize = 1024 * 1024;

/// A frame as a client has to send it.
fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = message(first, payload);
    let start = frame.len() - payload.len();
    frame[start - 4..start].copy_from_slice(&MASK);
    frame[start..].iter_mut().zip(MASK.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    frame
}

/// A message in fragments of one frame each.
fn fragments<T: AsRef<[u8]>>(opcode: u8, pieces: &[T]) -> Vec<u8> {
    let last = pieces.len() - 1;
    let first = |k: usize| (if k == 0 { opcode } else { CONTINUATION } & !FINAL) | if k == last { FINAL } else { 0 };
    pieces.iter().enumerate().flat_map(|(k, piece)| frame(first(k), piece)).collect()
}

/// A frame that closes the socket with a code.
fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
}

/// The text of a `ping`, with spaces to this length.
fn padded(length: usize) -> String {
    let text = r#"{"type":"ping"}"#;
    format!("{text}{}", " ".repeat(length.saturating_sub(text.len())))
}

fn ping() -> Vec<u8> {
    frame(TEXT, padded(0))
}

/// The text of an operation with this identifier.
fn operation(id: impl AsRef<[u8]>) -> Vec<u8> {
    let rest = br#"","type":"subscribe","payload":{"query":"{__typename}"}}"#;
    [br#"{"id":""#, id.as_ref(), rest].concat()
}

/// A socket whose client sends any bytes.
struct Socket(TcpStream);

impl Socket {
    fn open(service: &Service) -> Self {
        let mut stream = service.connect();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&upgrade()).unwrap();
        let head = head(&mut stream);
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        Self(stream)
    }

    fn greeted(service: &Service) -> Self {
        let mut socket = Self::open(service);
        socket.send(&frame(TEXT, r#"{"type":"connection_init"}"#), usize::MAX);
        assert_eq!(socket.hear(), "connection_ack");
        socket
    }

    /// Sends bytes in pieces of this length. A server that has closed may not take them all.
    fn send(&mut self, bytes: &[u8], piece: usize) {
        let _ = bytes.chunks(piece).try_for_each(|piece| self.0.write_all(piece));
    }

    /// The next frame of the server, in words: a message by its type and identifier, a Pong with its payload in
    /// hexadecimal, a Close with its code and reason.
    fn hear(&mut self) -> String {
        let [first, length] = read(&mut self.0);
        let length = match length {
            126 => usize::from(u16::from_be_bytes(read(&mut self.0))),
            short @ ..126 => usize::from(short),
            _ => panic!("a frame of the server with length {length}, which has a mask or is long"),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).unwrap();
        match first {
            TEXT => {
                let message: Value = serde_json::from_slice(&payload).unwrap();
                let [kind, id] = ["type", "id"].map(|name| message[name].as_str().unwrap_or_default());
                format!("{kind} {id}").trim_end().to_owned()
            }
            PONG => payload.iter().fold("PONG ".to_owned(), |told, byte| format!("{told}{byte:02x}")),
            CLOSE if payload.is_empty() => "CLOSE".to_owned(),
            CLOSE => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                format!("CLOSE {code} {}", std::str::from_utf8(&payload[2..]).unwrap())
            }
            _ => panic!("a frame of the server that begins with {first:#x}"),
        }
    }

    /// Hears these frames, each by its beginning, and closes the socket if the last of them has not.
    fn expect(mut self, expected: &[String]) {
        for expected in expected {
            let heard = self.hear();
            assert!(heard.starts_with(expected), "{heard:?} in place of {expected:?}");
        }
        let is_closed = expected.last().is_some_and(|last| last.starts_with("CLOSE"));
        self.send(&close(1000, "done"), usize::MAX);
        if !is_closed {
            assert_eq!(self.hear(), "CLOSE 1000 done");
        }
        self.expect_end();
    }

    /// The server ends the connection, and does not reset it.
    fn expect_end(mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"", "there is nothing after a Close");
    }
}

fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// The head of a response, in lower case.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(read::<1>(stream)[0]);
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// The bytes of a client, and the beginnings of the frames that it gets.
struct Case {
    name: String,
    sent: Vec<u8>,
    expected: Vec<String>,
}

fn case<T: ToString>(name: impl Into<String>, sent: impl Into<Vec<u8>>, expected: impl IntoIterator<Item = T>) -> Case {
    let expected = expected.into_iter().map(|frame| frame.to_string()).collect();
    Case { name: name.into(), sent: sent.into(), expected }
}

/// Holds phipi against cases, whose bytes come at once, and one by one. (The long ones come in 500 pieces.)
fn hold(cases: impl IntoIterator<Item = Case>) {
    let service = Service::start("memory:");
    let mut count = 0;
    for Case { name, sent, expected } in cases {
        for piece in [sent.len().max(1), sent.len().div_ceil(500).max(1)] {
            println!("{name}, in pieces of {piece}");
            let mut socket = Socket::greeted(&service);
            socket.send(&sent, piece);
            socket.expect(&expected);
        }
        count += 1;
    }
    println!("{count} cases");
    eventually("no socket is open", || service.metric("phipi_http_websockets") == 0);
}

#[test]
fn frames_have_any_length_that_the_protocol_and_the_server_allow() {
    let lengths = [15, 124, 125, 126, 127, 128, 65_535, 65_536, MESSAGE_BYTES];
    let allowed = lengths.map(|length| case(format!("{length} bytes"), frame(TEXT, padded(length)), ["pong"]));
    let too_long = padded(MESSAGE_BYTES + 1);
    let (most, more) = too_long.split_at(MESSAGE_BYTES);
    let other = [
        case("nothing", frame(TEXT, ""), ["CLOSE 4400"]),
        case("a byte too much", frame(TEXT, &too_long), ["CLOSE 1009"]),
        case("a byte too much, in fragments", fragments(TEXT, &[most, more]), ["CLOSE 1009"]),
        case("a byte too much, behind a message", [ping(), frame(TEXT, &too_long)].concat(), ["pong", "CLOSE 1009"]),
    ];
    hold(allowed.into_iter().chain(other));
}

#[test]
fn lengths_are_as_short_as_they_can_be() {
    let service = Service::start("memory:");
    for (length, code) in [
        // The longest of all, and one with the highest bit.
        (&[0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255][..], 1009),
        (&[0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], 1002),
        // Two bytes for a length that takes none, and eight for one that takes two.
        (&[0xfe, 0, 125], 1002),
        (&[0xff, 0, 0, 0, 0, 0, 0, 255, 255], 1002),
    ] {
        let mut socket = Socket::greeted(&service);
        socket.send(&[&[TEXT], length, &MASK].concat(), 1);
        assert!(socket.hear().starts_with(&format!("CLOSE {code}")), "{length:?}");
        // The server finds no Close behind such a frame.
        socket.0.shutdown(Shutdown::Write).unwrap();
        socket.expect_end();
    }
}

#[test]
fn frames_are_those_of_a_client_without_extensions() {
    let bits = [0x40, 0x20, 0x10, 0x70].into_iter().flat_map(|bits| {
        [TEXT, PING, CLOSE]
            .map(|first| case(format!("reserved bits {bits:#x}"), frame(first | bits, ""), ["CLOSE 1002"]))
    });
    let opcodes = (3..8).chain(11..16).flat_map(|opcode| {
        ["", "x"].map(|payload| {
            let sent = [ping(), frame(FINAL | opcode, payload)].concat();
            case(format!("opcode {opcode}"), sent, ["pong", "CLOSE 1002"])
        })
    });
    let unmasked = [TEXT, PING, CLOSE].map(|first| case("no mask", [first, 0], ["CLOSE 1002"]));
    let bytes = [case("a binary message", frame(BINARY, padded(0)), ["CLOSE 4400"])];
    hold(bits.chain(opcodes).chain(unmasked).chain(bytes));
}

#[test]
fn messages_come_in_fragments() {
    let text = padded(0);
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    let (head, rest) = text.split_at(7);
    let (begun, ended) = (frame(TEXT & !FINAL, head), frame(CONTINUATION, rest));
    let between = |control: Vec<u8>| [&begun[..], &control, &ended].concat();
    let after_begun = |second: Vec<u8>| [&begun[..], &second].concat();
    hold([
        case("two fragments", fragments(TEXT, &[head, rest]), ["pong"]),
        case("a byte each", fragments(TEXT, &bytes), ["pong"]),
        case("empty ones", fragments(TEXT, &["", head, "", "", rest, ""]), ["pong"]),
        case("nothing in three", fragments(TEXT, &["", "", ""]), ["CLOSE 4400"]),
        case("a Ping between", between(frame(PING, "a")), ["PONG 61", "pong"]),
        case("Pings between", between([frame(PING, "a"), frame(PING, "b")].concat()), ["PONG 61", "PONG 62", "pong"]),
        case("a Pong between", between(frame(PONG, "a")), ["pong"]),
        case("a Close between", between(close(1000, "")), ["CLOSE 1000"]),
        case("a continuation of nothing", frame(CONTINUATION, &text), ["CLOSE 1002"]),
        case("one with more to come", frame(CONTINUATION & !FINAL, &text), ["CLOSE 1002"]),
        case("one behind a message", [ping(), frame(CONTINUATION, "")].concat(), ["pong", "CLOSE 1002"]),
        case("a text within a text", after_begun(ping()), ["CLOSE 1002"]),
        case("bytes within a text", after_begun(frame(BINARY, rest)), ["CLOSE 1002"]),
        case("a beginning within a text", after_begun(frame(TEXT & !FINAL, rest)), ["CLOSE 1002"]),
        case("a Ping in fragments", fragments(PING, &["a", "b"]), ["CLOSE 1002"]),
        case("a Pong in fragments", fragments(PONG, &["a", "b"]), ["CLOSE 1002"]),
        case("a Close in fragments", fragments(CLOSE, &["\x03\u{0}", "b"]), ["CLOSE 1002"]),
    ]);
}

#[test]
fn pings_are_answered_with_their_payload() {
    let answered = [0, 1, 8, 124, 125].map(|length| {
        let payload = [0xfe].repeat(length);
        case(format!("{length} bytes"), frame(PING, &payload), [format!("PONG {}", "fe".repeat(length))])
    });
    let ten: Vec<u8> = (0..10).flat_map(|k| frame(PING, [k])).collect();
    let pongs: Vec<_> = (0..10).map(|k| format!("PONG {k:02x}")).collect();
    let other = [
        case("ten Pings", ten, pongs),
        case("a Ping too long", frame(PING, [b'x'; 126]), ["CLOSE 1002"]),
        case("a Pong too long", frame(PONG, [b'x'; 126]), ["CLOSE 1002"]),
        case("Pongs that nobody asked for", [frame(PONG, ""), frame(PONG, "a"), ping()].concat(), ["pong"]),
        case("a Ping behind a Close", [close(1000, ""), frame(PING, "a")].concat(), ["CLOSE 1000"]),
    ];
    hold(answered.into_iter().chain(other));
}

/// Section 6 of Autobahn's test suite: characters of all lengths, the first and last of each, and non-characters.
const UTF8: [&str; 12] = [
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "\u{7f}",
    "\u{80}",
    "\u{7ff}",
    "\u{800}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
];

/// Continuations without a start, starts without their continuations, bytes that are never used, surrogates, overlong
/// forms, and code points above the last character.
const NOT_UTF8: [&[u8]; 28] = [
    b"\x80",
    b"\xbf",
    b"\x80\xbf",
    b"\x80\xbf\x80\xbf\x80\xbf\x80\xbe",
    b"\xc2",
    b"\xce\xba\xe1\xbd",
    b"\xc2\x20",
    b"\xe0\x80\x20",
    b"\xe1\xbd",
    b"\xf0\x90\x80",
    b"\xf0\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xfe\xfe\xff\xff",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xf4\x90\x80\x80",
    b"\xf7\xbf\xbf\xbf",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
];

#[test]
fn texts_are_utf8_however_they_are_cut() {
    let valid = UTF8.into_iter().flat_map(|id| {
        let (text, heard) = (operation(id), ["next", "complete"].map(|kind| format!("{kind} {id}")));
        let pieces: Vec<&[u8]> = text.chunks(1).collect();
        [frame(TEXT, &text), fragments(TEXT, &pieces)].map(|sent| case(format!("{id:?}"), sent, heard.clone()))
    });
    let invalid = NOT_UTF8.into_iter().flat_map(|bytes| {
        let text = operation(bytes);
        let pieces: Vec<&[u8]> = text.chunks(1).collect();
        let sent = [frame(TEXT, &text), fragments(TEXT, &pieces), close(1000, bytes)];
        sent.map(|sent| case(format!("{bytes:02x?}"), sent, ["CLOSE 1007"]))
    });
    let begun = [
        case("told before the message ends", frame(TEXT & !FINAL, b"\xff"), ["CLOSE 1007"]),
        case("an end within a character", fragments(TEXT, &[&b"\xce"[..], b""]), ["CLOSE 1007"]),
        case("the end of a character", [frame(TEXT & !FINAL, b"\xf4"), frame(0, b"\x90")].concat(), ["CLOSE 1007"]),
    ];
    hold(valid.chain(invalid).chain(begun));
}

#[test]
fn a_close_is_answered_with_its_code() {
    /// Those of the RFC, those that were registered since, those of libraries and of applications. (1014 came later.)
    const VALID: [RangeInclusive<u16>; 3] = [1000..=1003, 1007..=1013, 3000..=3001];
    /// Those that are never sent, and those that nobody has given a meaning.
    const INVALID: [u16; 13] = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 6000, 65_535];
    let valid = VALID.into_iter().flatten().chain([3999, 4000, 4999]).flat_map(|code| {
        ["", "bye", "κόσμε"]
            .map(|reason| case(code.to_string(), close(code, reason), [format!("CLOSE {code} {reason}")]))
    });
    let invalid = INVALID.map(|code| case(code.to_string(), close(code, ""), ["CLOSE 1002"]));
    let longest = "x".repeat(123);
    let other = [
        case("the longest reason", close(1000, &longest), [format!("CLOSE 1000 {longest}")]),
        case("a reason too long", close(1000, [b'x'; 124]), ["CLOSE 1002"]),
        case("half a code", frame(CLOSE, "\x03"), ["CLOSE 1002"]),
        case("no code", frame(CLOSE, ""), ["CLOSE"]),
        case("two Closes", [close(1000, ""), close(4000, "")].concat(), ["CLOSE 1000"]),
        case("a message behind it", [close(3000, ""), ping()].concat(), ["CLOSE 3000"]),
        case("much behind it", [close(3000, ""), vec![0; 300_000]].concat(), ["CLOSE 3000"]),
        case("a message before it", [ping(), close(4000, "")].concat(), ["pong", "CLOSE 4000"]),
    ];
    hold(valid.chain(invalid).chain(other));
}

#[test]
fn who_breaks_the_protocol_is_told_however_much_comes_after() {
    let much = frame(TEXT, padded(MESSAGE_BYTES)).repeat(8);
    let announced = 30 * MESSAGE_BYTES;
    let sent = [ping(), frame(TEXT, vec![b' '; announced])].concat();
    hold([
        case("messages behind a wrong one", [frame(TEXT, "[]"), much.clone()].concat(), ["CLOSE 4400"]),
        case("messages behind a reserved bit", [frame(0xC1, "x"), much.clone()].concat(), ["CLOSE 1002"]),
        case("messages behind what is no text", [frame(TEXT, b"\xff"), much].concat(), ["CLOSE 1007"]),
        case("a message of 30 MiB", sent, ["pong", "CLOSE 1009"]),
    ]);
}

#[test]
fn messages_are_those_of_the_subprotocol() {
    let wrong = [
        json!([]),
        json!(["ping"]),
        json!(["complete", "1"]),
        json!({}),
        json!({"type": "pong", "payload": "x"}),
        json!({"type": "ping", "payload": [1]}),
        json!({"type": "next", "id": "1", "payload": {}}),
        json!({"type": "connection_ack"}),
        json!({"type": "subscribe", "id": "", "payload": {"query": "{__typename}"}}),
        json!({"type": "subscribe", "id": 1, "payload": {"query": "{__typename}"}}),
        json!({"type": "subscribe", "id": "1", "payload": {}}),
        json!({"type": "subscribe", "id": "1", "payload": {"query": "{__typename}", "variables": []}}),
        json!({"type": "complete", "id": ""}),
    ];
    let wrong = wrong.map(|message| case(message.to_string(), frame(TEXT, message.to_string()), ["CLOSE 4400"]));
    let long = json!({
        "type": "subscribe", "id": "1", "payload": {"query": "subscription { piConvergence(terms: 2147483647, points: 1000) { terms } }"},
    });
    let other = [
        case("a ping with details", frame(TEXT, r#"{"payload":{"a":[1]},"type":"ping"}"#), ["pong"]),
        case("the end of nothing", [frame(TEXT, r#"{"type":"complete","id":"1"}"#), ping()].concat(), ["pong"]),
        case("a second greeting", frame(TEXT, r#"{"type":"connection_init"}"#), ["CLOSE 4429"]),
    ];
    hold(wrong.into_iter().chain(other));

    let service = Service::start("memory:");
    let mut socket = Socket::greeted(&service);
    let twice = frame(TEXT, long.to_string()).repeat(2);
    socket.send(&twice, usize::MAX);
    while !socket.hear().starts_with("CLOSE 4409 ") {}
    let mut socket = Socket::open(&service);
    socket.send(&frame(TEXT, operation("1")), usize::MAX);
    socket.expect(&["CLOSE 4401".into()]);
}

#[test]
fn a_server_waits_for_the_close_of_its_client_and_not_for_long() {
    let service = Service::start("memory:");
    let mut socket = Socket::greeted(&service);
    socket.send(&frame(TEXT, "[]"), usize::MAX);
    assert!(socket.hear().starts_with("CLOSE 4400"));
    let begun = Instant::now();
    let mut half = socket.0.try_clone().unwrap();
    socket.expect_end();
    assert!(begun.elapsed() >= Duration::from_secs(1), "it waits: {:?}", begun.elapsed());
    // The write fails as soon as the server has done with the connection.
    eventually("the connection is over", || half.write_all(&ping()).is_err());
    eventually("no socket is open", || service.metric("phipi_http_websockets") == 0);
}

#[test]
fn a_connection_that_ends_without_a_close_is_no_breach_of_the_protocol() {
    let service = Service::start("memory:");
    for sent in [vec![], frame(TEXT & !FINAL, "{"), vec![TEXT]] {
        let mut socket = Socket::greeted(&service);
        socket.send(&sent, usize::MAX);
        socket.0.shutdown(Shutdown::Write).unwrap();
        socket.expect_end();
    }
    drop(Socket::greeted(&service));
    eventually("no socket is open", || service.metric("phipi_http_websockets") == 0);
    let mut metrics = client().get(service.admin_url("/metrics")).call().unwrap();
    let metrics = metrics.body_mut().read_to_string().unwrap();
    let mut closes = metrics.lines().filter(|line| line.starts_with("phipi_http_websockets_closed_total{"));
    assert!(closes.all(|line| line.ends_with(" 0")), "a Close was sent: {metrics}");
}

/// The head of the response to an upgrade that has this first line, and these headers in place of some of the usual ones.
/// A header without a value is left out.
fn shake(service: &Service, line: &str, others: &str) -> String {
    let address = service.address();
    let usual = [
        format!("Host: {address}"),
        "Connection: Upgrade".into(),
        "Upgrade: websocket".into(),
        "Sec-WebSocket-Version: 13".into(),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".into(),
        "Sec-WebSocket-Protocol: graphql-transport-ws".into(),
    ];
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let others: Vec<&str> = others.lines().collect();
    let kept = usual.iter().map(String::as_str).filter(|line| others.iter().all(|other| name(other) != name(line)));
    let given = others.iter().copied().filter(|line| !line.ends_with(':'));
    let headers: String = kept.chain(given).map(|line| format!("{line}\r\n")).collect();
    let mut stream = service.connect();
    write!(stream, "{line}\r\n{headers}\r\n").unwrap();
    head(&mut stream)
}

#[test]
fn handshakes_are_those_of_section_4() {
    let service = Service::start("memory:");
    let get = "GET /graphql HTTP/1.1";
    // (the first line, headers, the status, and another part of the head)
    let accept = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n";
    let version = "sec-websocket-version: 13\r\n";
    let cases = [
        (get, "", 101, accept),
        (get, "", 101, "upgrade: websocket\r\n"),
        (get, "", 101, "sec-websocket-protocol: graphql-transport-ws\r\n"),
        (get, "UPGRADE: WebSocket\nCONNECTION: upgrade", 101, accept),
        (get, "Upgrade: h2c, websocket\nConnection: keep-alive, Upgrade", 101, accept),
        (get, "Upgrade: h2c\nUpgrade: websocket\nConnection: keep-alive\nConnection: Upgrade", 101, accept),
        (get, "Sec-WebSocket-Protocol: a, graphql-ws ,graphql-transport-ws", 101, "protocol: graphql-transport-ws\r\n"),
        (get, "Sec-WebSocket-Protocol: a\nSec-WebSocket-Protocol: graphql-transport-ws", 101, accept),
        (get, "Sec-WebSocket-Protocol: graphql-ws", 101, "sec-websocket-protocol: graphql-ws\r\n"),
        (get, "Sec-WebSocket-Protocol: GraphQL-WS, GraphQL-Transport-WS", 400, ""),
        (get, "Sec-WebSocket-Protocol: mqtt", 400, ""),
        (get, "Sec-WebSocket-Protocol:", 400, ""),
        (get, "Sec-WebSocket-Version: 8", 426, version),
        (get, "Sec-WebSocket-Version: 8", 426, "upgrade: websocket\r\n"),
        (get, "Sec-WebSocket-Version: 14", 426, version),
        (get, "Sec-WebSocket-Version: 13\nSec-WebSocket-Version: 8", 426, version),
        (get, "Sec-WebSocket-Version:", 426, version),
        (get, "Sec-WebSocket-Key:", 400, ""),
        (get, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", 400, ""),
        (get, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ======", 400, ""),
        (get, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==", 400, ""),
        (get, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==", 400, ""),
        (get, "Connection: keep-alive", 400, ""),
        // Bytes of a body would be taken for frames (RFC 9110, section 7.8).
        (get, "Content-Length: 11", 400, "connection: close"),
        (get, "Transfer-Encoding: chunked", 400, "connection: close"),
        (get, "Upgrade: h2c", 400, ""),
        ("GET /graphql HTTP/1.0", "", 400, ""),
        ("GET /fib/1 HTTP/1.1", "", 200, ""),
        ("POST /graphql HTTP/1.1", "", 415, ""),
        ("DELETE /graphql HTTP/1.1", "", 405, ""),
    ];
    for (line, headers, status, holds) in cases {
        let head = shake(&service, line, headers);
        assert_eq!(head.split(' ').nth(1), Some(&*status.to_string()), "{line} {headers:?}: {head}");
        assert!(head.contains(holds), "{line} {headers:?}: {head}");
    }
    let offered = shake(&service, get, "Sec-WebSocket-Extensions: permessage-deflate");
    assert!(offered.contains(" 101 ") && !offered.contains("extensions"), "{offered}");
}

#[test]
fn the_own_pages_may_call_though_other_origins_are_named() {
    let service = Service::start_with("memory:", &["--cors-origin", "https://example.org"]);
    let host = service.address();
    for (origin, host, status) in [
        ("https://example.org".to_owned(), host.to_string(), 101),
        (format!("http://{host}"), host.to_string(), 101),
        (format!("https://{host}"), host.to_string(), 101),
        ("https://Own.example".into(), "own.example".into(), 101),
        ("https://own.example:8443".into(), "own.example".into(), 403),
        ("http://example.org".into(), host.to_string(), 403),
        (format!("http://{host}.example"), host.to_string(), 403),
        (format!("ftp://{host}"), host.to_string(), 403),
        ("null".into(), host.to_string(), 403),
    ] {
        let head = shake(&service, "GET /graphql HTTP/1.1", &format!("Host: {host}\nOrigin: {origin}"));
        assert_eq!(head.split(' ').nth(1), Some(&*status.to_string()), "{origin} at {host}: {head}");
    }
}
