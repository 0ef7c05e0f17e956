//! A cache in two classes of size, each with room of its own, so that no flood of large entries evicts a small one.

use std::hash::Hash;

use foldhash::quality::RandomState;
use moka::{Equivalent, policy::EvictionPolicy, sync::Cache};

/// The division of a cache, and its eviction.
pub(super) struct Division {
    /// The weight up to which an entry is small, in bytes.
    pub(super) small: usize,
    /// The room of each class, in bytes.
    pub(super) capacity: u64,
    pub(super) policy: EvictionPolicy,
}

/// Entries by their keys, each in the class of its weight.
pub(super) struct Classes<K, V> {
    small_bytes: usize,
    weight: fn(&K, &V) -> usize,
    small: Cache<K, V, RandomState>,
    large: Cache<K, V, RandomState>,
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Classes<K, V> {
    /// Empty classes for entries that take `weight` bytes each.
    pub(super) fn new(division: &Division, weight: fn(&K, &V) -> usize) -> Self {
        let class = || {
            let weigher = move |key: &K, value: &V| u32::try_from(weight(key, value)).unwrap_or(u32::MAX);
            let policy = division.policy.clone();
            let class = Cache::builder().max_capacity(division.capacity).weigher(weigher).eviction_policy(policy);
            class.build_with_hasher(RandomState::default())
        };
        Self { small_bytes: division.small, weight, small: class(), large: class() }
    }

    /// The entry of a key.
    pub(super) fn get<Q: Equivalent<K> + Hash + ?Sized>(&self, key: &Q) -> Option<V> {
        self.small.get(key).or_else(|| self.large.get(key))
    }

    /// Adds an entry, for which others of its class make room before this returns: left to itself, the cache would hold
    /// hundreds of entries beyond its capacity for a while.
    pub(super) fn insert(&self, key: K, value: V) {
        let is_small = (self.weight)(&key, &value) <= self.small_bytes;
        let class = if is_small { &self.small } else { &self.large };
        class.insert(key, value);
        class.run_pending_tasks();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(policy: EvictionPolicy) -> Classes<u32, usize> {
        Classes::new(&Division { small: 10, capacity: 100, policy }, |_, &bytes| bytes)
    }

    #[test]
    fn the_capacity_holds_after_each_insert() {
        for policy in [EvictionPolicy::lru(), EvictionPolicy::tiny_lfu()] {
            let entries = entries(policy);
            for key in 0..1_000 {
                entries.insert(key, 1 + key as usize % 60);
                for class in [&entries.small, &entries.large] {
                    // The entries that are there, whatever the cache has counted so far.
                    let held: usize = class.iter().map(|(_, bytes)| bytes).sum();
                    assert!(held <= 100, "{held} after {key}");
                }
            }
        }
    }

    #[test]
    fn large_entries_evict_no_small_one_and_the_newest_is_there() {
        let entries = entries(EvictionPolicy::lru());
        entries.insert(0, 10);
        for key in 1..1_000 {
            entries.insert(key, 11);
            assert_eq!((entries.get(&key), entries.get(&0)), (Some(11), Some(10)));
        }
        assert_eq!(entries.get(&1), None, "large ones make room for each other");
        (0..10).for_each(|key| entries.insert(1_000 + key, 10));
        assert_eq!(entries.get(&0), None, "and so do small ones");
    }
}
