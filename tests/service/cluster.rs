//! A Redis Cluster is a store like any other, also while its nodes change.

use std::time::{Duration, Instant};

use redis::{Cmd, Connection, cmd};
use rustix::process::Signal;

use crate::{
    cached::{a_story, histories},
    load::{Record, truth, while_asked},
    proxy::Mode,
    redis_cluster::{PRIMARIES, RedisCluster},
    redis_server::{PREFIX, round_trips},
    service::{Service, alone, client, eventually, eventually_within, program, undisturbed},
};

/// The most that a fault delays an answer, with slack for a busy machine.
const WORST: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 500 });

#[test]
fn a_story_on_a_cluster() {
    let cluster = RedisCluster::start();
    undisturbed(|| {
        cluster.flush();
        a_story(&cluster.url());
    });
    assert_eq!(cluster.nodes_with_rungs(), 3, "the ladder is spread");
}

#[test]
fn every_history_on_a_cluster_follows_the_model() {
    let cluster = RedisCluster::start();
    histories(|| {
        cluster.flush();
        (cluster.url(), Box::new(()))
    });
}

#[test]
fn many_fields_are_few_round_trips_for_each_node() {
    let cluster = RedisCluster::start();
    undisturbed(|| {
        cluster.flush();
        let service = Service::start(&cluster.url());
        let ninety = |first: u32| {
            let fields = (first..first + 90).map(|terms| format!("p{terms}: pi(terms: {terms}) {{ cached }} "));
            let answer = service.query(&format!("{{ {} }}", fields.collect::<String>()));
            assert_eq!(answer.to_string().matches("false").count(), 90, "{answer}");
        };
        let nothing_waits = || eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
        // All connections are made for the first of them.
        ninety(1_000);
        nothing_waits();
        let mut primaries = cluster.primaries();
        let trips = |primaries: &mut [Connection]| primaries.iter_mut().map(round_trips).collect::<Vec<_>>();
        let run = |primaries: &mut [Connection], command: &Cmd| {
            primaries.iter_mut().for_each(|primary| command.exec(primary).unwrap());
        };
        let before = trips(&mut primaries);
        // Values that are evaluated while a batch is under way leave with the next one. The nodes hold the first batch until all
        // values are evaluated, so that the number of batches does not depend on the pace of the evaluations.
        run(&mut primaries, cmd("CLIENT").arg("PAUSE").arg(60_000).arg("WRITE"));
        ninety(1);
        run(&mut primaries, cmd("CLIENT").arg("UNPAUSE"));
        nothing_waits();
        let after = trips(&mut primaries);
        // The observer's are among them.
        let trips: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        println!("90 new values in a cluster: {trips:?} round trips of its nodes");
        assert!(trips.iter().all(|&trips| trips <= 15), "some thirty to read and thirty to write on each: {trips:?}");
    });
}

/// The requests that are answered before and after each event.
const REQUESTS: u64 = 300;

fn waits_for_answers(services: &[Service; 2]) {
    let answered = || services.iter().map(|service| service.metric("phipi_http_responses_total")).sum::<u64>();
    let before = answered();
    eventually("the load goes on", || answered() >= before + REQUESTS);
}

fn breakers_are_closed(services: &[Service; 2]) -> bool {
    services.iter().all(|service| service.metric("phipi_cache_circuit_breaker_open") == 0)
}

/// All was answered, right and in time; `what` is printed beside the worst latency.
fn all_is_answered(records: &[Record], what: &str) {
    let wrong: Vec<_> = records.iter().filter_map(|record| record.outcome.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let worst = records.iter().map(Record::latency).max().unwrap();
    println!("{what}: {} requests, no error, the slowest in {} ms", records.len(), worst.as_millis());
    assert!(worst < WORST, "{worst:?}");
}

#[test]
fn a_primary_dies_under_load() {
    let _alone = alone();
    let truth = truth();
    let mut cluster = RedisCluster::start();
    let services = [(); 2].map(|()| Service::start(&cluster.url()).expecting_warnings());
    let (recovery, records) = while_asked(&services, &truth, || {
        waits_for_answers(&services);
        let primary = cluster.holder_of_the_mark();
        cluster.kill(primary);
        cluster.waits_for_a_promotion();
        let promoted = Instant::now();
        // By then each breaker has noticed, or nothing was to be noticed.
        eventually("the store is used again", || breakers_are_closed(&services));
        let recovery = promoted.elapsed();
        waits_for_answers(&services);
        recovery
    });
    all_is_answered(&records, &format!("primary killed, back {} ms after the promotion", recovery.as_millis()));
    assert!(recovery < Duration::from_secs(5), "{recovery:?}");
    let fresh = Service::start(&cluster.url());
    let last = records.iter().rev().take(40).filter(|record| !record.questions.indices.is_empty());
    for record in last {
        let answers = fresh.ask(&client(), &record.questions).unwrap();
        assert!(answers.are_cached(), "{:?} is not in the cluster", record.questions);
    }
}

#[test]
fn slots_move_under_load() {
    let _alone = alone();
    let truth = truth();
    let cluster = RedisCluster::start();
    let services = [(); 2].map(|()| Service::start(&cluster.url()).expecting_warnings());
    let ((), records) = while_asked(&services, &truth, || {
        waits_for_answers(&services);
        let from = cluster.holder_of_the_mark();
        cluster.moves_slots(2_000, from, (from + 1) % 3);
        waits_for_answers(&services);
    });
    all_is_answered(&records, "2,000 slots moved");
}

#[test]
fn a_dead_primary_holds_up_no_value_of_the_others() {
    // A cluster that goes on with the slots that it has, and no replica to promote.
    for holds_mark in [true, false] {
        let mut cluster = RedisCluster::start();
        cluster.run(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
        cluster.run(&["CONFIG", "SET", "cluster-replica-no-failover", "yes"]);
        let service = Service::start(&cluster.url()).expecting_warnings();
        assert!(!service.fib_cached(1_000));
        let dead = (cluster.holder_of_the_mark() + usize::from(!holds_mark)) % 3;
        cluster.kill(dead);
        // A single request sends the dead node some forty commands at once.
        let (first, count) = (100_001, 128);
        let answer = service.query(&format!("{{ fibs(from: {first}, count: {count}) {{ n }} }}"));
        assert!(answer.get("errors").is_none(), "{answer}");
        let names: Vec<String> = (first..first + count).map(|n| format!("{PREFIX}1:fib:n:{n}")).collect();
        eventually_within(Duration::from_secs(5), "all that the living primaries are to hold is stored", || {
            let (held, lacking) = cluster.held_and_lacking(dead, &names);
            held > 40 && lacking == 0
        });
        // Another process reads what they hold, whoever holds the mark.
        let (held, _) = cluster.held_and_lacking(dead, &names);
        let other = Service::start(&cluster.url()).expecting_warnings();
        eventually("it reads the cluster", || other.metric("phipi_cache_circuit_breaker_open") == 0);
        let answer = other.query(&format!("{{ fibs(from: {first}, count: {count}) {{ cached }} }}")).to_string();
        assert_eq!(answer.matches("true").count(), held, "{answer}");
    }
}

#[test]
fn a_primary_that_hangs_holds_up_no_value_of_the_others() {
    for holds_mark in [true, false] {
        let cluster = RedisCluster::start();
        cluster.run(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
        cluster.run(&["CONFIG", "SET", "cluster-replica-no-failover", "yes"]);
        let service = Service::start(&cluster.url()).expecting_warnings();
        assert!(!service.fib_cached(1_000));
        let hung = (cluster.holder_of_the_mark() + usize::from(!holds_mark)) % 3;
        cluster.signal(hung, Signal::STOP);
        let names = |first| (first..first + 128).map(|n| format!("{PREFIX}1:fib:n:{n}")).collect::<Vec<_>>();
        // Asked as it begins to hang, and while it does.
        for first in [100_001, 110_001, 120_001] {
            let answer = service.query(&format!("{{ fibs(from: {first}, count: 128) {{ n }} }}"));
            assert!(answer.get("errors").is_none(), "{answer}");
            let began = Instant::now();
            eventually_within(Duration::from_secs(5), "all that the living primaries are to hold is stored", || {
                let (held, lacking) = cluster.held_and_lacking(hung, &names(first));
                held > 40 && lacking == 0
            });
            println!("stored {} ms after the answer", began.elapsed().as_millis());
        }
        // Another process reads what they hold, once it has noticed.
        let other = Service::start(&cluster.url()).expecting_warnings();
        let mut values = 100_001..100_129;
        eventually("it reads the cluster", || other.fib_cached(values.next().unwrap()));
        let (held, _) = cluster.held_and_lacking(hung, &names(120_001));
        let answer = other.query("{ fibs(from: 120001, count: 128) { cached } }").to_string();
        assert_eq!(answer.matches("true").count(), held, "{answer}");
        cluster.signal(hung, Signal::CONT);
        eventually_within(Duration::from_secs(10), "it holds its own values too", || {
            cluster.held_and_lacking(PRIMARIES, &names(100_001)) == (128, 0)
        });
    }
}

#[test]
fn a_primary_that_is_slow_holds_up_no_value_of_the_others() {
    for holds_mark in [true, false] {
        let cluster = RedisCluster::start();
        let service = Service::start(&cluster.url()).expecting_warnings();
        // All of the ladder, which needs all primaries.
        assert!(!service.fib_cached(100_000));
        let slow = (cluster.holder_of_the_mark() + usize::from(!holds_mark)) % 3;
        let proxy = cluster.proxy(slow);
        // It answers, but beyond every budget.
        proxy.set(Mode::Delay(Duration::from_millis(150)));
        drop(service);
        let [service, other] = [(); 2].map(|()| Service::start(&cluster.url()).expecting_warnings());
        for first in [100_001, 110_001, 120_001] {
            let names: Vec<String> = (first..first + 24).map(|n| format!("{PREFIX}1:fib:n:{n}")).collect();
            let answer = service.query(&format!("{{ fibs(from: {first}, count: 24) {{ n }} }}"));
            assert!(answer.get("errors").is_none(), "{answer}");
            let began = Instant::now();
            eventually_within(Duration::from_secs(10), "all that the other primaries are to hold is stored", || {
                let (held, lacking) = cluster.held_and_lacking(slow, &names);
                held > 8 && lacking == 0
            });
            println!("stored {} ms after the answer", began.elapsed().as_millis());
        }
        let mut values = 100_001..100_129;
        eventually("it reads the cluster", || other.fib_cached(values.next().unwrap()));
    }
}

#[test]
fn a_right_that_is_missing_is_named() {
    let cluster = RedisCluster::start();
    let mut store = cluster.connection();
    for terms in 5..25 {
        cmd("SET").arg(format!("{PREFIX}1:pi:{terms}")).arg("3.0").exec(&mut store).unwrap();
    }
    for (right, command) in [
        ("scan", &["check"][..]),
        ("mget", &["check"]),
        ("strlen", &["check"]),
        ("cluster|slots", &["check"]),
        ("mget", &["warm", "--fib", "3000"]),
        ("zscore", &["warm", "--fib", "3000"]),
        ("zadd", &["warm", "--fib", "3000"]),
        ("set", &["warm", "--fib", "3000"]),
    ] {
        cluster.run(&["ACL", "SETUSER", "default", &format!("-{right}")]);
        let output = program().args(command).args(["--cache", &cluster.url()]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains("the user lacks a permission"), "{command:?}: {told}");
        assert!(told.contains(&format!("'{right}' command")), "{command:?}: {told}");
        cluster.run(&["ACL", "SETUSER", "default", &format!("+{right}")]);
    }
}
