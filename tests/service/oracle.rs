//! The truth, found in other ways than the program's own.

use std::{
    collections::{BTreeSet, HashMap},
    iter::from_fn,
    sync::Mutex,
    thread,
};

use num_bigint::BigUint;

use crate::service::{Answers, Questions};

/// F(n) in another library, by F(2k) = F(k)·(2F(k+1) − F(k)) and F(2k+1) = F(k)² + F(k+1)².
pub fn fibonacci(n: u32) -> String {
    let (mut here, mut next) = (BigUint::ZERO, BigUint::from(1_u32));
    for bit in (0..u32::BITS - n.leading_zeros()).rev() {
        let even = &here * (2_u32 * &next - &here);
        let odd = &here * &here + &next * &next;
        (here, next) = if n >> bit & 1 == 0 { (even, odd) } else { (odd.clone(), even + odd) };
    }
    here.to_string()
}

/// Approximations of π from another library, correctly rounded, with the numbers of their terms: 0 to 204, and from
/// there on up to the largest. A double is as this process reads it in JSON, so that it can be compared for equality.
pub fn approximations() -> Vec<(u32, f64)> {
    let lines = include_str!("../data/pi-references.tsv").lines().filter(|line| !line.starts_with('#'));
    let approximation = |line: &str| {
        let mut columns = line.split('\t');
        let (terms, value) = (columns.next()?.parse().ok()?, columns.next()?.parse::<f64>().ok()?);
        Some((terms, serde_json::from_str(&value.to_string()).ok()?))
    };
    lines.map(|line| approximation(line).unwrap()).collect()
}

/// All that is true of some indices, and of the approximations.
pub struct Truth {
    fibs: HashMap<u32, String>,
    pub approximations: Vec<(u32, f64)>,
}

impl Truth {
    /// Found on all processors.
    pub fn of(indices: Vec<u32>) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let queue = Mutex::new(indices.into_iter());
        let next = || queue.lock().unwrap().next();
        let found = || from_fn(next).map(|n| (n, fibonacci(n))).collect::<Vec<_>>();
        let fibs = thread::scope(|scope| {
            let parts: Vec<_> = (0..processors).map(|_| scope.spawn(found)).collect();
            parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
        });
        Self { fibs, approximations: approximations() }
    }

    /// The fault of the answers to some questions, if there is one.
    pub fn refutes(&self, questions: &Questions, answers: &Answers) -> Option<String> {
        for (n, (digits, _)) in questions.indices.iter().zip(&answers.fibs) {
            if self.fibs[n] != *digits {
                return Some(format!("fib({n}) is wrong"));
            }
        }
        for (&terms, &(value, _)) in questions.terms.iter().zip(&answers.pis) {
            if !self.approximations.contains(&(terms, value)) {
                return Some(format!("pi({terms}) is not {value}"));
            }
        }
        None
    }
}

/// The values of `cached` by the design.
#[derive(Clone, Debug, Default)]
pub struct Model {
    top: Option<u32>,
    values: BTreeSet<u32>,
    approximations: BTreeSet<u32>,
}

const LADDER_TOP: u32 = 100_000;

impl Model {
    pub fn fib_cached(&self, n: u32) -> bool {
        n <= 1 || (n <= LADDER_TOP && self.top >= Some(n)) || self.values.contains(&n)
    }

    /// The lowest index of the ladder that is not cached.
    pub fn first_above(&self) -> u32 {
        self.top.map_or(2, |top| top + 1)
    }

    pub fn pi_cached(&self, terms: u32) -> bool {
        self.approximations.contains(&terms)
    }

    fn fib_answered(&mut self, n: u32) {
        if n > 1 {
            self.top = self.top.max(Some(n.min(LADDER_TOP)));
        }
        if n > LADDER_TOP {
            self.values.insert(n);
        }
    }

    fn pi_answered(&mut self, terms: u32) {
        self.approximations.insert(terms);
    }

    /// Takes note that all questions of a request were answered.
    pub fn note(&mut self, questions: &Questions) {
        questions.indices.iter().for_each(|&n| self.fib_answered(n));
        questions.terms.iter().for_each(|&terms| self.pi_answered(terms));
    }
}
