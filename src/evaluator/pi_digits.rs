//! Digits of π.
//!
//! They are kept as blocks, which a ladder vouches for: block b is rung b, and the mark is the number of blocks. To evaluate
//! a digit is to evaluate all before it, so that they are evaluated ahead, to the next length of a geometric row: who reads
//! on from page to page has them evaluated once for each doubling.

use std::{
    fmt::{self, Display},
    hash::Hash,
    sync::Arc,
};

use sha2::{Digest, Sha256};

use super::{
    function::{Function, HEADERS},
    limits::{Given, Limits, OutOfRange},
};
use crate::{
    cache::{Growth, Height, Retention, Rungs, Want},
    math::{
        Kernel,
        decimal::LIMB_BYTES,
        pi_digits::{self, BLOCK_BYTES, BLOCKS, Block, Count, Digits, Row, Span, fingerprint},
        residue::Prime,
    },
};

/// The key of the mark, the number of blocks vouched for.
pub(super) const MARK: &str = "1:pi:digits:top";

/// The number of the ladder.
pub(super) const LADDER: usize = 1;

/// The name of an entry: the block of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u32);

impl Key {
    /// The block of this number, if there is one.
    pub(super) fn of_block(number: u32) -> Option<Self> {
        ((number as usize) < BLOCKS).then_some(Self(number))
    }

    fn of(number: usize) -> Self {
        Self(u32::try_from(number).expect("at most 2,713 blocks"))
    }

    /// The number of blocks up to this one.
    fn blocks(self) -> usize {
        self.0 as usize + 1
    }
}

impl Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "1:pi:digits:{}", self.0)
    }
}

impl Limits {
    /// A client's span.
    ///
    /// # Errors
    /// When it has no digit, or goes beyond what this server serves.
    pub fn span(&self, from: Given, count: Given) -> Result<Span, OutOfRange> {
        let most = u32::try_from(self.max_pi_digits.get()).unwrap_or(u32::MAX);
        let from = from.within("from", 0, most - 1, Some)?;
        count.within("count", 1, most - from, |digits| Span::new(from as usize, digits as usize))
    }
}

/// The number of the last block of as many as are evaluated together to have this one.
fn ahead(Key(number): Key, limits: &Limits) -> Key {
    let most = limits.max_pi_digits.blocks();
    let blocks = (number as usize + 1).next_power_of_two().min(most);
    Key::of(blocks.max(1) - 1).max(Key(number))
}

impl Function for Span {
    type Key = Key;
    type Entry = Arc<Block>;
    type Value = Arc<Row>;

    const ANSWERS_ABOVE_MARK: bool = false;

    fn wants(self) -> impl Iterator<Item = Want<Key>> {
        self.blocks().map(|number| {
            let (key, ladder) = (Key::of(number), Some(LADDER));
            Want { key, bytes: BLOCK_BYTES, ladder, mark: Self::height(key).map(|height| height.mark) }
        })
    }

    fn top(self, limits: &Limits) -> Option<Height> {
        let last = self.blocks().next_back()?;
        Self::height(ahead(Key::of(last), limits))
    }

    fn read(self, entries: impl Iterator<Item = Arc<Block>>, _: &Prime) -> Option<Arc<Row>> {
        Row::new(self, entries.collect()).map(Arc::new)
    }

    fn limbs(self) -> usize {
        0
    }

    const HAS_LIMIT: bool = true;

    fn digits(self, before: Option<Self>) -> usize {
        self.end() - before.map_or(0, Self::end)
    }

    fn bytes(self) -> usize {
        self.blocks().len() * BLOCK_BYTES
    }

    fn name(self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "piDigits({}, {})", self.from(), self.count())
    }

    fn key(name: &str) -> Option<Key> {
        name.strip_prefix("1:pi:digits:")?.parse().ok().and_then(Key::of_block)
    }

    fn height(key: Key) -> Option<Height> {
        Some(Height { ladder: LADDER, mark: key.0 + 1 })
    }

    /// They took long to evaluate, and are few.
    fn retention(_: Key) -> Retention {
        Retention::Pinned
    }

    fn prove(key: Key, bytes: &[u8], _: &Prime) -> Option<Arc<Block>> {
        let block = Block::from_bytes(bytes)?;
        proves(key.0 as usize, bytes).then(|| Arc::new(block))
    }

    fn ahead(key: Key, limits: &Limits) -> Key {
        ahead(key, limits)
    }

    fn makes(evaluated: Key, key: Key) -> bool {
        key <= evaluated
    }

    /// The memory of the whole evaluation, which is many times that of its result.
    fn work(key: Key) -> usize {
        Count::of_blocks(key.blocks()).map_or(usize::MAX, |count| pi_digits::memory(count).div_ceil(LIMB_BYTES))
    }

    fn evaluate(keys: &[Key], _: &Prime) -> Option<Vec<(Key, Arc<Block>)>> {
        let blocks = keys.iter().max()?.blocks();
        let digits = evaluated(blocks, &mut |_| ())?;
        let entry = |number| Some((Key::of(number), Arc::new(digits.block(number)?)));
        (0..blocks).map(entry).collect()
    }

    fn weight(_: &Arc<Block>) -> usize {
        HEADERS + BLOCK_BYTES
    }

    fn to_bytes(block: &Arc<Block>) -> Vec<u8> {
        let mut bytes = Vec::new();
        block.write_bytes(&mut bytes);
        bytes
    }
}

/// Gives the blocks above `mark` that memory has, up to that of `top` or about `bytes` of them. Others are not evaluated
/// for this: the next answer that lacks them has them evaluated.
pub(super) fn growth<K, V>() -> Growth<K, V>
where
    K: From<Key> + Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Box::new(|mark, top, bytes, memory| {
        let (first, at_once) = (mark.unwrap_or(0), u32::try_from(bytes / BLOCK_BYTES).unwrap_or(u32::MAX).max(1));
        let last = top.min(first.saturating_add(at_once));
        let entry = |number| {
            let key = K::from(Key(number));
            let block = memory.get(&key)?;
            Some((key, block))
        };
        let rungs: Vec<_> = (first..last).map_while(entry).collect();
        let mark = first + u32::try_from(rungs.len()).expect("at most 2,713 blocks");
        Box::pin(async move { (mark > first).then_some(Rungs { entries: rungs, mark }) })
    })
}

/// At least the first `count` digits of π, proven: `None` if they failed their proof, which only a fault of the machine or of
/// this program explains.
///
/// `progress` is called as by [`pi_digits::evaluate`]. The proof takes some hundredths of the time.
#[must_use]
pub fn pi_digits(count: Count, progress: &mut dyn FnMut(f64)) -> Option<Digits> {
    // Whole blocks, since those are what can be proven.
    evaluated(count.blocks().max(1), progress)
}

/// The digits of the first blocks, proven.
fn evaluated(blocks: usize, progress: &mut dyn FnMut(f64)) -> Option<Digits> {
    let digits = pi_digits::evaluate(Count::of_blocks(blocks)?, Kernel::best(), progress);
    let mut bytes = Vec::with_capacity(BLOCK_BYTES);
    let are_proven = (0..blocks).all(|number| {
        bytes.clear();
        digits.block(number).is_some_and(|block| {
            block.write_bytes(&mut bytes);
            proves(number, &bytes)
        })
    });
    are_proven.then_some(digits)
}

/// Whether these bytes are the stored form of the block of this number, by their hash.
fn proves(number: usize, bytes: &[u8]) -> bool {
    fingerprint(number).is_some_and(|fingerprint| Sha256::digest(bytes).starts_with(fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::fib::Index;

    #[test]
    fn a_block_is_proven_by_its_own_fingerprint_alone() {
        let digits = pi_digits(Count::of_blocks(2).unwrap(), &mut |_| ()).expect("digits that are right");
        let [first, second] = [0, 1].map(|number| {
            let mut bytes = Vec::new();
            digits.block(number).expect("two blocks").write_bytes(&mut bytes);
            bytes
        });
        assert!(proves(0, &first) && proves(1, &second) && !proves(0, &second) && !proves(1, &first));
        let mut wrong = first;
        wrong[BLOCK_BYTES / 2] ^= 1;
        assert!(!proves(0, &wrong));
    }

    #[test]
    fn digits_are_evaluated_ahead_in_a_geometric_row() {
        let limits = |digits| Limits { max_n: Index::MAX, max_pi_digits: Count::new(digits).unwrap() };
        let lengths = |number| ahead(Key(number), &limits(1_000_000)).blocks();
        assert_eq!([0, 1, 2, 3, 4, 7, 8, 16, 27].map(lengths), [1, 2, 4, 4, 8, 8, 16, 28, 28], "28 blocks are all");
        assert_eq!(ahead(Key(2_712), &limits(100_000_000)).blocks(), BLOCKS);
        assert_eq!(ahead(Key(0), &limits(2)).blocks(), 1);
    }
}
