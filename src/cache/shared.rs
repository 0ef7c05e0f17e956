//! The shared tier as answers may use it: every visit has a budget, and a breaker for when visits come to nothing.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    breaker::Breaker,
    store::{Reading, Record, Store, StoreError},
};
use crate::telemetry::{self, Operation};

/// How long an answer waits for the store to be read.
const READ_BUDGET: Duration = Duration::from_millis(50);

/// How long an answer waits for the store to acknowledge what was written.
const WRITE_BUDGET: Duration = Duration::from_millis(150);

/// What both budgets allow on top for what is large: a millisecond for so many bytes, half the pace of a gigabit line.
const BYTES_PER_MS: usize = 64 * 1024;

/// What is beyond is not allowed for: so much is more than the largest value and the ladder.
const ALLOWED_BYTES: usize = 24 * 1024 * 1024;

/// When an attempt to write is given up, so that another may be made: nobody may be waiting any more, but a store that
/// is slow beyond its budget is still better written late than never.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Between two probes while the breaker is open.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// How long the first visit may take, which nobody waits for: connecting included, names resolved.
const GREETING: Duration = Duration::from_secs(5);

/// The store, with what is known of its health.
pub(super) struct Shared {
    store: Store,
    reads: Breaker,
    writes: Breaker,
}

impl Shared {
    /// Starts to use a store, and greets it, so that an operator's mistake is told at the start.
    pub(super) fn start(store: Store) -> Arc<Self> {
        let reads = Breaker::new(Operation::Read);
        let writes = Breaker::new(Operation::Write);
        let shared = Arc::new(Self { store, reads, writes });
        tokio::spawn(Arc::clone(&shared).watch());
        shared
    }

    /// Reads the mark and some entries of about so many bytes. `None` when the store does not answer within its
    /// budget, and at once while the breaker is open.
    pub(super) async fn read(&self, names: Vec<String>, bytes: usize) -> Option<Reading> {
        if self.reads.is_open() {
            return None;
        }
        let reading = within(READ_BUDGET + allowance(bytes), self.store.read(names, bytes)).await;
        if let Err(StoreError::Late(_)) = reading {
            telemetry::budget_exceeded(Operation::Read);
        }
        self.reads.note(&reading);
        reading.ok()
    }

    /// Writes records and, when they are acknowledged, the mark. For the couriers, who wait longer than an answer does:
    /// what is acknowledged late is written, and yet the store is not well.
    pub(super) async fn write(&self, records: Vec<Record>, mark: Option<u32>) -> Result<(), StoreError> {
        let bytes = records.iter().map(|record| record.bytes.len()).sum();
        let start = Instant::now();
        let written = within(ATTEMPT + allowance(bytes), async {
            if !records.is_empty() {
                self.store.write(records).await?;
            }
            match mark {
                Some(mark) => self.store.raise(mark).await,
                None => Ok(()),
            }
        });
        let written = written.await;
        let budget = WRITE_BUDGET + allowance(bytes);
        if written.is_ok() && start.elapsed() > budget {
            self.writes.note::<()>(&Err(StoreError::Late(budget)));
        } else {
            self.writes.note(&written);
        }
        written
    }

    /// The mark as it is now. For the couriers, as above.
    pub(super) async fn mark(&self) -> Result<Option<u32>, StoreError> {
        Ok(within(ATTEMPT, self.store.read(Vec::new(), 0)).await?.mark)
    }

    /// Waits for `delivery` of so many bytes, no longer than the budget; while the breaker is open, not at all.
    pub(super) async fn patiently(&self, bytes: usize, delivery: impl Future<Output = ()>) {
        let budget = WRITE_BUDGET + allowance(bytes);
        if !self.writes.is_open() && timeout(budget, delivery).await.is_err() {
            telemetry::budget_exceeded(Operation::Write);
            self.writes.note::<()>(&Err(StoreError::Late(budget)));
        }
    }

    /// Whether writes come to nothing at present.
    pub(super) fn refuses_writes(&self) -> bool {
        self.writes.is_open()
    }

    /// Why reads and writes are not tried for answers, if they are not.
    pub(super) fn troubles(&self) -> [Option<String>; 2] {
        [self.reads.cause(), self.writes.cause()]
    }

    /// Greets the store; and whenever nothing comes of visits, visits it alone until something does.
    async fn watch(self: Arc<Self>) {
        self.reads.note(&within(GREETING, self.store.read(Vec::new(), 0)).await);
        loop {
            self.reads.opened().await;
            while self.reads.is_open() {
                sleep(PROBE_INTERVAL).await;
                self.reads.note(&within(READ_BUDGET, self.store.read(Vec::new(), 0)).await);
            }
        }
    }

    /// Whenever nothing comes of writes and `is_idle` tells that there are none to try, writes what changes nothing
    /// until something does: the mark as it is.
    pub(super) async fn probe_writes(self: Arc<Self>, is_idle: impl Fn() -> bool) {
        loop {
            self.writes.opened().await;
            while self.writes.is_open() {
                sleep(PROBE_INTERVAL).await;
                if is_idle()
                    && let Ok(mark @ Some(_)) = self.mark().await
                {
                    // What comes of it is noted.
                    let _ = self.write(Vec::new(), mark).await;
                }
            }
        }
    }
}

/// What a budget allows on top for so many bytes.
fn allowance(bytes: usize) -> Duration {
    Duration::from_millis((bytes.min(ALLOWED_BYTES) / BYTES_PER_MS).try_into().unwrap_or(u64::MAX))
}

async fn within<T>(limit: Duration, visit: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(limit, visit).await.unwrap_or(Err(StoreError::Late(limit)))
}
