//! The contract with GraphQL clients: answers, errors and their codes, the schema.

use serde_json::{Value, json};

use crate::{
    oracle::fibonacci,
    service::{Service, get, program},
};

const SCHEMA: &str = include_str!("../../schema.graphql");

#[test]
fn the_exported_schema_is_the_one_in_force() {
    let printed = program().arg("schema").output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), SCHEMA, "run: cargo run -- schema > schema.graphql");
    assert_eq!(get(&Service::start("memory:").url("/schema.graphql")), (200, SCHEMA.to_owned()));
}

#[test]
fn everything_in_the_schema_is_described() {
    let service = Service::start("memory:");
    let document = "{ __schema { types { name description fields { name description args { name description } } } } }";
    let answer = service.query(document);
    let described = |item: &Value, of: &str| {
        let text = item["description"].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{of} {} has no description", item["name"]);
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    // What GraphQL itself defines is described there.
    let ours = |kind: &&Value| SCHEMA.contains(&format!(" {} ", kind["name"].as_str().unwrap()));
    for kind in list(&answer["data"]["__schema"]["types"]).iter().filter(ours) {
        described(kind, "the type");
        for field in list(&kind["fields"]) {
            described(&field, "the field");
            list(&field["args"]).iter().for_each(|argument| described(argument, "the argument"));
        }
    }
}

#[test]
fn both_values_and_all_their_fields() {
    let answer = Service::start("memory:").query(
        "{ fib(n: 213) { n result cached digitCount leading trailing first: leading(digits: 3) none: trailing(digits: 0)
           all: leading(digits: 2147483647) last: trailing(digits: 2) }
           pi(terms: 1000) { terms result cached error } }",
    );
    let expected = json!({"data": {
        "fib": {
            "n": 213,
            "result": "146178119651438213260386312206974243796773058",
            "cached": false,
            "digitCount": 45,
            "leading": "14617811965143821326",
            "trailing": "12206974243796773058",
            "first": "146",
            "none": "",
            "all": "146178119651438213260386312206974243796773058",
            "last": "58",
        },
        "pi": {"terms": 1000, "result": 3.140_638_056_205_993_2, "cached": false, "error": 0.000_954_597_383_800_004_8},
    }});
    assert_eq!(answer, expected);
}

#[test]
fn numbers_with_a_million_digits() {
    let (result, cached) = Service::start("memory:").fib(1_000_000);
    assert_eq!((result, cached), (fibonacci(1_000_000), false));
}

#[test]
fn leading_zeros_of_trailing_digits_are_kept() {
    // F(15) = 610, F(150) = …600, F(750) ends in 000.
    let answer = Service::start("memory:").query("{ fib(n: 750) { trailing(digits: 4) } }");
    let all = fibonacci(750);
    assert_eq!(answer["data"]["fib"]["trailing"], all[all.len() - 4..]);
    assert!(all.ends_with("000"));
}

/// The code and the message of the only error.
fn error(answer: &Value) -> (&str, &str) {
    let [error] = &answer["errors"].as_array().unwrap()[..] else { panic!("{answer}") };
    (error["extensions"]["code"].as_str().unwrap(), error["message"].as_str().unwrap())
}

#[test]
fn an_argument_out_of_range_leaves_its_field_null_and_the_others_answered() {
    let service = Service::start("memory:");
    let rows = [
        ("fib(n: -1) { result }", "n must be a whole number from 0 to 10000000, but it is -1"),
        ("fib(n: 10000001) { cached }", "n must be a whole number from 0 to 10000000, but it is 10000001"),
        ("fib(n: -2147483648) { n }", "n must be a whole number from 0 to 10000000, but it is -2147483648"),
        ("fib(n: 5) { n leading(digits: -1) }", "digits must be a whole number from 0 to 2147483647, but it is -1"),
    ];
    for (field, message) in rows {
        let answer = service.query(&format!("{{ {field} pi(terms: 0) {{ result }} }}"));
        assert_eq!(answer["data"], json!({"fib": null, "pi": {"result": 0.0}}), "{field}");
        assert_eq!(error(&answer), ("BAD_USER_INPUT", message), "{field}");
    }
    let answer = service.query("{ pi(terms: -1) { result } fib(n: 1) { result } }");
    assert_eq!(answer["data"], json!({"pi": null, "fib": {"result": "1"}}));
    assert_eq!(error(&answer), ("BAD_USER_INPUT", "terms must be a whole number from 0 to 2147483647, but it is -1"));
    assert_eq!(service.query("{ pi(terms: 2147483647) { terms } }")["data"]["pi"]["terms"], i32::MAX);
}

#[test]
fn what_is_no_int_is_an_error_of_the_whole_request() {
    let service = Service::start("memory:");
    for wrong in ["2147483648", "-2147483649", "\"5\"", "5.0", "1e3", "true", "null", "[5]", "99999999999999999999"] {
        for field in [format!("fib(n: {wrong}) {{ n }}"), format!("fib(n: 5) {{ leading(digits: {wrong}) }}")] {
            let answer = service.query(&format!("{{ {field} pi(terms: 1) {{ result }} }}"));
            assert_eq!(answer["data"], Value::Null, "{field}");
            assert_eq!(error(&answer).0, "GRAPHQL_VALIDATION_FAILED", "{field}");
        }
        let value: Value = serde_json::from_str(wrong).unwrap();
        for kind in ["Int!", "Int! = 7"] {
            let document = format!("query($n: {kind}) {{ fib(n: $n) {{ n }} pi(terms: 1) {{ result }} }}");
            let answer = service.post(&json!({"query": document, "variables": {"n": value}}));
            assert_eq!(answer["data"], Value::Null, "{wrong} as a variable");
            let (code, message) = error(&answer);
            assert_eq!(code, "BAD_USER_INPUT", "{wrong} as a variable");
            assert!(message.contains("$n of type Int!"), "{message}");
        }
    }
    let answer = service.query("query($n: Int! = 2147483648) { fib(n: $n) { n } }");
    assert_eq!(error(&answer), ("BAD_USER_INPUT", "the variable $n of type Int! can't be 2147483648"));
    let answer = service.query("query($n: Int!) { fib(n: $n) { n } }");
    assert_eq!(error(&answer), ("BAD_USER_INPUT", "the variable $n of type Int! is required, but not given"));
    assert!(!service.pi_cached(1), "a refused request evaluates nothing");
}

#[test]
fn a_variable_without_a_value_leaves_the_default_and_null_is_none() {
    let service = Service::start("memory:");
    let document = "query($n: Int) { fib(n: 213) { leading(digits: $n) } pi(terms: 0) { result } }";
    let answer = service.query(document);
    assert_eq!(answer["data"]["fib"]["leading"], "14617811965143821326");
    let answer = service.post(&json!({"query": document, "variables": {"n": null}}));
    assert_eq!(error(&answer), ("BAD_USER_INPUT", "the variable $n of type Int can't be null"));
    let answer = service.query("query($n: Int = null) { fib(n: $n) { n } pi(terms: 0) { result } }");
    assert_eq!(error(&answer), ("BAD_USER_INPUT", "the variable $n of type Int can't be null"));
}

#[test]
fn nothing_long_is_sent_back() {
    let service = Service::start("memory:");
    let long = "x".repeat(100_000);
    for body in [
        json!({"query": format!("{{ {long}( }}")}),
        json!({"query": format!("{{ {long} }}")}),
        json!({"query": format!("{{ fib(n: \"{long}\") {{ n }} }}")}),
        json!({"query": "{ __typename }", "operationName": long}),
        json!({"query": "query($n: Int!) { fib(n: $n) { n } }", "variables": {"n": long}}),
    ] {
        let answer = service.post(&body);
        assert!(!error(&answer).1.is_empty() && answer.to_string().len() < 1_000, "{answer}");
    }
}

#[test]
fn a_large_request_does_not_overload_an_idle_server() {
    let service = Service::start("memory:");
    let fields: String = (0..200).map(|k| format!("f{k}: fib(n: {}) {{ cached }} ", 20_000 + 130 * k)).collect();
    let answer = service.query(&format!("{{ {fields} }}"));
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    assert!(service.fib_cached(20_000 + 130 * 199));
}

#[test]
fn what_is_too_much_is_refused_and_the_rest_is_answered() {
    let service = Service::start("memory:");
    // 100 results of a megabyte: more than may wait.
    let fields: String = (0..100).map(|k| format!("f{k}: fib(n: {}) {{ cached }} ", 9_999_000 + k)).collect();
    let answer = service.query(&format!("{{ {fields} pi(terms: 0) {{ result }} }}"));
    let first = &answer["errors"][0];
    assert_eq!(first["extensions"]["code"], "OVERLOADED");
    assert_eq!(first["message"], "the server has too much to evaluate; ask for less, or try again in a second");
    assert_eq!(answer["data"]["f0"], Value::Null);
    assert_eq!(answer["data"]["pi"]["result"], 0.0);
}

#[test]
fn variables_reach_their_arguments() {
    let answer = Service::start("memory:").post(&json!({
        "query": "query Both($n: Int!, $terms: Int = 0, $digits: Int! = 2, $all: Boolean!) {
                    fib(n: $n) { leading(digits: $digits) result @include(if: $all) }
                    pi(terms: $terms) @skip(if: $all) { result } }",
        "variables": {"n": 100, "all": false},
        "operationName": "Both",
    }));
    assert_eq!(answer, json!({"data": {"fib": {"leading": "35"}, "pi": {"result": 0.0}}}));
}

#[test]
fn every_refusal_has_its_code() {
    let service = Service::start("memory:");
    let rows = [
        ("{ fib(n: 5) { n ", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{ fib { n } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ fob(n: 5) { n } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ fib(n: 5) }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { fib(n: 5) { n } } query B { pi(terms: 5) { terms } }", "OPERATION_RESOLUTION_FAILURE"),
    ];
    for (document, code) in rows {
        let answer = service.query(document);
        assert_eq!(error(&answer).0, code, "{document}: {answer}");
        assert_eq!(answer["data"], Value::Null, "{document}");
    }
    let unknown = json!({"query": "query A { fib(n: 5) { n } }", "operationName": "B"});
    assert_eq!(error(&service.post(&unknown)).0, "OPERATION_RESOLUTION_FAILURE");
    for body in [json!("no request"), json!(5), json!({"query": 5})] {
        assert_eq!(error(&service.post(&body)).0, "BAD_REQUEST", "{body}");
    }
}

#[test]
fn an_operator_may_set_another_limit() {
    let service = Service::start_with("memory:", &["--max-n", "100"]);
    assert_eq!(service.fib(100).0, fibonacci(100));
    let answer = service.query("{ fib(n: 101) { n } }");
    assert_eq!(error(&answer), ("BAD_USER_INPUT", "n must be a whole number from 0 to 100, but it is 101"));
}
