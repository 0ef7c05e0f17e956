//! Couriers: they carry what is in the outboxes to the store, and try again until it is there.
//!
//! Large values have a courier of their own, so that small entries and the mark do not wait behind them. What can't be
//! delivered is tried again by itself; while the breaker is open, one entry is the probe. Before a mark is raised
//! again, the store is asked how far it holds what the mark vouches for: it may have come back empty.

use std::{
    collections::HashSet,
    iter::Peekable,
    mem,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::{
    breaker::Breaker,
    budget::{self, within},
    outbox::{Base, Batch, Outbox, Raise, Ticket},
    shared::Shared,
    store::{LARGE_BYTES, Record, StoreError},
};
use crate::telemetry::{self, Operation};

/// How much may wait for a store that is not there: half of it for small entries and half for large values.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// What leaves together, unless a single entry is larger: no more than may go with what is small.
const BATCH_BYTES: usize = LARGE_BYTES;

/// Between attempts: soon after a blip, and no more often than a probe while the store is away.
const DELAYS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];

/// How long an attempt may take, the first and the last of a row: nobody waits any more, and a store that is slow
/// beyond its budget is still better written late than never.
const ATTEMPTS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// How long the end of the process waits for a store that does not take what is left.
const FAREWELL: Duration = Duration::from_secs(2);

/// Makes the records that a mark vouches for, from the mark that the store has to the one that it shall have, each with
/// the mark that it and those before it can bear. `None` when they can't be made.
pub(super) type Rungs = Box<dyn Fn(Option<u32>, u32) -> BoxFuture<'static, Option<Vec<(u32, Record)>>> + Send + Sync>;

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
    small: (Ticket, usize),
    large: (Ticket, usize),
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
        let lanes = [&self.shared.reads, &self.small.breaker, &self.large.breaker];
        let is_on_probation = lanes.into_iter().any(Breaker::is_on_probation);
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
    fn put(&self, records: Vec<Record>, raise: Option<Raise>) -> (Ticket, usize) {
        let bytes = records.iter().map(Record::cost).sum();
        let is_nothing = records.is_empty() && raise.is_none();
        (if is_nothing { 0 } else { self.outbox.put(records, raise) }, bytes)
    }

    async fn served(&self, (ticket, bytes): (Ticket, usize), budget: Duration) {
        let budget = budget::with_allowance(budget, bytes);
        if !self.breaker.is_open() && timeout(budget, self.outbox.served(ticket)).await.is_err() {
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
        while let Some(mut batch) = self.next().await {
            let closed = self.lane.outbox.closed_for();
            if closed.is_some() {
                limit = ATTEMPTS[0];
            }
            if self.deliver(&mut batch, limit).await.is_ok() {
                self.lane.outbox.delivered(&mut batch);
                (delay, limit) = (DELAYS[0], ATTEMPTS[0]);
                continue;
            }
            self.lane.outbox.returned(batch);
            if closed >= Some(FAREWELL) {
                return telemetry::writes_lost(self.lane.outbox.bytes());
            }
            sleep(delay).await;
            (delay, limit) = (DELAYS[1].min(2 * delay), ATTEMPTS[1].min(2 * limit));
        }
    }

    /// What is to be delivered next. While the breaker is open that is a single entry; when there is none, what changes
    /// nothing is written until the breaker closes: the mark as it is.
    async fn next(&self) -> Option<Batch> {
        while self.lane.breaker.is_open() {
            if let Ok(batch) = timeout(DELAYS[1], self.lane.outbox.next(0)).await {
                return batch;
            }
            if let Ok(mark @ Some(_)) = self.mark().await {
                // What comes of it is noted.
                let _ = self.write(Vec::new(), mark, ATTEMPTS[0]).await;
            }
        }
        self.lane.outbox.next(BATCH_BYTES).await
    }

    async fn deliver(&self, batch: &mut Batch, limit: Duration) -> Result<(), StoreError> {
        match batch.raise() {
            None => self.write(batch.records(), None, limit).await,
            Some(Raise { top, base: Base::Seen { mark, growths } }) if growths == self.growths() => {
                self.raise(batch.records(), mark, top, Steps::One, limit).await
            }
            Some(Raise { top, .. }) => {
                if !batch.is_bare() {
                    // Nothing is well before the mark is raised too.
                    self.carry(batch.records(), None, limit).await?;
                    self.lane.outbox.delivered(batch);
                }
                let mark = self.mark().await?;
                // A slow store gets on with each step.
                self.raise(Vec::new(), mark, top, Steps::Several, limit).await
            }
        }
    }

    /// Writes records and the rungs from a mark to `top`, and raises the mark to what is acknowledged. When the rungs
    /// can't be made, there is no more to raise it to.
    async fn raise(
        &self,
        mut records: Vec<Record>,
        mark: Option<u32>,
        top: u32,
        steps: Steps,
        limit: Duration,
    ) -> Result<(), StoreError> {
        let rungs = if mark < Some(top) { (self.rungs)(mark, top).await } else { None };
        let Some(rungs) = rungs else { return self.write(records, None, limit).await };
        let made: HashSet<&str> = rungs.iter().map(|(_, rung)| &*rung.name).collect();
        records.retain(|record| !made.contains(&*record.name));
        let mut rungs = rungs.into_iter().peekable();
        loop {
            let bytes = match steps {
                Steps::One => usize::MAX,
                Steps::Several if self.lane.breaker.is_open() => 0,
                Steps::Several => BATCH_BYTES,
            };
            let reached = step(&mut rungs, bytes, &mut records).map_or(top, |bears| bears.min(top));
            self.write(mem::take(&mut records), Some(reached), limit).await?;
            self.growths.fetch_add(1, Ordering::Release);
            if reached == top {
                return Ok(());
            }
        }
    }

    /// Writes records and, when they are acknowledged, the mark. A store that does so in time is well.
    async fn write(&self, records: Vec<Record>, mark: Option<u32>, limit: Duration) -> Result<(), StoreError> {
        if self.carry(records, mark, limit).await? == Punctuality::InTime {
            self.lane.breaker.note(&Ok(()));
        }
        Ok(())
    }

    /// The same, without a word of success. Whoever waits for it has a budget; when that is spent the store is not
    /// well, even if it takes everything in the end.
    async fn carry(&self, records: Vec<Record>, mark: Option<u32>, limit: Duration) -> Result<Punctuality, StoreError> {
        if records.is_empty() && mark.is_none() {
            return Ok(Punctuality::Unknown);
        }
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
        let mut punctuality = Punctuality::InTime;
        let written = loop {
            if let Ok(written) = timeout(budget, &mut attempt).await {
                break written;
            }
            punctuality = Punctuality::Late;
            self.lane.breaker.note::<()>(&Err(StoreError::Late(budget)));
        };
        if written.is_err() {
            self.lane.breaker.note(&written);
        }
        written.map(|()| punctuality)
    }

    /// The mark as it is now.
    async fn mark(&self) -> Result<Option<u32>, StoreError> {
        let reading = within(ATTEMPTS[0], self.shared.store.read(Vec::new(), 0)).await;
        if reading.is_err() {
            self.lane.breaker.note(&reading);
        }
        Ok(reading?.mark)
    }

    fn growths(&self) -> u64 {
        self.growths.load(Ordering::Acquire)
    }
}

/// Whether the store acknowledged within the budget.
#[derive(PartialEq, Eq)]
enum Punctuality {
    InTime,
    Late,
    /// It was not asked for anything.
    Unknown,
}

/// How the mark is raised.
#[derive(Clone, Copy)]
enum Steps {
    /// At once, by an answer that waits for it.
    One,
    /// As far as a batch bears, and again.
    Several,
}

/// Moves rungs to the records, up to so many bytes and at least one. Gives the mark that they bear; `None` when there
/// are no more.
fn step(
    rungs: &mut Peekable<impl Iterator<Item = (u32, Record)>>,
    bytes: usize,
    records: &mut Vec<Record>,
) -> Option<u32> {
    let mut left = bytes;
    while let Some((bears, rung)) = rungs.next() {
        left = left.saturating_sub(rung.cost());
        records.push(rung);
        let (_, next) = rungs.peek()?;
        if next.cost() > left {
            return Some(bears);
        }
    }
    None
}
