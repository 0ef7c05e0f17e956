//! The properties of `fuzz` over their kept corpus and over mutations of it: no panic, for any bytes from outside.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    time::{Duration, Instant},
};

#[path = "../fuzz/properties.rs"]
mod properties;

/// Cases for each target, the same in every run …
const CASES: usize = 100_000;
/// … as far as they take no longer than this.
const TIME: Duration = Duration::from_secs(10);

/// No case is longer: other tests find faults of long input.
const BYTES: usize = 64 * 1024;

/// Tokens that mean something to one of the targets.
const TOKENS: [&[u8]; 44] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b"\"",
    b"\"\"\"",
    b"...",
    b"...a",
    b"@include(if: true)",
    b"$n",
    b"!",
    b":",
    b"fragment a on Query ",
    b"query ",
    b"fib(n: 10000000)",
    b"pi(terms: 2147483647)",
    b"result ",
    b"__typename ",
    b"-",
    b"1e400",
    b"2147483648",
    b"null",
    b"\\ud800",
    b"\\u0000",
    b"\0",
    b"\xFF",
    b"\xEF\xBB\xBF",
    b"\"d\" query ",
    b"\"\"\"d\"\"\" $",
    b"...on\nQuery",
    b"fragment on on Query ",
    b"#\r",
    b",",
    b"()",
    b"[Int!]!",
    b"= ",
    b"-0",
    b"0.5e-7",
    b"trueq",
    b"%00",
    // As limbs: the base, and the largest word.
    &1_000_000_000_000_000_000_u64.to_le_bytes(),
    &u64::MAX.to_le_bytes(),
];

#[test]
fn requests() {
    try_all("request", properties::request);
}

#[test]
fn documents() {
    try_all("document", properties::document);
}

#[test]
fn grammars() {
    try_all("grammar", properties::grammar);
}

#[test]
fn stored_entries() {
    try_all("entry", properties::entry);
}

/// Tries the corpus of a target, then mutations of it.
fn try_all(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let begun = Instant::now();
    let mutations = (seeds.len()..CASES).map_while(|_| (begun.elapsed() < TIME).then(|| random.mutation(&seeds)));
    for case in seeds.iter().cloned().chain(mutations) {
        let tried = catch_unwind(AssertUnwindSafe(|| property(&case)));
        tried.unwrap_or_else(|panic| {
            eprintln!("{target}: b\"{}\"", case.escape_ascii());
            resume_unwind(panic)
        });
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    /// 0 to `end` − 1; 0 when there is nothing to choose from.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).unwrap() % end.max(1)
    }

    /// A part of `bytes`, perhaps empty.
    fn part<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.below(bytes.len() + 1);
        &bytes[start..][..self.below(bytes.len() - start + 1)]
    }

    /// One of the seeds, changed one to four times.
    fn mutation(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut case = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let other = &seeds[self.below(seeds.len())];
            self.mutate(&mut case, other);
        }
        case.truncate(BYTES);
        case
    }

    fn mutate(&mut self, case: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(case.len() + 1);
        match self.below(6) {
            0 => case.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
            1 => case.truncate(at),
            2 => {
                let part = self.part(case).to_vec();
                case.splice(at..at, part);
            }
            3 => {
                case.splice(at.., self.part(other).to_vec());
            }
            4 => {
                case.splice(at..at, TOKENS[self.below(TOKENS.len())].iter().copied());
            }
            // In place, so that the rest keeps its place too.
            _ => {
                let token = TOKENS[self.below(TOKENS.len())];
                let end = case.len().min(at + token.len());
                case.splice(at..end, token.iter().copied());
            }
        }
    }
}
