//! A writer is a task that writes the records of one size class to the store, and retries until they are there.
//!
//! After a failure it retries the same batch, since most connections break by chance; after another one it tries one
//! record at a time, another one each time, until the store takes one. So no record holds up the others. Before a mark
//! is raised again, the mark of the store is read: the store may have come back empty.

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

use super::queue::{Batch, Outcome, Queue, Raise, Raised, Seen, Size};
use crate::{
    cache::{
        breaker::Breaker,
        budget,
        reads::Reads,
        record::{Height, LARGE_BYTES, MarkSnapshot, Record},
        store::{StoreError, Written, within},
    },
    telemetry::{self, Trouble},
};

/// The bound of a batch, unless a single record is larger: a larger batch would delay small values.
const BATCH_BYTES: usize = LARGE_BYTES;

/// The shortest and the longest backoff between attempts; the longest is also the interval of probes.
const BACKOFF: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];

/// The shortest and the longest timeout of an attempt: no answer waits for it any more, and a store that is slow beyond
/// its budget is still better written late than never.
pub(super) const TIMEOUTS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Makes the rungs as records, from the mark that the store has to a new one, or the first of them up to a number of
/// bytes; with the mark that they justify. `None` when they can't be made.
pub(in crate::cache) type MakeRungs =
    Box<dyn Fn(Option<u32>, u32, usize) -> BoxFuture<'static, Option<(Vec<Record>, u32)>> + Send + Sync>;

pub(super) struct Writer {
    pub(super) size: Size,
    pub(super) queue: Arc<Queue>,
    pub(super) breaker: Arc<Breaker>,
    pub(super) reads: Arc<Reads>,
    /// By ladder.
    pub(super) make_rungs: Arc<[MakeRungs]>,
    /// The number of times that this process has raised each mark.
    pub(super) raises: Arc<[AtomicU64]>,
}

/// The state that a writer learns from its attempts.
struct Experience {
    /// The timeout of the next attempt.
    timeout: Duration,
    /// The number of attempts in a row that have failed.
    failures: u32,
}

impl Experience {
    const NONE: Self = Self { timeout: TIMEOUTS[0], failures: 0 };

    /// Learns from an attempt. The timeout is several times the duration of the last one that succeeded, which may have
    /// taken fewer round trips: so a store that is slow, but takes everything, does not seem to fail in between.
    fn learn(&mut self, took: Duration, outcome: &Result<Outcome, StoreError>) {
        self.failures += 1;
        match outcome {
            Ok(_) => *self = Self { timeout: (4 * took).clamp(TIMEOUTS[0], TIMEOUTS[1]), failures: 0 },
            Err(error) if error.trouble() == Trouble::Late => self.timeout = TIMEOUTS[1].min(2 * self.timeout),
            // A refusal says nothing of the duration of an attempt.
            Err(_) => {}
        }
    }
}

/// The rungs from one mark to another, and that mark.
struct Step {
    /// The mark as the store has it.
    from: MarkSnapshot,
    /// The mark to raise it to.
    to: Height,
    rungs: HashSet<String>,
    /// The outcome if it succeeds: the whole way, or a part.
    raised: Raised,
}

impl Writer {
    pub(super) async fn run(self) {
        let (mut backoff, mut experience) = (BACKOFF[0], Experience::NONE);
        while let Some(batch) = self.next(&experience).await {
            let began = Instant::now();
            let outcome = self.try_to_write(&batch, experience.timeout).await;
            experience.learn(began.elapsed(), &outcome);
            if self.settle(batch, outcome, &experience).await {
                backoff = BACKOFF[0];
            } else {
                sleep(backoff).await;
                backoff = BACKOFF[1].min(2 * backoff);
            }
        }
    }

    /// The next batch; after failures in a row a single record, unless the fault needs an operator, and so is not about one
    /// record. When the last attempt failed and nothing else is queued, the store is probed until it takes that;
    /// and once at the start, so that `/readyz` says whether it can be written before anything has to be.
    async fn next(&self, experience: &Experience) -> Option<Batch> {
        while self.breaker.is_failing() || self.size == Size::Small && !self.breaker.has_succeeded() {
            let is_whole = experience.failures < 2 || self.breaker.needs_operator();
            let bytes = if is_whole { BATCH_BYTES } else { 0 };
            if let Ok(batch) = timeout(BACKOFF[1], self.queue.next(self.size, bytes)).await {
                return batch;
            }
            // A store that can't be reached is reported by those who read it.
            if self.breaker.is_failing() || self.reads.breaker.trouble_of_all().is_none() {
                self.probe(experience.timeout).await;
            }
        }
        self.queue.next(self.size, BATCH_BYTES).await
    }

    /// Reports the outcome of an attempt to the queue. False when the store may need a while before it takes the rest. What
    /// it has refused waits for a backoff of its own, and holds up nothing.
    ///
    /// After failures in a row the error of what was alone may be about that, and so may that of what was all refused before:
    /// the store has refused it if it takes another write. The server of a mark may be away, while others of a cluster hold
    /// the records.
    async fn settle(&self, batch: Batch, outcome: Result<Outcome, StoreError>, experience: &Experience) -> bool {
        let error = match outcome {
            Ok(outcome) => {
                let has_lost_all = outcome.raised == Raised::Void;
                self.queue.settle(batch, outcome);
                return !has_lost_all;
            }
            Err(error) => error,
        };
        let may_be_of_it =
            if batch.is_mark() { !error.trouble().needs_operator() } else { error.may_be_of_one_record() };
        let is_suspect = (batch.is_alone() && experience.failures > 1 || batch.was_refused()) && may_be_of_it;
        let is_refusal = is_suspect && self.probe(experience.timeout).await;
        if is_refusal {
            // It is retried by itself; the store takes the others.
            self.queue.refuse(batch, &error);
        } else {
            self.queue.put_back(batch);
        }
        is_refusal
    }

    /// Whether the store takes a write that changes nothing, which the breaker notes.
    async fn probe(&self, limit: Duration) -> bool {
        self.breaker.watch(limit, self.reads.store.touch()).await.is_ok()
    }

    /// Writes the records of a batch and the rungs below its mark, and when they are acknowledged raises the mark.
    async fn try_to_write(&self, batch: &Batch, limit: Duration) -> Result<Outcome, StoreError> {
        let mut records = batch.records();
        let Some(raise) = batch.raise() else { return self.write(records, None, limit).await };
        match self.step(raise, limit).await {
            Ok(Err(raised)) => Ok(Outcome { raised, ..self.write(records, None, limit).await? }),
            Ok(Ok((step, rungs))) => {
                records.retain(|record| !step.rungs.contains(&*record.name));
                records.extend(rungs.into_iter().map(Arc::new));
                self.write(records, Some(step), limit).await
            }
            Err(error) if records.is_empty() && error.trouble() != Trouble::Denied => Err(error),
            // Records can be written all the same.
            Err(_) => {
                let outcome = self.write(records, None, limit).await?;
                Ok(Outcome { raised: Raised::Refused, ..outcome })
            }
        }
    }

    /// The next step to a mark, and its rungs. When a lookup has just read the mark, it leads all the way, since an
    /// answer waits for it; else it is short, so that a slow store makes progress, and records that arrive meanwhile
    /// leave with the next one. When there is no step, the outcome of the raise: it is there, or its rungs can't be made.
    async fn step(&self, raise: Raise, limit: Duration) -> Result<Result<(Step, Vec<Record>), Raised>, StoreError> {
        let Height { ladder, mark: top } = raise.to;
        let (from, bytes) = match raise.seen {
            Some(Seen { mark, raises }) if raises == self.raises[ladder].load(Ordering::Acquire) => (mark, usize::MAX),
            Some(_) | None => (self.mark(ladder, limit).await?, BATCH_BYTES),
        };
        // A mark whose place is taken, which has been logged, can't be raised.
        if from.is_taken || from.mark >= Some(top) {
            return Ok(Err(Raised::Whole));
        }
        let Some((rungs, mark)) = self.make_rungs[ladder](from.mark, top, bytes).await else {
            telemetry::ladder_lost(top);
            return Ok(Err(Raised::Lost));
        };
        let raised = if mark < top { Raised::InPart } else { Raised::Whole };
        let names = rungs.iter().map(|rung| rung.name.clone()).collect();
        Ok(Ok((Step { from, to: Height { ladder, mark }, rungs: names, raised }, rungs)))
    }

    /// Writes within a limit. A store that takes longer than answers wait is slow; one that takes longer than the limit
    /// has failed.
    async fn write(
        &self,
        records: Vec<Arc<Record>>,
        step: Option<Step>,
        limit: Duration,
    ) -> Result<Outcome, StoreError> {
        if records.is_empty() && step.is_none() {
            return Ok(Outcome::default());
        }
        let began = Instant::now();
        let bytes = records.iter().map(|record| record.cost()).sum();
        let budget = budget::with_allowance(budget::WRITE, bytes);
        let limit = budget::with_allowance(limit, bytes);
        let mut attempt = pin!(within(limit, self.write_and_raise(records, step)));
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
    async fn write_and_raise(&self, records: Vec<Arc<Record>>, step: Option<Step>) -> Result<Outcome, StoreError> {
        let mut written = Written::default();
        if !records.is_empty() {
            written = self.reads.store.write(records, step.as_ref().map(|step| step.to.ladder)).await?;
        } else if let Some(step) = &step {
            written.generation = step.from.generation;
        }
        let raised = match step {
            Some(step) => self.raise(&step, &written).await?,
            None => Raised::Whole,
        };
        Ok(Outcome { refused: written.refused, raised })
    }

    /// Raises the mark, if the rungs that it is to vouch for are in the store.
    async fn raise(&self, step: &Step, written: &Written) -> Result<Raised, StoreError> {
        let Some(generation) = written.generation else {
            // The store was emptied meanwhile; or something else is in the place of the mark, which the next attempt sees.
            return Ok(Raised::Void);
        };
        if written.refused.iter().any(|(name, _)| step.rungs.contains(name)) {
            return Ok(Raised::Refused);
        }
        let is_same_store = step.from.generation.is_none_or(|seen| seen == generation);
        if !is_same_store || !self.reads.store.raise(step.to, generation).await? {
            // A store that lost this may lose more, and each answer that notices has a ladder written.
            self.breaker.put_on_probation();
            return Ok(Raised::Void);
        }
        self.raises[step.to.ladder].fetch_add(1, Ordering::Release);
        Ok(step.raised)
    }

    /// The mark of a ladder as it is now. A failure to read it rules out raising it; a success says nothing of writes. A missing
    /// permission to read does not stop writes.
    async fn mark(&self, ladder: usize, limit: Duration) -> Result<MarkSnapshot, StoreError> {
        let began = Instant::now();
        let reading = within(limit, self.reads.store.read(vec![ladder], Vec::new(), 0)).await;
        if reading.as_ref().is_err_and(|error| error.trouble() != Trouble::Denied) {
            self.breaker.note(began, &reading);
        }
        Ok(reading?.marks.first().copied().flatten().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::{
        cache::{Access, location::Location, record::Retention, store::Store},
        telemetry::Operation,
    };

    #[tokio::test(start_paused = true)]
    async fn the_oldest_record_is_dropped_first_however_often_it_was_tried() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("redis+unix://{}", folder.path().join("no.sock").display());
        let location = Location::new(&url, &Access::default()).unwrap();
        let store = Store::open(&location, vec!["mark".into()]).unwrap().unwrap();
        let reads = Arc::new(Reads { store, breaker: Breaker::new(Operation::Read) });
        let (queue, breaker) = (Arc::new(Queue::new(10_000)), Arc::new(Breaker::new(Operation::Write)));
        let cheap = |number: u32| Record { name: number.to_string(), bytes: vec![0; 900], retention: Retention::Cheap };
        let put = |number| queue.put(vec![cheap(number)], Vec::new());
        let mut pending: Vec<_> = (0..5).map(put).collect();
        let make_rungs: MakeRungs = Box::new(|_, _, _| Box::pin(async { None }));
        let height = Height { ladder: 0, mark: 100 };
        queue.put(Vec::new(), vec![Raise { to: height, seen: None }]);
        let (make_rungs, raises) = (Arc::new([make_rungs]), Arc::new([AtomicU64::new(0)]));
        let writer = Writer { size: Size::Small, queue: Arc::clone(&queue), breaker, reads, make_rungs, raises };
        let writing = tokio::spawn(writer.run());
        for dropped in 0..5 {
            sleep(Duration::from_secs(2)).await;
            while pending[dropped..].iter().all(|[pending, _]| pending.done().now_or_never().is_none()) {
                pending.push(put(pending.len().try_into().unwrap()));
            }
            let done = pending.iter().filter(|[pending, _]| pending.done().now_or_never().is_some()).count();
            assert_eq!(done, dropped + 1);
            assert!(pending[dropped][0].done().now_or_never().is_some(), "the oldest but {dropped}");
        }
        writing.abort();
    }

    #[test]
    fn an_attempt_may_take_several_times_as_long_as_the_last_that_succeeded() {
        let (mut experience, trip) = (Experience::NONE, Duration::from_millis(600));
        experience.learn(TIMEOUTS[0], &Err(StoreError::Late(TIMEOUTS[0])));
        assert!(
            experience.failures == 1 && experience.timeout >= 3 * trip,
            "the mark is read, and written with two round trips"
        );
        experience.learn(trip, &Ok(Outcome::default()));
        assert!(
            experience.failures == 0 && experience.timeout >= 3 * trip,
            "an attempt of one round trip does not say that all are"
        );
        experience.learn(Duration::ZERO, &Ok(Outcome::default()));
        assert_eq!(experience.timeout, TIMEOUTS[0], "a store that is fast again is expected to be");
        for _ in 0..10 {
            experience.learn(experience.timeout, &Err(StoreError::Late(experience.timeout)));
        }
        assert_eq!(experience.timeout, TIMEOUTS[1]);
    }
}
