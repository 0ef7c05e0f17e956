//! HTTP/1.1 by the letter of RFC 9110 and RFC 9112: raw requests, and the outcome of each.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use crate::service::Service;

/// A section, a situation, a request, and its answers: their statuses, whether the connection stays `open` or is `closed`
/// after them, and perhaps a header of the last one.
///
/// In a request a line's end is CRLF, `␊` is a bare LF and `␍` a bare CR. `<get>` and `<post>` begin a usual request, and
/// `<body>` is one of 24 bytes. At `⏸` the client waits for an answer before it goes on.
type Row = (&'static str, &'static str, &'static str, &'static str);

const REQUEST_LINES: &[Row] = &[
    ("9112 3.2.1", "origin-form", "<get>\n", "200 open"),
    ("9112 3.2.2", "absolute-form", "GET http://other/fib/0 HTTP/1.1\nHost: phipi\n\n", "200 open"),
    ("9112 3.2.3", "authority-form", "CONNECT phipi:80 HTTP/1.1\nHost: phipi:80\n\n", "501 open"),
    ("9112 3.2.4", "asterisk-form", "OPTIONS * HTTP/1.1\nHost: phipi\n\n", "204 open allow: GET,HEAD,OPTIONS,POST"),
    ("9112 3.2.4", "asterisk-form of another method", "GET * HTTP/1.1\nHost: phipi\n\n", "400 open"),
    ("9112 3.2", "a target that begins with no slash", "GET fib/0 HTTP/1.1\nHost: phipi\n\n", "400 closed"),
    ("9112 3", "two spaces", "GET  /fib/0 HTTP/1.1\nHost: phipi\n\n", "400 closed"),
    ("9112 3", "a tab", "GET\t/fib/0 HTTP/1.1\nHost: phipi\n\n", "400 closed"),
    ("9112 3", "a space within the target", "GET /fib/0 0 HTTP/1.1\nHost: phipi\n\n", "400 closed"),
    ("9112 2.2", "an empty line before it", "\n<get>\n", "200 open"),
    ("9112 2.2", "lines that end with LF alone", "GET /fib/0 HTTP/1.1␊Host: phipi␊␊", "200 open"),
    ("9112 2.2", "white space before the first field", "GET /fib/0 HTTP/1.1\n Host: phipi\n\n", "400 closed"),
    ("9112 2.3", "no version, as in HTTP/0.9", "GET /fib/0\n\n", "400 closed"),
    ("9112 2.3", "a version in another case", "GET /fib/0 http/1.1\nHost: phipi\n\n", "400 closed"),
    ("9112 2.3", "a version of another form", "GET /fib/0 HTTP/11\nHost: phipi\n\n", "400 closed"),
    // RFC 9110, section 2.5, would have 1.2 served as 1.1; hyper knows no such version.
    ("9110 2.5", "a minor version that is not there", "GET /fib/0 HTTP/1.2\nHost: phipi\n\n", "400 closed"),
    // 505 would be better; hyper answers all it can't parse with 400.
    ("9110 15.6.6", "another major version", "GET /fib/0 HTTP/3.0\nHost: phipi\n\n", "400 closed"),
    ("9112 3.3", "TLS to a port without", "␍\u{16}\u{3}\u{1}", "400 closed"),
];

const HOSTS: &[Row] = &[
    ("9112 3.2", "no Host", "GET /fib/0 HTTP/1.1\n\n", "400 open"),
    ("9112 3.2", "no Host, in absolute-form", "GET http://phipi/fib/0 HTTP/1.1\n\n", "400 open"),
    ("9112 3.2", "two", "<get>Host: phipi\n\n", "400 open"),
    ("9112 3.2", "two that differ", "<get>Host: other\n\n", "400 open"),
    ("9112 3.2", "two in HTTP/1.0", "GET /fib/0 HTTP/1.0\nHost: phipi\nHost: phipi\n\n", "400 closed"),
    ("9112 3.2", "none in HTTP/1.0", "GET /fib/0 HTTP/1.0\n\n", "200 closed"),
    ("9110 7.2", "an address and a port", "GET /fib/0 HTTP/1.1\nHost: [::1]:8000\n\n", "200 open"),
    ("9110 7.2", "a space", "GET /fib/0 HTTP/1.1\nHost: a b\n\n", "400 open"),
    ("9110 7.2", "a path", "GET /fib/0 HTTP/1.1\nHost: phipi/x\n\n", "400 open"),
    ("9110 7.2", "a port that is none", "GET /fib/0 HTTP/1.1\nHost: phipi:http\n\n", "400 open"),
    ("9110 7.2", "a list", "GET /fib/0 HTTP/1.1\nHost: phipi, other\n\n", "400 open"),
    ("9110 4.2.1", "an empty one", "GET /fib/0 HTTP/1.1\nHost:\n\n", "400 open"),
    ("9110 4.2.4", "a user", "GET /fib/0 HTTP/1.1\nHost: me@phipi\n\n", "400 open"),
    ("9110 4.2.4", "a user in absolute-form", "GET http://me@phipi/fib/0 HTTP/1.1\nHost: phipi\n\n", "400 open"),
];

const FIELDS: &[Row] = &[
    ("9112 5.1", "white space before the colon", "<get>x : y\n\n", "400 closed"),
    ("9112 5.1", "no white space behind it, and some at the end", "<get>x:y \t\n\n", "200 open"),
    ("9112 5.2", "a folded line", "<get>x: y\n z\n\n", "400 closed"),
    ("9110 5.1", "no name", "<get>: y\n\n", "400 closed"),
    ("9110 5.1", "a name that is no token", "<get>x(y): z\n\n", "400 closed"),
    ("9112 5", "no colon", "<get>xyz\n\n", "400 closed"),
    ("9110 5.5", "NUL", "<get>x: \0\n\n", "400 closed"),
    ("9110 5.5", "a bare CR", "<get>x: y␍z\n\n", "400 closed"),
    ("9110 5.5", "bytes beyond ASCII, which are opaque", "<get>x: é\n\n", "200 open"),
    ("9110 5.1", "a field that nobody knows", "<get>x-y: z\n\n", "200 open"),
];

const LENGTHS: &[Row] = &[
    ("9112 6.2", "Content-Length", "<post>Content-Length: 24\n\n<body>", "200 open"),
    ("9112 6.3", "no length: no body", "<post>\n", "400 open"),
    ("9110 8.6", "zeros before it", "<post>Content-Length: 0024\n\n<body>", "200 open"),
    ("9112 6.3", "twice the same", "<post>Content-Length: 24\nContent-Length: 24\n\n<body>", "200 open"),
    ("9112 6.3", "two that differ", "<post>Content-Length: 24\nContent-Length: 3\n\n<body>", "400 closed"),
    ("9112 6.3", "a list", "<post>Content-Length: 24, 24\n\n<body>", "400 closed"),
    ("9110 8.6", "a sign", "<post>Content-Length: +24\n\n<body>", "400 closed"),
    ("9110 8.6", "less than nothing", "<post>Content-Length: -24\n\n<body>", "400 closed"),
    ("9110 8.6", "hexadecimal", "<post>Content-Length: 0x18\n\n<body>", "400 closed"),
    ("9110 8.6", "junk behind it", "<post>Content-Length: 24a\n\n<body>", "400 closed"),
    ("9110 8.6", "a space within", "<post>Content-Length: 2 4\n\n<body>", "400 closed"),
    ("9110 8.6", "nothing", "<post>Content-Length:\n\n<body>", "400 closed"),
    ("9110 8.6", "more than 2^64", "<post>Content-Length: 18446744073709551640\n\n<body>", "400 closed"),
    ("9110 9.3.1", "a body of a GET", "<get>Content-Length: 24\n\n<body>", "200 open"),
];

const TRANSFER_CODINGS: &[Row] = &[
    ("9112 7.1", "chunked", "<post>Transfer-Encoding: chunked\n\n18\n<body>\n0\n\n", "200 open"),
    ("9112 7", "in another case", "<post>Transfer-Encoding: CHUNKED\n\n18\n<body>\n0\n\n", "200 open"),
    ("9112 6.1", "a coding before it", "<post>Transfer-Encoding: gzip, chunked\n\n18\n<body>\n0\n\n", "501 closed"),
    (
        "9112 6.1",
        "a coding before it, in a line of its own",
        "<post>Transfer-Encoding: gzip\nTransfer-Encoding: chunked\n\n18\n<body>\n0\n\n",
        "501 closed",
    ),
    ("9112 6.1", "chunked twice", "<post>Transfer-Encoding: chunked, chunked\n\n18\n<body>\n0\n\n", "501 closed"),
    ("9112 6.3", "a coding after it", "<post>Transfer-Encoding: chunked, gzip\n\n18\n<body>\n0\n\n", "400 closed"),
    ("9112 6.3", "another coding", "<post>Transfer-Encoding: gzip\n\n<body>", "400 closed"),
    ("9112 6.3", "identity", "<post>Transfer-Encoding: identity\nContent-Length: 24\n\n<body>", "400 closed"),
    ("9112 6.3", "a name that ends with chunked", "<post>Transfer-Encoding: xchunked\n\n<body>", "400 closed"),
    ("9112 6.3", "a control character", "<post>Transfer-Encoding: \u{b}chunked\n\n<body>", "400 closed"),
    (
        "9112 6.3",
        "with Content-Length: the coding counts",
        "<post>Content-Length: 3\nTransfer-Encoding: chunked\n\n18\n<body>\n0\n\n",
        "200 closed connection: close",
    ),
    (
        "9112 6.3",
        "with Content-Length after it",
        "<post>Transfer-Encoding: chunked\nContent-Length: 3\n\n18\n<body>\n0\n\n",
        "200 closed connection: close",
    ),
    (
        "9112 6.1",
        "in HTTP/1.0",
        "POST /graphql HTTP/1.0\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n18\n<body>\n0\n\n",
        "400 closed",
    ),
];

/// After `<chunked>` come the chunks.
const CHUNKS: &[Row] = &[
    ("9112 7.1", "two", "<chunked>1\n{\n17\n\"query\":\"{__typename}\"}\n0\n\n", "200 open"),
    ("9112 7.1.1", "an extension", "<chunked>18;a=b\n<body>\n0\n\n", "200 open"),
    ("9112 7.1.2", "a trailer", "<chunked>18\n<body>\n0\nx: y\n\n", "200 open"),
    ("9112 7.1", "no digit", "<chunked>\n<body>\n0\n\n", "400 closed"),
    ("9112 7.1", "a digit that is none", "<chunked>1g\n<body>\n0\n\n", "400 closed"),
    ("9112 7.1", "a sign", "<chunked>+18\n<body>\n0\n\n", "400 closed"),
    ("9112 7.1", "0x", "<chunked>0x18\n<body>\n0\n\n", "400 closed"),
    ("9112 7.1", "more than 2^64", "<chunked>10000000000000018\n<body>\n0\n\n", "400 closed"),
    ("9112 7.1", "more bytes than the size", "<chunked>18\n<body>xx0\n\n", "400 closed"),
    ("9112 7.1", "a size that ends with LF alone", "<chunked>18␊<body>\n0\n\n", "400 closed"),
    ("9112 7.1.1", "an extension with a bare LF", "<chunked>18;a␊b\n<body>\n0\n\n", "400 closed"),
];

const EXPECTATIONS: &[Row] = &[
    (
        "9110 10.1.1",
        "the body is waited for",
        "<post>Content-Length: 24\nExpect: 100-continue\n\n⏸<body>",
        "100 200 open",
    ),
    (
        "9110 10.1.1",
        "a request that is refused by its head",
        "POST /graphql HTTP/1.1\nHost: phipi\nContent-Type: text/plain\nContent-Length: 24\nExpect: 100-continue\n\n",
        "415 closed connection: close",
    ),
    ("9110 10.1.1", "without a body", "<get>Expect: 100-continue\n\n", "200 open"),
    (
        "9110 10.1.1",
        "in HTTP/1.0 it is ignored",
        "POST /graphql HTTP/1.0\nContent-Type: application/json\nContent-Length: 24\nExpect: 100-continue\n\n<body>",
        "200 closed",
    ),
    ("9110 10.1.1", "another one may be ignored", "<post>Content-Length: 24\nExpect: more\n\n<body>", "200 open"),
];

const CONNECTIONS: &[Row] = &[
    ("9112 9.3", "HTTP/1.1 keeps it", "<get>\n", "200 open"),
    ("9112 9.3", "HTTP/1.0 does not", "GET /fib/0 HTTP/1.0\n\n", "200 closed"),
    (
        "9112 9.3",
        "HTTP/1.0 does when asked",
        "GET /fib/0 HTTP/1.0\nConnection: keep-alive\n\n",
        "200 open connection: keep-alive",
    ),
    ("9112 9.6", "close", "<get>Connection: close\n\n", "200 closed connection: close"),
    ("9112 9.6", "close among others, in any case", "<get>Connection: x, CLOSE\n\n", "200 closed connection: close"),
    ("9112 9.3.2", "requests in a row", "<get>\n<get>\n<get>\n", "200 200 200 open"),
    ("9112 9.3.2", "requests in a row, with bodies", "<post>Content-Length: 24\n\n<body><get>\n", "200 200 open"),
    ("9112 9.6", "nothing after close", "<get>Connection: close\n\n<get>\n", "200 closed"),
    ("9110 7.8", "an upgrade to what is not there", "<get>Connection: Upgrade\nUpgrade: h2c\n\n", "200 open"),
];

const METHODS: &[Row] = &[
    ("9110 9.3.2", "HEAD", "HEAD /fib/0 HTTP/1.1\nHost: phipi\n\n", "200 open content-length: 26"),
    (
        "9110 9.3.2",
        "HEAD of GraphQL",
        "HEAD /graphql?query=%7B__typename%7D HTTP/1.1\nHost: phipi\n\n",
        "200 open content-length: 31",
    ),
    ("9110 9.3.2", "HEAD of what is not there", "HEAD /nothing HTTP/1.1\nHost: phipi\n\n", "404 open"),
    ("9110 9.3.7", "OPTIONS", "OPTIONS /fib/0 HTTP/1.1\nHost: phipi\n\n", "204 open allow: GET,HEAD,OPTIONS"),
    (
        "9110 9.3.7",
        "OPTIONS of GraphQL",
        "OPTIONS /graphql HTTP/1.1\nHost: phipi\n\n",
        "204 open allow: GET,HEAD,OPTIONS,POST",
    ),
    ("9110 9.3.7", "OPTIONS of what is not there", "OPTIONS /nothing HTTP/1.1\nHost: phipi\n\n", "404 open"),
    ("9110 15.5.6", "PUT", "PUT /graphql HTTP/1.1\nHost: phipi\n\n", "405 open allow: GET,HEAD,OPTIONS,POST"),
    (
        "9110 15.5.6",
        "POST where there is GET",
        "POST /fib/0 HTTP/1.1\nHost: phipi\nContent-Length: 0\n\n",
        "405 open allow: GET,HEAD,OPTIONS",
    ),
    ("9110 9.1", "a method that nobody knows", "BREW /fib/0 HTTP/1.1\nHost: phipi\n\n", "501 open"),
    ("9110 9.1", "a method in another case", "get /fib/0 HTTP/1.1\nHost: phipi\n\n", "501 open"),
    ("9110 9.3.8", "TRACE", "TRACE / HTTP/1.1\nHost: phipi\n\n", "501 open"),
    ("9110 9.1", "a method that is no token", "G(T /fib/0 HTTP/1.1\nHost: phipi\n\n", "400 closed"),
];

const CONTENT: &[Row] = &[
    (
        "9110 8.3.2",
        "a charset in any case, as some clients name it",
        "POST /graphql HTTP/1.1\nHost: phipi\nContent-Type: application/json; charset=\"UTF8\"\nContent-Length: 24\n\n<body>",
        "200 open",
    ),
    (
        "9110 15.5.16",
        "another charset",
        "POST /graphql HTTP/1.1\nHost: phipi\nContent-Type: application/json; charset=latin1\nContent-Length: 24\n\n<body>",
        "415 open",
    ),
    ("8259 8.1", "a byte order mark", "<post>Content-Length: 27\n\n\u{feff}<body>", "200 open"),
    ("9110 14.2", "a range, which may be ignored", "<get>Range: bytes=0-1\n\n", "200 open"),
];

/// The room for a head.
const HEAD_BYTES: usize = 64 * 1024;

/// Requests that fill or exceed the room for a head.
fn large() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let fill = |start: &str| format!("{start}{}", "a".repeat(HEAD_BYTES - start.len()));
    let fields = |count: usize| (0..count).map(|k| format!("x-{k}: y\n")).collect::<String>();
    vec![
        (
            "9112 3",
            "a target of 8,000 bytes",
            format!("GET /fib/0?{} HTTP/1.1\nHost: phipi\n\n", "a".repeat(8_000)),
            "200 open",
        ),
        ("9110 15.5.15", "a target that is too long", fill("GET /fib/0?"), "414 closed"),
        (
            "6585 5",
            "a field that is too long",
            fill("GET /fib/0 HTTP/1.1\r\nx: ").replace("\r\n", "\n") + "a",
            "431 closed",
        ),
        ("6585 5", "100 fields", format!("<get>{}\n", fields(99)), "200 open"),
        ("6585 5", "101 fields", format!("<get>{}\n", fields(100)), "431 closed"),
    ]
}

/// The bytes of a request.
fn bytes(request: &str) -> Vec<u8> {
    let chunked = "<post>Transfer-Encoding: chunked\n\n";
    let text = request.replace("<chunked>", chunked).replace("<get>", "GET /fib/0 HTTP/1.1\nHost: phipi\n");
    let text = text.replace("<post>", "POST /graphql HTTP/1.1\nHost: phipi\nContent-Type: application/json\n");
    let text = text.replace("<body>", r#"{"query":"{__typename}"}"#);
    text.replace('\n', "\r\n").replace('␊', "\n").replace('␍', "\r").into_bytes()
}

/// Reads an answer: its status and its head; `None` when the connection is closed.
fn answer(stream: &mut impl BufRead, is_head: bool) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            assert_eq!(head, "", "an answer breaks off");
            return None;
        }
    }
    let status = head.split(' ').nth(1).unwrap().to_owned();
    if !is_head && !status.starts_with('1') && status != "204" {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.unwrap_or_else(|| panic!("no length: {head}")).parse().unwrap();
        stream.read_exact(&mut vec![0; length]).unwrap();
    }
    Some((status, head))
}

/// The outcome of a request, in the words of a [`Row`], and the last head.
fn outcome(service: &Service, request: &str) -> (String, String) {
    let mut writer = service.connect();
    let mut reader = BufReader::new(writer.try_clone().unwrap());
    let (mut said, mut last, is_head) = (String::new(), String::new(), request.starts_with("HEAD"));
    let mut parts = request.split('⏸').peekable();
    while let Some(part) = parts.next() {
        writer.write_all(&bytes(part)).unwrap();
        if parts.peek().is_some() {
            said += &answer(&mut reader, is_head).expect("an answer before the rest").0;
            said.push(' ');
        }
    }
    // One more request shows whether the connection is open: a server that has closed it does not take it.
    let _ = writer.write_all(b"GET /last HTTP/1.1\r\nHost: phipi\r\nConnection: close\r\nx-last: 1\r\n\r\n");
    loop {
        match answer(&mut reader, is_head && last.is_empty()) {
            Some((status, head)) if status == "404" && head.contains("connection: close") => {
                return (said + "open", last);
            }
            Some((status, head)) => {
                said += &(status + " ");
                last = head;
            }
            None => return (said + "closed", last),
        }
    }
}

/// The difference between the outcome of a request and its row, if there is one.
fn failure(service: &Service, (section, why, request, expected): (&str, &str, &str, &str)) -> Option<String> {
    let (outcome, head) = outcome(service, request);
    let header = expected.strip_prefix(&outcome).map(str::trim);
    let is_met = header.is_some_and(|header| header.is_empty() || head.lines().any(|line| line == header));
    (!is_met).then(|| format!("RFC {section}, {why}: {outcome}, and not {expected}; {head}"))
}

#[test]
fn every_request_gets_what_its_section_says() {
    let service = Service::start("memory:");
    let tables =
        [REQUEST_LINES, HOSTS, FIELDS, LENGTHS, TRANSFER_CODINGS, CHUNKS, EXPECTATIONS, CONNECTIONS, METHODS, CONTENT];
    let rows = tables.into_iter().flatten().copied();
    let mut failures: Vec<String> = rows.filter_map(|row| failure(&service, row)).collect();
    failures.extend(
        large()
            .iter()
            .filter_map(|(section, why, request, expected)| failure(&service, (section, why, request, expected))),
    );
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_page_of_a_name_that_leads_here_can_not_read_the_admin_listener() {
    let service = Service::start("memory:");
    let admin = service.admin_url("");
    let address = admin.trim_start_matches("http://");
    let send = |request: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let ask = |host: &str| send(&format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    for host in [address, "127.0.0.1", "localhost:9", "LOCALHOST", "phipi.localhost", "[::1]:9", "10.1.2.3"] {
        assert_eq!(ask(host), "200", "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:9", "phipi", "127.0.0.1.evil.example"] {
        assert_eq!(ask(host), "421", "{host}");
    }
    assert_eq!(ask("a b"), "400");
    assert_eq!(send("GET /readyz HTTP/1.0\r\n\r\n"), "200", "a probe that names no host");
}
