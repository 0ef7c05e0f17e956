//! `/metrics` is right.

use redis::Commands;

use crate::{
    redis_server::{PREFIX, RedisServer},
    service::{Service, get, undisturbed},
};

fn lookups(service: &Service, tier: &str) -> [u64; 2] {
    ["hit", "miss"]
        .map(|outcome| service.metric(&format!(r#"phipi_cache_lookups_total{{outcome="{outcome}",tier="{tier}"}}"#)))
}

#[test]
fn lookups_are_counted_by_tier() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let first = Service::start(&redis.url());
        let both = "{ fib(n: 213) { cached } pi(terms: 1000) { cached } zero: fib(n: 0) { cached } }";
        first.query(both);
        assert_eq!((lookups(&first, "local"), lookups(&first, "shared")), ([0, 2], [0, 2]));
        first.query(both);
        assert_eq!((lookups(&first, "local"), lookups(&first, "shared")), ([2, 2], [0, 2]));
        assert_eq!(first.metric("phipi_evaluations_total"), 2);
        let second = Service::start(&redis.url());
        second.query(both);
        assert_eq!((lookups(&second, "local"), lookups(&second, "shared")), ([0, 2], [2, 0]));
        assert_eq!(second.metric("phipi_evaluations_total"), 0);
    });
    let alone = Service::start("memory:");
    alone.fib(213);
    assert_eq!(lookups(&alone, "shared"), [0, 0], "there is no shared tier to miss anything");
}

#[test]
fn what_is_not_as_it_should_be_is_counted() {
    undisturbed(|| {
        let redis = RedisServer::start();
        assert!(!Service::start(&redis.url()).pi_cached(5));
        let () = redis.connection().set(format!("{PREFIX}1:pi:5"), "3.2").unwrap();
        let service = Service::start_with(&redis.url(), &["--max-n", "190000000"]).expecting_warnings();
        assert!(!service.pi_cached(5));
        assert_eq!(service.metric("phipi_cache_proof_failures_total"), 1);
        // 40 million digits, 17 MB.
        service.query("{ fib(n: 190000000) { cached } }");
        assert_eq!(service.metric("phipi_cache_oversize_values_total"), 1);
    });
}

#[test]
fn the_text_is_what_prometheus_reads() {
    let service = Service::start("memory:");
    let (status, text) = get(&service.admin_url("/metrics"));
    assert_eq!(status, 200);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let is_known = ["phipi_", "process_"].iter().any(|prefix| name.starts_with(prefix));
        assert!(is_known && value.parse::<f64>().is_ok(), "{line}");
        let family = name.split('{').next().unwrap();
        let family =
            ["_bucket", "_sum", "_count"].into_iter().find_map(|part| family.strip_suffix(part)).unwrap_or(family);
        for comment in ["HELP", "TYPE"] {
            assert!(text.contains(&format!("# {comment} {family} ")), "{family} has no {comment}");
        }
    }
    assert!(text.contains(&format!("phipi_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))));
    assert!(text.contains("\nprocess_resident_memory_bytes ") && text.contains("\nprocess_open_fds "));
    for family in [
        "phipi_cache_lookups_total",
        "phipi_cache_store_failures_total",
        "phipi_cache_wait_timeouts_total",
        "phipi_cache_circuit_breaker_open",
        "phipi_cache_reconnects_total",
        "phipi_cache_proof_failures_total",
        "phipi_cache_write_queue_bytes",
        "phipi_cache_writes_dropped_total",
        "phipi_cache_writes_dropped_bytes_total",
        "phipi_cache_oversize_values_total",
        "phipi_evaluations_total",
        "phipi_single_flight_joins_total",
        "phipi_http_responses_total",
        "phipi_http_connections",
        "phipi_http_connection_timeouts_total",
        "phipi_http_request_duration_seconds_count",
        "phipi_log_lines_dropped_total",
    ] {
        assert_eq!(service.metric(family), 0, "{family} is there before its first event");
    }
    assert_eq!(get(&service.url("/metrics")).0, 404, "operators have a listener of their own");
}
