//! One policy over two tiers: the memory of this process, then the store that processes share.
//!
//! Values are immutable facts, so nothing is ever stale and nothing is invalidated. The cache knows keys and bytes. A
//! *proof* is a function that is passed in and checks that bytes belong under a key; without it nothing is believed.
//!
//! An entry may be bound to a *mark*, a number beside the entries that only grows: it is vouched for when it is present
//! and the mark has reached its height. Such entries are [`Rungs`] of a ladder, of which there may be several; a function
//! that is passed in makes them. A mark is raised after all rungs below it are acknowledged, and counts under one
//! *generation* of the store alone ([`record::MarkSnapshot`]).
//!
//! An answer that finds an entry lost in the store writes it again, whatever this process remembers, and one that finds
//! a mark too low raises it. So a store is repaired by the process that notices.
//!
//! Data goes one way. A lookup asks [`Memory`], then the store by [`Reads`], which bounds the time that answers wait,
//! with a circuit [`breaker`]. New entries go into a write-behind queue ([`writes`]), and to the store as soon as that
//! takes them: at once as a rule, and otherwise behind the answers.

mod breaker;
mod budget;
mod interface;
mod location;
mod memory;
mod reads;
mod record;
mod redis;
mod sqlite;
mod store;
mod survey;
mod writes;

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Display,
    hash::Hash,
    io,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{sync::Mutex, task::AbortHandle};

use self::{
    interface::SeenMark,
    reads::Reads,
    record::{Reading, Record},
    store::Store,
    writes::{MakeRungs, Raise, Seen, Writes},
};
pub use self::{
    interface::{Condition, Encode, Entry, Found, Growth, Ladder, Lookup, Proof, Rungs, Settings, Verdict, Want},
    location::{Location, LocationError},
    memory::Memory,
    record::{Height, Retention},
    redis::{Access, AccessError, UrlError},
    survey::{Survey, SurveyError},
};
use crate::telemetry::{self, Step, Tier, done_within, within};

/// The memory that this room may hold, in bytes, by purpose. docs/operating.md adds the rooms up.
pub const MEMORY: [(&str, usize); 3] = [
    ("rungs and values in the local tier", memory::BYTES),
    ("approximations in the local tier", memory::CHEAP_BYTES),
    ("entries that wait for the store", writes::QUEUE_BYTES),
];

/// The cache. `K` names entries, `V` is what a proven entry becomes; values are cheap to clone.
///
/// A cache of square roots, which proves what it reads:
///
/// ```
/// use phipi::cache::{Access, Cache, Entry, Ladder, Location, Retention, Settings, Verdict, Want};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::open(Settings {
///     location: Location::new("memory:", &Access::default())?,
///     prefix: "roots:".into(),
///     proof: Box::new(|square: u32, bytes| {
///         let root = <[u8; 4]>::try_from(bytes).map(u32::from_le_bytes);
///         let verdict = match root {
///             Ok(root) if root * root == square => Verdict::Proven(root),
///             _ => Verdict::Refuted,
///         };
///         Box::pin(async { verdict })
///     }),
///     encode: Box::new(|roots| {
///         let bytes = roots.into_iter().map(|root: u32| root.to_le_bytes().to_vec()).collect();
///         Box::pin(async { Some(bytes) })
///     }),
///     // These entries vouch for themselves, so that there are no rungs.
///     ladders: vec![Ladder { mark: "top", growth: Box::new(|_, _, _, _| Box::pin(async { None })) }],
///     height: |_| None,
///     retention: |_| Retention::Dear,
///     weight: |_| 4,
/// })?;
/// let wanted = [Want { key: 144, bytes: 4, ladder: None, mark: None }];
/// let found = cache.find(&wanted).await;
/// assert_eq!(found.entries, [Entry::Absent]);
///
/// cache.keep(vec![(144, 12)], Vec::new(), &found.lookup).await;
/// assert_eq!(cache.find(&wanted).await.entries, [Entry::Vouched(12)]);
/// # Ok(())
/// # }
/// ```
pub struct Cache<K, V> {
    memory: Memory<K, V>,
    shared: Option<Shared>,
    location: String,
    proof: Proof<K, V>,
    ladders: Vec<Grown<K, V>>,
    height: fn(&K) -> Option<Height>,
    encoder: Encoder<K, V>,
}

/// A ladder in memory.
struct Grown<K, V> {
    growth: Arc<Growth<K, V>>,
    /// The mark up to which memory was given the rungs. The lock makes concurrent requests do it once.
    mark: Mutex<Option<u32>>,
}

/// The shared tier.
struct Shared {
    reads: Arc<Reads>,
    /// The task that probes the store.
    probing: AbortHandle,
    writes: Writes,
}

impl<K, V> Cache<K, V>
where
    K: Clone + Display + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Opens the cache. A store that can't be reached is no error: it may be later, and until then the process's own
    /// memory serves alone.
    ///
    /// # Errors
    /// When it is a file that is no cache and may not be replaced, or the system starts no thread for it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(settings: Settings<K, V>) -> io::Result<Self> {
        let Settings { location, prefix, proof, encode, ladders, height, retention, weight } = settings;
        match location {
            Location::Memory { is_default: true } => telemetry::nothing_is_kept(),
            _ => telemetry::cache_chosen(&location, location.advice()),
        }
        let store = Store::open(&location, ladders.iter().map(|ladder| format!("{prefix}{}", ladder.mark)).collect())?;
        let memory = Memory::new(ladders.len(), retention, weight);
        let grown = |Ladder { growth, .. }| Grown { growth: Arc::new(growth), mark: Mutex::default() };
        let ladders: Vec<_> = ladders.into_iter().map(grown).collect();
        let encoder = Encoder { prefix: prefix.into(), retention, encode: encode.into() };
        let shared = store.map(|store| {
            let (reads, probing) = Reads::start(store);
            let make_rungs = ladders.iter().map(|ladder| make_rungs(&ladder.growth, &memory, &encoder)).collect();
            let writes = Writes::start(&reads, make_rungs);
            Shared { reads, probing, writes }
        });
        let location = location.to_string();
        Ok(Self { memory, shared, location, proof, ladders, height, encoder })
    }

    /// Looks up everything that a request wants: in memory, and when that does not answer all of it, in the store by
    /// one round trip. It waits for the store no longer than the budget for reading; the proofs come on top.
    ///
    /// An entry that the store was asked for and does not have is not found, even if it is remembered here: the answer that
    /// noticed has to write it again.
    pub async fn find(&self, wants: &[Want<K>]) -> Found<V> {
        let mark = |ladder| SeenMark { mark: self.memory.mark(ladder), seen: None };
        let marks = (0..self.ladders.len()).map(mark).collect();
        let mut lookup = Lookup { marks, is_answered: false, began: self.memory.time() };
        let mut entries = Vec::with_capacity(wants.len());
        done_within(Step::ReadLocal, || {
            // Neighbours often share an entry, which is looked for once.
            for same in wants.chunk_by(|want, next| want.key == next.key) {
                let entry = self.memory.get(&same[0].key);
                entries.extend(same.iter().map(|want| Entry::of(entry.clone(), want.is_vouched(&lookup))));
            }
        });
        let missing = missing(&entries);
        telemetry::looked_up(Tier::Local, wants.len() - missing, missing);
        if let Some(shared) = &self.shared {
            if missing > 0 {
                let asked =
                    || wants.iter().zip(&entries).filter(|(_, entry)| !entry.is_vouched()).map(|(want, _)| want);
                let ladders: BTreeSet<_> = asked().filter_map(|want| want.ladder).collect();
                // Several wants may share an entry, which is read once.
                let wanted = asked().map(|want| (want.key.clone(), want.bytes)).collect();
                // In a box, since most lookups are answered from memory, and their futures are moved.
                if let Some(proven) = Box::pin(self.read(shared, ladders, wanted, &mut lookup)).await {
                    for (want, entry) in wants.iter().zip(&mut entries).filter(|(_, entry)| !entry.is_vouched()) {
                        *entry = Entry::of(proven.get(&want.key).cloned(), want.is_vouched(&lookup));
                    }
                }
                let still_missing = self::missing(&entries);
                telemetry::looked_up(Tier::Shared, missing - still_missing, still_missing);
            }
            // The store does not learn by itself what the memory of this process answers.
            let is_used = |want: &Want<K>| (self.encoder.retention)(&want.key) == Retention::Dear;
            let used = wants.iter().zip(&entries).filter(|(want, entry)| entry.is_vouched() && is_used(want));
            shared.reads.store.note_used(used.map(|(want, _)| self.encoder.name(&want.key)));
        }
        Found { entries, lookup }
    }

    /// The entry, if this process has kept it as a new one since a lookup: then it need not be evaluated again, though
    /// the lookup did not find it.
    pub fn kept_since(&self, key: &K, lookup: &Lookup) -> Option<V> {
        self.memory.kept_since(key, lookup.began)
    }

    /// Keeps new entries, and sees to it that the marks reach `tops`: in memory, and in the store as soon as that takes them.
    /// It waits for the store no longer than the budget for writing, and not at all when the store did not answer the
    /// lookup: then they are written when it is back.
    pub async fn keep(&self, entries: Vec<(K, V)>, mut tops: Vec<Height>, lookup: &Lookup) {
        // A store that did not answer may have lost its marks.
        tops.retain(|&top| !lookup.is_answered || !lookup.has_reached(top));
        // Rungs above the mark are written when it is raised, and made from those in memory.
        let is_new = |key: &K| (self.height)(key).is_some_and(|height| !lookup.has_reached(height));
        for (key, value) in entries.iter().filter(|(key, _)| is_new(key)) {
            self.memory.insert(key.clone(), value.clone());
        }
        let grown = join_all(tops.iter().map(|&top| self.grow(top))).await;
        let tops: Vec<Height> = tops.into_iter().zip(grown).filter_map(|(top, grown)| grown.then_some(top)).collect();
        if let Some(Shared { writes, .. }) = &self.shared {
            let stored = entries.iter().filter(|(key, _)| !is_new(key));
            let records = self.encoder.records(stored).await.unwrap_or_default();
            let raises = tops.iter().map(|&to| Raise { to, seen: lookup.marks[to.ladder].seen });
            let pending = writes.queue.put(records, raises.collect());
            if lookup.is_answered {
                within(Step::WriteShared, writes.wait(pending)).await;
            }
        }
        // Not before: a client that hears that an entry is cached may rely on it.
        tops.into_iter().for_each(|top| self.memory.raise(top));
        self.memory.keep(entries);
    }

    /// The state of the store.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let shared = self.shared.as_ref();
        Condition {
            location: self.location.clone(),
            reads: shared.and_then(|shared| shared.reads.breaker.trouble()),
            writes: shared.and_then(|shared| shared.writes.trouble()),
        }
    }

    /// Learns whether the store takes writes, by one that changes nothing.
    ///
    /// # Errors
    /// The cause, when it does not.
    pub async fn probe_writes(&self) -> Result<(), String> {
        match &self.shared {
            Some(shared) => shared.writes.probe().await.map_err(|cause| cause.to_string()),
            None => Ok(()),
        }
    }

    /// Waits until the queue is in the store, or the store has taken nothing for `patience`, and closes the store. It
    /// must be the last call.
    pub async fn drain(&self, patience: Duration) {
        if let Some(Shared { reads, probing, writes }) = &self.shared {
            probing.abort();
            writes.close(patience).await;
            reads.store.close().await;
        }
    }

    /// Gives memory the rungs up to a height. Without a store they are nowhere else; with one, the writers find them there.
    /// False when they can't be made.
    async fn grow(&self, Height { ladder, mark: top }: Height) -> bool {
        let Grown { growth, mark } = &self.ladders[ladder];
        let mut grown = mark.lock().await;
        let from = self.memory.mark(ladder).max(*grown);
        if from >= Some(top) {
            return true;
        }
        let rungs = growth(from, top, usize::MAX, self.memory.clone()).await;
        let Some(rungs) = rungs.filter(|rungs| rungs.mark >= top) else { return false };
        for (key, value) in rungs.entries {
            self.memory.insert(key, value);
        }
        *grown = Some(top);
        true
    }

    /// Reads the marks of some ladders and some entries, each of about the given bytes, from the store, notes the marks in
    /// the lookup, and remembers the proven entries. `None` when the store does not answer within its budget.
    async fn read(
        &self,
        shared: &Shared,
        ladders: BTreeSet<usize>,
        wanted: HashMap<K, usize>,
        lookup: &mut Lookup,
    ) -> Option<HashMap<K, V>> {
        let raises: Vec<u64> = ladders.iter().map(|&ladder| shared.writes.raises(ladder)).collect();
        let bytes = wanted.values().sum();
        let keys: Vec<K> = wanted.into_keys().collect();
        let names = keys.iter().map(|key| self.encoder.name(key)).collect();
        let reading = shared.reads.read(ladders.iter().copied().collect(), names, bytes);
        let Reading { marks, values } = within(Step::ReadShared, reading).await?;
        let found = keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?)));
        let proven: HashMap<K, V> =
            join_all(found.map(|(key, value)| self.prove(key, value))).await.into_iter().flatten().collect();
        for (key, value) in &proven {
            self.memory.insert(key.clone(), value.clone());
        }
        lookup.is_answered = true;
        for ((ladder, mark), raises) in ladders.into_iter().zip(marks).zip(raises) {
            let Some(mark) = mark else { continue };
            lookup.marks[ladder] = SeenMark { mark: mark.mark, seen: Some(Seen { mark, raises }) };
            if let Some(mark) = mark.mark {
                self.memory.raise(Height { ladder, mark });
            }
        }
        Some(proven)
    }

    async fn prove(&self, key: K, bytes: Vec<u8>) -> Option<(K, V)> {
        match (self.proof)(key.clone(), bytes).await {
            Verdict::Proven(value) => Some((key, value)),
            Verdict::Refuted => {
                telemetry::proof_failed(&key);
                None
            }
            Verdict::Open => None,
        }
    }
}

/// The number of entries that do not answer.
fn missing<V>(entries: &[Entry<V>]) -> usize {
    entries.iter().filter(|entry| !entry.is_vouched()).count()
}

/// Makes entries into what the store holds of them.
#[derive(Clone)]
struct Encoder<K, V> {
    prefix: Arc<str>,
    retention: fn(&K) -> Retention,
    encode: Arc<Encode<V>>,
}

impl<K: Display, V: Clone> Encoder<K, V> {
    fn name(&self, key: &K) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The records of those entries that are to be stored. `None` when encoding fails.
    async fn records<'a>(&self, entries: impl Iterator<Item = &'a (K, V)>) -> Option<Vec<Record>>
    where
        K: 'a,
        V: 'a,
    {
        let (mut heads, mut values) = (Vec::new(), Vec::new());
        for (key, value) in entries {
            match (self.retention)(key) {
                Retention::Local => telemetry::oversize(),
                retention => {
                    heads.push((self.name(key), retention));
                    values.push(value.clone());
                }
            }
        }
        let bytes = (self.encode)(values).await?;
        let record = |((name, retention), bytes): (_, Vec<u8>)| Record { name, bytes, retention };
        Some(heads.into_iter().zip(bytes).map(record).collect())
    }
}

/// Makes rungs in their stored form.
fn make_rungs<K, V>(growth: &Arc<Growth<K, V>>, memory: &Memory<K, V>, encoder: &Encoder<K, V>) -> MakeRungs
where
    K: Clone + Display + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let (growth, memory, encoder) = (Arc::clone(growth), memory.clone(), encoder.clone());
    Box::new(move |from, top, bytes| {
        let (rungs, encoder) = (growth(from, top, bytes, memory.clone()), encoder.clone());
        Box::pin(async move {
            let Rungs { entries, mark } = rungs.await?;
            Some((encoder.records(entries.iter()).await?, mark))
        })
    })
}

#[cfg(test)]
mod tests;
