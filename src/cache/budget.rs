//! Time budgets for operations on the store.

use std::time::Duration;

/// The longest wait of an answer for a read.
pub(super) const READ: Duration = Duration::from_millis(50);

/// The longest wait of an answer for the acknowledgement of a write.
pub(super) const WRITE: Duration = Duration::from_millis(150);

/// [`WRITE`] for a store that has failed lately: with the budget for reading, no answer is later than 100 ms.
pub(super) const WRITE_ON_PROBATION: Duration = Duration::from_millis(50);

/// The bytes that are allowed another millisecond: half the pace of a gigabit line.
const BYTES_PER_MS: usize = 64 * 1024;

/// The bound of the allowance: the largest value and the ladder together have fewer bytes.
const ALLOWED_BYTES: usize = 24 * 1024 * 1024;

/// A budget with its allowance for a number of bytes.
pub(super) fn with_allowance(budget: Duration, bytes: usize) -> Duration {
    budget + Duration::from_millis((bytes.min(ALLOWED_BYTES) / BYTES_PER_MS).try_into().unwrap_or(u64::MAX))
}
