//! The breaker: when nothing comes of visits to the store for a while, nobody waits for it until a probe succeeds.

use std::{
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::telemetry::{self, Operation};

/// So long nothing but failures must have been seen: longer than a blip, and short enough that with both budgets on top
/// (0.6 s) nobody waits after the first second.
const STRETCH: Duration = Duration::from_millis(400);

/// The breaker of one kind of visit. The log is told when it opens and when it closes, and of nothing between.
pub(super) struct Breaker {
    operation: Operation,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the first of the failures was seen that no success has followed.
    failing_since: Option<Instant>,
    /// Why it is open, if it is.
    cause: Option<String>,
}

impl Breaker {
    pub(super) fn new(operation: Operation) -> Self {
        Self { operation, state: Mutex::default() }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().cause.is_some()
    }

    /// Why it is open, if it is.
    pub(super) fn cause(&self) -> Option<String> {
        self.state().cause.clone()
    }

    /// Notes what came of a visit. True when that has opened the breaker: then somebody has to probe.
    pub(super) fn note<E: Display>(&self, outcome: Result<(), &E>) -> bool {
        let mut state = self.state();
        match outcome {
            Ok(()) => {
                let was_open = state.cause.is_some();
                *state = State::default();
                if was_open {
                    telemetry::breaker_closed(self.operation);
                }
                false
            }
            Err(cause) => {
                let now = Instant::now();
                let since = *state.failing_since.get_or_insert(now);
                let opens = state.cause.is_none() && now - since >= STRETCH;
                if opens {
                    let cause = cause.to_string();
                    telemetry::breaker_opened(self.operation, &cause);
                    state.cause = Some(cause);
                }
                opens
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two of its changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn fails(breaker: &Breaker) -> bool {
        breaker.note(Err(&"late"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_blip_does_not_open_it() {
        let breaker = Breaker::new(Operation::Read);
        for _ in 0..1_000 {
            assert!(!fails(&breaker), "however many fail at once");
        }
        advance(STRETCH / 2).await;
        assert!(!fails(&breaker));
        breaker.note::<&str>(Ok(()));
        advance(STRETCH / 2).await;
        assert!(!fails(&breaker), "a success in between starts the stretch anew");
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stretch_of_failures_opens_it_once_and_one_success_closes_it() {
        let breaker = Breaker::new(Operation::Read);
        fails(&breaker);
        advance(STRETCH).await;
        assert!(fails(&breaker) && breaker.is_open());
        assert!(!fails(&breaker), "told once");
        assert_eq!(breaker.cause().as_deref(), Some("late"));
        breaker.note::<&str>(Ok(()));
        assert!(!breaker.is_open());
        assert!(!fails(&breaker), "a new stretch begins");
    }
}
