//! The metrics of the cache, its store and its write-behind queue, and of the evaluations after a miss.

use std::sync::LazyLock;

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, IntGaugeVec, register_int_counter, register_int_counter_vec,
    register_int_gauge, register_int_gauge_vec,
};

/// A tier of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The memory of this process.
    Local,
    /// The store.
    Shared,
}

/// An operation on the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A lookup.
    Read,
    /// A write of small entries.
    Write,
    /// A write of entries that are too large to be batched with small ones.
    WriteLarge,
}

/// Why an operation on the store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The store did not respond before the timeout.
    Late,
    /// The store can't be reached, or violates its protocol.
    Broken,
    /// The store responded that it can't serve the operation now.
    Busy,
    /// The store can be read, but takes no writes: it is full or read-only.
    RefusesWrites,
    /// The store rejected the credentials, or the user lacks a permission. An operator has to change that.
    Denied,
    /// The store is not what the settings say. An operator has to change one of them.
    Unfit,
    /// The store responded with another error.
    Other,
}

struct Metrics {
    /// By tier: hits and misses.
    lookups: [[IntCounter; 2]; Tier::ALL.len()],
    failures: IntCounterVec,
    wait_timeouts: IntCounterVec,
    circuit_breakers: IntGaugeVec,
    reconnects: IntCounter,
    proof_failures: IntCounter,
    queue_bytes: IntGauge,
    dropped: IntCounter,
    dropped_bytes: IntCounter,
    oversize: IntCounter,
    evaluations: IntCounter,
    single_flight_joins: IntCounter,
}

static METRICS: LazyLock<Metrics> =
    LazyLock::new(|| Metrics::new().expect("each name is registered once, and well-formed"));

impl Metrics {
    fn new() -> prometheus::Result<Self> {
        let lookups = register_int_counter_vec!(
            "phipi_cache_lookups_total",
            "Entries that were looked up, by tier and outcome. A miss in the local tier is looked up in the shared one.",
            &["tier", "outcome"]
        )?;
        let lookups_of =
            |tier: Tier| ["hit", "miss"].map(|outcome| lookups.with_label_values(&[tier.label(), outcome]));
        Ok(Self {
            lookups: Tier::ALL.map(lookups_of),
            failures: register_int_counter_vec!(
                "phipi_cache_store_failures_total",
                "Operations on the store that failed, by operation and cause.",
                &["operation", "cause"]
            )?,
            wait_timeouts: register_int_counter_vec!(
                "phipi_cache_wait_timeouts_total",
                "Requests that stopped waiting for the store at the timeout of the operation.",
                &["operation"]
            )?,
            circuit_breakers: register_int_gauge_vec!(
                "phipi_cache_circuit_breaker_open",
                "1 while the circuit breaker of the operation is open: no request waits for the store, and probes retry.",
                &["operation"]
            )?,
            reconnects: register_int_counter!(
                "phipi_cache_reconnects_total",
                "Connections to the store that were replaced because they broke or did not respond."
            )?,
            proof_failures: register_int_counter!(
                "phipi_cache_proof_failures_total",
                "Stored entries that failed their proof. Each was evaluated again and is overwritten."
            )?,
            queue_bytes: register_int_gauge!(
                "phipi_cache_write_queue_bytes",
                "Bytes of entries in the write-behind queue, those that are being written included."
            )?,
            dropped: register_int_counter!(
                "phipi_cache_writes_dropped_total",
                "Entries that were dropped from the write-behind queue because it was full, the store refused them, or memory had them no more."
            )?,
            dropped_bytes: register_int_counter!(
                "phipi_cache_writes_dropped_bytes_total",
                "Bytes of entries that were dropped from the write-behind queue because it was full or the store refused them."
            )?,
            oversize: register_int_counter!(
                "phipi_cache_oversize_values_total",
                "Values that were not stored because they exceed 16 MiB."
            )?,
            evaluations: register_int_counter!("phipi_evaluations_total", "Values that were evaluated.")?,
            single_flight_joins: register_int_counter!(
                "phipi_single_flight_joins_total",
                "Questions that waited for an evaluation which another request had started (single-flight)."
            )?,
        }
        .with_rows())
    }

    /// Adds the row of every label.
    fn with_rows(self) -> Self {
        for operation in [Operation::Read, Operation::Write] {
            self.wait_timeouts.with_label_values(&[operation.label()]);
        }
        for operation in [Operation::Read, Operation::Write, Operation::WriteLarge] {
            self.circuit_breakers.with_label_values(&[operation.label()]);
            for trouble in Trouble::ALL {
                self.failures.with_label_values(&[operation.label(), trouble.label()]);
            }
        }
        self
    }
}

impl Tier {
    const ALL: [Self; 2] = [Self::Local, Self::Shared];

    fn label(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Shared => "shared",
        }
    }
}

impl Operation {
    fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::WriteLarge => "write_large",
        }
    }
}

impl Trouble {
    const ALL: [Self; 7] =
        [Self::Late, Self::Broken, Self::Busy, Self::RefusesWrites, Self::Denied, Self::Unfit, Self::Other];

    /// Whether it lasts until an operator does something.
    #[must_use]
    pub fn needs_operator(self) -> bool {
        matches!(self, Self::Denied | Self::Unfit)
    }

    fn label(self) -> &'static str {
        match self {
            Self::Late => "timeout",
            Self::Broken => "connection",
            Self::Busy => "busy",
            Self::RefusesWrites => "refuses_writes",
            Self::Denied => "denied",
            Self::Unfit => "misconfigured",
            Self::Other => "other",
        }
    }
}

pub(super) fn register() {
    LazyLock::force(&METRICS);
}

/// Counts `hits` and `misses` of lookups in a tier.
pub fn looked_up(tier: Tier, hits: usize, misses: usize) {
    let [hit, miss] = &METRICS.lookups[tier as usize];
    hit.inc_by(count(hits));
    miss.inc_by(count(misses));
}

/// Counts an operation on the store that failed.
pub fn store_failed(operation: Operation, trouble: Trouble) {
    METRICS.failures.with_label_values(&[operation.label(), trouble.label()]).inc();
}

/// Counts a request that waited for the store until its timeout.
pub fn budget_exceeded(operation: Operation) {
    METRICS.wait_timeouts.with_label_values(&[operation.label()]).inc();
}

/// Counts a connection to the store that was replaced.
pub fn connection_replaced() {
    METRICS.reconnects.inc();
}

/// Adds `bytes` to the size of the write-behind queue.
pub fn queue_grew(bytes: usize) {
    METRICS.queue_bytes.add(difference(bytes));
}

/// Takes `bytes` off the size of the write-behind queue, whether they were written or dropped.
pub fn queue_shrank(bytes: usize) {
    METRICS.queue_bytes.sub(difference(bytes));
}

/// Counts a value that exceeds the size of a stored one.
pub fn oversize() {
    METRICS.oversize.inc();
}

/// Counts `values` evaluations.
pub fn evaluated(values: usize) {
    METRICS.evaluations.inc_by(count(values));
}

/// Counts `questions` that joined an evaluation in flight.
pub fn joined(questions: usize) {
    METRICS.single_flight_joins.inc_by(count(questions));
}

pub(in crate::telemetry) fn circuit_breaker_is_open(operation: Operation, is_open: bool) {
    METRICS.circuit_breakers.with_label_values(&[operation.label()]).set(is_open.into());
}

pub(in crate::telemetry) fn proof_failed() {
    METRICS.proof_failures.inc();
}

pub(in crate::telemetry) fn write_dropped(bytes: usize) {
    METRICS.dropped.inc();
    METRICS.dropped_bytes.inc_by(count(bytes));
}

fn count(number: usize) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

fn difference(bytes: usize) -> i64 {
    bytes.try_into().unwrap_or(i64::MAX)
}
