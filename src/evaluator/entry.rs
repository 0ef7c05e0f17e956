//! The evaluator's entries in the cache: keys, values, and the proof that one belongs to the other.

use std::{fmt, sync::Arc};

use super::question::{LADDER_TOP, Question};
use crate::{
    cache::{Retention, Want},
    math::{
        decimal::{Decimal, LIMB_BYTES},
        fib::{self, Index},
        pi::{self, Terms},
        residue::Prime,
        rung::Rung,
    },
};

/// The key of the ladder's mark, the highest index vouched for. The 1 is the version of the encoding, here and below.
pub(super) const LADDER_MARK: &str = "1:fib:top";

/// Values beyond stay out of the store, where they would hold up the others.
const STORED_BYTES: usize = 16 * 1024 * 1024;

/// The name of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Rung(u32),
    Fib(Index),
    Pi(Terms),
}

/// A proven entry.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Rung(Arc<Rung>),
    Fib(Arc<Decimal>),
    Pi(f64),
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rung(r) => write!(out, "1:fib:rung:{r}"),
            Self::Fib(n) => write!(out, "1:fib:n:{}", n.get()),
            Self::Pi(terms) => write!(out, "1:pi:{}", terms.get()),
        }
    }
}

/// The length of the stored form of F(n), unless it is too long to be stored.
fn stored_bytes(n: Index) -> Option<usize> {
    Some(fib::limb_count(n) * LIMB_BYTES).filter(|&bytes| bytes <= STORED_BYTES)
}

impl Key {
    /// The key of this name, if it is one that this version writes.
    pub(super) fn of(name: &str) -> Option<Self> {
        let number = |prefix: &str| name.strip_prefix(prefix)?.parse::<u32>().ok();
        let rung = number("1:fib:rung:").filter(|&r| r <= LADDER_TOP / Rung::SPACING).map(Self::Rung);
        let is_written = |n: &Index| n.get() > LADDER_TOP && stored_bytes(*n).is_some();
        let fib = || number("1:fib:n:").and_then(Index::new).filter(is_written).map(Self::Fib);
        let pi = || number("1:pi:").and_then(Terms::new).map(Self::Pi);
        rung.or_else(fib).or_else(pi).filter(|key| key.to_string() == name)
    }

    /// The number of the rung, if it is one.
    pub(super) fn rung(self) -> Option<u32> {
        match self {
            Self::Rung(r) => Some(r),
            Self::Fib(_) | Self::Pi(_) => None,
        }
    }

    /// The eviction class of its entry. The ladder is pinned: each rung stands for 128 values.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as the cache asks it")]
    pub(super) fn retention(&self) -> Retention {
        match self {
            Self::Rung(_) => Retention::Pinned,
            Self::Fib(n) if stored_bytes(*n).is_none() => Retention::Local,
            Self::Fib(_) => Retention::Dear,
            Self::Pi(_) => Retention::Cheap,
        }
    }

    /// The lookup that answers a question; `None` for F(0) and F(1), which are the definition.
    pub(super) fn want(question: Question) -> Option<Want<Self>> {
        Some(match question {
            Question::Fib(n) if n.get() <= 1 => return None,
            Question::Fib(n) if n.get() <= LADDER_TOP => {
                let r = Rung::number_for(n);
                Want { key: Self::Rung(r), bytes: Rung::stored_bytes(r), mark: Some(n.get()) }
            }
            Question::Fib(n) => Want { key: Self::Fib(n), bytes: stored_bytes(n).unwrap_or(0), mark: None },
            Question::Pi(terms) => Want { key: Self::Pi(terms), bytes: 0, mark: None },
        })
    }

    /// The value if `bytes` are exactly what belongs under this key. Time: one pass over the bytes.
    pub(super) fn prove(self, bytes: &[u8], prime: &Prime) -> Option<Value> {
        match self {
            Self::Rung(r) => {
                let rung = Rung::from_bytes(r, bytes)?;
                rung.is_proven_by(prime).then(|| Value::Rung(Arc::new(rung)))
            }
            Self::Fib(n) => {
                let value = Decimal::from_bytes(bytes, fib::limb_count(n))?;
                prime.proves(n, &value).then(|| Value::Fib(Arc::new(value)))
            }
            Self::Pi(terms) => {
                let value = pi::approximation(terms);
                (bytes == text_of(value).as_bytes()).then_some(Value::Pi(value))
            }
        }
    }
}

impl Value {
    /// The answer to a question whose entry this is. A value is read off its rung in linear time.
    pub(super) fn answer(self, question: Question) -> Self {
        match (&self, question) {
            (Self::Rung(rung), Question::Fib(n)) => rung.read(n).map_or(self, |value| Self::Fib(Arc::new(value))),
            _ => self,
        }
    }

    /// [`Self::answer`], and proven if it had to be computed. `None` when it failed its proof.
    pub(super) fn proven_answer(&self, question: Question, prime: &Prime) -> Option<Self> {
        match (self, question) {
            (Self::Rung(rung), Question::Fib(n)) => Some(Self::Fib(Arc::new(rung.read_proven(n, prime)?))),
            _ => Some(self.clone()),
        }
    }

    /// Approximate bytes that it takes in memory beyond its own size.
    pub(super) fn weight(&self) -> usize {
        /// The counters of an `Arc`, the parts of two vectors, and what an allocator adds to each of the three.
        const HEADERS: usize = 128;
        match self {
            Self::Rung(rung) => HEADERS + Rung::stored_bytes(rung.number()),
            Self::Fib(value) => HEADERS + value.limbs().len() * LIMB_BYTES,
            Self::Pi(_) => 0,
        }
    }

    /// The stored form.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Rung(rung) => rung.to_bytes(),
            Self::Fib(value) => {
                let mut bytes = Vec::new();
                value.write_bytes(&mut bytes);
                bytes
            }
            Self::Pi(value) => text_of(*value).into_bytes(),
        }
    }
}

/// The stored form of an approximation: the shortest text that reads back as the same double.
fn text_of(approximation: f64) -> String {
    approximation.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_name() {
        for name in
            ["1:fib:rung:0", "1:fib:rung:781", "1:fib:n:100001", "1:fib:n:100000000", "1:pi:0", "1:pi:2147483647"]
        {
            assert_eq!(Key::of(name).expect(name).to_string(), name);
        }
        for name in [
            "",
            "1:fib:top",
            "1:fib:rung:782",
            "1:fib:rung:07",
            "1:fib:n:+100001",
            "1:fib:n:7",
            "1:fib:n:100000",
            "1:fib:n:1000000000",
            "1:pi:-1",
            "2:pi:1",
            "1:pi:1 ",
        ] {
            assert_eq!(Key::of(name), None, "{name}");
        }
    }
}
