//! Writes to the store: a write-behind queue, and a writer for each size class that empties it.

mod queue;
mod writer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use self::{
    queue::{Pending, Queue, Size},
    writer::{TIMEOUTS, Writer},
};
pub(super) use self::{
    queue::{Raise, Seen},
    writer::MakeRungs,
};
use super::{breaker::Breaker, budget, reads::Reads, store::StoreError};
use crate::telemetry::{self, Operation};

/// The bound of the queue for a store that is away.
pub(super) const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// The queue, and the state of the writers.
pub(super) struct Writes {
    reads: Arc<Reads>,
    pub(super) queue: Arc<Queue>,
    small: Arc<Breaker>,
    large: Arc<Breaker>,
    /// The number of times that this process has raised each mark in the store.
    raises: Arc<[AtomicU64]>,
    writers: TaskTracker,
}

impl Writes {
    /// Starts the writers. There is a function that makes the rungs of each ladder.
    pub(super) fn start(reads: &Arc<Reads>, make_rungs: Vec<MakeRungs>) -> Self {
        let queue = Arc::new(Queue::new(QUEUE_BYTES));
        let [small, large] = [Operation::Write, Operation::WriteLarge].map(Breaker::new).map(Arc::new);
        let raises: Arc<[AtomicU64]> = make_rungs.iter().map(|_| AtomicU64::new(0)).collect();
        let (make_rungs, writers) = (Arc::<[MakeRungs]>::from(make_rungs), TaskTracker::new());
        for (size, breaker) in [(Size::Small, &small), (Size::Large, &large)] {
            let (queue, breaker, reads) = (Arc::clone(&queue), Arc::clone(breaker), Arc::clone(reads));
            let (make_rungs, raises) = (Arc::clone(&make_rungs), Arc::clone(&raises));
            writers.spawn(Writer { size, queue, breaker, reads, make_rungs, raises }.run());
        }
        Self { reads: Arc::clone(reads), queue, small, large, raises, writers }
    }

    /// The number of times that this process has raised the mark of a ladder in the store.
    pub(super) fn raises(&self, ladder: usize) -> u64 {
        self.raises[ladder].load(Ordering::Acquire)
    }

    /// Waits until what was queued is acknowledged, no longer than the budget; that is shorter after recent failures, and
    /// there is no wait while the circuit breaker is open.
    pub(super) async fn wait(&self, [small, large]: [Pending; 2]) {
        let breakers = [&self.reads.breaker, &*self.small, &*self.large];
        let is_on_probation = breakers.into_iter().any(Breaker::is_on_probation);
        let budget = if is_on_probation { budget::WRITE_ON_PROBATION } else { budget::WRITE };
        let wait = async |breaker: &Breaker, pending: Pending| {
            let budget = budget::with_allowance(budget, pending.bytes);
            if !breaker.is_open() && timeout(budget, pending.done()).await.is_err() {
                telemetry::budget_exceeded(Operation::Write);
            }
        };
        tokio::join!(wait(&self.small, small), wait(&self.large, large));
    }

    /// The cause, while answers do not wait for their writes; or that nothing has been written yet. A store that can't
    /// be reached can't be written either, even before the first try.
    pub(super) fn trouble(&self) -> Option<String> {
        let cause = self.small.cause().or_else(|| self.large.cause());
        cause.or_else(|| self.reads.breaker.trouble_of_all()).or_else(|| self.small.trouble())
    }

    /// Sends the store a write that changes nothing, to learn whether it takes writes.
    ///
    /// # Errors
    /// When it does not take that write, with the cause.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        self.small.watch(TIMEOUTS[1], self.reads.store.touch()).await
    }

    /// Drains the queue. It ends when the store has taken nothing for `patience`, and logs the bytes that are lost,
    /// also when this is dropped before its end.
    pub(super) async fn close(&self, patience: Duration) {
        let _losses = Losses(&self.queue);
        self.queue.close();
        self.writers.close();
        let (mut taken, mut since) = (self.queue.acknowledged(), Instant::now());
        while timeout(patience.min(TIMEOUTS[0]), self.writers.wait()).await.is_err() {
            // A store that answers with a refusal is hardly mended meanwhile.
            let breakers = [&self.reads.breaker, &*self.small, &*self.large];
            let is_refused = breakers.into_iter().any(Breaker::is_refused);
            let now_taken = self.queue.acknowledged();
            if now_taken > taken {
                (taken, since) = (now_taken, Instant::now());
            } else if is_refused || since.elapsed() >= patience {
                return;
            }
        }
    }
}

/// Logs at its end the bytes of the queue that are lost.
struct Losses<'a>(&'a Queue);

impl Drop for Losses<'_> {
    fn drop(&mut self) {
        let bytes = self.0.bytes();
        if bytes > 0 {
            telemetry::writes_lost(bytes);
        }
    }
}
