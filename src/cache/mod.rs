//! One policy over two tiers: the memory of this process, then the store that processes share.
//!
//! Values are immutable facts, so nothing is ever stale and nothing is invalidated. The cache knows keys and bytes; it
//! is told by a function what proves an entry, and believes nothing that it has not seen proven.
//!
//! An entry may be bound to the *mark*, a number beside the entries that only grows: such an entry is vouched for when
//! it is there and the mark has reached its index. The mark is raised when all that it vouches for is acknowledged.

mod flight;
mod location;
mod redis;
mod sqlite;
mod store;

use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, join_all};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::task::TaskTracker;

use self::store::{Reading, Record, Store, StoreError};
pub use self::{
    flight::{Boarding, Flights, Lead, Lost, Ticket},
    location::{Location, LocationError},
};
use crate::telemetry;

/// How long an answer waits for the store to be read.
const READ_BUDGET: Duration = Duration::from_millis(50);

/// How long an answer waits for the store to acknowledge what was written.
pub const WRITE_BUDGET: Duration = Duration::from_millis(150);

/// What both budgets allow on top for what is large: a millisecond for so many bytes, half the pace of a gigabit line.
const BYTES_PER_MS: usize = 64 * 1024;

/// What is beyond is not allowed for: so much is more than the largest value and the ladder.
const ALLOWED_BYTES: usize = 24 * 1024 * 1024;

/// When a write that goes on behind its answer is given up.
const WRITE_ABANDONED: Duration = Duration::from_secs(10);

/// How much may wait for a slow store; what is beyond is not written. What is larger by itself waits alone.
const PENDING_BYTES: usize = 64 * 1024 * 1024;

/// How much this process remembers by itself.
const LOCAL_BYTES: u64 = 64 * 1024 * 1024;

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
    fn of(value: Option<V>, vouched: bool) -> Self {
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

/// What was seen of the mark.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// As the store gave it if it answered, else as this process knows it; `None` when there is none yet.
    pub mark: Option<u32>,
    /// Whether the store answered; if not, nothing is known of it and nothing is written there.
    pub store_answered: bool,
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
    /// Whether the store keeps it when others make room.
    pub pinned: bool,
}

/// The cache. `K` names entries, `V` is what a proven entry becomes; values are cheap to clone.
pub struct Cache<K, V> {
    local: moka::sync::Cache<K, V>,
    local_mark: Mark,
    store: Option<Store>,
    prefix: String,
    proof: Proof<K, V>,
    writes: TaskTracker,
    pending: Arc<Semaphore>,
    health: Arc<Health>,
}

impl<K, V> Cache<K, V>
where
    K: Clone + Display + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Opens the cache. A store that can't be opened is told in the log, and the process's own memory serves alone.
    /// `weight` is about how many bytes a value takes in memory.
    #[must_use]
    pub fn open(settings: Settings<K, V>, weight: fn(&V) -> usize) -> Self {
        let Settings { location, prefix, mark, proof } = settings;
        telemetry::cache_chosen(&location, location.is_shared());
        let store = Store::open(&location, format!("{prefix}{mark}")).unwrap_or_else(|error| {
            telemetry::store_unusable(&location, &error);
            None
        });
        let local = moka::sync::Cache::builder()
            .max_capacity(LOCAL_BYTES)
            .weigher(move |_: &K, value: &V| weight(value).try_into().unwrap_or(u32::MAX))
            .build();
        Self {
            local,
            local_mark: Mark::default(),
            store,
            prefix,
            proof,
            writes: TaskTracker::new(),
            pending: Arc::new(Semaphore::new(PENDING_BYTES)),
            health: Arc::default(),
        }
    }

    /// Looks up everything that a request wants: in memory, and when that does not answer all of it, in the store by
    /// one round trip. It waits for the store no longer than the budget for reading; the proofs come on top.
    pub async fn find(&self, wants: &[Want<K>]) -> Found<V> {
        let local: Vec<Entry<V>> = wants.iter().map(|want| self.remembered(want)).collect();
        let silent = |entries| Found { entries, sight: self.own_sight() };
        if local.iter().all(|entry| matches!(entry, Entry::Vouched(_))) {
            return silent(local);
        }
        let absent = wants.iter().zip(&local).filter(|(_, entry)| matches!(entry, Entry::Absent));
        let (keys, bytes): (HashSet<K>, Vec<usize>) = absent.map(|(want, _)| (want.key.clone(), want.bytes)).unzip();
        let Some(Visit { mark, proven }) = self.visit(keys.into_iter().collect(), bytes.iter().sum()).await else {
            return silent(local);
        };
        let entries = wants.iter().zip(local).map(|(want, before)| match before {
            Entry::Vouched(value) => Entry::Vouched(value),
            Entry::Present(value) => Entry::of(Some(value), want.mark <= mark),
            Entry::Absent => Entry::of(proven.get(&want.key).cloned(), want.mark <= mark),
        });
        Found { entries: entries.collect(), sight: Sight { mark, store_answered: true } }
    }

    /// What this process knows of an entry without asking the store.
    pub fn remembered(&self, want: &Want<K>) -> Entry<V> {
        Entry::of(self.local.get(&want.key), want.mark <= self.local_mark.get())
    }

    /// The mark as it is now.
    pub async fn sight(&self) -> Sight {
        match self.visit(Vec::new(), 0).await {
            Some(Visit { mark, .. }) => Sight { mark, store_answered: true },
            None => self.own_sight(),
        }
    }

    /// The mark as this process knows it.
    pub fn own_sight(&self) -> Sight {
        Sight { mark: self.local_mark.get(), store_answered: false }
    }

    /// Keeps facts, in memory and (if it answered the lookup) in the store: the entries in one round trip, and when
    /// they are acknowledged the mark in another. Returns when that is done, or when the budget for writing, less
    /// what was `waited` already, is spent: then the write goes on behind.
    ///
    /// What was looked up while the store did not answer is kept in memory alone.
    pub async fn keep(&self, facts: &[Fact<K, V>], mark: Option<u32>, sight: Sight, waited: Duration) {
        if sight.store_answered {
            self.write(facts, mark, waited).await;
        }
        self.remember(facts, mark);
    }

    /// Remembers facts, and a mark that will be raised behind the answer, because the store is late.
    pub fn remember_late(&self, facts: &[Fact<K, V>], mark: u32) {
        self.health.in_time.note(false);
        self.remember(facts, Some(mark));
    }

    fn remember(&self, facts: &[Fact<K, V>], mark: Option<u32>) {
        for fact in facts {
            self.local.insert(fact.key.clone(), fact.value.clone());
        }
        if let Some(mark) = mark {
            self.local_mark.raise(mark);
        }
    }

    /// Waits for the writes that go on behind.
    pub async fn drain(&self) {
        self.writes.close();
        self.writes.wait().await;
    }

    /// Reads the mark and some entries from the store, and remembers what is proven. `None` when there is no store or
    /// it does not answer within its budget.
    async fn visit(&self, keys: Vec<K>, bytes: usize) -> Option<Visit<K, V>> {
        let names = keys.iter().map(|key| self.name(key)).collect();
        let reading = within(budget(READ_BUDGET, bytes), self.store.as_ref()?.read(names)).await;
        let Reading { mark, values } = self.health.reads.judge(reading)?;
        let found = keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?)));
        let proven: HashMap<K, V> =
            join_all(found.map(|(key, value)| self.prove(key, value))).await.into_iter().flatten().collect();
        for (key, value) in &proven {
            self.local.insert(key.clone(), value.clone());
        }
        if let Some(mark) = mark {
            self.local_mark.raise(mark);
        }
        Some(Visit { mark, proven })
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

    async fn write(&self, facts: &[Fact<K, V>], mark: Option<u32>, waited: Duration) {
        let Some(store) = self.store.clone() else { return };
        let record = |fact: &Fact<K, V>| {
            let bytes = Arc::clone(fact.bytes.as_ref()?);
            Some(Record { name: self.name(&fact.key), bytes, pinned: fact.pinned })
        };
        let records: Vec<Record> = facts.iter().filter_map(record).collect();
        let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
        let permits = u32::try_from(bytes.min(PENDING_BYTES)).unwrap_or(u32::MAX);
        let Ok(pending) = Arc::clone(&self.pending).try_acquire_many_owned(permits) else {
            return telemetry::write_dropped(bytes);
        };
        let health = Arc::clone(&self.health);
        let write = self.writes.spawn(async move {
            let _pending = pending;
            let written = within(WRITE_ABANDONED, async {
                if !records.is_empty() {
                    store.write(records).await?;
                }
                match mark {
                    Some(mark) => store.raise(mark).await,
                    None => Ok(()),
                }
            });
            health.writes.judge(written.await);
        });
        // Beyond the budget, and even if it panics, the answer does not depend on it.
        let patience = budget(WRITE_BUDGET, bytes).saturating_sub(waited);
        self.health.in_time.note(timeout(patience, write).await.is_ok());
    }

    fn name(&self, key: &K) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// What a visit to the store brought.
struct Visit<K, V> {
    mark: Option<u32>,
    proven: HashMap<K, V>,
}

/// A budget, with its allowance for what is large.
fn budget(base: Duration, bytes: usize) -> Duration {
    base + Duration::from_millis((bytes.min(ALLOWED_BYTES) / BYTES_PER_MS).try_into().unwrap_or(u64::MAX))
}

async fn within<T>(limit: Duration, visit: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(limit, visit).await.unwrap_or(Err(StoreError::Late(limit)))
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

/// How the store is.
struct Health {
    reads: Aspect,
    writes: Aspect,
    in_time: Aspect,
}

impl Default for Health {
    fn default() -> Self {
        let well = |told| Aspect { failed: AtomicBool::new(false), told };
        Self {
            reads: well(telemetry::store_is_read),
            writes: well(telemetry::store_is_written),
            in_time: well(telemetry::store_is_in_time),
        }
    }
}

/// One thing that the store does or fails to do; the log is told of its changes alone.
struct Aspect {
    failed: AtomicBool,
    told: fn(Result<(), &dyn Display>),
}

impl Aspect {
    fn judge<T>(&self, outcome: Result<T, StoreError>) -> Option<T> {
        self.change(outcome.as_ref().map(|_| ()).map_err(|error| error as &dyn Display));
        outcome.ok()
    }

    fn note(&self, well: bool) {
        self.change(if well { Ok(()) } else { Err(&"its budget is spent") });
    }

    fn change(&self, state: Result<(), &dyn Display>) {
        if self.failed.swap(state.is_err(), Ordering::Relaxed) != state.is_err() {
            (self.told)(state);
        }
    }
}
