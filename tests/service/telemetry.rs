//! Reports of requests: in the log, to a collector of spans, to Prometheus, and to the client.

use std::{
    io::Write,
    net::TcpListener,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use ureq::{Body, http::Response};

use crate::{
    collector::{Collector, attribute, hex},
    redis_server::RedisServer,
    service::{Service, client, eventually, get, program, undisturbed},
};

const REFERENCE: &str = include_str!("../../docs/reference.md");

/// A caller's span, and the trace that it is in.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// The program with its arguments, and some variables.
fn command(cache: &str, flags: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = program();
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cache", cache]).args(flags);
    command.envs(variables.iter().copied());
    command
}

/// A service that sends its spans to a collector soon.
fn traced(cache: &str, url: &str) -> Service {
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    Service::spawn(command(cache, &[], &variables))
}

/// Ends the service, and returns the lines of its requests, of which there have to be `count`.
fn lines(service: &mut Service, count: usize) -> Vec<String> {
    service.signal(Signal::TERM);
    assert!(service.exit().success());
    eventually("no line is lost", || service.requests().len() >= count);
    let lines = service.requests();
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

/// Requests of every kind, full of secrets, and the words of their lines.
const REQUESTS: [(&str, &str, &str, [&str; 5]); 20] = [
    ("POST", "/graphql", "{ secret: fib(n: 1234567) { cached } }", ["POST", "/graphql", "fib", "200", "false"]),
    ("POST", "/graphql", "{ secret: fib(n: 1234567) { cached } }", ["POST", "/graphql", "fib", "200", "true"]),
    ("POST", "/graphql", "{ secret: fib(n: 1234567) { cached } }", ["POST", "/graphql", "fib", "200", "true"]),
    (
        "POST",
        "/graphql",
        "{ secret: fib(n: 1234567) { cached } }",
        ["POST", "/graphql", "response_cache", "200", "true"],
    ),
    (
        "POST",
        "/graphql",
        "query secret { pi(terms: 1234567) { n: cached } }",
        ["POST", "/graphql", "pi", "200", "false"],
    ),
    (
        "POST",
        "/graphql",
        "{ fib(n: 1234567) { n } pi(terms: 1234567) { terms } }",
        ["POST", "/graphql", "fib_and_pi", "200", "true"],
    ),
    (
        "POST",
        "/graphql",
        "{ secret: piDigits(from: 12345, count: 67) { count } }",
        ["POST", "/graphql", "pi_digits", "200", "false"],
    ),
    (
        "POST",
        "/graphql",
        "{ secret: piDigits(from: 12345, count: 67) { from } pi(terms: 1234567) { terms } }",
        ["POST", "/graphql", "several", "200", "true"],
    ),
    ("POST", "/graphql", "{ secret: __typename }", ["POST", "/graphql", "introspection", "200", "false"]),
    ("POST", "/graphql", "{ secret: fib(n: -1) { n } }", ["POST", "/graphql", "fib", "200", "false"]),
    ("POST", "/graphql", "{ secret }", ["POST", "/graphql", "refused", "200", "false"]),
    ("GET", "/graphql?query={secret:fib(n:1234567){n}}", "", ["GET", "/graphql", "fib", "200", "true"]),
    ("GET", "/fib/1234567", "", ["GET", "/fib/{n}", "rest_fib", "200", "true"]),
    ("GET", "/pi/1234567?secret", "", ["GET", "/pi/{terms}", "rest_pi", "200", "true"]),
    ("GET", "/pi/digits?from=12345&count=67", "", ["GET", "/pi/digits", "rest_pi_digits", "200", "true"]),
    ("GET", "/fib?from=12345&count=67", "", ["GET", "/fib", "rest_fib", "200", "true"]),
    ("GET", "/fib/secret", "", ["GET", "/fib/{n}", "refused", "400", "false"]),
    ("GET", "/secret", "", ["GET", "other", "refused", "404", "false"]),
    ("GET", "/schema.graphql", "", ["GET", "/schema.graphql", "page", "200", "false"]),
    ("SECRET", "/", "", ["other", "/", "refused", "501", "false"]),
];

/// Sends them, each with secrets in its headers and, if it has a document, in a variable.
fn send_all(service: &Service) {
    let client = client();
    for (method, path, document, _) in REQUESTS {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(service.url(path))
            .header("Authorization", "Bearer hunter2")
            .header("X-Secret", "hunter2")
            .header("Content-Type", "application/json");
        let body = json!({"query": document, "variables": {"password": "hunter2"}}).to_string();
        let body = if method == "POST" { body } else { String::new() };
        let request = client.configure_request(request.body(body).unwrap()).allow_non_standard_methods(true).build();
        client.run(request).unwrap();
    }
}

#[test]
fn each_request_is_a_line_in_text() {
    undisturbed(|| {
        let mut service = Service::start("memory:");
        send_all(&service);
        let lines = lines(&mut service, REQUESTS.len());
        for (line, (_, _, _, told)) in lines.iter().zip(REQUESTS) {
            let [method, path, operation, status, cached] = told;
            let beginning =
                format!("  INFO request answered method={method} route={path} operation={operation} status={status} ");
            let (time, rest) = line.split_at("2000-02-29T00:00:00.000042Z".len());
            assert!(time.ends_with('Z') && rest.starts_with(&beginning), "{line}");
            assert!(rest.contains(" duration_ms=") && rest.ends_with(&format!(" cached={cached}")), "{line}");
        }
        assert_tells_nothing(&(service.log() + &lines.concat()));
    });
}

#[test]
fn each_request_is_a_line_in_json() {
    undisturbed(|| {
        let mut service = Service::start_with("memory:", &["--log-format", "json"]);
        send_all(&service);
        let lines = lines(&mut service, REQUESTS.len());
        for (line, (_, _, _, told)) in lines.iter().zip(REQUESTS) {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("request answered")));
            let field = |name: &str| match &line[name] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(["method", "route", "operation", "status", "cached"].map(field), told, "{line}");
            assert!(line["duration_ms"].is_f64() && line["response_bytes"].is_u64(), "{line}");
        }
        assert!(
            service.log().lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
            "events are no different"
        );
        assert_tells_nothing(&(service.log() + &lines.concat()));
    });
}

/// The text has nothing that [`send_all`] sends.
fn assert_tells_nothing(text: &str) {
    for secret in ["hunter2", "secret", "1234567", "password", "__typename", "127.0.0.1"] {
        assert!(!text.to_lowercase().contains(secret), "{secret} in {text}");
    }
}

#[test]
fn no_line_is_lost_at_a_drain() {
    let mut service = Service::start("memory:");
    let client = client();
    for _ in 0..1_000 {
        service.post_by(&client, &json!({"query": "{ pi(terms: 7) { cached } }"})).unwrap();
    }
    lines(&mut service, 1_000);
}

#[test]
fn who_does_not_read_the_log_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let serve = command("memory:", &[], &[]);
    let mut shell = Command::new("sh");
    // Opened for reading too, and never read.
    shell.args(["-c", r#"mkfifo "$0" && exec "$@" 2<>"$0""#]).arg(folder.path().join("log"));
    shell.arg(serve.get_program()).args(serve.get_args()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    let mut service = Service::spawn(shell);
    let client = client();
    let mut asked = 0;
    while service.metric("phipi_log_lines_dropped_total") == 0 {
        for _ in 0..1_000 {
            service.post_by(&client, &json!({"query": "{ pi(terms: 7) { cached } }"})).unwrap();
        }
        asked += 1_000;
        assert!(asked < 100_000, "what waits is bounded");
    }
    service.signal(Signal::TERM);
    assert!(service.exit().success(), "not even the end waits for it");
}

#[test]
fn the_spans_of_a_request_are_below_its_callers() {
    let (collector, redis) = (Collector::start(), RedisServer::start());
    let mut service = traced(&redis.url(), &collector.url());
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let ask = || {
        let request = client().post(service.url("/graphql")).header("traceparent", &parent);
        let answer = request.send_json(json!({"query": "{ fib(n: 1234567) { cached } }"})).unwrap();
        answer.headers()["traceresponse"].to_str().unwrap().to_owned()
    };
    let response = ask();
    let spans = collector.trace_with(TRACE, "POST /graphql");
    let parent_of = |id: &str| spans.iter().find(|span| hex(&span.span_id) == id);
    let path = |name: &str| {
        let mut path = Vec::new();
        let mut span = spans.iter().find(|span| span.name == name);
        while let Some(here) = span {
            path.push(&*here.name);
            span = parent_of(&hex(&here.parent_span_id));
        }
        path.reverse();
        path.join(" > ")
    };
    let answer = "POST /graphql > graphql.execute > answer";
    assert_eq!(path("cache.local.read"), format!("{answer} > cache.lookup > cache.local.read"));
    assert_eq!(path("cache.shared.read"), format!("{answer} > cache.lookup > cache.shared.read"));
    assert_eq!(path("evaluate"), format!("{answer} > flight > evaluate"));
    assert_eq!(path("cache.shared.write"), format!("{answer} > flight > cache.keep > cache.shared.write"));

    let request = spans.iter().find(|span| span.name == "POST /graphql").unwrap();
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(response, format!("00-{TRACE}-{}-01", hex(&request.span_id)));
    let told = ["http.request.method", "http.route", "http.response.status_code", "phipi.operation", "phipi.cached"]
        .map(|key| attribute(&request.attributes, key));
    assert_eq!(told, ["POST", "/graphql", "200", "fib", "false"]);
    assert_eq!(collector.services()[0], "phipi");

    (0..3).for_each(|_| _ = ask());
    eventually("a response from the response cache has a span too", || {
        collector.trace(TRACE).iter().any(|span| {
            span.name == "POST /graphql" && attribute(&span.attributes, "phipi.operation") == "response_cache"
        })
    });
    let lines = lines(&mut service, 4);
    assert!(lines.iter().all(|line| line.ends_with(&format!(" trace_id={TRACE}"))), "{lines:#?}");
    assert!(!collector.text().contains("1234567"), "no values");
}

#[test]
fn the_last_spans_come_before_the_end() {
    let collector = Collector::start();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url()), ("OTEL_SERVICE_NAME", "numbers")];
    let service = Service::spawn(command("memory:", &[], &variables));
    let answer = client().get(service.url("/fib/10")).header("traceparent", format!("00-{TRACE}-{CALLER}-01")).call();
    assert!(answer.unwrap().headers()["traceresponse"].to_str().unwrap().starts_with(&format!("00-{TRACE}-")));
    // A caller that does not name its span well has none.
    let answer = client().get(service.url("/fib/11")).header("traceparent", "00-secret").call().unwrap();
    assert!(!answer.headers()["traceresponse"].to_str().unwrap().contains(TRACE));
    service.stop();
    assert!(!collector.trace_with(TRACE, "GET /fib/{n}").is_empty());
    assert_eq!(collector.services()[0], "numbers");
}

#[test]
fn a_collector_that_is_away_is_told_of_once() {
    // Nobody listens where somebody has just done so.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = traced("memory:", &format!("http://{address}")).expecting_warnings();
    assert!(!service.pi_cached(7));
    service.logs("does not take them");
    assert!(service.pi_cached(7));
    let away = |service: &Service| service.log().matches("does not take them").count();
    let _collector = Collector::listen(TcpListener::bind(address).unwrap());
    eventually("the collector is met again", || {
        assert!(service.pi_cached(7));
        service.log().contains("spans are taken again")
    });
    assert_eq!(away(&service), 1, "{}", service.log());
    service.stop();
}

#[test]
fn a_collector_that_hangs_holds_up_neither_answers_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = traced("memory:", &format!("http://{}", silent.local_addr().unwrap())).expecting_warnings();
    for _ in 0..3 {
        let began = Instant::now();
        service.pi_cached(7);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    let began = Instant::now();
    service.stop();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn a_url_that_is_no_collector_is_refused_at_the_start() {
    for (url, hint) in [("collector:4318", "http://127.0.0.1:4318"), ("https://collector", "plain HTTP")] {
        let refused = command("memory:", &[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", url)]).output().unwrap();
        let message = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && message.contains(hint), "{url}: {message}");
    }
}

#[test]
fn without_a_collector_no_span_is_named() {
    let mut service = Service::start("memory:");
    let request = client().get(service.url("/fib/10")).header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    assert!(request.call().unwrap().headers().get("traceresponse").is_none());
    assert!(!lines(&mut service, 1)[0].contains("trace"));
}

#[test]
fn clients_are_told_what_took_how_long() {
    let service = Service::start("memory:");
    let timing = |answer: Response<Body>| {
        let text = answer.headers()["server-timing"].to_str().unwrap().to_owned();
        let entries = text.split(", ").map(|entry| {
            // An answer that is sent again has no duration of its own.
            let (name, duration) =
                if entry == "response-cache" { (entry, "0") } else { entry.split_once(";dur=").unwrap() };
            assert!(duration.parse::<f64>().unwrap() >= 0.0, "{text}");
            name.to_owned()
        });
        (entries.collect::<Vec<_>>().join(" "), answer.status().as_u16())
    };
    let get = |path: &str| client().get(service.url(path)).call().unwrap();
    assert_eq!(timing(get("/fib/10")), ("total cache evaluate".into(), 200));
    assert_eq!(timing(get("/fib/x")), ("total".into(), 400));
    let post = || client().post(service.url("/graphql")).send_json(json!({"query": "{fib(n:10){n}}"})).unwrap();
    assert_eq!(timing(post()), ("total cache".into(), 200));
    assert_eq!(timing(post()), ("total cache".into(), 200));
    assert_eq!(timing(post()), ("total response-cache".into(), 200));
}

#[test]
fn what_a_cache_may_keep_tells_of_no_request() {
    let collector = Collector::start();
    let service = traced("memory:", &collector.url());
    service.fib(10);
    let query = "/graphql?query={fib(n:10){n}}";
    for (path, accept) in [("/fib/10", "*/*"), (query, "*/*"), ("/", "*/*"), ("/graphql", "text/html")] {
        for known in ["\"none\"", "*"] {
            let request = client().get(service.url(path)).header("If-None-Match", known).header("Accept", accept);
            let answer = request.call().unwrap();
            let head = answer.headers();
            assert_ne!(head["cache-control"], "no-store", "{path}");
            assert_eq!((head.get("server-timing"), head.get("traceresponse")), (None, None), "{path}: {head:?}");
        }
    }
}

#[test]
fn requests_are_measured_by_kind() {
    let service = Service::start("memory:");
    let count =
        |kind: &str| service.metric(&format!(r#"phipi_http_request_duration_seconds_count{{operation="{kind}"}}"#));
    for kind in [
        "fib",
        "pi",
        "fib_and_pi",
        "pi_digits",
        "several",
        "introspection",
        "response_cache",
        "subscription",
        "rest_fib",
        "rest_pi",
        "rest_pi_digits",
        "page",
        "refused",
    ] {
        assert_eq!(count(kind), 0, "{kind} is there before its first request");
        assert!(REFERENCE.contains(&format!("`{kind}`")), "{kind}");
    }
    send_all(&service);
    let expected = [
        ("fib", 5),
        ("pi_digits", 1),
        ("several", 1),
        ("response_cache", 1),
        ("rest_fib", 2),
        ("rest_pi_digits", 1),
        ("page", 1),
        ("refused", 4),
    ];
    for (kind, requests) in expected {
        assert_eq!(count(kind), requests, "{kind}");
    }
}

#[test]
fn prometheus_finds_nothing_wrong_with_the_metrics() {
    let service = Service::start("memory:");
    send_all(&service);
    let (_, text) = get(&service.admin_url("/metrics"));
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can't be started: install it (Debian: apt-get install prometheus)");
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_line_in_the_reference_is_that_of_the_program() {
    let mut service = Service::start("memory:");
    service.query("{ fib(n: 213) { cached } pi(terms: 1000) { cached } }");
    let shown = REFERENCE.lines().find(|line| line.contains("request answered method=")).unwrap();
    let line = &lines(&mut service, 1)[0];
    let form = |line: &str| -> Vec<String> {
        let fixed = |word: &str| match word.split_once('=') {
            Some((name @ ("duration_ms" | "response_bytes"), _)) => name.to_owned(),
            _ => word.to_owned(),
        };
        line.split_whitespace().skip(1).map(fixed).collect()
    };
    assert_eq!(form(shown), form(line));
}
