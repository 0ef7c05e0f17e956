//! The contract with HTTP clients: GET and POST of GraphQL, REST, pages, CORS.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::{
    oracle::fibonacci,
    service::{Service, client, get, getting},
};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn graphql_by_get() {
    let service = Service::start("memory:");
    let answer = client()
        .get(service.url("/graphql"))
        .query("query", "query A($n: Int!) { fib(n: $n) { result } } query B { pi(terms: 0) { result } }")
        .query("operationName", "A")
        .query("variables", r#"{"n": 10}"#)
        .call();
    assert_eq!(answer.unwrap().body_mut().read_json::<Value>().unwrap(), json!({"data": {"fib": {"result": "55"}}}));

    for parameters in ["", "?quary={__typename}", "?query={__typename}&variables=[", "?query={__typename}&variables=5"]
    {
        let (status, body) = get(&service.url(&format!("/graphql{parameters}")));
        assert_eq!(status, 400, "{parameters}");
        assert_eq!(json(&body)["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{parameters}: {body}");
    }
    for name in ["query", "operationName", "variables", "extensions"] {
        let (status, body) = get(&service.url(&format!("/graphql?query={{__typename}}&{name}=a&{name}=b")));
        let message = format!("the parameter {name} is given twice");
        assert_eq!((status, &json(&body)["errors"][0]["message"]), (400, &message.into()));
    }
}

#[test]
fn rest_answers_in_json_and_in_plain_text() {
    let service = Service::start("memory:");
    let answer = |path: &str| get(&service.url(path));
    assert_eq!(answer("/fib/10"), (200, r#"{"cached":false,"result":55}"#.to_owned()));
    assert_eq!(answer("/fib/10"), (200, r#"{"cached":true,"result":55}"#.to_owned()));
    assert_eq!(answer("/fib/0"), (200, r#"{"cached":true,"result":0}"#.to_owned()));
    assert_eq!(answer("/fib/30000").1, format!(r#"{{"cached":false,"result":{}}}"#, fibonacci(30_000)));
    assert_eq!(answer("/pi/0"), (200, r#"{"cached":false,"result":0}"#.to_owned()));
    assert_eq!(answer("/pi/1000"), (200, r#"{"cached":false,"result":3.1406380562059932}"#.to_owned()));
    assert!(service.fib_cached(29_999) && service.pi_cached(1_000), "REST and GraphQL share the cache");

    let text = |path: &str| {
        let mut response = client().get(service.url(path)).header("Accept", "text/plain").call().unwrap();
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        assert_eq!(body.len(), length);
        body
    };
    assert_eq!(text("/fib/400000"), fibonacci(400_000), "more than one piece of the stream");
    assert_eq!(text("/pi/1000"), "3.1406380562059932");
}

#[test]
fn rest_errors_are_problem_details() {
    let service = Service::start("memory:");
    let rows = [
        ("/fib/-1", 400, "BAD_USER_INPUT", "n must be a whole number from 0 to 10000000, but it is -1"),
        ("/fib/10000001", 400, "BAD_USER_INPUT", "n must be a whole number from 0 to 10000000, but it is 10000001"),
        ("/fib?from=%FF", 400, "BAD_REQUEST", "the query of the URL is not UTF-8"),
        ("/fib/ten", 400, "BAD_USER_INPUT", "n must be a whole number from 0 to 10000000, but it is \"ten\""),
        ("/pi/5.0", 400, "BAD_USER_INPUT", "terms must be a whole number from 0 to 2147483647, but it is \"5.0\""),
        (
            "/pi/2147483648",
            400,
            "BAD_USER_INPUT",
            "terms must be a whole number from 0 to 2147483647, but it is 2147483648",
        ),
        (
            "/fibs",
            404,
            "BAD_REQUEST",
            "there is no /fibs here; there are /graphql, /fib/N, /fib, /pi/TERMS, /pi/digits and /schema.graphql",
        ),
    ];
    for (path, status, code, detail) in rows {
        let mut response = client().get(service.url(path)).call().unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        let problem: Value = response.body_mut().read_json().unwrap();
        assert_eq!((&problem["code"], &problem["detail"]), (&json!(code), &json!(detail)), "{path}");
        assert_eq!(problem["status"], status, "{path}");
    }
    assert!(get(&service.url(&format!("/fib/{}", "9".repeat(5_000)))).1.len() < 500, "long input is not sent back");
}

#[test]
fn wrong_methods_media_types_and_sizes_are_refused() {
    let service = Service::start("memory:");
    let mut response = client().put(service.url("/graphql")).send("").unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET,HEAD,OPTIONS,POST");
    assert_eq!(response.body_mut().read_json::<Value>().unwrap()["errors"][0]["extensions"]["code"], "BAD_REQUEST");

    for (url, methods) in [(service.url("/fib/5"), "GET,HEAD,OPTIONS"), (service.admin_url("/metrics"), "GET,HEAD")] {
        let mut response = client().post(&url).send("").unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["allow"]),
            (405, &methods.parse().unwrap()),
            "{url}"
        );
        assert_eq!(response.body_mut().read_json::<Value>().unwrap()["code"], "BAD_REQUEST", "{url}");
    }

    let document = r#"{"query": "{ __typename }"}"#;
    let post = |media_type: &str, body: &str| {
        client().post(service.url("/graphql")).header("Content-Type", media_type).send(body).unwrap()
    };
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        assert_eq!(post(media_type, document).status(), 415, "{media_type}");
    }
    assert_eq!(post("application/json; charset=utf-8", document).status(), 200);
}

#[test]
fn a_client_that_writes_all_before_it_reads_sees_why_it_is_refused() {
    let service = Service::start("memory:");
    let rows = [
        ("POST /graphql HTTP/1.1\r\nContent-Type: text/plain", 415),
        ("POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nAccept: image/png", 406),
        ("POST /graphql HTTP/1.1\r\nContent-Type: application/json", 413),
        ("PUT /graphql HTTP/1.1", 405),
        ("POST /fib/10 HTTP/1.1", 405),
        ("POST /nowhere HTTP/1.1", 404),
        ("POST /graphql HTTP/1.1\r\nHost: a", 400),
        ("BREW /graphql HTTP/1.1", 501),
    ];
    let body = vec![b' '; 8_000_000];
    for (head, status) in rows {
        let mut client = service.connect();
        client
            .write_all(format!("{head}\r\nHost: phipi\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes())
            .unwrap();
        let written = client.write_all(&body);
        let mut told = String::new();
        let read = client.read_to_string(&mut told);
        assert!(written.is_ok() && read.is_ok(), "{head}: {written:?}, {read:?}");
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {told}");
        assert!(told.contains("\r\nconnection: close\r\n"), "the next head can't be told from the body: {told}");
    }
}

/// A POST of a small document that accepts `accept`, with its status, content type and answer.
fn accepting(service: &Service, accept: &str, document: &str) -> (u16, String, Value) {
    let request = client().post(service.url("/graphql")).header("Accept", accept);
    let mut response = request.send_json(json!({ "query": document })).unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), content_type, response.body_mut().read_json().unwrap())
}

#[test]
fn the_form_of_an_answer_is_negotiated() {
    const JSON: &str = "application/json; charset=utf-8";
    const GRAPHQL: &str = "application/graphql-response+json; charset=utf-8";
    let service = Service::start("memory:");
    let rows = [
        ("*/*", "{ __typename }", 200, JSON),
        ("application/graphql-response+json", "{ __typename }", 200, GRAPHQL),
        ("application/graphql-response+json;q=0.5, application/json", "{ __typename }", 200, JSON),
        // A field that fails is an answer; a document that is no document is none.
        ("application/graphql-response+json", "{ fib(n: -1) { n } }", 200, GRAPHQL),
        ("application/graphql-response+json", "{ nonsense }", 400, GRAPHQL),
        ("application/graphql-response+json", "{", 400, GRAPHQL),
        ("application/json", "{ nonsense }", 200, JSON),
        ("text/html, image/png", "{ __typename }", 406, JSON),
    ];
    for (accept, document, status, content_type) in rows {
        let (told, form, answer) = accepting(&service, accept, document);
        assert_eq!((told, &*form), (status, content_type), "{accept}: {document}");
        let is_executed = answer.get("data").is_some();
        assert_eq!(is_executed, status == 200 && !document.contains("nonsense"), "no data where nothing ran: {answer}");
    }
    let page = client().get(service.url("/fib/5")).header("Accept", "image/png").call().unwrap();
    assert_eq!(page.status(), 406);
}

#[test]
fn what_is_no_json_in_utf_8_is_no_request() {
    let service = Service::start("memory:");
    let post = |content_type: &str, body: &[u8]| {
        let request = client().post(service.url("/graphql")).header("Content-Type", content_type);
        request.send(body).unwrap().status().as_u16()
    };
    let document = br#"{"query": "{ __typename }"}"#;
    assert_eq!(post("application/json;charset=\"UTF-8\"", document), 200);
    assert_eq!(post("application/json; charset=utf-16", document), 415);
    assert_eq!(post("application/json", b"{\"query\": \"{ __typename } # \xff\"}"), 400);
    for body in [&b""[..], b"[]", br#"["{ __typename }"]"#, br#"{"query": "{ __typename }", "variables": [5]}"#] {
        assert_eq!(post("application/json", body), 400, "{}", String::from_utf8_lossy(body));
    }
    let request = client().post(service.url("/graphql")).header("Content-Type", "application/json");
    assert_eq!(request.header("Content-Encoding", "gzip").send(document).unwrap().status(), 415);
    let eleven = Value::Array(vec![json!({"query": "{ __typename }"}); 11]);
    assert_eq!(service.post(&eleven)["errors"][0]["message"], "a batch has 1 to 10 requests, but this one has 11");
}

#[test]
fn preconditions_hold_for_every_successful_answer_to_a_get() {
    const HTML: (&str, &str) = ("Accept", "text/html");
    const JSON: (&str, &str) = ("Accept", "application/json");
    let service = Service::start("memory:");
    service.query("{ fib(n: 300) { result } }");
    for (path, accept) in
        [("/fib/300", JSON), ("/graphql?query=%7Bfib(n:300)%7Bn%7D%7D", JSON), ("/graphql", HTML), ("/", HTML)]
    {
        let url = service.url(path);
        let with = |headers: &[(&str, &str)]| getting(&url, &[&[accept], headers].concat());
        let tag = with(&[]).1["etag"].to_str().unwrap().to_owned();
        let (weak, several) = (format!("W/{tag}"), format!("\"other, é\" ,{tag}"));
        // Only If-None-Match takes a weak tag for the strong one.
        for (tags, is_named, is_weakly) in [
            (&*tag, true, true),
            ("*", true, true),
            (&several, true, true),
            (&weak, false, true),
            (&format!("W/{weak}"), false, false),
            ("\"other\"", false, false),
            ("\"a,*,b\"", false, false),
            (&format!("\"a,{},b\"", tag.trim_matches('"')), false, false),
            ("", false, false),
        ] {
            assert_eq!(with(&[("If-Match", tags)]).0, if is_named { 200 } else { 412 }, "{path}: {tags}");
            assert_eq!(with(&[("If-None-Match", tags)]).0, if is_weakly { 304 } else { 200 }, "{path}: {tags}");
        }
        assert_eq!(with(&[("If-Match", &tag), ("If-None-Match", &tag)]).0, 304, "{path}");
        let (status, headers, body) = with(&[("If-Match", "\"other\""), ("If-None-Match", &tag)]);
        assert_eq!((status, &headers["cache-control"]), (412, &"no-store".parse().unwrap()), "{path}");
        assert!(String::from_utf8(body).unwrap().contains(tag.trim_matches('"')), "{path}: it names the right one");
    }
    // No other answer has a tag.
    for (path, wanted, status) in [
        ("/graphql?query=%7B__typename%7D", "*", 200),
        ("/graphql?query=%7B__typename%7D", "\"other\"", 412),
        ("/schema.graphql", "\"other\"", 412),
        ("/fib/-1", "\"other\"", 400),
        ("/nowhere", "\"other\"", 404),
    ] {
        let url = service.url(path);
        assert_eq!(getting(&url, &[JSON, ("If-Match", wanted)]).0, status, "{path}: {wanted}");
        let head = client().head(&url).header("If-Match", wanted).call().unwrap();
        assert_eq!(head.status().as_u16(), status, "HEAD {path}: {wanted}");
    }
}

#[test]
fn what_can_never_change_is_kept_by_whoever_asks() {
    const IMMUTABLE: &str = "public, max-age=31536000, immutable";
    let service = Service::start("memory:");
    for path in ["/graphql?query=%7Bfib(n:300)%7Bcached%20result%7D%7D", "/fib/299999", "/pi/299"] {
        let url = service.url(path);
        let (_, headers, first) = getting(&url, &[]);
        assert_eq!(headers["cache-control"], "no-store", "{path}: it was not cached");
        assert_eq!(headers.get("etag"), None, "{path}");

        let (status, headers, body) = getting(&url, &[]);
        assert_eq!((status, &headers["cache-control"]), (200, &IMMUTABLE.parse().unwrap()), "{path}");
        assert_ne!(first, body, "{path}: only now it is cached");
        let varies = headers.get_all("vary").iter().map(|line| line.to_str().unwrap()).collect::<Vec<_>>().join(", ");
        assert!(varies.contains("accept, accept-encoding, x-phipi-cost"), "{path}: {varies}");
        let tag = headers["etag"].to_str().unwrap();
        assert_eq!(getting(&url, &[]).2, body, "{path}: the same bytes again");
        for known in [tag, "*", &format!("\"other\", W/{tag}")] {
            let (status, headers, body) = getting(&url, &[("If-None-Match", known)]);
            assert_eq!((status, &headers["etag"], &body[..]), (304, &tag.parse().unwrap(), &[][..]), "{path}: {known}");
        }
        let head = client().head(&url).header("If-None-Match", "*").call().unwrap();
        assert_eq!((head.status().as_u16(), head.headers().get("content-length")), (304, None), "{path}");
        let (status, headers, _) = getting(&url, &[("If-None-Match", tag), ("Accept", "text/plain, */*;q=0.1")]);
        let another = if path.starts_with("/graphql") { 304 } else { 200 };
        assert_eq!(status, another, "{path}: plain text is another form");
        assert_eq!(headers["etag"] == tag, another == 304, "{path}");
    }
    for path in [
        "/graphql?query=%7Bfib(n:300)%7Bcached%7Dpi(terms:-1)%7Bcached%7D%7D",
        "/graphql?query=%7B__typename%7D",
        "/graphql?query=%7Bfib(n:300)%7Bcached%7Dlimits%7BmaxN%7D%7D",
        "/graphql?query=%7Bfib(n:300)%7Bcached%7D__schema%7BqueryType%7Bname%7D%7D%7D",
        "/graphql?query=%7Bnonsense%7D",
        "/fib/-1",
        "/nowhere",
    ] {
        let (_, headers, _) = getting(&service.url(path), &[]);
        assert_eq!((&headers["cache-control"], headers.get("etag")), (&"no-store".parse().unwrap(), None), "{path}");
    }
    let post = || client().post(service.url("/graphql")).send_json(json!({"query": "{ fib(n: 300) { result } }"}));
    post().unwrap();
    assert_eq!(post().unwrap().headers()["cache-control"], "no-store");
}

#[test]
fn the_same_request_in_another_form_has_another_answer() {
    let service = Service::start("memory:");
    let url = service.url("/graphql?query=%7Bfib(n:30)%7Bresult%7D%7D");
    let cost: [&[(&str, &str)]; 2] = [&[], &[("X-Phipi-Cost", "1")]];
    for _ in 0..3 {
        let [plain, costly] = cost.map(|headers| json(&String::from_utf8(getting(&url, headers).2).unwrap()));
        assert_eq!(plain, json!({"data": {"fib": {"result": "832040"}}}));
        assert_eq!(costly["extensions"], json!({"cost": {"evaluate": 6, "render": 6}}));
        let (_, headers, _) = getting(&url, &[("Accept", "application/graphql-response+json")]);
        assert!(headers["content-type"].to_str().unwrap().starts_with("application/graphql-response+json"));
    }
}

#[test]
fn long_answers_are_compressed() {
    let service = Service::start("memory:");
    let expected = fibonacci(300_000);
    let graphql = format!(r#"{{"data":{{"fib":{{"result":"{expected}"}}}}}}"#);
    for (path, answer) in [
        ("/graphql?query=%7Bfib(n:300000)%7Bresult%7D%7D", graphql),
        ("/fib/300000", format!(r#"{{"cached":true,"result":{expected}}}"#)),
    ] {
        getting(&service.url(path), &[]);
        for (accepted, coding) in [("gzip", Some("gzip")), ("gzip, br", Some("br")), ("identity", None)] {
            for _ in 0..2 {
                let (_, headers, body) = getting(&service.url(path), &[("Accept-Encoding", accepted)]);
                assert_eq!(headers.get("content-encoding").map(|value| value.to_str().unwrap()), coding, "{path}");
                let text = match coding {
                    None => body,
                    Some(coding) => {
                        assert!(body.len() < answer.len() / 2 + 1_000, "{coding}: {} of {}", body.len(), answer.len());
                        decoded(coding, &body)
                    }
                };
                assert!(text == answer.as_bytes(), "{path} as {coding:?}");
            }
        }
    }
    let (_, headers, _) = getting(&service.url("/fib/4000"), &[("Accept-Encoding", "br")]);
    assert_eq!(headers.get("content-encoding"), None, "what is short stays as it is");
}

fn decoded(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    match coding {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut text),
        _ => brotli::Decompressor::new(body, 4096).read_to_end(&mut text),
    }
    .unwrap();
    text
}

#[test]
fn a_body_over_a_mebibyte_is_refused() {
    let service = Service::start("memory:");
    let post = |length: usize| {
        let document = r#"{"query":"{__typename}"}"#;
        let body = format!("{document}{}", " ".repeat(length - document.len()));
        client().post(service.url("/graphql")).header("Content-Type", "application/json").send(body).unwrap()
    };
    assert_eq!(post(1024 * 1024).status(), 200);
    let mut response = post(1024 * 1024 + 1);
    assert_eq!(response.status(), 413);
    assert_eq!(response.body_mut().read_json::<Value>().unwrap()["errors"][0]["extensions"]["code"], "BAD_REQUEST");
}

#[test]
fn a_front_end_on_another_port_may_call() {
    let preflight = |service: &Service, origin: &str| {
        let request = ureq::http::Request::options(service.url("/graphql"))
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type")
            .body(())
            .unwrap();
        let response = client().run(request).unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("access-control-allow-credentials"), None, "never with credentials");
        assert_eq!(header("access-control-allow-headers").as_deref(), Some("*,authorization"), "a star leaves one out");
        assert_eq!(header("timing-allow-origin"), header("access-control-allow-origin"));
        (header("access-control-allow-origin"), header("access-control-allow-methods"))
    };
    let service = Service::start("memory:");
    let (origin, methods) = preflight(&service, "http://localhost:5173");
    assert_eq!(origin.as_deref(), Some("*"));
    assert!(methods.unwrap().contains("POST"));
    let answer = client().get(service.url("/fib/5")).header("Origin", "http://localhost:5173").call().unwrap();
    for header in ["access-control-allow-origin", "access-control-expose-headers", "timing-allow-origin"] {
        assert_eq!(answer.headers()[header], "*", "{header}");
    }

    let chosen =
        Service::start_with("memory:", &["--cors-origin", "https://a.example", "--cors-origin", "https://b.example"]);
    assert_eq!(preflight(&chosen, "https://b.example").0.as_deref(), Some("https://b.example"));
    assert_eq!(preflight(&chosen, "https://c.example").0, None);
}
