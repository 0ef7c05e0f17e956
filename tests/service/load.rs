//! A steady load on two processes: its questions and its pace.
//!
//! It is open: clients ask on schedule, whatever the outcome of earlier questions, and a latency is counted from when
//! its question was due. The pace makes the load, so that clients sleep.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use ureq::Agent;

use crate::{
    oracle::{Truth, approximations},
    service::{Questions, Service, client},
};

/// Each client asks one question after the other, so that one that has to wait holds up no other's.
const CLIENTS: u32 = 40;

/// The period of each client: 200 requests a second in all.
const PERIOD: Duration = Duration::from_millis(200);

/// After this many requests the mix begins anew; by then a run has failed for being too slow.
const MIX: u32 = 1_600;

/// From here on long values are asked for, in the midst of a fault. An answer above the ladder raises it to its top at
/// once, so that it has to be climbed rung by rung before.
const FIRST_LONG: u32 = 500;

/// A new index of the ladder for each of a mix, which together climb almost all of it.
fn index(number: u32) -> u32 {
    2 + 61 * number
}

/// An index above the ladder; each hundredth's stored form is longer than 64 KiB, and so given more time.
fn long_index(number: u32) -> u32 {
    if number % 100 == 99 { 710_000 + number / 100 } else { 100_001 + number }
}

/// The questions of the request of this number: of ten, four a new index of the ladder, two a repeated one, one and one
/// for π, one both, and one a long value, or before its time both again.
fn questions(number: u32, approximations: &[(u32, f64)]) -> Questions {
    let number = number % MIX;
    let terms = |number: u32| vec![approximations[number as usize % approximations.len()].0];
    let (indices, terms) = match number % 10 {
        0..=3 => (vec![index(number)], Vec::new()),
        // One that was new a little earlier.
        4 | 5 => (vec![index(number.saturating_sub(44))], Vec::new()),
        6 => (Vec::new(), terms(number)),
        7 => (Vec::new(), terms(number.saturating_sub(41))),
        9 if number >= FIRST_LONG => (vec![long_index(number)], Vec::new()),
        _ => (vec![index(number)], terms(number)),
    };
    Questions { indices, terms, ..Questions::default() }
}

/// A request of the load and its outcome.
pub struct Record {
    pub due: Instant,
    pub answered: Instant,
    pub questions: Questions,
    /// Whether all of it was cached; if it was not answered as it should be, why.
    pub outcome: Result<bool, String>,
}

impl Record {
    pub fn latency(&self) -> Duration {
        self.answered - self.due
    }

    /// Whether some of it had to be evaluated.
    pub fn is_new(&self) -> bool {
        self.outcome == Ok(false)
    }
}

/// The truth on all that a load may ask; it is found before the load begins.
pub fn truth() -> Truth {
    let approximations = approximations();
    Truth::of((0..MIX).flat_map(|number| questions(number, &approximations).indices).collect())
}

/// Has both processes asked for as long as the story takes, and returns the outcome of each request.
pub fn while_asked<T>(services: &[Service; 2], truth: &Truth, story: impl FnOnce() -> T) -> (T, Vec<Record>) {
    let load = Load { services, truth, start: Instant::now(), is_over: AtomicBool::new(false) };
    thread::scope(|scope| {
        let load = &load;
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || load.client(number))).collect();
        let ending = Ending(&load.is_over);
        let told = story();
        drop(ending);
        (told, clients.into_iter().flat_map(|client| client.join().unwrap()).collect())
    })
}

/// Ends a load, even if the story fails.
pub struct Ending<'a>(pub &'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Load<'a> {
    services: &'a [Service; 2],
    truth: &'a Truth,
    start: Instant,
    is_over: AtomicBool,
}

impl Load<'_> {
    /// Asks both processes by turns, at the times that are due for this client.
    fn client(&self, client_number: u32) -> Vec<Record> {
        let agent = client();
        let asked = (0..).map_while(|round| {
            let due = self.start + PERIOD * client_number / CLIENTS + PERIOD * round;
            sleep(due.saturating_duration_since(Instant::now()));
            let questions = questions(client_number + CLIENTS * round, &self.truth.approximations);
            let service = &self.services[(client_number + round) as usize % 2];
            (!self.is_over.load(Ordering::Relaxed)).then(|| self.ask(&agent, service, due, questions))
        });
        asked.collect()
    }

    fn ask(&self, agent: &Agent, service: &Service, due: Instant, questions: Questions) -> Record {
        let answers = service.ask(agent, &questions);
        let answered = Instant::now();
        let outcome = answers.and_then(|answers| match self.truth.refutes(&questions, &answers) {
            None => Ok(answers.are_cached()),
            Some(wrong) => Err(wrong),
        });
        Record { due, answered, questions, outcome }
    }
}
