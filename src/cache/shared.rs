//! The shared tier as answers read it: within a time budget, and behind a circuit breaker.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};

use super::{
    breaker::Breaker,
    budget::{self, within},
    record::Reading,
    store::{Store, StoreError},
};
use crate::telemetry::{self, Operation};

/// The interval between probes of a store that fails.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// The timeout of the first visit, which no answer waits for: it includes the connection and the resolution of names.
const GREETING: Duration = Duration::from_secs(5);

/// The store, and the circuit breaker of its reads.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) reads: Breaker,
}

impl Shared {
    /// Starts to use a store, and greets it, so that an operator's mistake is logged at the start. The handle ends the
    /// task that probes it.
    pub(super) fn start(store: Store) -> (Arc<Self>, AbortHandle) {
        let shared = Arc::new(Self { store, reads: Breaker::new(Operation::Read) });
        let watch = tokio::spawn(Arc::clone(&shared).watch());
        (shared, watch.abort_handle())
    }

    /// Reads the mark and some entries of about `bytes` bytes. `None` when the store does not answer within its budget,
    /// and at once while the breaker is open.
    pub(super) async fn read(&self, names: Vec<String>, bytes: usize) -> Option<Reading> {
        if self.reads.is_open() {
            return None;
        }
        let reading = self.visit(names, bytes, budget::with_allowance(budget::READ, bytes)).await;
        if let Err(StoreError::Late(_)) = reading {
            telemetry::budget_exceeded(Operation::Read);
        }
        reading.ok()
    }

    async fn visit(&self, names: Vec<String>, bytes: usize, limit: Duration) -> Result<Reading, StoreError> {
        let began = Instant::now();
        let reading = within(limit, self.store.read(names, bytes)).await;
        self.reads.note(began, &reading);
        reading
    }

    /// Greets the store; and whenever it has failed, probes it until a visit succeeds. So a blip is soon told from an
    /// outage, however few requests come meanwhile.
    async fn watch(self: Arc<Self>) {
        // The outcome of a visit is noted.
        let _ = self.visit(Vec::new(), 0, GREETING).await;
        loop {
            self.reads.failure().await;
            while self.reads.is_failing() {
                sleep(PROBE_INTERVAL).await;
                let _ = self.visit(Vec::new(), 0, budget::READ).await;
            }
        }
    }
}
