//! Reads of the store by answers: within a time budget, and behind a circuit breaker.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, timeout_at},
};

use super::{
    breaker::Breaker,
    budget,
    record::Reading,
    store::{Store, StoreError},
};
use crate::telemetry::{self, Operation};

/// The interval between probes of a store that fails.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// The time without a read after which a store that works is probed: a process without requests notices an outage by that
/// alone.
const HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The timeout of the first read, which no answer waits for: it includes the connection and the resolution of names.
const FIRST_READ: Duration = Duration::from_secs(5);

/// The store, and the circuit breaker of its reads.
pub(super) struct Reads {
    pub(super) store: Store,
    pub(super) breaker: Breaker,
}

impl Reads {
    /// Starts to use a store, and reads it once, so that an operator's mistake is logged at the start. The handle ends
    /// the task that probes it.
    pub(super) fn start(store: Store) -> (Arc<Self>, AbortHandle) {
        let reads = Arc::new(Self { store, breaker: Breaker::new(Operation::Read) });
        let probing = tokio::spawn(Arc::clone(&reads).probe());
        (reads, probing.abort_handle())
    }

    /// Reads the marks of some ladders and some entries of about `bytes` bytes. `None` when the store does not answer within
    /// its budget, and at once while the breaker is open.
    pub(super) async fn read(&self, ladders: Vec<usize>, names: Vec<String>, bytes: usize) -> Option<Reading> {
        if self.breaker.is_open() {
            return None;
        }
        let limit = budget::with_allowance(budget::READ, bytes);
        let reading = self.breaker.watch(limit, self.store.read(ladders, names, bytes)).await;
        if let Err(StoreError::Late(_)) = reading {
            telemetry::budget_exceeded(Operation::Read);
        }
        reading.ok()
    }

    /// Probes the store at the start, and when it is read by nobody; and whenever it has failed, again and again until a read
    /// succeeds. So a blip is soon distinguished from an outage, however few requests come meanwhile.
    async fn probe(self: Arc<Self>) {
        // The breaker notes the outcome.
        let _ = self.breaker.watch(FIRST_READ, self.store.probe()).await;
        let due = || self.breaker.last_success().unwrap_or_else(Instant::now) + HEALTH_CHECK_INTERVAL;
        loop {
            let is_quiet = timeout_at(due(), self.breaker.failure()).await.is_err();
            if is_quiet && due() <= Instant::now() {
                let _ = self.breaker.watch(budget::READ, self.store.probe()).await;
            }
            while self.breaker.is_failing() {
                sleep(PROBE_INTERVAL).await;
                let _ = self.breaker.watch(budget::READ, self.store.probe()).await;
            }
        }
    }
}
