//! Documents that clients register or send, and their memory in the process.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::service::{Service, client};

const DOCUMENT: &str = "{ fib(n: 50) { result } }";

/// The answer to it.
fn answer() -> Value {
    json!({"data": {"fib": {"result": "12586269025"}}})
}

/// A request for a registered document by its hash.
fn by_hash(document: &str) -> Value {
    let hash: String = Sha256::digest(document).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}})
}

/// A request that registers a document.
fn registration(document: &str) -> Value {
    let mut request = by_hash(document);
    request["query"] = document.into();
    request
}

/// Registers many valid documents of `bytes` each, and uses each of them, as clients that come again do.
fn flood(service: &Service, documents: usize, bytes: usize) {
    let client = client();
    let post = |body: &Value| service.post_by(&client, body).unwrap();
    for k in 0..documents {
        let begin = format!("{{ __typename }} # {k} ");
        let document = format!("{begin}{}", "x".repeat(bytes - begin.len()));
        for request in [registration(&document), by_hash(&document), registration(&document)] {
            assert_eq!(post(&request), json!({"data": {"__typename": "Query"}}), "registered as document {k}");
        }
    }
}

#[test]
fn a_flood_of_large_documents_evicts_no_small_one() {
    let service = Service::start("memory:");
    assert_eq!(service.post(&registration(DOCUMENT)), answer());
    flood(&service, 200, 40_000);
    assert_eq!(service.post(&by_hash(DOCUMENT)), answer());
}

#[test]
fn a_registration_registers_however_often_it_came() {
    let service = Service::start("memory:");
    (0..5).for_each(|_| assert_eq!(service.post(&registration(DOCUMENT)), answer()));
    // Twice the room of registered documents of this size.
    flood(&service, 2_200, 3_700);
    let evicted = service.post(&by_hash(DOCUMENT));
    assert_eq!(evicted["errors"][0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND", "{evicted}");
    assert_eq!(service.post(&registration(DOCUMENT)), answer());
    assert_eq!(service.post(&by_hash(DOCUMENT)), answer());
}

#[test]
fn parsed_documents_take_no_more_than_their_room() {
    let service = Service::start("memory:");
    let client = client();
    let send = |k: usize| {
        let document = format!("{{ fib(n: 5) {{ {} }} }} # {k}", "n ".repeat(990));
        let answer = service.post_by(&client, &json!({ "query": document })).unwrap();
        assert_eq!(answer, json!({"data": {"fib": {"n": 5}}}));
    };
    // The first requests take memory that later ones use again.
    (0..10).for_each(send);
    let before = service.memory_mb();
    (10..1_010).for_each(send);
    let grown = service.memory_mb().saturating_sub(before);
    assert!(grown < 60, "1,000 documents of 990 fields take {grown} MB");
}
