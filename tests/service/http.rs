//! The contract with HTTP clients: GET and POST of GraphQL, REST, pages, CORS.

use serde_json::{Value, json};

use crate::{
    oracle::fibonacci,
    service::{Service, client, get},
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
}

#[test]
fn a_browser_gets_graphiql() {
    let service = Service::start("memory:");
    let mut page = client().get(service.url("/")).header("Accept", "text/html,*/*;q=0.8").call().unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let text = page.body_mut().read_to_string().unwrap();
    assert!(text.contains("<title>phipi</title>") && text.contains("'/graphql'"), "{text}");
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
            "there is no /fibs here; there are /graphql, /fib/N, /pi/TERMS and /schema.graphql",
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
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    assert_eq!(response.body_mut().read_json::<Value>().unwrap()["errors"][0]["extensions"]["code"], "BAD_REQUEST");

    let mut response = client().post(service.url("/fib/5")).send("").unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.body_mut().read_json::<Value>().unwrap()["code"], "BAD_REQUEST");

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
        (header("access-control-allow-origin"), header("access-control-allow-methods"))
    };
    let service = Service::start("memory:");
    let (origin, methods) = preflight(&service, "http://localhost:5173");
    assert_eq!(origin.as_deref(), Some("*"));
    assert!(methods.unwrap().contains("POST"));
    let answer = client().get(service.url("/fib/5")).header("Origin", "http://localhost:5173").call().unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");

    let chosen =
        Service::start_with("memory:", &["--cors-origin", "https://a.example", "--cors-origin", "https://b.example"]);
    assert_eq!(preflight(&chosen, "https://b.example").0.as_deref(), Some("https://b.example"));
    assert_eq!(preflight(&chosen, "https://c.example").0, None);
}
