//! Fibonacci numbers.
//!
//! Up to [`TOP`] they are not kept one by one but by a ladder, one rung each 128 indices: once F(n) was answered, every
//! F(m), m ≤ n, can be read off. Beyond, each number is an entry.

use std::{
    fmt::{self, Display},
    hash::Hash,
    iter,
    ops::Range,
    sync::Arc,
};

use super::{
    function::{Function, HEADERS},
    limits::{Given, Limits, OutOfRange},
};
use crate::{
    cache::{Growth, Height, Retention, Rungs, Want},
    math::{
        decimal::{Decimal, LIMB_BYTES},
        fib::{self, Index},
        residue::Prime,
        rung::Rung,
    },
    telemetry,
    workers::Workers,
};

/// The key of the mark, the highest index vouched for.
pub(super) const MARK: &str = "1:fib:top";

/// The number of the ladder.
pub(super) const LADDER: usize = 0;

/// The highest index that the ladder vouches for: with its 782 rungs it takes 7.3 MB.
pub(super) const TOP: u32 = 100_000;

/// Values beyond stay out of the store, where they would hold up the others.
const STORED_BYTES: usize = 16 * 1024 * 1024;

impl Limits {
    /// A client's index, in the argument of this name.
    ///
    /// # Errors
    /// When it is beyond what this server serves.
    pub fn index(&self, argument: &'static str, n: Given) -> Result<Index, OutOfRange> {
        n.within(argument, 0, self.max_n.get(), Index::new)
    }

    /// A client's sequence of indices, `count` of them from `from` on.
    ///
    /// # Errors
    /// When it has none or more than [`Limits::MAX_COUNT`], or goes beyond what this server serves.
    pub fn indices(&self, from: Given, count: Given) -> Result<impl Iterator<Item = Index> + Clone, OutOfRange> {
        let first = self.index("from", from)?.get();
        let count = count.within("count", 1, (self.max_n.get() - first + 1).min(Self::MAX_COUNT), Some)?;
        Ok((first..first + count).filter_map(Index::new))
    }
}

/// The name of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A rung, by its number.
    Rung(u32),
    /// A number beyond the ladder.
    Number(Index),
}

/// A proven entry.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A rung.
    Rung(Arc<Rung>),
    /// A number beyond the ladder.
    Number(Arc<Decimal>),
}

impl Key {
    /// The rung of this number, if the ladder is as high.
    pub(super) fn of_rung(r: u32) -> Option<Self> {
        (r <= TOP / Rung::SPACING).then_some(Self::Rung(r))
    }
}

impl Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rung(r) => write!(out, "1:fib:rung:{r}"),
            Self::Number(n) => write!(out, "1:fib:n:{}", n.get()),
        }
    }
}

/// The length of the stored form of F(n), unless it is too long to be stored.
fn stored_bytes(n: Index) -> Option<usize> {
    Some(fib::limb_count(n) * LIMB_BYTES).filter(|&bytes| bytes <= STORED_BYTES)
}

impl Function for Index {
    type Key = Key;
    type Entry = Entry;
    type Value = Arc<Decimal>;

    const ANSWERS_ABOVE_MARK: bool = true;

    fn wants(self) -> impl Iterator<Item = Want<Key>> {
        let ladder = Some(LADDER);
        let want = if self.get() <= TOP {
            let r = Rung::number_for(self);
            Want { key: Key::Rung(r), bytes: Rung::stored_bytes(r), ladder, mark: Some(self.get()) }
        } else {
            Want { key: Key::Number(self), bytes: stored_bytes(self).unwrap_or(0), ladder, mark: None }
        };
        // F(0) and F(1) are the definition.
        iter::once(want).filter(move |_| self.get() > 1)
    }

    fn top(self, _: &Limits) -> Option<Height> {
        (self.get() > 1).then_some(Height { ladder: LADDER, mark: self.get().min(TOP) })
    }

    /// Time: linear.
    fn read(self, mut entries: impl Iterator<Item = Entry>, prime: &Prime) -> Option<Arc<Decimal>> {
        match entries.next() {
            None => Some(Arc::new(Decimal::from(u64::from(self.get())))),
            Some(Entry::Rung(rung)) => rung.read_proven(self, prime).map(Arc::new),
            Some(Entry::Number(number)) => Some(number),
        }
    }

    fn limbs(self) -> usize {
        if self.get() <= TOP { fib::limb_count(self) } else { 0 }
    }

    fn digits(self, _: Option<Self>) -> usize {
        fib::digit_count(self)
    }

    fn bytes(self) -> usize {
        fib::limb_count(self) * LIMB_BYTES
    }

    fn name(self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "fib({})", self.get())
    }

    fn key(name: &str) -> Option<Key> {
        let number = |prefix: &str| name.strip_prefix(prefix)?.parse::<u32>().ok();
        let rung = number("1:fib:rung:").and_then(Key::of_rung);
        let is_written = |n: &Index| n.get() > TOP && stored_bytes(*n).is_some();
        rung.or_else(|| number("1:fib:n:").and_then(Index::new).filter(is_written).map(Key::Number))
    }

    fn height(key: Key) -> Option<Height> {
        match key {
            Key::Rung(r) => Some(Height { ladder: LADDER, mark: r * Rung::SPACING }),
            Key::Number(_) => None,
        }
    }

    /// The ladder is pinned: each rung stands for 128 values.
    fn retention(key: Key) -> Retention {
        match key {
            Key::Rung(_) => Retention::Pinned,
            Key::Number(n) if stored_bytes(n).is_none() => Retention::Local,
            Key::Number(_) => Retention::Dear,
        }
    }

    fn prove(key: Key, bytes: &[u8], prime: &Prime) -> Option<Entry> {
        match key {
            Key::Rung(r) => {
                let rung = Rung::from_bytes(r, bytes)?;
                rung.is_proven_by(prime).then(|| Entry::Rung(Arc::new(rung)))
            }
            Key::Number(n) => {
                let number = Decimal::from_bytes(bytes, fib::limb_count(n))?;
                prime.proves(n, &number).then(|| Entry::Number(Arc::new(number)))
            }
        }
    }

    /// A number is the sum of the two before it.
    fn follows(key: Key, before: Key) -> bool {
        matches!((key, before), (Key::Number(n), Key::Number(before)) if n.get() == before.get() + 1)
    }

    fn work(key: Key) -> usize {
        match key {
            Key::Rung(r) => Rung::stored_bytes(r) / LIMB_BYTES,
            Key::Number(n) => fib::limb_count(n),
        }
    }

    fn evaluate(keys: &[Key], prime: &Prime) -> Option<Vec<(Key, Entry)>> {
        let numbers = match *keys {
            [Key::Rung(r)] => vec![Entry::Rung(Arc::new(Rung::proven(r, prime)?))],
            [Key::Number(first), ..] => {
                let numbers = fib::consecutive(first, keys.len(), prime)?;
                numbers.into_iter().map(|number| Entry::Number(Arc::new(number))).collect()
            }
            _ => return None,
        };
        Some(keys.iter().copied().zip(numbers).collect())
    }

    fn weight(entry: &Entry) -> usize {
        match entry {
            Entry::Rung(rung) => HEADERS + Rung::stored_bytes(rung.number()),
            Entry::Number(number) => HEADERS + number.limbs().len() * LIMB_BYTES,
        }
    }

    fn to_bytes(entry: &Entry) -> Vec<u8> {
        match entry {
            Entry::Rung(rung) => rung.to_bytes(),
            Entry::Number(number) => {
                let mut bytes = Vec::new();
                number.write_bytes(&mut bytes);
                bytes
            }
        }
    }
}

/// Indices whose answers take all rungs up to F(n), and F(n) itself: one of each rung, so that lost ones are written anew.
pub fn all_up_to(n: Index) -> impl Iterator<Item = Index> {
    let top = n.get().min(TOP);
    let on_rungs = (2..=top).step_by(Rung::SPACING as usize).chain([top]).filter_map(Index::new);
    on_rungs.chain([n])
}

/// Builds the rungs above `mark`, up to that of `top` or about `bytes` of them: first those that memory has, then,
/// from the first that it lacks, evaluated ones.
pub(super) fn growth<K, V>(workers: Arc<Workers>, prime: Prime) -> Growth<K, V>
where
    K: From<Key> + Clone + Eq + Hash + Send + Sync + 'static,
    V: From<Entry> + Clone + Send + Sync + 'static,
{
    Box::new(move |mark, top, bytes, memory| {
        let workers = Arc::clone(&workers);
        let (numbers, mark) = step(mark, top, bytes);
        Box::pin(async move {
            let limbs = numbers.clone().map(Rung::stored_bytes).sum::<usize>() / LIMB_BYTES;
            let make = move || {
                let key = |r| K::from(Key::Rung(r));
                let mut entries: Vec<(K, V)> =
                    numbers.clone().map_while(|r| Some((key(r), memory.get(&key(r))?))).collect();
                let first = numbers.start + u32::try_from(entries.len()).ok()?;
                let rungs = Rung::ladder(first..numbers.end, &prime)?.into_iter();
                entries.extend(rungs.map(|rung| (key(rung.number()), Entry::Rung(Arc::new(rung)).into())));
                Some(Rungs { entries, mark })
            };
            let rungs = workers.run(limbs, make).await.ok()?;
            if rungs.is_none() {
                telemetry::evaluation_wrong(&"the ladder");
            }
            rungs
        })
    })
}

/// The numbers of the rungs above `mark`, up to that of `top` or as many as fit `bytes`, but at least one; and the
/// mark that they justify.
fn step(mark: Option<u32>, top: u32, bytes: usize) -> (Range<u32>, u32) {
    let first = mark.map_or(0, |mark| mark / Rung::SPACING + 1);
    let end = top / Rung::SPACING + 1;
    let mut taken = 0_usize;
    let fit = (first..end).take_while(|&r| {
        taken = taken.saturating_add(Rung::stored_bytes(r));
        r == first || taken <= bytes
    });
    let next = fit.last().map_or(end, |last| last + 1);
    (first..next, if next == end { top } else { next * Rung::SPACING - 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lead_to_the_top_without_a_gap() {
        for (start, top, bytes) in [(None, 100_000, 64 * 1024), (Some(127), 128, 1), (Some(500), 5_000, 0)] {
            let mut mark = start;
            let mut next = start.map_or(0, |mark| mark / Rung::SPACING + 1);
            while mark < Some(top) {
                let (numbers, next_mark) = step(mark, top, bytes);
                assert_eq!(numbers.start, next, "after {mark:?}");
                assert_eq!(next_mark.min(top) / Rung::SPACING + 1, numbers.end, "they justify {next_mark}");
                let size: usize = numbers.clone().map(Rung::stored_bytes).sum();
                assert!(numbers.len() == 1 || size <= bytes, "{size} bytes");
                (mark, next) = (Some(next_mark), numbers.end);
            }
            assert_eq!(mark, Some(top));
        }
        assert_eq!(step(Some(300), 310, 0), (3..3, 310), "on a known rung the mark alone rises");
        assert_eq!(step(None, 100_000, usize::MAX), (0..782, 100_000));
    }
}
