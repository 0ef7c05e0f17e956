//! The trait that makes a function of numbers one that phipi answers.

use std::{
    fmt::{self, Display},
    hash::Hash,
};

use super::limits::Limits;
use crate::{
    cache::{Height, Retention, Want},
    math::residue::Prime,
};

/// A function. The questions about it are values of the type that implements it: its arguments.
///
/// Its values are read off entries of the cache. An entry is bytes under a key, and is proven before it is believed,
/// whether it was stored or evaluated.
pub trait Function: Copy {
    /// The names of its entries.
    type Key: Copy + Eq + Hash + Display;
    /// Its proven entries, which are cheap to clone.
    type Entry: Clone;
    /// Its values, which are cheap to clone.
    type Value: Clone;

    /// The entries that answer the question, in order; none for a value that is a definition.
    fn wants(self) -> impl Iterator<Item = Want<Self::Key>>;

    /// The height that its ladder has to reach before the question is answered.
    fn top(self, limits: &Limits) -> Option<Height>;

    /// Reads the value off the entries that the question wants. `None` when it fails its proof.
    fn read(self, entries: impl Iterator<Item = Self::Entry>, prime: &Prime) -> Option<Self::Value>;

    /// The work of reading the value, in limbs.
    fn limbs(self) -> usize;

    /// The digits to evaluate for it, as the cost of a request counts them: beyond those of `before`, the question before it in
    /// order.
    fn digits(self, before: Option<Self>) -> usize;

    /// Whether a limit of its own bounds its digits, so that they come on top of what else a request may evaluate.
    const HAS_LIMIT: bool = false;

    /// Approximate bytes of the value, in memory or in transit from the store.
    fn bytes(self) -> usize;

    /// Writes the question as it is in a log.
    ///
    /// # Errors
    /// Those of the writer.
    fn name(self, out: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The key of this name, if it is one that this version writes.
    fn key(name: &str) -> Option<Self::Key>;

    /// The height of an entry that is a rung.
    fn height(key: Self::Key) -> Option<Height>;

    /// The eviction class of an entry.
    fn retention(key: Self::Key) -> Retention;

    /// The entry if `bytes` are exactly what belongs under this key. Time: one pass over the bytes.
    fn prove(key: Self::Key, bytes: &[u8], prime: &Prime) -> Option<Self::Entry>;

    /// The key to evaluate when this entry is missing: the evaluation of it makes this entry too.
    fn ahead(key: Self::Key, _: &Limits) -> Self::Key {
        key
    }

    /// Whether an entry that the mark has not reached answers: the rungs below it that are missing are made when the mark is
    /// raised. If not, it is evaluated together with them.
    const ANSWERS_ABOVE_MARK: bool;

    /// Whether the evaluation of an entry makes another one too.
    fn makes(evaluated: Self::Key, key: Self::Key) -> bool {
        evaluated == key
    }

    /// Whether an entry is evaluated at small cost after another one.
    fn follows(_key: Self::Key, _before: Self::Key) -> bool {
        false
    }

    /// The work of evaluating an entry, in limbs.
    fn work(key: Self::Key) -> usize;

    /// Evaluates and proves entries, each of which [follows](Self::follows) the one before. `None` when one failed its proof.
    fn evaluate(keys: &[Self::Key], prime: &Prime) -> Option<Vec<(Self::Key, Self::Entry)>>;

    /// Approximate bytes that an entry takes in memory beyond its own size.
    fn weight(entry: &Self::Entry) -> usize;

    /// The stored form of an entry.
    fn to_bytes(entry: &Self::Entry) -> Vec<u8>;
}

/// The counters of an `Arc`, the parts of two vectors, and what an allocator adds to each of the three.
pub(super) const HEADERS: usize = 128;
