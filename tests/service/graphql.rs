//! The contract with GraphQL clients: answers, errors and their codes, the schema.

use std::thread;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    oracle::fibonacci,
    service::{Service, client, error, get, program},
};

const SCHEMA: &str = include_str!("../../schema.graphql");

#[test]
fn the_exported_schema_is_the_one_in_force() {
    let printed = program().arg("schema").output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), SCHEMA, "run: cargo run -- schema > schema.graphql");
    assert_eq!(get(&Service::start("memory:").url("/schema.graphql")), (200, SCHEMA.to_owned()));
}

#[test]
fn limits_are_those_of_the_server() {
    let limits = "{ limits { maxN maxTerms digitsPerRequest } }";
    let usual = Service::start("memory:");
    let expected = json!({"maxN": 10_000_000, "maxTerms": i32::MAX, "digitsPerRequest": 8_359_508});
    assert_eq!(usual.query(limits), json!({"data": {"limits": expected}}));
    let other = Service::start_with("memory:", &["--max-n", "300"]);
    let expected = json!({"maxN": 300, "maxTerms": i32::MAX, "digitsPerRequest": 4 * fibonacci(300).len()});
    assert_eq!(other.query(limits), json!({"data": {"limits": expected}}));
}

#[test]
fn the_introspection_says_what_the_schema_says() {
    let service = Service::start("memory:");
    let answer = service.query("{ __schema { description types { name } } __type(name: \"ID\") { name } }");
    assert_eq!((&answer["data"]["__schema"]["description"], &answer["data"]["__type"]), (&Value::Null, &Value::Null));
    let types = answer["data"]["__schema"]["types"].as_array().unwrap();
    let names: Vec<_> =
        types.iter().filter_map(|kind| kind["name"].as_str()).filter(|name| !name.starts_with("__")).collect();
    let expected = [
        "BigInt",
        "Boolean",
        "Fibonacci",
        "Float",
        "Int",
        "Limits",
        "PiApproximation",
        "PiDigits",
        "Query",
        "String",
        "Subscription",
    ];
    assert_eq!(names, expected, "what nothing refers to is not there");
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
    // GraphQL's own types are described there.
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
    }
    for wrong in ["2147483648", "-2147483649", "\"5\"", "5.5", "1e10", "true", "null", "[5]", "99999999999999999999"] {
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
    assert_eq!(
        error(&answer),
        (
            "GRAPHQL_VALIDATION_FAILED",
            "the variable $n of type Int! can't be 2147483648: an Int is a whole number from -2147483648 to 2147483647"
        )
    );
    let answer = service.query("query($n: Int!) { fib(n: $n) { n } }");
    assert_eq!(error(&answer), ("BAD_USER_INPUT", "the variable $n of type Int! is required, but not given"));
    assert!(!service.pi_cached(1), "a refused request evaluates nothing");
}

#[test]
fn a_json_number_with_an_empty_fraction_is_an_int() {
    let service = Service::start("memory:");
    for (number, n) in [("5.0", 5), ("5e0", 5), ("1e3", 1_000), ("-0.0", 0), ("50E-1", 5)] {
        let body =
            format!(r#"{{"query": "query($n: Int!) {{ fib(n: $n) {{ n }} }}", "variables": {{"n": {number}}}}}"#);
        let sent = client().post(service.url("/graphql")).header("Content-Type", "application/json").send(body);
        let answer: Value = sent.unwrap().body_mut().read_json().unwrap();
        assert_eq!(answer, json!({"data": {"fib": {"n": n}}}), "{number}");
    }
}

#[test]
fn a_variable_without_a_value_leaves_the_default_and_null_fails_its_field() {
    let service = Service::start("memory:");
    let document = "query($n: Int) { fib(n: 213) { leading(digits: $n) } pi(terms: 0) { result } }";
    let answer = service.query(document);
    assert_eq!(answer["data"]["fib"]["leading"], "14617811965143821326");
    let failed = json!({"fib": null, "pi": {"result": 0.0}});
    for (document, message, path) in [
        (document, "the argument digits can't be null", json!(["fib", "leading"])),
        (
            "query($n: Int = 5) { fib(n: $n) { n } pi(terms: 0) { result } }",
            "the argument n can't be null",
            json!(["fib"]),
        ),
        (
            "query($n: Boolean = true) { fib(n: 5) { n @skip(if: $n) } pi(terms: 0) { result } }",
            "the condition of @skip must be true or false",
            json!(["fib"]),
        ),
    ] {
        let answer = service.post(&json!({"query": document, "variables": {"n": null}}));
        assert_eq!(error(&answer), ("BAD_USER_INPUT", message), "{document}");
        assert_eq!((&answer["data"], &answer["errors"][0]["path"]), (&failed, &path), "{document}");
        assert!(answer["errors"][0]["locations"][0]["column"].is_u64(), "{answer}");
    }
    let answer = service.query("query($n: Int = null) { fib(n: 213) { leading(digits: $n) } pi(terms: 0) { result } }");
    assert_eq!(answer["data"], failed);
    let nothing = "query($b: Boolean = true) { __type(name: \"Int\") { name fields(includeDeprecated: $b) { name } } }";
    let answer = service.post(&json!({"query": nothing, "variables": {"b": null}}));
    assert_eq!(answer["data"], json!({"__type": {"name": "Int", "fields": null}}), "a nullable field fails alone");
    let root = "query($b: Boolean = true) { fib(n: 5) @skip(if: $b) { n } pi(terms: 0) { result } }";
    let answer = service.post(&json!({"query": root, "variables": {"b": null}}));
    assert_eq!(error(&answer), ("BAD_USER_INPUT", "the condition of @skip must be true or false"));
    assert_eq!(answer["data"], Value::Null);
}

#[test]
fn a_variable_stands_only_where_its_type_fits() {
    let service = Service::start("memory:");
    for (document, variable, argument) in [
        ("query($x: Int) { fib(n: $x) { n } }", "Int", "n of type Int!"),
        ("query($x: String!) { fib(n: $x) { n } }", "String!", "n of type Int!"),
        ("query($x: String) { fib(n: 1) { leading(digits: $x) } }", "String", "digits of type Int!"),
        ("query($x: Boolean) { fib(n: 1) { n @skip(if: $x) } }", "Boolean", "if of type Boolean!"),
        ("query($x: String) { __type(name: $x) { name } }", "String", "name of type String!"),
        (
            "query A($x: Int!) { ...F } query B($x: Int) { ...F } fragment F on Query { fib(n: $x) { n } }",
            "Int",
            "n of type Int!",
        ),
    ] {
        let answer = service.query(document);
        let message = format!("the variable $x of type {variable} can't be the argument {argument}");
        assert_eq!(error(&answer), ("GRAPHQL_VALIDATION_FAILED", &*message), "{document}");
    }
    for (kind, message) in [
        ("[Int!]!", "the variable $x of type [Int!]! can't be the argument terms of type Int!"),
        ("Float", "the variable $x of type Float can't be the argument terms of type Int!"),
        ("BigInt!", "the variable $x of type BigInt! can't be the argument terms of type Int!"),
        ("ID!", "there is no type ID"),
        ("Nothing = 5", "there is no type Nothing"),
        ("[Nothing] = [5]", "there is no type Nothing"),
    ] {
        let answer = service.query(&format!("query($x: {kind}) {{ pi(terms: $x) {{ terms }} }}"));
        assert_eq!(error(&answer), ("GRAPHQL_VALIDATION_FAILED", message));
    }
    let answer = service.query("query($x: Int!) { fib(n: [$x]) { n } }");
    assert_eq!(
        error(&answer),
        (
            "GRAPHQL_VALIDATION_FAILED",
            "the argument n of type Int! can't be [$x]: an Int is a whole number from -2147483648 to 2147483647"
        )
    );
    for document in
        ["query($x: Int = 5) { fib(n: $x) { n } }", "query($x: Boolean! = true) { fib(n: 5) { n @include(if: $x) } }"]
    {
        assert_eq!(service.query(document), json!({"data": {"fib": {"n": 5}}}), "{document}");
    }
}

#[test]
fn one_key_stands_for_one_field() {
    let service = Service::start("memory:");
    for (document, key) in [
        ("{ fib(n: 5) { n } ... on Query { fib(n: 7) { n } } }", "fib"),
        ("{ x: fib(n: 5) { n } ...F } fragment F on Query { x: pi(terms: 7) { terms } }", "x"),
        ("{ x: __typename ... { x: fib(n: 5) { cached } } }", "x"),
        ("{ fib(n: 5) { a: leading(digits: 3) } fib(n: 5) { a: trailing(digits: 3) } }", "a"),
        ("{ fib(n: 5) { a: leading } fib(n: 5) { a: leading(digits: 20) } }", "a"),
        ("query($x: Int!) { fib(n: $x) { n } fib(n: 5) { n } }", "fib"),
        ("{ fib(n: 5) { n } ... @skip(if: true) { fib(n: 7) { n } } }", "fib"),
    ] {
        let answer = service.query(document);
        let message = format!("the key {key} stands for different fields: give one of them another alias");
        assert_eq!(error(&answer), ("GRAPHQL_VALIDATION_FAILED", &*message), "{document}");
    }
    let answer = service.query("{ fib(n: 5) { n } ... on Query { fib(n: 5) { cached n } } }");
    assert_eq!(answer, json!({"data": {"fib": {"n": 5, "cached": false}}}));
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
    let fields: String = (0..100).map(|k| format!("f{k}: fib(n: {}) {{ cached }} ", 20_000 + 130 * k)).collect();
    let answer = service.query(&format!("{{ {fields} }}"));
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    assert!(service.fib_cached(20_000 + 130 * 99));
}

#[test]
fn what_is_too_much_at_once_is_refused_and_the_rest_is_answered() {
    let service = Service::start("memory:");
    // 120 results of a megabyte: more than may wait to be evaluated, and less than may be held.
    let document = |client: u32| {
        let fields = (0..4).map(|k| format!("f{k}: fib(n: {}) {{ leading }} ", 9_999_000 + 4 * client + k));
        format!("{{ {} pi(terms: 0) {{ result }} }}", fields.collect::<String>())
    };
    let (service, document) = (&service, &document);
    let answers: Vec<Value> = thread::scope(|scope| {
        let asked: Vec<_> = (0..30).map(|client| scope.spawn(move || service.query(&document(client)))).collect();
        asked.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer["data"]["pi"]["result"] == 0.0), "a short answer waits for no long one");
    let refused: Vec<&Value> = answers.iter().filter(|answer| !answer["errors"].is_null()).collect();
    assert!((1..30).contains(&refused.len()), "some, and not all: {}", refused.len());
    for answer in refused {
        let first = &answer["errors"][0];
        assert_eq!(first["extensions"]["code"], "OVERLOADED");
        assert_eq!(first["message"], "the server has too much to evaluate; ask for less, or try again in a second");
        assert_eq!(answer["data"][first["path"][0].as_str().unwrap()], Value::Null);
    }
}

#[test]
fn fields_come_in_the_order_of_the_document_each_once() {
    let service = Service::start("memory:");
    let text = |document: &str| {
        let body = serde_json::to_string(&json!({"query": document, "variables": {"yes": true, "no": false}})).unwrap();
        let mut answer = client().post(service.url("/graphql")).header("Content-Type", "application/json").send(body);
        answer.as_mut().unwrap().body_mut().read_to_string().unwrap()
    };
    let rows = [
        (
            "{ pi(terms: 0) { terms } __typename late: fib(n: 99999) { leading(digits: 1) } bad: fib(n: -1) { n } }",
            r#"{"data":{"pi":{"terms":0},"__typename":"Query","late":{"leading":"1"},"bad":null},"errors":"#,
        ),
        (
            "{ fib(n: 7) { n ...f } ... on Query { fib(n: 7) { result n } } } fragment f on Fibonacci { trailing n cached }",
            r#"{"data":{"fib":{"n":7,"trailing":"13","cached":true,"result":"13"}}}"#,
        ),
        (
            "query($yes: Boolean!, $no: Boolean!) { a: fib(n: 8) @skip(if: $yes) { n } b: fib(n: 8) @include(if: $yes) { n }
             ... @include(if: $no) { c: __typename } fib(n: 9) { n @include(if: $no) } }",
            r#"{"data":{"b":{"n":8},"fib":{}}}"#,
        ),
        ("{ fib(n: 5) @skip(if: true) { n } }", r#"{"data":{}}"#),
        (
            "{ fib(n: 5) { leading(digits: -1) } b: fib(n: -2) { n } a: fib(n: -1) { n } }",
            r#"{"data":{"fib":null,"b":null,"a":null},"errors":[{"message":"digits must"#,
        ),
        (
            r#"{ __type(name: "Query") { kind fields { name args { name } } name } }"#,
            r#"{"data":{"__type":{"kind":"OBJECT","fields":[{"name":"fib","args":[{"name":"n"}]},"#,
        ),
    ];
    for (document, expected) in rows {
        let answer = text(document);
        assert!(answer.starts_with(expected), "{document}: {answer}");
    }
    let answer = service.query("{ a: fib(n: 5) { n } a: fib(n: 6) { n } }");
    assert_eq!(error(&answer).0, "GRAPHQL_VALIDATION_FAILED", "one key, two fields: {answer}");
}

#[test]
fn an_operation_may_cost_as_much_as_four_of_the_longest_answers() {
    let service = Service::start_with("memory:", &["--max-n", "1000"]);
    let fields = |count: u32, selection: &str| -> String {
        (0..count).map(|k| format!("f{k}: fib(n: {}) {{ {selection} }} ", 1_000 - k)).collect()
    };
    let cost = |document: &str, headers: bool| {
        let mut request = client().post(service.url("/graphql"));
        if headers {
            request = request.header("X-Phipi-Cost", "1");
        }
        request.send_json(json!({ "query": document })).unwrap().body_mut().read_json::<Value>().unwrap()
    };
    // F(1000) … F(997) have 209 digits, F(996) has 208: the budget is 836.
    let answer = service.query(&format!("{{ {} }}", fields(5, "cached")));
    let expected = "a request may evaluate 836 digits at most, but this operation would evaluate 1044: ask for fewer or \
                    smaller numbers, or for fewer of their digits";
    assert_eq!(error(&answer), ("QUERY_TOO_COMPLEX", expected));
    assert_eq!(answer.get("data"), None);
    assert!(!service.fib_cached(996), "what is refused is not evaluated");
    let answer = cost(&format!("{{ {} pi(terms: 7) {{ result }} }}", fields(4, "cached")), true);
    assert_eq!(answer["extensions"], json!({"cost": {"evaluate": 836, "render": 0}}));
    let answer =
        cost("{ a: fib(n: 1000) { result leading(digits: 9) trailing(digits: 1000) } b: fib(n: 1000) { n } }", true);
    assert_eq!(answer["extensions"], json!({"cost": {"evaluate": 209, "render": 209 + 9 + 209}}));
    assert_eq!(cost("{ fib(n: 1000) { result } }", false)["extensions"], Value::Null);
    let answer = cost("{ fib(n: 1000) @skip(if: true) { result } b: fib(n: -1) { result } }", true);
    assert_eq!(answer["extensions"], json!({"cost": {"evaluate": 0, "render": 0}}), "{answer}");

    let answer =
        service.query("{ a: fib(n: 1000) { x: result y: result z: result } b: fib(n: 1000) { x: result y: result } }");
    assert!(
        error(&answer).1.contains("may render 836 digits at most, but this operation would render 1045"),
        "{answer}"
    );

    // The operations of a batch share the budget, and common questions are evaluated once.
    let operation = |n: u32| json!({"query": format!("{{ fib(n: {n}) {{ result }} }}")});
    let answers =
        service.post(&json!([operation(900), operation(900), operation(901), operation(902), operation(903)]));
    assert_eq!(answers[3]["data"]["fib"]["result"], fibonacci(902));
    let expected = "may render 836 digits at most, but this operation would render 189, with 753 for those before it";
    assert!(error(&answers[4]).1.contains(expected), "{}", answers[4]);
}

#[test]
fn a_document_is_bounded_whatever_brings_it() {
    let service = Service::start("memory:");
    let level = |k: usize| format!("fragment f{k} on Fibonacci {{ ...f{} ...f{} }} ", k + 1, k + 1);
    let bomb: String = (0..20).map(level).collect();
    let rows = [
        (format!("{{ fib(n: 5) {{ ...f0 }} }} {bomb} fragment f20 on Fibonacci {{ n }}"), "selections, counting"),
        (format!("{{ {} }}", "a: __typename ".repeat(101)), "at most 100 aliases, but this one has 101"),
        (format!("{{ {} }}", "__typename ".repeat(1_001)), "at most 1000 selections"),
        (format!("{{ __typename {} }}", "@x ".repeat(101)), "at most 100 directives"),
        (format!("{}n{}", "{a".repeat(100_000), "}".repeat(100_000)), "at most 131072 bytes"),
        (format!("{}n{}", "{a".repeat(1_000), "}".repeat(1_000)), "levels of brackets"),
    ];
    for (document, message) in rows {
        for answer in [service.query(&document), service.post(&json!([{"query": document}]))[0].clone()] {
            let (code, told) = error(&answer);
            assert_eq!((code, told.contains(message)), ("QUERY_TOO_COMPLEX", true), "{told}");
        }
    }
    let answer = service.query("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }");
    assert_eq!(error(&answer).0, "GRAPHQL_VALIDATION_FAILED");
    let many = service.query(&format!("{{ {} }}", "nonsense ".repeat(1_000)));
    assert_eq!(many["errors"].as_array().unwrap().len(), 10, "errors are bounded too");
}

#[test]
fn a_persisted_query_is_registered_and_found_again() {
    let service = Service::start("memory:");
    let document = "query($n: Int!) { fib(n: $n) { result } }";
    let hash: String = Sha256::digest(document).iter().map(|byte| format!("{byte:02x}")).collect();
    let named = |hash: &str| json!({"persistedQuery": {"version": 1, "sha256Hash": hash}});
    let asked = json!({"extensions": named(&hash), "variables": {"n": 10}});
    assert_eq!(error(&service.post(&asked)), ("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"));

    let wrong = json!({"query": "{ __typename }", "extensions": named(&hash)});
    assert_eq!(error(&service.post(&wrong)).0, "BAD_REQUEST", "a name that is another document's");
    for hash in ["", "abc", &"x".repeat(64)] {
        assert_eq!(error(&service.post(&json!({"extensions": named(hash)}))).0, "BAD_REQUEST", "{hash:?} is no hash");
    }
    let invalid = "{ nonsense }";
    let name: String = Sha256::digest(invalid).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        error(&service.post(&json!({"query": invalid, "extensions": named(&name)}))).0,
        "GRAPHQL_VALIDATION_FAILED"
    );
    assert_eq!(error(&service.post(&json!({"extensions": named(&name)}))).0, "PERSISTED_QUERY_NOT_FOUND");

    let registered = json!({"query": document, "extensions": named(&hash), "variables": {"n": 10}});
    assert_eq!(service.post(&registered), json!({"data": {"fib": {"result": "55"}}}));
    assert_eq!(service.post(&asked), json!({"data": {"fib": {"result": "55"}}}));
    let get = |hash: &str| {
        let request = client().get(service.url("/graphql")).query("variables", r#"{"n": 11}"#);
        let mut answer = request.query("extensions", named(hash).to_string()).call().unwrap();
        answer.body_mut().read_json::<Value>().unwrap()
    };
    assert_eq!(get(&hash.to_uppercase()), json!({"data": {"fib": {"result": "89"}}}));
    assert_eq!(error(&get(&"0".repeat(64))).0, "PERSISTED_QUERY_NOT_FOUND");
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

#[test]
fn errors_belong_to_the_places_where_they_are_met_and_take_a_bounded_room() {
    let service = Service::start("memory:");
    let ask = |document: &str| {
        service.post(
            &json!({ "query": format!("query($b: Boolean = true) {{ {document} }}"), "variables": { "b": null } }),
        )
    };
    for (document, path) in [
        (
            "fibs(count: 3) { leading(digits: -1) } __type(name: \"Int\") { ofType { name @skip(if: $b) } }",
            json!(["fibs", 0, "leading"]),
        ),
        ("fibs(count: 3) { n @include(if: $b) } a: __typename", json!(["fibs", 0])),
        ("__type(name: \"Query\") { fields { type { kind @skip(if: $b) } } }", json!(["__type", "fields", 0, "type"])),
    ] {
        let answer = ask(document);
        assert_eq!((&answer["errors"][0]["path"], answer["errors"].as_array().unwrap().len()), (&path, 1), "{answer}");
    }
    let answer =
        ask("__type(name: \"Query\") { interfaces { name @skip(if: $b) } none: ofType { name @skip(if: $b) } }");
    assert_eq!(answer, json!({ "data": { "__type": { "interfaces": [], "none": null } } }), "these are never reached");

    // Each type has an error, which repeats the key.
    let answer = ask("__schema { types { a: fields(includeDeprecated: $b) { name } } }");
    assert!(answer["errors"].as_array().unwrap().len() > 10, "{answer}");
    let answer =
        ask(&format!("__schema {{ types {{ {}: fields(includeDeprecated: $b) {{ name }} }} }}", "a".repeat(60_000)));
    assert_eq!(error(&answer).0, "QUERY_TOO_COMPLEX", "{answer}");
    assert!(answer.to_string().len() < 1_000);
}
