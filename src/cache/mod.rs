//! One policy over two tiers: the memory of this process, then the store that processes share.
//!
//! Values are immutable facts, so nothing is ever stale and nothing is invalidated. The cache knows keys and bytes. A
//! *proof* is a function that is passed in and checks that bytes belong under a key; without it nothing is believed.
//!
//! An entry may be bound to the *mark*, a number beside the entries that only grows: it is vouched for when it is
//! present and the mark has reached its index. Such entries are [`Rungs`], and a function that is passed in makes them.
//! The mark is raised after all rungs below it are acknowledged, and counts under one *generation* of the store alone
//! ([`record::MarkSnapshot`]).
//!
//! An answer that finds an entry lost in the store writes it again, whatever this process remembers, and one that finds
//! the mark too low raises it. So a store is repaired by the process that notices.
//!
//! Data goes one way. A lookup asks [`Memory`], then the [`Shared`] tier, which bounds the time that answers wait for
//! the store, with a circuit [`breaker`]. New entries go into the [`outbox`], a write-behind queue, and a [`courier`]
//! delivers them as soon as the store takes them: at once as a rule, and otherwise behind the answers.

mod breaker;
mod budget;
mod courier;
mod interface;
mod location;
mod memory;
mod outbox;
mod record;
mod redis;
mod shared;
mod sqlite;
mod store;
mod survey;

use std::{collections::HashMap, fmt::Display, hash::Hash, io, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{sync::Mutex, task::AbortHandle};

use self::{
    courier::Post,
    outbox::{Base, Raise},
    record::{Reading, Record},
    shared::Shared,
    store::Store,
};
pub use self::{
    interface::{Condition, Encode, Entry, Found, Growth, Judging, Proof, Rungs, Settings, Sight, Verdict, Want},
    location::{Location, LocationError},
    memory::Memory,
    record::Retention,
    redis::{Access, AccessError, UrlError},
    survey::{Survey, SurveyError},
};
use crate::telemetry::{self, Step, Tier, done_within, within};

/// The memory that this room may hold, in bytes, by purpose. docs/operating.md adds the rooms up.
pub const MEMORY: [(&str, usize); 3] = [
    ("rungs and values in the local tier", memory::BYTES),
    ("approximations in the local tier", memory::CHEAP_BYTES),
    ("entries that wait for the store", courier::QUEUE_BYTES),
];

/// The cache. `K` names entries, `V` is what a proven entry becomes; values are cheap to clone.
///
/// A cache of square roots, which proves what it reads:
///
/// ```
/// use phipi::cache::{Access, Cache, Entry, Location, Retention, Settings, Verdict, Want};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::open(Settings {
///     location: Location::new("memory:", &Access::default())?,
///     prefix: "roots:".into(),
///     mark: "top",
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
///     growth: Box::new(|_, _, _, _| Box::pin(async { None })),
///     retention: |_| Retention::Dear,
///     weight: |_| 4,
/// })?;
/// let wanted = [Want { key: 144, bytes: 4, mark: None }];
/// let found = cache.find(&wanted).await;
/// assert!(matches!(found.entries[..], [Entry::Absent]));
///
/// cache.keep(vec![(144, 12)], None, found.sight).await;
/// assert!(matches!(cache.find(&wanted).await.entries[..], [Entry::Vouched(12)]));
/// # Ok(())
/// # }
/// ```
pub struct Cache<K, V> {
    memory: Memory<K, V>,
    store: Option<Tiers>,
    location: String,
    proof: Proof<K, V>,
    growth: Arc<Growth<K, V>>,
    encoder: Encoder<K, V>,
    /// The mark up to which memory was given the rungs. The lock makes concurrent requests do it once.
    grown: Mutex<Option<u32>>,
}

/// The store as it is read, and as it is written.
struct Tiers {
    shared: Arc<Shared>,
    /// The task that greets the store and probes it.
    watch: AbortHandle,
    post: Post,
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
        let Settings { location, prefix, mark, proof, encode, growth, retention, weight } = settings;
        match location {
            Location::Memory { is_default: true } => telemetry::nothing_is_kept(),
            _ => telemetry::cache_chosen(&location, location.advice()),
        }
        let store = Store::open(&location, format!("{prefix}{mark}"))?;
        let (memory, growth) = (Memory::new(retention, weight), Arc::new(growth));
        let encoder = Encoder { prefix: prefix.into(), retention, encode: encode.into() };
        let store = store.map(|store| {
            let (shared, watch) = Shared::start(store);
            let post = Post::start(&shared, rungs_of(&growth, &memory, &encoder));
            Tiers { shared, watch, post }
        });
        let location = location.to_string();
        Ok(Self { memory, store, location, proof, growth, encoder, grown: Mutex::default() })
    }

    /// Looks up everything that a request wants: in memory, and when that does not answer all of it, in the store by
    /// one round trip. It waits for the store no longer than the budget for reading; the proofs come on top.
    ///
    /// An entry that the store was asked for and does not have is [`Entry::Absent`], even if it is remembered here: the
    /// answer that noticed has to write it again.
    pub async fn find(&self, wants: &[Want<K>]) -> Found<V> {
        let began = self.memory.time();
        let remembered = || wants.iter().map(|want| self.remembered(want)).collect();
        let local: Vec<Entry<V>> = done_within(Step::ReadLocal, remembered);
        let missing = local.iter().filter(|entry| !matches!(entry, Entry::Vouched(_))).count();
        telemetry::looked_up(Tier::Local, wants.len() - missing, missing);
        if missing == 0 {
            self.note_used(wants, &local);
            return Found { entries: local, sight: self.own_sight(began) };
        }
        let asked = wants.iter().zip(&local).filter(|(_, entry)| !matches!(entry, Entry::Vouched(_)));
        // Several wants may share an entry, which is read once.
        let bytes: HashMap<K, usize> = asked.map(|(want, _)| (want.key.clone(), want.bytes)).collect();
        let Some(Visit { seen, proven }) = self.visit(bytes).await else {
            let in_vain = if self.store.is_some() { missing } else { 0 };
            telemetry::looked_up(Tier::Shared, 0, in_vain);
            return Found { entries: local, sight: self.own_sight(began) };
        };
        let sight = Sight { mark: seen.mark.mark, store: Some(seen), began };
        let entries = wants.iter().zip(local).map(|(want, before)| match before {
            Entry::Vouched(value) => Entry::Vouched(value),
            Entry::Present(_) | Entry::Absent => Entry::of(proven.get(&want.key).cloned(), want.mark <= sight.mark),
        });
        let entries: Vec<Entry<V>> = entries.collect();
        let still_missing = entries.iter().filter(|entry| !matches!(entry, Entry::Vouched(_))).count();
        telemetry::looked_up(Tier::Shared, missing - still_missing, still_missing);
        self.note_used(wants, &entries);
        Found { entries, sight }
    }

    /// Tells the store which of its entries were used, of those that it may evict for others.
    fn note_used(&self, wants: &[Want<K>], entries: &[Entry<V>]) {
        if let Some(Tiers { shared, .. }) = &self.store {
            let used = wants.iter().zip(entries).filter(|(want, entry)| {
                matches!(entry, Entry::Vouched(_)) && (self.encoder.retention)(&want.key) == Retention::Dear
            });
            shared.store.note_used(used.map(|(want, _)| self.encoder.name(&want.key)));
        }
    }

    /// The entry as this process knows it without asking the store.
    fn remembered(&self, want: &Want<K>) -> Entry<V> {
        Entry::of(self.memory.get(&want.key), want.mark <= self.memory.mark())
    }

    /// The entry, if this process has kept it as a new fact since a lookup: then it need not be evaluated again, though
    /// the lookup did not find it.
    pub fn kept_since(&self, key: &K, sight: &Sight) -> Option<V> {
        self.memory.kept_since(key, sight.began)
    }

    /// Keeps new entries, and sees to it that the mark reaches `top`: in memory, and in the store as soon as that takes them.
    /// It waits for the store no longer than the budget for writing, and not at all when the store did not answer the
    /// lookup: then they are written when it is back.
    pub async fn keep(&self, entries: Vec<(K, V)>, top: Option<u32>, sight: Sight) {
        // A store that did not answer may have lost its mark.
        let mut top = top.filter(|&top| sight.store.is_none() || sight.mark < Some(top));
        if let Some(index) = top
            && !self.grow(index).await
        {
            top = None;
        }
        if let Some(Tiers { post, .. }) = &self.store {
            let records = self.encoder.records(&entries).await.unwrap_or_default();
            let receipt = post.hand_in(records, top.map(|top| Raise { top, base: sight.store }));
            if sight.store.is_some() {
                within(Step::WriteShared, post.served(receipt)).await;
            }
        }
        // Not before: a client that hears that an entry is cached may rely on it.
        self.memory.raise(top);
        self.memory.keep(entries);
    }

    /// The state of the store.
    pub fn condition(&self) -> Condition {
        let store = self.store.as_ref();
        Condition {
            location: self.location.clone(),
            reads: store.and_then(|store| store.shared.reads.trouble()),
            writes: store.and_then(|store| store.post.trouble()),
        }
    }

    /// Waits until the queue is in the store, or the store has taken nothing for `patience`, and closes the store. It
    /// must be the last call.
    pub async fn drain(&self, patience: Duration) {
        if let Some(Tiers { shared, watch, post }) = &self.store {
            watch.abort();
            post.close(patience).await;
            shared.store.close().await;
        }
    }

    /// Gives memory the rungs up to a mark at `top`. Without a store they are nowhere else; with one, the couriers find
    /// them there. False when they can't be made.
    async fn grow(&self, top: u32) -> bool {
        let mut grown = self.grown.lock().await;
        let from = self.memory.mark().max(*grown);
        if from >= Some(top) {
            return true;
        }
        let Some(rungs) = (self.growth)(from, top, usize::MAX, self.memory.clone()).await else { return false };
        for (key, value) in rungs.entries {
            self.memory.insert(key, value);
        }
        *grown = Some(top);
        true
    }

    /// The mark as this process knows it.
    fn own_sight(&self, began: u64) -> Sight {
        Sight { mark: self.memory.mark(), store: None, began }
    }

    /// Reads the mark and some entries, each of about the given bytes, from the store, and remembers the proven ones.
    /// `None` when there is no store or it does not answer within its budget.
    async fn visit(&self, wanted: HashMap<K, usize>) -> Option<Visit<K, V>> {
        let Tiers { shared, post, .. } = self.store.as_ref()?;
        let raises = post.raises();
        let bytes = wanted.values().sum();
        let keys: Vec<K> = wanted.into_keys().collect();
        let names = keys.iter().map(|key| self.encoder.name(key)).collect();
        let Reading { mark, values } = within(Step::ReadShared, shared.read(names, bytes)).await?;
        let found = keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?)));
        let proven: HashMap<K, V> =
            join_all(found.map(|(key, value)| self.prove(key, value))).await.into_iter().flatten().collect();
        for (key, value) in &proven {
            self.memory.insert(key.clone(), value.clone());
        }
        self.memory.raise(mark.mark);
        Some(Visit { seen: Base { mark, raises }, proven })
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

/// The result of a visit to the store.
struct Visit<K, V> {
    seen: Base,
    proven: HashMap<K, V>,
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
    async fn records(&self, entries: &[(K, V)]) -> Option<Vec<Record>> {
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
        let record = |((name, retention), bytes): (_, Vec<u8>)| Record { name, bytes: bytes.into(), retention };
        Some(heads.into_iter().zip(bytes).map(record).collect())
    }
}

/// The maker of rungs in their stored form, for the couriers.
fn rungs_of<K, V>(growth: &Arc<Growth<K, V>>, memory: &Memory<K, V>, encoder: &Encoder<K, V>) -> courier::Rungs
where
    K: Clone + Display + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let (growth, memory, encoder) = (Arc::clone(growth), memory.clone(), encoder.clone());
    Box::new(move |from, top, bytes| {
        let (rungs, encoder) = (growth(from, top, bytes, memory.clone()), encoder.clone());
        Box::pin(async move {
            let Rungs { entries, bear } = rungs.await?;
            Some((encoder.records(&entries).await?, bear))
        })
    })
}
