//! What the cache is told, what it is asked, and what it answers.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{location::Location, memory::Memory, outbox::Base, record::Retention};

/// What a proof came to.
#[derive(Clone, Debug)]
pub enum Verdict<V> {
    /// The bytes are exactly what the key promises.
    Proven(V),
    /// They are not.
    Refuted,
    /// There was nobody to prove it; the entry is not used.
    Open,
}

/// A proof under way; it may take its time on other threads.
pub type Judging<V> = BoxFuture<'static, Verdict<V>>;

/// Proves that bytes belong under a key.
pub type Proof<K, V> = Box<dyn Fn(K, Vec<u8>) -> Judging<V> + Send + Sync>;

/// Makes what a mark vouches for, from a mark that is there (if one is) to the one that shall be, or as far as so many
/// bytes of entries go, and one at least. It takes from memory what is there. `None` when it can't be made.
pub type Growth<K, V> =
    Box<dyn Fn(Option<u32>, u32, usize, Memory<K, V>) -> BoxFuture<'static, Option<Rungs<K, V>>> + Send + Sync>;

/// The entries that a mark vouches for, from another mark on.
pub struct Rungs<K, V> {
    /// The entries.
    pub facts: Vec<Fact<K, V>>,
    /// The mark that they bear.
    pub bear: u32,
}

/// Where the cache is, and what it can't know by itself.
pub struct Settings<K, V> {
    /// Where the shared tier is.
    pub location: Location,
    /// What every key in the store begins with.
    pub prefix: String,
    /// The key of the mark, after the prefix.
    pub mark: &'static str,
    /// What is believed.
    pub proof: Proof<K, V>,
    /// What a mark vouches for.
    pub growth: Growth<K, V>,
    /// What may make an entry go.
    pub retention: fn(&K) -> Retention,
    /// About how many bytes a value takes in memory beyond its own size.
    pub weight: fn(&V) -> usize,
}

/// What a request asks the cache for.
#[derive(Clone, Debug)]
pub struct Want<K> {
    /// The key of the entry.
    pub key: K,
    /// About how long its stored form is.
    pub bytes: usize,
    /// What the mark must have reached for the entry to be vouched for; `None` for an entry that vouches for itself.
    pub mark: Option<u32>,
}

/// What the cache has of one wanted entry.
#[derive(Clone, Debug)]
pub enum Entry<V> {
    /// Proven and vouched for.
    Vouched(V),
    /// Proven, but the mark has not reached it.
    Present(V),
    /// Lost, never there, or not proven.
    Absent,
}

impl<V> Entry<V> {
    pub(super) fn of(value: Option<V>, vouched: bool) -> Self {
        match value {
            Some(value) if vouched => Self::Vouched(value),
            Some(value) => Self::Present(value),
            None => Self::Absent,
        }
    }
}

/// What one lookup saw.
#[derive(Debug)]
pub struct Found<V> {
    /// For each want, in order.
    pub entries: Vec<Entry<V>>,
    /// The mark as it was.
    pub sight: Sight,
}

/// The mark as a lookup saw it, and when that was.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// The mark as the store gave it if it answered, else as this process knows it; `None` when there is none yet.
    pub mark: Option<u32>,
    /// The answer of the store, if it answered.
    pub(super) store: Option<Base>,
    /// The time of this process's memory when the lookup began.
    pub(super) began: u64,
}

/// An entry to keep.
#[derive(Clone, Debug)]
pub struct Fact<K, V> {
    /// The key of the entry.
    pub key: K,
    /// Its value.
    pub value: V,
    /// The stored form; `None` for what is not to be stored.
    pub bytes: Option<Arc<[u8]>>,
}

/// How the store is.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Where it is, without its password; memory is always well.
    pub location: String,
    /// Why it is not asked for answers at present, if it is not.
    pub reads: Option<String>,
    /// Why answers do not wait for it to be written at present, if they do not.
    pub writes: Option<String>,
}
