//! A *courier* is a task that delivers one lane of the write-behind queue to the store, and retries until it is there.
//!
//! After a failure a courier retries the same batch, since most connections break by chance; after another one it tries
//! one record at a time, another one each time, until the store takes one. So no record holds up the others. Before a
//! mark is raised again, the mark of the store is read: the store may have come back empty.

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
    outbox::{Base, Batch, Lane, Outbox, Outcome, Raise, Raised, Receipt},
    record::{LARGE_BYTES, MarkSnapshot, Record},
    shared::Shared,
    store::{StoreError, Written},
};
use crate::telemetry::{self, Operation, Trouble};

/// The bound of the queue for a store that is away.
pub(super) const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// The bound of a batch, unless a single entry is larger: a larger batch would delay small values.
const BATCH_BYTES: usize = LARGE_BYTES;

/// The first and the longest delay between attempts: short after a blip, and that of a probe while the store is away.
const DELAYS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];

/// The least and the greatest timeout of a visit: no answer waits for it any more, and a store that is slow beyond its
/// budget is still better written late than never.
const LIMITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Makes the rungs as records, from the mark that the store has to a new one, or the first of them up to a number of
/// bytes; with the mark that they justify. `None` when they can't be made.
pub(super) type Rungs =
    Box<dyn Fn(Option<u32>, u32, usize) -> BoxFuture<'static, Option<(Vec<Record>, u32)>> + Send + Sync>;

/// The write-behind queue and its couriers.
pub(super) struct Post {
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    small: Arc<Breaker>,
    large: Arc<Breaker>,
    raises: Arc<AtomicU64>,
    couriers: TaskTracker,
}

impl Post {
    /// Starts the couriers.
    pub(super) fn start(shared: &Arc<Shared>, rungs: Rungs) -> Self {
        let outbox = Arc::new(Outbox::new(QUEUE_BYTES));
        let (small, large) = (Breaker::new(Operation::Write), Breaker::new(Operation::WriteLarge));
        let (small, large) = (Arc::new(small), Arc::new(large));
        let (raises, rungs, couriers) = (Arc::default(), Arc::new(rungs), TaskTracker::new());
        for (lane, breaker) in [(Lane::Small, &small), (Lane::Large, &large)] {
            let (outbox, breaker, shared) = (Arc::clone(&outbox), Arc::clone(breaker), Arc::clone(shared));
            let courier =
                Courier { lane, outbox, breaker, shared, rungs: Arc::clone(&rungs), raises: Arc::clone(&raises) };
            couriers.spawn(courier.run());
        }
        Self { shared: Arc::clone(shared), outbox, small, large, raises, couriers }
    }

    /// The number of times that this process has raised the mark in the store.
    pub(super) fn raises(&self) -> u64 {
        self.raises.load(Ordering::Acquire)
    }

    /// Hands in records, and a mark to raise.
    pub(super) fn hand_in(&self, records: Vec<Record>, raise: Option<Raise>) -> [Receipt; 2] {
        self.outbox.put(records, raise)
    }

    /// Waits until all of it is acknowledged, no longer than the budget; that is shorter after recent failures, and
    /// there is no wait while the circuit breaker is open.
    pub(super) async fn served(&self, [small, large]: [Receipt; 2]) {
        let breakers = [&self.shared.reads, &*self.small, &*self.large];
        let is_on_probation = breakers.into_iter().any(Breaker::is_on_probation);
        let budget = if is_on_probation { budget::WRITE_ON_PROBATION } else { budget::WRITE };
        let wait = async |lane, breaker: &Breaker, receipt: Receipt| {
            let delivery = self.outbox.served(lane, receipt);
            let budget = budget::with_allowance(budget, receipt.bytes);
            if !breaker.is_open() && timeout(budget, delivery).await.is_err() {
                telemetry::budget_exceeded(Operation::Write);
            }
        };
        tokio::join!(wait(Lane::Small, &self.small, small), wait(Lane::Large, &self.large, large));
    }

    /// The cause, while answers do not wait for their writes; or that nothing has been written yet. A store that can't
    /// be reached can't be written either, even before the first try.
    pub(super) fn trouble(&self) -> Option<String> {
        let cause = self.small.cause().or_else(|| self.large.cause());
        cause.or_else(|| self.shared.reads.trouble_of_all()).or_else(|| self.small.trouble())
    }

    /// Drains the queue. It ends when the store has taken nothing for `patience`, and logs the bytes that are lost,
    /// also when this is dropped before its end.
    pub(super) async fn close(&self, patience: Duration) {
        let _losses = Losses(&self.outbox);
        self.outbox.close();
        self.couriers.close();
        let (mut taken, mut since) = (self.outbox.acknowledged(), Instant::now());
        while timeout(patience.min(LIMITS[0]), self.couriers.wait()).await.is_err() {
            // A store that answers with a refusal is hardly mended meanwhile.
            let is_refused = [&self.small, &self.large].into_iter().any(|breaker| breaker.is_refused());
            let now_taken = self.outbox.acknowledged();
            if now_taken > taken {
                (taken, since) = (now_taken, Instant::now());
            } else if is_refused || since.elapsed() >= patience {
                return;
            }
        }
    }
}

/// Logs at its end the bytes of the queue that are lost.
struct Losses<'a>(&'a Outbox);

impl Drop for Losses<'_> {
    fn drop(&mut self) {
        let bytes = self.0.bytes();
        if bytes > 0 {
            telemetry::writes_lost(bytes);
        }
    }
}

/// The state that a courier learns from its deliveries.
struct Pace {
    /// The timeout of a visit.
    limit: Duration,
    /// The number of deliveries in a row that have failed.
    failures: u32,
}

impl Pace {
    const START: Self = Self { limit: LIMITS[0], failures: 0 };

    /// Learns from a delivery. The timeout is several times the duration of the last delivery that succeeded, which may
    /// have taken fewer round trips: so a store that is slow, but takes everything, does not seem to fail in between.
    fn learn(&mut self, took: Duration, delivery: &Result<Outcome, StoreError>) {
        self.failures += 1;
        match delivery {
            Ok(_) => *self = Self { limit: (4 * took).clamp(LIMITS[0], LIMITS[1]), failures: 0 },
            Err(error) if error.trouble() == Trouble::Late => self.limit = LIMITS[1].min(2 * self.limit),
            // A refusal says nothing of the duration of a visit.
            Err(_) => {}
        }
    }
}

struct Courier {
    lane: Lane,
    outbox: Arc<Outbox>,
    breaker: Arc<Breaker>,
    shared: Arc<Shared>,
    rungs: Arc<Rungs>,
    raises: Arc<AtomicU64>,
}

impl Courier {
    async fn run(self) {
        let (mut delay, mut pace) = (DELAYS[0], Pace::START);
        while let Some(batch) = self.next(&pace).await {
            let began = Instant::now();
            let delivery = self.deliver(&batch, pace.limit).await;
            pace.learn(began.elapsed(), &delivery);
            if self.settle(batch, delivery, &pace).await {
                delay = DELAYS[0];
            } else {
                sleep(delay).await;
                delay = DELAYS[1].min(2 * delay);
            }
        }
    }

    /// The next delivery; after failures in a row a single record, unless an operator has to mend something, which no record
    /// is to blame for. When the last attempt failed and nothing else waits, the store is touched until it takes that; and
    /// once at the start, so that `/readyz` tells whether it can be written before anything has to be.
    async fn next(&self, pace: &Pace) -> Option<Batch> {
        while self.breaker.is_failing() || self.lane == Lane::Small && !self.breaker.has_succeeded() {
            let bytes = if pace.failures < 2 || self.breaker.needs_operator() { BATCH_BYTES } else { 0 };
            if let Ok(batch) = timeout(DELAYS[1], self.outbox.next(self.lane, bytes)).await {
                return batch;
            }
            // A store that can't be reached is reported by those who read it.
            if self.breaker.is_failing() || self.shared.reads.trouble_of_all().is_none() {
                self.takes_writes(pace.limit).await;
            }
        }
        self.outbox.next(self.lane, BATCH_BYTES).await
    }

    /// Tells the queue the outcome of a delivery. False when the store may need a while before it takes the rest.
    ///
    /// After failures in a row an error of a single record may be the fault of the record: the store has refused it if it
    /// takes another write.
    async fn settle(&self, batch: Batch, delivery: Result<Outcome, StoreError>, pace: &Pace) -> bool {
        let is_suspect = pace.failures > 1 && batch.is_one_record();
        match delivery {
            Ok(outcome) => {
                let is_whole = outcome.refused.is_empty() && matches!(outcome.raised, Raised::Whole | Raised::InPart);
                self.outbox.delivered(batch, outcome);
                is_whole
            }
            Err(error) if is_suspect && error.may_be_of_one_record() && self.takes_writes(pace.limit).await => {
                let refused = batch.records().into_iter().map(|record| record.name).zip([error]).collect();
                self.outbox.delivered(batch, Outcome { refused, raised: Raised::Whole });
                // It waits by itself; the store takes the others.
                true
            }
            Err(_) => {
                self.outbox.returned(batch);
                false
            }
        }
    }

    /// Whether the store takes a write that changes nothing. The breaker hears of it.
    async fn takes_writes(&self, limit: Duration) -> bool {
        let began = Instant::now();
        let touched = within(limit, self.shared.store.touch()).await;
        self.breaker.note(began, &touched);
        touched.is_ok()
    }

    /// Writes the records of a batch and the rungs below its mark, and when they are acknowledged raises the mark.
    ///
    /// When a lookup has just read the mark, it goes all the way, since an answer waits for it; else a step, so that a
    /// slow store makes progress, and records that arrive meanwhile leave with the next one.
    async fn deliver(&self, batch: &Batch, limit: Duration) -> Result<Outcome, StoreError> {
        let (mut records, mut ascent) = (batch.records(), None);
        if let Some(Raise { top, base }) = batch.raise() {
            let (seen, bytes) = match base {
                Some(Base { mark, raises }) if raises == self.raises.load(Ordering::Acquire) => (mark, usize::MAX),
                Some(_) | None => match self.mark(limit).await {
                    Ok(mark) => (mark, BATCH_BYTES),
                    Err(error) if records.is_empty() && error.trouble() != Trouble::Denied => return Err(error),
                    // Entries can be written all the same.
                    Err(_) => {
                        let outcome = self.write(records, None, limit).await?;
                        return Ok(Outcome { raised: Raised::Refused, ..outcome });
                    }
                },
            };
            if seen.mark < Some(top)
                && let Some((rungs, bears)) = (self.rungs)(seen.mark, top, bytes).await
            {
                let made: HashSet<&str> = rungs.iter().map(|rung| &*rung.name).collect();
                records.retain(|record| !made.contains(&*record.name));
                let raised = if bears < top { Raised::InPart } else { Raised::Whole };
                ascent =
                    Some(Ascent { seen, mark: bears, rungs: made.into_iter().map(str::to_owned).collect(), raised });
                records.extend(rungs);
            }
        }
        self.write(records, ascent, limit).await
    }

    /// A store that takes longer than answers wait is slow; one that takes longer than the limit has failed.
    async fn write(
        &self,
        records: Vec<Record>,
        ascent: Option<Ascent>,
        limit: Duration,
    ) -> Result<Outcome, StoreError> {
        if records.is_empty() && ascent.is_none() {
            return Ok(Outcome::default());
        }
        let began = Instant::now();
        let bytes = records.iter().map(Record::cost).sum();
        let budget = budget::with_allowance(budget::WRITE, bytes);
        let limit = budget::with_allowance(limit, bytes);
        let mut attempt = pin!(within(limit, self.attempt(records, ascent)));
        let written = loop {
            if let Ok(written) = timeout(budget, &mut attempt).await {
                break written;
            }
            self.breaker.put_on_probation();
        };
        self.breaker.note(began, &written);
        written
    }

    /// Writes records and, when they are acknowledged, the mark.
    async fn attempt(&self, records: Vec<Record>, ascent: Option<Ascent>) -> Result<Outcome, StoreError> {
        let mut written = Written::default();
        if !records.is_empty() {
            written = self.shared.store.write(records, ascent.is_some()).await?;
        } else if let Some(ascent) = &ascent {
            written.generation = ascent.seen.generation;
        }
        let Some(ascent) = ascent else { return Ok(Outcome { refused: written.refused, ..Outcome::default() }) };
        let raised = self.raise(&ascent, &written).await?;
        Ok(Outcome { refused: written.refused, raised })
    }

    /// Raises the mark, if the rungs that it is to vouch for are in the store.
    async fn raise(&self, ascent: &Ascent, written: &Written) -> Result<Raised, StoreError> {
        let Some(generation) = written.generation else {
            // Something else is in the place of the mark, which has been logged.
            return Ok(Raised::Whole);
        };
        if written.refused.iter().any(|(name, _)| ascent.rungs.contains(name)) {
            return Ok(Raised::Refused);
        }
        let is_same_store = ascent.seen.generation.is_none_or(|seen| seen == generation);
        if !is_same_store || !self.shared.store.raise(ascent.mark, generation).await? {
            // A store that lost this may lose more, and each answer that notices has a ladder written.
            self.breaker.put_on_probation();
            return Ok(Raised::Void);
        }
        self.raises.fetch_add(1, Ordering::Release);
        Ok(ascent.raised)
    }

    /// The mark as it is now. A failure to read it rules out raising it; a success says nothing of writes. A missing
    /// permission to read does not stop writes.
    async fn mark(&self, limit: Duration) -> Result<MarkSnapshot, StoreError> {
        let began = Instant::now();
        let reading = within(limit, self.shared.store.read(Vec::new(), 0)).await;
        if reading.as_ref().is_err_and(|error| error.trouble() != Trouble::Denied) {
            self.breaker.note(began, &reading);
        }
        Ok(reading?.mark)
    }
}

/// The way from one mark to another.
struct Ascent {
    /// The mark as the store has it.
    seen: MarkSnapshot,
    /// The mark to raise it to.
    mark: u32,
    /// The names of the rungs between them.
    rungs: HashSet<String>,
    /// The outcome if it succeeds: the whole way, or a part.
    raised: Raised,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_may_take_several_times_as_long_as_one_that_came_to_something() {
        let (mut pace, trip) = (Pace::START, Duration::from_millis(600));
        pace.learn(LIMITS[0], &Err(StoreError::Late(LIMITS[0])));
        assert!(pace.failures == 1 && pace.limit >= 3 * trip, "the mark is read, and written with two round trips");
        pace.learn(trip, &Ok(Outcome::default()));
        assert!(pace.failures == 0 && pace.limit >= 3 * trip, "a delivery of one round trip does not say that all are");
        pace.learn(Duration::ZERO, &Ok(Outcome::default()));
        assert_eq!(pace.limit, LIMITS[0], "a store that is fast again is expected to be");
        for _ in 0..10 {
            pace.learn(pace.limit, &Err(StoreError::Late(pace.limit)));
        }
        assert_eq!(pace.limit, LIMITS[1]);
    }
}
