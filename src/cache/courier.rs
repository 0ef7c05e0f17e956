//! Couriers: they carry what is in the outboxes to the store, and try again until it is there.
//!
//! Small entries and the mark have a courier of their own, so that they do not wait behind large values. What can't be
//! delivered is tried again by itself, the oldest entry alone while the store is not well. Before a mark is raised
//! again, the store is asked how far it holds what the mark vouches for: it may have come back empty.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::{
    outbox::{Base, Batch, Outbox, Raise, Ticket},
    shared::Shared,
    store::{LARGE_BYTES, Record, StoreError},
};
use crate::telemetry;

/// How much may wait for a store that is not there: half of it for small entries and half for large values.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// What leaves together, unless a single entry is larger.
const BATCH_BYTES: usize = 1024 * 1024;

/// Between attempts: soon after a blip, and no more often than a probe while the store is away.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];

/// Makes the records that a mark vouches for, from the mark that the store has to the one that it shall have. `None`
/// when they can't be made.
pub(super) type Rungs = Box<dyn Fn(Option<u32>, u32) -> BoxFuture<'static, Option<Vec<Record>>> + Send + Sync>;

/// All that is on its way to the store.
pub(super) struct Post {
    small: Arc<Outbox>,
    large: Arc<Outbox>,
    growths: Arc<AtomicU64>,
    couriers: TaskTracker,
}

/// What was handed in; it is there when it is served.
pub(super) struct Receipt {
    small: Ticket,
    large: Ticket,
}

impl Post {
    /// Starts the couriers.
    pub(super) fn start(shared: &Arc<Shared>, rungs: Rungs) -> Self {
        let outbox = || Arc::new(Outbox::new(QUEUE_BYTES / 2));
        let (small, large) = (outbox(), outbox());
        let (growths, rungs, couriers) = (Arc::default(), Arc::new(rungs), TaskTracker::new());
        for outbox in [&small, &large] {
            let (outbox, shared) = (Arc::clone(outbox), Arc::clone(shared));
            let courier = Courier { outbox, shared, rungs: Arc::clone(&rungs), growths: Arc::clone(&growths) };
            couriers.spawn(courier.run());
        }
        let outboxes = [Arc::clone(&small), Arc::clone(&large)];
        tokio::spawn(Arc::clone(shared).probe_writes(move || outboxes.iter().all(|outbox| outbox.is_empty())));
        Self { small, large, growths, couriers }
    }

    /// How often this process has raised the mark in the store.
    pub(super) fn growths(&self) -> u64 {
        self.growths.load(Ordering::Acquire)
    }

    /// Hands in records, and a mark to raise after them. It takes their time from nobody.
    pub(super) fn hand_in(&self, records: Vec<Record>, raise: Option<Raise>) -> Receipt {
        let (large, small): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.bytes.len() > LARGE_BYTES);
        let large = if large.is_empty() { 0 } else { self.large.put(large, None) };
        let small = if small.is_empty() && raise.is_none() { 0 } else { self.small.put(small, raise) };
        Receipt { small, large }
    }

    /// Waits until all of it is acknowledged.
    pub(super) async fn served(&self, receipt: Receipt) {
        tokio::join!(self.small.served(receipt.small), self.large.served(receipt.large));
    }

    /// Delivers what is left, as long as the store takes it.
    pub(super) async fn close(&self) {
        self.small.close();
        self.large.close();
        self.couriers.close();
        self.couriers.wait().await;
    }
}

struct Courier {
    outbox: Arc<Outbox>,
    shared: Arc<Shared>,
    rungs: Arc<Rungs>,
    growths: Arc<AtomicU64>,
}

impl Courier {
    async fn run(self) {
        let mut delay = RETRY_DELAYS[0];
        // While the store is not well, one entry is the probe.
        while let Some(batch) = self.outbox.next(if self.shared.refuses_writes() { 0 } else { BATCH_BYTES }).await {
            if self.deliver(&batch).await.is_ok() {
                self.outbox.delivered(&batch);
                delay = RETRY_DELAYS[0];
                continue;
            }
            self.outbox.returned(batch);
            if self.outbox.is_closed() {
                return telemetry::writes_lost(self.outbox.bytes());
            }
            sleep(delay).await;
            delay = RETRY_DELAYS[1].min(2 * delay);
        }
    }

    /// Writes the entries, then the mark that vouches for them.
    async fn deliver(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut records = batch.records();
        let mark = match batch.raise {
            Some(raise) => self.grow(raise, &mut records).await?,
            None => None,
        };
        self.shared.write(records, mark).await?;
        if mark.is_some() {
            self.growths.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// Adds the rungs that the store lacks below a mark. `None` when the mark is there already, or can't be vouched for.
    async fn grow(&self, raise: Raise, records: &mut Vec<Record>) -> Result<Option<u32>, StoreError> {
        let mark = match raise.base {
            Base::Seen { mark, growths } if growths == self.growths.load(Ordering::Acquire) => mark,
            Base::Seen { .. } | Base::Unknown => self.shared.mark().await?,
        };
        if mark >= Some(raise.top) {
            return Ok(None);
        }
        let Some(rungs) = (self.rungs)(mark, raise.top).await else { return Ok(None) };
        let made: HashSet<&str> = rungs.iter().map(|rung| &*rung.name).collect();
        records.retain(|record| !made.contains(&*record.name));
        records.extend(rungs);
        Ok(Some(raise.top))
    }
}
