//! The truth, found in other ways than the program's own.

use std::{
    collections::{BTreeSet, HashMap},
    iter::from_fn,
    sync::{LazyLock, Mutex},
    thread,
};

use num_bigint::BigUint;
use sha2::{Digest, Sha256};

use crate::service::{Answers, Questions, program};

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

/// The first million digits of π, without the point: those whose SHA-256 was made by two other methods.
pub fn digits_of_pi() -> &'static str {
    static DIGITS: LazyLock<String> = LazyLock::new(|| {
        let printed = program().args(["pi-digits", "1000000"]).output().unwrap();
        let digits = String::from_utf8(printed.stdout).unwrap().trim_end().replace('.', "");
        let hash: String = Sha256::digest(&digits).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, "387877db67fdddbde761c053c4376e0b411b10fd2b126fd8b1249963cb628877");
        digits
    });
    &DIGITS
}

/// All that is true of some indices, of the approximations, and of the digits of π.
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
        for (&(from, count), (digits, _)) in questions.spans.iter().zip(&answers.digits) {
            if digits_of_pi()[from..from + count] != *digits {
                return Some(format!("piDigits({from}, {count}) is wrong"));
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
    /// The blocks of digits of π that are vouched for.
    blocks: usize,
}

const LADDER_TOP: u32 = 100_000;

/// Digits of π are kept in blocks of as many.
pub const BLOCK_DIGITS: usize = 36_864;

/// A server has a million digits, unless it is told otherwise.
const BLOCKS: usize = 28;

/// The blocks that hold all digits before one; the 3 is in none.
fn blocks_to(end: usize) -> usize {
    (end - 1).div_ceil(BLOCK_DIGITS)
}

/// The blocks that are evaluated to have as many.
fn ahead(blocks: usize) -> usize {
    if blocks == 0 { 0 } else { blocks.next_power_of_two().min(BLOCKS) }
}

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

    pub fn digits_cached(&self, from: usize, count: usize) -> bool {
        blocks_to(from + count) <= self.blocks
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
        for (from, count) in &questions.spans {
            self.blocks = self.blocks.max(ahead(blocks_to(from + count)));
        }
    }
}
