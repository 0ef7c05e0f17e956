//! The local tier: entries in the memory of this process.
//!
//! Values have up to 100 MB and come from many threads at once, so that a bound which is applied late, in batches, is
//! no bound. Each insertion makes its own room here, under a lock that is held for a few hundred nanoseconds.

use std::{
    hash::Hash,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use hashlink::LinkedHashMap;

use super::record::{Height, Retention};

/// The bound of rungs and values. With [`CHEAP_BYTES`] it is 64 MiB.
pub(super) const BYTES: usize = 56 * 1024 * 1024;

/// The bound of cheap entries: 65,536 of them, the points of 65 of the largest subscriptions.
pub(super) const CHEAP_BYTES: usize = 8 * 1024 * 1024;

/// The bytes of an entry beside those that its value holds elsewhere: its places in the table and in the order of use.
/// With keys of 8 bytes and values of 16, 65,536 entries were measured to take 118 bytes each.
const ENTRY_BYTES: usize = 128;

/// Proven entries, and the marks as far as this process knows them. A clone is another handle of the same memory.
pub struct Memory<K, V>(Arc<Rooms<K, V>>);

struct Rooms<K, V> {
    /// Rungs and values.
    dear: Mutex<Recent<K, V>>,
    cheap: Mutex<Recent<K, V>>,
    retention: fn(&K) -> Retention,
    weight: fn(&V) -> usize,
    /// The mark of each ladder.
    marks: Vec<Mark>,
    /// The number of new facts that were kept.
    keepings: AtomicU64,
}

impl<K, V> Clone for Memory<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Memory<K, V>
where
    K: Clone + Eq + Hash,
    V: Clone,
{
    /// An empty memory, with a mark for each ladder. `weight` gives the approximate bytes that a value takes beyond its own
    /// size.
    pub(super) fn new(ladders: usize, retention: fn(&K) -> Retention, weight: fn(&V) -> usize) -> Self {
        let recent = |bound| Mutex::new(Recent::new(bound));
        let (dear, cheap) = (recent(BYTES), recent(CHEAP_BYTES));
        let marks = (0..ladders).map(|_| Mark::default()).collect();
        Self(Arc::new(Rooms { dear, cheap, retention, weight, marks, keepings: AtomicU64::new(0) }))
    }

    /// The entry, if it is remembered.
    pub fn get(&self, key: &K) -> Option<V> {
        self.room(key).lock().unwrap_or_else(PoisonError::into_inner).get(key)
    }

    /// Remembers an entry that the store has.
    pub(super) fn insert(&self, key: K, value: V) {
        self.insert_at(key, value, || 0);
    }

    /// Remembers facts that this process has just handed to the store.
    pub(super) fn keep(&self, facts: impl IntoIterator<Item = (K, V)>) {
        for (key, value) in facts {
            self.insert_at(key, value, || self.0.keepings.fetch_add(1, Ordering::AcqRel) + 1);
        }
    }

    /// The present, as [`Self::kept_since`] takes it.
    pub(super) fn time(&self) -> u64 {
        self.0.keepings.load(Ordering::Acquire)
    }

    /// The entry, if this process has kept it as a new fact since a time.
    pub(super) fn kept_since(&self, key: &K, time: u64) -> Option<V> {
        self.room(key).lock().unwrap_or_else(PoisonError::into_inner).kept_since(key, time)
    }

    /// `time` is asked under the lock: a lookup that begins at that time or later finds the entry.
    fn insert_at(&self, key: K, value: V, time: impl FnOnce() -> u64) {
        let weight = ENTRY_BYTES + (self.0.weight)(&value);
        let mut room = self.room(&key).lock().unwrap_or_else(PoisonError::into_inner);
        let evicted = room.insert(key, value, weight, time());
        drop(room);
        // Not under the lock: large values take time to free.
        drop(evicted);
    }

    pub(super) fn mark(&self, ladder: usize) -> Option<u32> {
        self.0.marks[ladder].get()
    }

    pub(super) fn raise(&self, Height { ladder, mark }: Height) {
        self.0.marks[ladder].raise(mark);
    }

    fn room(&self, key: &K) -> &Mutex<Recent<K, V>> {
        match (self.0.retention)(key) {
            Retention::Pinned | Retention::Dear | Retention::Local => &self.0.dear,
            Retention::Cheap => &self.0.cheap,
        }
    }
}

/// Entries up to a bound in bytes. The least recently used are evicted first.
struct Recent<K, V> {
    bound: usize,
    bytes: usize,
    /// In the order of their last use.
    entries: LinkedHashMap<K, Held<V>>,
}

struct Held<V> {
    value: V,
    weight: usize,
    /// The time at which it was last kept as a new fact; 0 if it came from the store.
    kept: u64,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    fn new(bound: usize) -> Self {
        Self { bound, bytes: 0, entries: LinkedHashMap::new() }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        self.entries.to_back(key).map(|held| held.value.clone())
    }

    fn kept_since(&self, key: &K, time: u64) -> Option<V> {
        self.entries.get(key).filter(|held| held.kept > time).map(|held| held.value.clone())
    }

    /// Takes an entry in, unless it is larger than the bound. Gives the entries that it evicted.
    fn insert(&mut self, key: K, value: V, weight: usize, time: u64) -> Vec<Held<V>> {
        let mut evicted: Vec<_> = self.remove(&key).into_iter().collect();
        let kept = evicted.iter().map(|before| before.kept).fold(time, u64::max);
        if weight > self.bound {
            return evicted;
        }
        while self.bytes + weight > self.bound
            && let Some((_, oldest)) = self.entries.pop_front()
        {
            self.bytes -= oldest.weight;
            evicted.push(oldest);
        }
        self.bytes += weight;
        self.entries.insert(key, Held { value, weight, kept });
        evicted
    }

    fn remove(&mut self, key: &K) -> Option<Held<V>> {
        let held = self.entries.remove(key)?;
        self.bytes -= held.weight;
        Some(held)
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const MEGABYTE: usize = 1_000_000;

    /// Even keys are of values of a megabyte, and odd ones are of cheap entries.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as the memory asks it")]
    fn retention(key: &u32) -> Retention {
        if key.is_multiple_of(2) { Retention::Dear } else { Retention::Cheap }
    }

    fn memory() -> Memory<u32, Arc<u32>> {
        Memory::new(0, retention, |value| if value.is_multiple_of(2) { MEGABYTE } else { 0 })
    }

    #[test]
    fn no_number_of_cheap_entries_evicts_a_value() {
        let memory = memory();
        memory.insert(0, Arc::new(0));
        for cheap in (1..400_000).step_by(2) {
            memory.insert(cheap, Arc::new(cheap));
        }
        assert_eq!(memory.get(&0), Some(Arc::new(0)));
        let has = |key| memory.get(&key).is_some();
        assert!(!has(1) && has(399_999), "the cheap ones evict each other");
        assert!(memory.0.cheap.lock().unwrap().bytes <= CHEAP_BYTES);
    }

    #[test]
    fn the_bound_holds_at_all_times_whoever_inserts() {
        let memory = memory();
        thread::scope(|scope| {
            for thread in 0..8 {
                let memory = &memory;
                scope.spawn(move || {
                    for key in (0..2_000).map(|k| 2 * (8 * k + thread)) {
                        memory.insert(key, Arc::new(key));
                        let bytes = memory.0.dear.lock().unwrap().bytes;
                        assert!(bytes <= BYTES, "{bytes} bytes");
                    }
                });
            }
        });
        assert_eq!(memory.0.dear.lock().unwrap().entries.len(), BYTES / (MEGABYTE + ENTRY_BYTES));
    }

    #[test]
    fn a_fact_that_was_kept_is_told_from_one_that_was_read() {
        let memory = memory();
        let before = memory.time();
        memory.insert(0, Arc::new(0));
        assert_eq!(memory.kept_since(&0, before), None, "it was read");
        memory.keep([(0, Arc::new(0))]);
        memory.insert(0, Arc::new(0));
        assert_eq!(memory.kept_since(&0, before), Some(Arc::new(0)), "though it was read again afterwards");
        assert_eq!(memory.kept_since(&0, memory.time()), None, "it was kept before");
    }

    #[test]
    fn a_lookup_that_begins_while_facts_are_kept_tells_those_before_it_from_those_after_it() {
        let (memory, mut began) = (memory(), 0);
        memory.keep([0, 2].map(|key| (key, Arc::new(key))).into_iter().inspect(|(key, _)| {
            if *key == 2 {
                began = memory.time();
            }
        }));
        assert_eq!(memory.get(&0), Some(Arc::new(0)));
        assert_eq!(memory.kept_since(&0, began), None, "the lookup found it in memory");
        assert_eq!(memory.kept_since(&2, began), Some(Arc::new(2)));
    }

    #[test]
    fn the_least_recently_used_goes_first_and_what_is_too_large_evicts_nothing() {
        let mut recent = Recent::new(100);
        for key in 0..4 {
            assert!(recent.insert(key, Arc::new(key), 25, 0).is_empty());
        }
        assert!(recent.get(&0).is_some());
        let evicted = recent.insert(4, Arc::new(4), 50, 0);
        assert_eq!(evicted.iter().map(|held| *held.value).collect::<Vec<_>>(), [1, 2]);
        assert!(recent.insert(5, Arc::new(5), 101, 0).is_empty() && recent.get(&5).is_none());
        let evicted = recent.insert(0, Arc::new(0), 50, 0);
        assert_eq!(evicted.iter().map(|held| *held.value).collect::<Vec<_>>(), [0, 3], "the same key, and the oldest");
        assert_eq!((recent.bytes, recent.entries.len()), (100, 2));
    }
}
