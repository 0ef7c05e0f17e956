//! Greedy clients, each at a share of its full size: memory stays bounded, requests beyond a bound are refused with a
//! Retry-After, and a neighbour is served meanwhile. `scripts/greedy-clients` runs them at full size.

use std::{
    io::{Read, Write},
    time::Duration,
};

use crate::{
    attackers::{Standing, Target, attack},
    frames::{END_HEADERS, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, literal},
    hostile::raise_the_limit_of_files,
    neighbour::{Served, while_attacked},
    service::{Service, alone, eventually},
};

/// Bodies, messages and heads of all clients, in MB: the common budget of 40 MiB, and the process beside it.
const IN_MB: u64 = 120;

/// The same where thousands of connections come with them, each with its own 16 KiB.
const CROWD_MB: u64 = 200;

/// Answers that clients have not taken, in MB: the common budget of 128 MiB, and the process beside it.
const OUT_MB: u64 = 240;

/// A small request is served in this time on a machine that runs other tests too.
const SMALL_MS: f64 = 2_000.0;

/// Large requests are watched at least this long, and no longer than the second, if they are refused.
const WATCH: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];

/// The outcome of an attack.
struct Outcome {
    standing: Standing,
    served: Served,
    /// The highest memory, above that of the idle process.
    peak_mb: u64,
}

/// Has a fresh process bear `percent` of an attack.
fn bear(name: &str, percent: usize) -> (Service, Outcome) {
    let service = Service::start("memory:");
    // Only now, so that it is not the program's own limit that is raised.
    raise_the_limit_of_files();
    let idle_mb = service.memory_mb();
    let target = Target { address: service.address(), percent };
    let attack = attack(name).unwrap();
    let (standing, served) = while_attacked(target.address, || (attack.launch)(&target), WATCH[0], WATCH[1]);
    let peak_mb = service.peak_mb().saturating_sub(idle_mb);
    println!("{name}: {peak_mb} MB, {served:?}");
    (service, Outcome { standing, served, peak_mb })
}

impl Outcome {
    /// Small requests were served, and memory stayed below a bound.
    fn is_bounded(&self, most_mb: u64) {
        assert!(self.peak_mb <= most_mb, "{} MB, which is more than {most_mb}", self.peak_mb);
        assert_eq!(self.served.small_refused, 0, "{:?}", self.served);
        assert!(self.served.worst_ms <= SMALL_MS, "{:?}", self.served);
    }

    /// Large requests were served at last, and refused ones had a Retry-After.
    fn large_are_served(&self) {
        assert!(self.served.large_s.is_some(), "{:?}", self.served);
        assert_eq!(self.served.without_retry_after, 0, "{:?}", self.served);
    }

    fn refusals(&mut self) -> usize {
        self.standing.found().iter().filter(|found| found.is_refusal()).count()
    }
}

#[test]
fn a_socket_that_pings_and_reads_nothing_is_closed() {
    let _alone = alone();
    let (service, mut outcome) = bear("ping-flood", 100);
    outcome.is_bounded(IN_MB);
    assert!(outcome.standing.found().iter().all(|found| found.is_closed));
    assert_eq!(service.metric(r#"phipi_http_websockets_closed_total{code="1008"}"#), 1);
}

#[test]
fn kept_answers_leave_room_for_those_of_others() {
    let _alone = alone();
    let (_service, outcome) = bear("kept-answers", 100);
    outcome.large_are_served();
}

#[test]
fn answers_that_nobody_reads_are_bounded_on_every_path() {
    let _alone = alone();
    let (_service, mut outcome) = bear("unread-rest", 25);
    outcome.is_bounded(OUT_MB);
    let refusals = outcome.refusals();
    assert!((1..300).contains(&refusals), "{refusals} of 300 are refused");
}

#[test]
fn bodies_that_do_not_end_are_bounded() {
    let _alone = alone();
    let (_service, mut outcome) = bear("bodies", 20);
    outcome.is_bounded(CROWD_MB);
    outcome.large_are_served();
    assert!(outcome.refusals() > 0, "beyond the budget they are refused");
    // A body that comes byte by byte takes no more than its bytes, so that all of them have room.
    let (_service, outcome) = bear("chunks", 100);
    outcome.is_bounded(IN_MB);
    outcome.large_are_served();
}

#[test]
fn bodies_on_streams_that_do_not_end_are_bounded() {
    let _alone = alone();
    let (_service, outcome) = bear("http2-bodies", 6);
    outcome.is_bounded(IN_MB);
    outcome.large_are_served();
}

#[test]
fn bodies_that_are_refused_end_their_connections() {
    let _alone = alone();
    let (_service, mut outcome) = bear("refused-bodies", 30);
    outcome.is_bounded(IN_MB);
    let mut answers: Vec<Vec<u8>> = Vec::new();
    eventually("all are closed", || {
        let found = outcome.standing.found();
        answers.resize(found.len(), Vec::new());
        answers.iter_mut().zip(&found).for_each(|(answer, found)| answer.extend(&found.bytes));
        found.iter().all(|found| found.is_closed)
    });
    let other = answers.iter().find(|answer| !answer.starts_with(b"HTTP/1.1 404 "));
    assert!(other.is_none(), "{:?}", other.map(|other| String::from_utf8_lossy(other)));
}

#[test]
fn streams_that_are_refused_count_until_their_bodies_end() {
    const STREAMS: usize = 100;
    let _alone = alone();
    let service = Service::start("memory:");
    let block = [&[0x83, 0x86, 0x04][..], &literal("/nowhere"), &[0x01], &literal("phipi")].concat();
    let request = |stream: usize| frame(HEADERS, END_HEADERS, u32::try_from(2 * stream + 1).unwrap(), &block);
    let requests = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].into_iter().chain((0..STREAMS).map(request));
    let requests = requests.collect::<Vec<_>>().concat();
    // The number of streams that are answered; the others are reset.
    let answered = |_| {
        let mut client = service.connect();
        client.write_all(&requests).unwrap();
        let (mut answered, mut reset) = (0, 0);
        while answered + reset < STREAMS {
            let mut head = [0; 9];
            client.read_exact(&mut head).unwrap();
            client.read_exact(&mut vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize]).unwrap();
            answered += usize::from(head[3] == HEADERS);
            reset += usize::from(head[3] == RST_STREAM);
        }
        (client, answered)
    };
    let clients: Vec<_> = (0..101).map(answered).collect();
    let all: usize = clients.iter().map(|(_, answered)| answered).sum();
    assert_eq!(all, 10_000, "there are no more streams at once");
}

#[test]
fn heads_that_do_not_end_are_bounded() {
    let _alone = alone();
    let (_service, mut outcome) = bear("heads", 30);
    outcome.is_bounded(CROWD_MB);
    assert!(outcome.refusals() > 0, "beyond the budget they are refused");
}

#[test]
fn heads_of_streams_are_bounded() {
    let _alone = alone();
    let (_service, outcome) = bear("http2-heads", 100);
    outcome.is_bounded(CROWD_MB);
}

#[test]
fn messages_that_do_not_end_are_bounded_and_close_the_socket() {
    let _alone = alone();
    let (_service, mut outcome) = bear("messages", 50);
    outcome.is_bounded(IN_MB);
    eventually("every socket is closed, by the budget or by the deadline of a message", || {
        outcome.standing.found().iter().all(|found| found.is_closed)
    });
}

#[test]
fn idle_sockets_cost_little() {
    let _alone = alone();
    let (_service, outcome) = bear("idle-sockets", 11);
    // 48 KiB for each of a thousand.
    outcome.is_bounded(48);
}

#[test]
fn pages_that_nobody_reads_are_one_copy() {
    let _alone = alone();
    let (_service, outcome) = bear("pages", 100);
    outcome.is_bounded(60);
}

#[test]
fn documents_take_no_more_than_their_cache() {
    let _alone = alone();
    let (_service, outcome) = bear("documents", 100);
    outcome.is_bounded(IN_MB);
}

#[test]
fn clients_that_read_fast_share_one_value() {
    let _alone = alone();
    let (_service, outcome) = bear("readers", 100);
    outcome.is_bounded(60);
}
