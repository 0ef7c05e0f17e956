//! The metrics of the cache, of evaluations, and of the program itself.

use std::sync::LazyLock;

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, IntGaugeVec, register_int_counter, register_int_counter_vec,
    register_int_gauge, register_int_gauge_vec,
};

use super::VERSION;

/// Where an entry may be found.
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
    /// Looking up.
    Read,
    /// Keeping.
    Write,
    /// Keeping a value too large to go with the rest.
    WriteLarge,
}

/// Why the store did not do what it should, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It took longer than it may.
    Late,
    /// It can't be reached, or its words make no sense.
    Broken,
    /// It answers, but not now.
    Busy,
    /// It can be read, but takes nothing in.
    RefusesWrites,
    /// It asks for a password or a right, which an operator has to give.
    Denied,
    /// It does not match the settings.
    Unfit,
    /// It answered with another error.
    Other,
}

struct Metrics {
    lookups: IntCounterVec,
    failures: IntCounterVec,
    budgets: IntCounterVec,
    breakers: IntGaugeVec,
    connections: IntCounter,
    proofs: IntCounter,
    queue: IntGauge,
    dropped: IntCounter,
    dropped_bytes: IntCounter,
    oversize: IntCounter,
    evaluations: IntCounter,
    joined: IntCounter,
    lines_dropped: IntCounter,
    build: IntGaugeVec,
}

static METRICS: LazyLock<Metrics> =
    LazyLock::new(|| Metrics::register().expect("each name is registered once, and well-formed"));

impl Metrics {
    fn register() -> prometheus::Result<Self> {
        let metrics = Self {
            lookups: register_int_counter_vec!(
                "phipi_cache_lookups_total",
                "Entries looked up, by tier and outcome; what the local tier misses is up to the shared one.",
                &["tier", "outcome"]
            )?,
            failures: register_int_counter_vec!(
                "phipi_cache_store_failures_total",
                "Visits to the store that came to nothing, by operation and cause.",
                &["operation", "cause"]
            )?,
            budgets: register_int_counter_vec!(
                "phipi_cache_budget_exceeded_total",
                "Answers that waited for the store for the whole of a budget.",
                &["operation"]
            )?,
            breakers: register_int_gauge_vec!(
                "phipi_cache_breaker_open",
                "1 while no answer waits for the store, since visits came to nothing for a while.",
                &["operation"]
            )?,
            connections: register_int_counter!(
                "phipi_cache_connections_replaced_total",
                "Connections to the store that broke or fell silent."
            )?,
            proofs: register_int_counter!(
                "phipi_cache_proofs_failed_total",
                "Stored entries that were not what they should be; each was evaluated anew."
            )?,
            queue: register_int_gauge!(
                "phipi_cache_queue_bytes",
                "Bytes that wait for the store or are on their way."
            )?,
            dropped: register_int_counter!(
                "phipi_cache_dropped_total",
                "Entries that were not stored, since too much was waiting or the store refused them."
            )?,
            dropped_bytes: register_int_counter!(
                "phipi_cache_dropped_bytes_total",
                "Bytes of entries that were not stored, since too much was waiting or the store refused them."
            )?,
            oversize: register_int_counter!(
                "phipi_cache_oversize_total",
                "Values that were not stored since they are longer than any that is."
            )?,
            evaluations: register_int_counter!("phipi_evaluations_total", "Values that were evaluated.")?,
            joined: register_int_counter!(
                "phipi_flights_joined_total",
                "Questions that waited for an evaluation which another request had begun."
            )?,
            lines_dropped: register_int_counter!(
                "phipi_log_lines_dropped_total",
                "Lines that are not in the log since nobody read it fast enough."
            )?,
            build: register_int_gauge_vec!("phipi_build_info", "1, with the version of this program.", &["version"])?,
        };
        metrics.begin();
        Ok(metrics)
    }

    /// Shows all rows from the start: a row that appears with its first event hides that event from a rate.
    fn begin(&self) {
        for tier in [Tier::Local, Tier::Shared] {
            for outcome in ["hit", "miss"] {
                self.lookups.with_label_values(&[tier.label(), outcome]);
            }
        }
        for operation in [Operation::Read, Operation::Write] {
            self.budgets.with_label_values(&[operation.label()]);
        }
        for operation in [Operation::Read, Operation::Write, Operation::WriteLarge] {
            self.breakers.with_label_values(&[operation.label()]);
            for trouble in Trouble::ALL {
                self.failures.with_label_values(&[operation.label(), trouble.label()]);
            }
        }
    }
}

impl Tier {
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
            Self::Late => "late",
            Self::Broken => "broken",
            Self::Busy => "busy",
            Self::RefusesWrites => "refuses_writes",
            Self::Denied => "denied",
            Self::Unfit => "unfit",
            Self::Other => "other",
        }
    }
}

/// Shows the version of this program.
pub(super) fn show() {
    METRICS.build.with_label_values(&[VERSION]).set(1);
}

/// Counts `hits` and `misses` of lookups in a tier.
pub fn looked_up(tier: Tier, hits: usize, misses: usize) {
    METRICS.lookups.with_label_values(&[tier.label(), "hit"]).inc_by(count(hits));
    METRICS.lookups.with_label_values(&[tier.label(), "miss"]).inc_by(count(misses));
}

/// An operation on the store failed.
pub fn store_failed(operation: Operation, trouble: Trouble) {
    METRICS.failures.with_label_values(&[operation.label(), trouble.label()]).inc();
}

/// An answer has spent a whole budget on waiting for the store.
pub fn budget_exceeded(operation: Operation) {
    METRICS.budgets.with_label_values(&[operation.label()]).inc();
}

/// A connection to the store broke or fell silent.
pub fn connection_replaced() {
    METRICS.connections.inc();
}

/// Adds `bytes` to the queue's size.
pub fn queue_grew(bytes: usize) {
    METRICS.queue.add(difference(bytes));
}

/// `bytes` bytes left the queue, written or not.
pub fn queue_shrank(bytes: usize) {
    METRICS.queue.sub(difference(bytes));
}

/// A value is longer than any that is stored.
pub fn oversize() {
    METRICS.oversize.inc();
}

/// Counts `values` evaluations.
pub fn evaluated(values: usize) {
    METRICS.evaluations.inc_by(count(values));
}

/// `questions` questions joined an evaluation in flight.
pub fn joined(questions: usize) {
    METRICS.joined.inc_by(count(questions));
}

pub(super) fn breaker_is_open(operation: Operation, is_open: bool) {
    METRICS.breakers.with_label_values(&[operation.label()]).set(is_open.into());
}

pub(super) fn proof_failed() {
    METRICS.proofs.inc();
}

pub(super) fn line_dropped() {
    METRICS.lines_dropped.inc();
}

pub(super) fn dropped(bytes: usize) {
    METRICS.dropped.inc();
    METRICS.dropped_bytes.inc_by(count(bytes));
}

fn count(number: usize) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

fn difference(bytes: usize) -> i64 {
    bytes.try_into().unwrap_or(i64::MAX)
}
