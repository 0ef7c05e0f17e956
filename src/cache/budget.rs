//! How long the store is waited for.

use std::time::Duration;

use tokio::time::timeout;

use super::store::StoreError;

/// How long an answer waits for the store to be read.
pub(super) const READ: Duration = Duration::from_millis(50);

/// How long an answer waits for the store to acknowledge what was written.
pub(super) const WRITE: Duration = Duration::from_millis(150);

/// The same for a store that has failed lately: with the budget for reading, no answer is later than 100 ms.
pub(super) const WRITE_ON_PROBATION: Duration = Duration::from_millis(50);

/// What is allowed on top for what is large: a millisecond for so many bytes, half the pace of a gigabit line.
const BYTES_PER_MS: usize = 64 * 1024;

/// What is beyond is not allowed for: so much is more than the largest value and the ladder.
const ALLOWED_BYTES: usize = 24 * 1024 * 1024;

/// A budget with its allowance for so many bytes.
pub(super) fn with_allowance(budget: Duration, bytes: usize) -> Duration {
    budget + Duration::from_millis((bytes.min(ALLOWED_BYTES) / BYTES_PER_MS).try_into().unwrap_or(u64::MAX))
}

/// What comes of a visit within a limit.
pub(super) async fn within<T>(
    limit: Duration,
    visit: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, visit).await.unwrap_or(Err(StoreError::Late(limit)))
}
