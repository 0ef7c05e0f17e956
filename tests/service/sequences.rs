//! Many values at once: `fibs` and `piConvergence`, over GraphQL and REST.

use serde_json::{Value, json};

use crate::{
    oracle::fibonacci,
    redis_server::{RedisServer, RoundTrips},
    service::{Service, getting, undisturbed},
};

fn fibs(service: &Service, from: u32, count: u32) -> Vec<(u64, String, bool)> {
    let answer = service.query(&format!("{{ fibs(from: {from}, count: {count}) {{ n result cached }} }}"));
    let values = answer["data"]["fibs"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let value = |value: &Value| {
        let digits = value["result"].as_str().unwrap().to_owned();
        (value["n"].as_u64().unwrap(), digits, value["cached"].as_bool().unwrap())
    };
    values.iter().map(value).collect()
}

#[test]
fn each_value_of_a_sequence_has_its_own_cached() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let service = Service::start(&redis.url());
        service.fib(213);
        let rows = fibs(&service, 200, 20);
        for (k, (n, digits, cached)) in (200..220).zip(rows) {
            assert_eq!((n, digits, cached), (u64::from(k), fibonacci(k), k <= 213), "F({k})");
        }
        service.fib(100_003);
        let rows = fibs(&service, 99_998, 8);
        for (k, (n, digits, cached)) in (99_998..100_006).zip(rows) {
            assert_eq!((n, digits, cached), (u64::from(k), fibonacci(k), k <= 100_000 || k == 100_003), "F({k})");
        }
        let fresh = Service::start(&redis.url());
        assert!(fibs(&fresh, 99_998, 8).iter().all(|(_, _, cached)| *cached));
        assert_eq!(fibs(&fresh, 0, 1), [(0, "0".into(), true)]);
    });
}

#[test]
fn a_sequence_is_one_lookup_and_one_write() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let services = [Service::start(&redis.url()), Service::start(&redis.url())];
        let mut round_trips = RoundTrips::seen_by(redis.observer(2));
        let mut takes = |service: &Service, expected, why: &str| {
            round_trips.of(|| drop(fibs(service, 0, 1_000)), expected, why);
        };
        takes(&services[0], 3, "one to read, one to write, one for the mark");
        takes(&services[0], 0, "all in memory");
        takes(&services[1], 1, "one to read the rungs");
        let before = services[0].metric("phipi_evaluations_total");
        let rows = fibs(&services[0], 150_000, 100);
        assert_eq!(services[0].metric("phipi_evaluations_total") - before, 100);
        for (k, (_, digits, _)) in (150_000..).zip(rows) {
            assert!(digits == fibonacci(k), "F({k})");
        }
    });
}

#[test]
fn points_of_the_convergence_are_those_of_the_subscription() {
    let service = Service::start("memory:");
    let answer = service.query(
        "{ piConvergence(terms: 1000, points: 4) { terms result cached error } pi(terms: 10) { result cached } }",
    );
    let points = answer["data"]["piConvergence"].as_array().unwrap();
    assert_eq!(points.iter().map(|point| point["terms"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 10, 100, 1_000]);
    assert_eq!(points[1]["result"], answer["data"]["pi"]["result"]);
    assert!(points.iter().all(|point| point["cached"] == false) && answer["data"]["pi"]["cached"] == false);
    assert!(service.pi_cached(100) && !service.pi_cached(101));
    assert_eq!(
        service.query("{ piConvergence(terms: 1) { terms } }")["data"]["piConvergence"],
        json!([{ "terms": 1 }])
    );
}

#[test]
fn a_b_file_is_the_sums() {
    let service = Service::start("memory:");
    let (status, head, body) = getting(&service.url("/fib?from=0&count=1000"), &[("Accept", "text/plain")]);
    assert_eq!((status, head["content-length"].to_str().unwrap()), (200, &*body.len().to_string()));
    let (mut before, mut last) = (num_bigint::BigUint::ZERO, num_bigint::BigUint::from(1_u32));
    let lines = String::from_utf8(body).unwrap();
    for (n, line) in lines.lines().enumerate() {
        assert_eq!(line, format!("{n} {before}"));
        (before, last) = (last.clone(), before + last);
    }
    assert!(
        lines.lines().count() == 1_000 && lines.ends_with('\n'),
        "each line has an end, as the b-files of the OEIS have"
    );

    let (_, head, body) = getting(&service.url("/fib?from=90&count=3"), &[("Accept", "application/json")]);
    assert_eq!(
        String::from_utf8(body).unwrap(),
        "[{\"n\":90,\"cached\":true,\"result\":2880067194370816120},{\"n\":91,\"cached\":true,\"result\":4660046610375530309},\
         {\"n\":92,\"cached\":true,\"result\":7540113804746346429}]"
    );
    assert_eq!(head["cache-control"], "public, max-age=31536000, immutable");
    let (_, _, body) = getting(&service.url("/fib"), &[("Accept", "text/plain")]);
    assert_eq!(body, b"0 0\n1 1\n2 1\n3 2\n4 3\n5 5\n6 8\n7 13\n8 21\n9 34\n");
    let small = Service::start_with("memory:", &["--max-n", "5"]);
    let (_, _, body) = getting(&small.url("/fib?from=4"), &[("Accept", "text/plain")]);
    assert_eq!(body, b"4 3\n5 5\n", "no more by default than there are");
}

#[test]
fn sequences_are_bounded() {
    let service = Service::start("memory:");
    for (field, message) in [
        ("fibs(count: 0) { n }", "count must be a whole number from 1 to 1000, but it is 0"),
        ("fibs(count: 1001) { n }", "count must be a whole number from 1 to 1000, but it is 1001"),
        ("fibs(from: -1) { n }", "from must be a whole number from 0 to 10000000, but it is -1"),
        ("fibs(from: 9999999, count: 3) { n }", "count must be a whole number from 1 to 2, but it is 3"),
        ("piConvergence(terms: 0) { terms }", "terms must be a whole number from 1 to 2147483647, but it is 0"),
        (
            "piConvergence(terms: 9, points: 1001) { terms }",
            "points must be a whole number from 1 to 1000, but it is 1001",
        ),
    ] {
        let answer = service.query(&format!("{{ failing: {field} pi(terms: 1) {{ terms }} }}"));
        assert_eq!(answer["data"], json!({ "failing": null, "pi": { "terms": 1 } }), "{field}");
        let error = &answer["errors"][0];
        assert_eq!((&error["message"], &error["path"]), (&json!(message), &json!(["failing"])), "{field}");
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{field}");
    }
    // 200 values of 41,798 digits are just within what a request may evaluate.
    let answer = service.query("{ fibs(from: 200000, count: 201) { n } }");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{answer}");
    let (status, _, body) = getting(&service.url("/fib?from=200000&count=201"), &[]);
    assert!(status == 400 && String::from_utf8(body).unwrap().contains("QUERY_TOO_COMPLEX"));
    let fields = "n cached digitCount leading(digits: 1) trailing(digits: 1) result";
    let lists: String = (0..9).map(|k| format!("l{k}: fibs(from: {}, count: 1000) {{ {fields} }} ", k % 3)).collect();
    let answer = service.query(&format!("{{ {lists} }}"));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{answer}");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("50000 values in lists at most"), "{answer}");
}
