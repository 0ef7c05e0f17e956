//! The interface of the cache: its settings, queries and their results, and facts to keep.

use futures_util::future::BoxFuture;

use super::{
    location::Location,
    memory::Memory,
    record::{Height, Retention},
    writes::Seen,
};

/// The outcome of a proof.
#[derive(Clone, Debug)]
pub enum Verdict<V> {
    /// The bytes are exactly what the key promises.
    Proven(V),
    /// They are not.
    Refuted,
    /// The proof could not be run; the entry is not used.
    Open,
}

/// Proves that bytes belong under a key, which may take its time on other threads.
pub type Proof<K, V> = Box<dyn Fn(K, Vec<u8>) -> BoxFuture<'static, Verdict<V>> + Send + Sync>;

/// Gives the stored forms of values, which may take its time on other threads. `None` when that fails.
pub type Encode<V> = Box<dyn Fn(Vec<V>) -> BoxFuture<'static, Option<Vec<Vec<u8>>>> + Send + Sync>;

/// Makes the rungs from the present mark (if there is one) to a new one, or the first of them up to a number of bytes,
/// and one at least. Rungs in memory are taken from there. `None` when they can't be made: then the mark is not raised.
pub type Growth<K, V> =
    Box<dyn Fn(Option<u32>, u32, usize, Memory<K, V>) -> BoxFuture<'static, Option<Rungs<K, V>>> + Send + Sync>;

/// *Rungs*: the entries that a mark vouches for, here those from another mark on. All of them are a *ladder*.
pub struct Rungs<K, V> {
    /// The entries.
    pub entries: Vec<(K, V)>,
    /// The mark that they justify: it may be raised once they are stored.
    pub mark: u32,
}

/// A ladder, by which the cache knows it.
pub struct Ladder<K, V> {
    /// The key of its mark, after the prefix.
    pub mark: &'static str,
    /// The maker of its rungs.
    pub growth: Growth<K, V>,
}

/// The location of the cache, and the functions by which it knows entries.
pub struct Settings<K, V> {
    /// The location of the shared tier.
    pub location: Location,
    /// The prefix of every key in the store.
    pub prefix: String,
    /// The check that an entry has to pass before it is believed.
    pub proof: Proof<K, V>,
    /// The stored form of values.
    pub encode: Encode<V>,
    /// The ladders, at least one: the store is probed by the mark of the first.
    pub ladders: Vec<Ladder<K, V>>,
    /// The height of a rung: the lowest mark that vouches for a part of it. `None` for any other entry.
    pub height: fn(&K) -> Option<Height>,
    /// The eviction class of an entry.
    pub retention: fn(&K) -> Retention,
    /// The approximate bytes that a value takes in memory beyond its own size.
    pub weight: fn(&V) -> usize,
}

/// A query for an entry.
#[derive(Clone, Debug)]
pub struct Want<K> {
    /// The key of the entry.
    pub key: K,
    /// The approximate length of its stored form in bytes.
    pub bytes: usize,
    /// The ladder whose mark is read along, so that an answer may raise it.
    pub ladder: Option<usize>,
    /// The mark of this ladder that vouches for the entry once it is reached; `None` for an entry that vouches for itself.
    pub mark: Option<u32>,
}

impl<K> Want<K> {
    /// Whether an entry that is there is vouched for.
    pub(super) fn is_vouched(&self, lookup: &Lookup) -> bool {
        let has_reached = |mark| self.ladder.is_some_and(|ladder| lookup.mark(ladder) >= Some(mark));
        self.mark.is_none_or(has_reached)
    }
}

/// The result for one wanted entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<V> {
    /// Proven and vouched for.
    Vouched(V),
    /// Proven, but the mark has not reached it.
    Present(V),
    /// Lost, never there, or not proven.
    Absent,
}

impl<V> Entry<V> {
    pub(super) fn of(value: Option<V>, is_vouched: bool) -> Self {
        match value {
            Some(value) if is_vouched => Self::Vouched(value),
            Some(value) => Self::Present(value),
            None => Self::Absent,
        }
    }

    /// Whether it is proven and vouched for.
    #[must_use]
    pub fn is_vouched(&self) -> bool {
        matches!(self, Self::Vouched(_))
    }
}

/// The result of a lookup.
#[derive(Debug)]
pub struct Found<V> {
    /// One for each want, in order.
    pub entries: Vec<Entry<V>>,
    /// The circumstances, for [`Cache::keep`](super::Cache::keep).
    pub lookup: Lookup,
}

/// The marks as a lookup saw them, and the time of the lookup.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The mark of each ladder.
    pub(super) marks: Vec<SeenMark>,
    /// Whether the store answered.
    pub(super) is_answered: bool,
    /// The time of this process's memory when the lookup began.
    pub(super) began: u64,
}

/// A mark as a lookup saw it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SeenMark {
    /// The mark as the store gave it if it was read, else as this process knows it; `None` when there is none yet.
    pub(super) mark: Option<u32>,
    /// The mark in the store, if it was read.
    pub(super) seen: Option<Seen>,
}

impl Lookup {
    /// The mark of a ladder, as the store gave it or else as this process knows it; `None` when there is none yet.
    #[must_use]
    pub fn mark(&self, ladder: usize) -> Option<u32> {
        self.marks.get(ladder)?.mark
    }

    /// Whether the mark of its ladder has reached a height.
    #[must_use]
    pub fn has_reached(&self, height: Height) -> bool {
        self.mark(height.ladder) >= Some(height.mark)
    }
}

/// The state of the store.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Its location, without its password; memory is always well.
    pub location: String,
    /// The cause, while it is not read.
    pub reads: Option<String>,
    /// The cause, while answers do not wait for it to be written.
    pub writes: Option<String>,
}
