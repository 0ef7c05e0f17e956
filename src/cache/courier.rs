//! Couriers: they carry what is in the outboxes to the store, and try again until it is there.
//!
//! Large values have a courier of their own, so that small entries and the mark do not wait behind them. What can't be
//! delivered is tried again by itself; while the breaker is open, one entry is the probe. Before a mark is raised
//! again, the store is asked how far it holds what the mark vouches for: it may have come back empty.

use std::{
    collections::HashSet,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use super::{
    breaker::Breaker,
    budget::{self, within},
    outbox::{Base, Batch, Outbox, Raise, Ticket},
    shared::Shared,
    store::{LARGE_BYTES, Record, StoreError},
};
use crate::telemetry::{self, Operation, Trouble};

/// How much may wait for a store that is not there: half of it for small entries and half for large values.
pub(super) const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// What leaves together, unless a single entry is larger: no more than may go with what is small.
const BATCH_BYTES: usize = LARGE_BYTES;

/// Between attempts: soon after a blip, and no more often than a probe while the store is away.
const DELAYS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];

/// How long an attempt may take, the first and the last of a row: nobody waits any more, and a store that is slow
/// beyond its budget is still better written late than never.
const ATTEMPTS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// How long the end of the process waits for a store that does not take what is left.
const FAREWELL: Duration = Duration::from_secs(2);

/// Makes the records that a mark vouches for, from the mark that the store has to the one that it shall have, or as far
/// as so many bytes of them go; with the mark that they bear. `None` when they can't be made.
pub(super) type Rungs =
    Box<dyn Fn(Option<u32>, u32, usize) -> BoxFuture<'static, Option<(Vec<Record>, u32)>> + Send + Sync>;

/// All that is on its way to the store.
pub(super) struct Post {
    shared: Arc<Shared>,
    small: Arc<Lane>,
    large: Arc<Lane>,
    growths: Arc<AtomicU64>,
    couriers: TaskTracker,
}

/// What was handed in.
pub(super) struct Receipt {
    small: Part,
    large: Part,
}

/// What of it goes which way.
struct Part {
    ticket: Ticket,
    bytes: usize,
    has_raise: bool,
}

/// What a courier carries, and how that goes.
struct Lane {
    outbox: Outbox,
    breaker: Breaker,
}

impl Post {
    /// Starts the couriers.
    pub(super) fn start(shared: &Arc<Shared>, rungs: Rungs) -> Self {
        let lane =
            |operation| Arc::new(Lane { outbox: Outbox::new(QUEUE_BYTES / 2), breaker: Breaker::new(operation) });
        let (small, large) = (lane(Operation::Write), lane(Operation::WriteLarge));
        let (growths, rungs, couriers) = (Arc::default(), Arc::new(rungs), TaskTracker::new());
        for lane in [&small, &large] {
            let (lane, shared) = (Arc::clone(lane), Arc::clone(shared));
            let courier = Courier { lane, shared, rungs: Arc::clone(&rungs), growths: Arc::clone(&growths) };
            couriers.spawn(courier.run());
        }
        Self { shared: Arc::clone(shared), small, large, growths, couriers }
    }

    /// How often this process has raised the mark in the store.
    pub(super) fn growths(&self) -> u64 {
        self.growths.load(Ordering::Acquire)
    }

    /// Hands in records, and a mark to raise.
    pub(super) fn hand_in(&self, records: Vec<Record>, raise: Option<Raise>) -> Receipt {
        let (large, small): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.bytes.len() > LARGE_BYTES);
        Receipt { small: self.small.put(small, raise), large: self.large.put(large, None) }
    }

    /// Waits until all of it is acknowledged, no longer than the budget; for a store that fails now and then not for
    /// long, and for one that has been failing not at all.
    pub(super) async fn served(&self, receipt: Receipt) {
        let breakers = [&self.shared.reads, &self.small.breaker, &self.large.breaker];
        let is_on_probation = breakers.into_iter().any(Breaker::is_on_probation);
        let budget = if is_on_probation { budget::WRITE_ON_PROBATION } else { budget::WRITE };
        tokio::join!(self.small.served(receipt.small, budget), self.large.served(receipt.large, budget));
    }

    /// Why answers do not wait for what they write, if they do not.
    pub(super) fn trouble(&self) -> Option<String> {
        self.small.breaker.cause().or_else(|| self.large.breaker.cause())
    }

    /// Delivers what is left, as long as the store takes it.
    pub(super) async fn close(&self) {
        self.small.outbox.close();
        self.large.outbox.close();
        self.couriers.close();
        self.couriers.wait().await;
    }
}

impl Lane {
    fn put(&self, records: Vec<Record>, raise: Option<Raise>) -> Part {
        let (bytes, has_raise) = (records.iter().map(Record::cost).sum(), raise.is_some());
        let is_nothing = records.is_empty() && !has_raise;
        let ticket = if is_nothing { 0 } else { self.outbox.put(records, raise) };
        Part { ticket, bytes, has_raise }
    }

    async fn served(&self, part: Part, budget: Duration) {
        if self.breaker.is_open() {
            return;
        }
        let delivery = self.outbox.served(part.ticket, part.has_raise);
        if timeout(budget::with_allowance(budget, part.bytes), delivery).await.is_err() {
            telemetry::budget_exceeded(Operation::Write);
        }
    }
}

struct Courier {
    lane: Arc<Lane>,
    shared: Arc<Shared>,
    rungs: Arc<Rungs>,
    growths: Arc<AtomicU64>,
}

impl Courier {
    async fn run(self) {
        let (mut delay, mut limit) = (DELAYS[0], ATTEMPTS[0]);
        while let Some(batch) = self.next().await {
            let closed = self.lane.outbox.closed_for();
            if closed.is_some() {
                limit = ATTEMPTS[0];
            }
            let began = Instant::now();
            match self.deliver(&batch, limit).await {
                Ok(reached) => {
                    self.lane.outbox.delivered(&batch, reached);
                    delay = DELAYS[0];
                    limit = (2 * began.elapsed()).clamp(ATTEMPTS[0], ATTEMPTS[1]);
                }
                Err(_) if closed >= Some(FAREWELL) => {
                    self.lane.outbox.returned(batch);
                    return telemetry::writes_lost(self.lane.outbox.bytes());
                }
                Err(error) => {
                    self.lane.outbox.returned(batch);
                    sleep(delay).await;
                    delay = DELAYS[1].min(2 * delay);
                    // A refusal says nothing of how long an attempt may take.
                    if error.trouble() == Trouble::Late {
                        limit = ATTEMPTS[1].min(2 * limit);
                    }
                }
            }
        }
    }

    /// What is to be delivered next; while the breaker is open a single entry. When nothing has come of the last
    /// attempt, and there is nothing else to try, what changes nothing is written until something comes of it.
    async fn next(&self) -> Option<Batch> {
        while self.lane.breaker.is_failing() {
            let bytes = if self.lane.breaker.is_open() { 0 } else { BATCH_BYTES };
            if let Ok(batch) = timeout(DELAYS[1], self.lane.outbox.next(bytes)).await {
                return batch;
            }
            let began = Instant::now();
            self.lane.breaker.note(began, &within(ATTEMPTS[0], self.shared.store.touch()).await);
        }
        self.lane.outbox.next(BATCH_BYTES).await
    }

    /// Writes the records of a batch and the rungs below its mark, and when they are acknowledged raises the mark. Gives
    /// what it was raised to.
    ///
    /// When a lookup has just told how far the store is, it goes all the way, since an answer waits for it; else a
    /// step, so that a slow store gets on, and what came meanwhile leaves with the next one.
    async fn deliver(&self, batch: &Batch, limit: Duration) -> Result<Option<u32>, StoreError> {
        let (mut records, mut reached) = (batch.records(), None);
        if let Some(Raise { top, base }) = batch.raise() {
            let (mark, bytes) = match base {
                Base::Seen { mark, growths } if growths == self.growths.load(Ordering::Acquire) => (mark, usize::MAX),
                Base::Seen { .. } | Base::Unknown => (self.mark().await?, BATCH_BYTES),
            };
            if mark < Some(top)
                && let Some((rungs, bears)) = (self.rungs)(mark, top, bytes).await
            {
                let made: HashSet<&str> = rungs.iter().map(|rung| &*rung.name).collect();
                records.retain(|record| !made.contains(&*record.name));
                records.extend(rungs);
                reached = Some(bears);
            }
        }
        self.write(records, reached, limit).await?;
        if reached.is_some() {
            self.growths.fetch_add(1, Ordering::Release);
        }
        Ok(reached)
    }

    /// Writes records and, when they are acknowledged, the mark. A store that takes longer than answers wait is slow;
    /// one that takes longer than the limit has failed.
    async fn write(&self, records: Vec<Record>, mark: Option<u32>, limit: Duration) -> Result<(), StoreError> {
        if records.is_empty() && mark.is_none() {
            return Ok(());
        }
        let began = Instant::now();
        let bytes = records.iter().map(Record::cost).sum();
        let budget = budget::with_allowance(budget::WRITE, bytes);
        let mut attempt = pin!(within(budget::with_allowance(limit, bytes), async {
            if !records.is_empty() {
                self.shared.store.write(records).await?;
            }
            match mark {
                Some(mark) => self.shared.store.raise(mark).await,
                None => Ok(()),
            }
        }));
        let written = loop {
            if let Ok(written) = timeout(budget, &mut attempt).await {
                break written;
            }
            self.lane.breaker.note_slowness();
        };
        self.lane.breaker.note(began, &written);
        written
    }

    /// The mark as it is now.
    async fn mark(&self) -> Result<Option<u32>, StoreError> {
        let began = Instant::now();
        let reading = within(ATTEMPTS[0], self.shared.store.read(Vec::new(), 0)).await;
        if reading.is_err() {
            self.lane.breaker.note(began, &reading);
        }
        Ok(reading?.mark)
    }
}
