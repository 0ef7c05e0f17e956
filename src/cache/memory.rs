//! The local tier: what this process remembers by itself.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// How much it remembers; what was used least goes first.
const BYTES: u64 = 64 * 1024 * 1024;

/// Proven entries, and the mark as far as this process knows it. A clone is another handle of the same memory.
#[derive(Clone)]
pub struct Memory<K, V> {
    entries: moka::sync::Cache<K, V>,
    mark: Arc<Mark>,
}

impl<K, V> Memory<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Remembers nothing yet. `weight` is about how many bytes a value takes.
    pub(super) fn new(weight: fn(&V) -> usize) -> Self {
        let entries = moka::sync::Cache::builder()
            .max_capacity(BYTES)
            .weigher(move |_: &K, value: &V| weight(value).try_into().unwrap_or(u32::MAX))
            .build();
        Self { entries, mark: Arc::default() }
    }

    /// The entry, if it is remembered.
    pub fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key)
    }

    pub(super) fn insert(&self, key: K, value: V) {
        self.entries.insert(key, value);
    }

    pub(super) fn mark(&self) -> Option<u32> {
        self.mark.get()
    }

    pub(super) fn raise(&self, mark: Option<u32>) {
        if let Some(mark) = mark {
            self.mark.raise(mark);
        }
    }
}

/// A number that only grows, and that is not there at first.
#[derive(Default)]
struct Mark(AtomicU32);

impl Mark {
    fn get(&self) -> Option<u32> {
        self.0.load(Ordering::Acquire).checked_sub(1)
    }

    fn raise(&self, mark: u32) {
        self.0.fetch_max(mark.saturating_add(1), Ordering::AcqRel);
    }
}
