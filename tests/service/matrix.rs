//! Every server that docs/operating.md names: the story, the faults, a cluster, and the rule for a user.

use crate::{
    cached::a_story,
    operating::by_the_rule,
    oracle::fibonacci,
    redis_cluster::{RedisCluster, free_ports},
    redis_server::{Make, RedisServer},
    service::{Service, eventually, undisturbed},
};

#[test]
fn the_page_names_the_servers_of_the_tests() {
    let page = include_str!("../../docs/operating.md");
    let row = page.lines().find(|line| line.starts_with("Tested with ")).unwrap();
    for make in [Make::Redis6, Make::Valkey9] {
        assert!(row.contains(&make.version()), "{row}: {}", make.version());
    }
    let major = |version: &str| version.split([' ', '.']).nth(1).unwrap().parse::<u32>().unwrap();
    assert!(row.contains("Redis 7.0") && major(&Make::Debian.version()) >= 7, "{row}");
}

#[test]
fn the_story_on_every_server() {
    for make in Make::ALL {
        undisturbed(|| {
            let [port] = free_ports();
            let redis = RedisServer::of(make, &["--port", &port.to_string()]);
            a_story(&redis.url().replacen("redis", make.scheme(), 1));
            redis.run("FLUSHALL");
            a_story(&format!("{}://127.0.0.1:{port}", make.scheme()));
        });
    }
}

#[test]
fn the_faults_on_every_server() {
    for make in Make::ALL {
        undisturbed(|| {
            let mut redis = RedisServer::of(make, &[]);
            let service = Service::start(&redis.url()).expecting_warnings();
            assert!(!service.fib_cached(1_000));

            redis.run("FLUSHALL");
            assert!(!Service::start(&redis.url()).fib_cached(1_000), "it has forgotten");
            assert!(Service::start(&redis.url()).fib_cached(1_000), "and was told again");

            redis.run("CONFIG SET maxmemory 1");
            assert_eq!(service.fib(2_000), (fibonacci(2_000), false));
            service.logs("raise its maxmemory");
            redis.run("CONFIG SET maxmemory 0");
            eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
            assert!(Service::start(&redis.url()).fib_cached(2_000));

            redis.kill();
            assert_eq!(service.fib(3_000), (fibonacci(3_000), false));
            redis.restart();
            eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
            eventually("what was answered meanwhile is there", || {
                Service::start(&redis.url()).expecting_warnings().fib_cached(3_000)
            });
        });
    }
}

#[test]
fn a_cluster_of_every_server() {
    for make in Make::ALL {
        let cluster = RedisCluster::of(make);
        undisturbed(|| {
            cluster.flush();
            a_story(&cluster.url().replacen("redis", make.scheme(), 1));
        });
        assert_eq!(cluster.nodes_with_rungs(), 3, "{make:?}: the ladder is spread");
    }
}

#[test]
fn the_rule_on_every_server() {
    for make in Make::ALL {
        undisturbed(|| {
            let redis = RedisServer::of(make, &[]);
            a_story(&by_the_rule(&redis));
        });
    }
}
