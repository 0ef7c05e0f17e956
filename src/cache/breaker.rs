//! The circuit breaker: after a while without success no answer waits for the store, until a probe succeeds.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::store::{StoreError, within};
use crate::telemetry::{self, Operation, Trouble};

/// It opens after this long without a success: longer than a blip, and with both budgets on top (0.6 s) short enough
/// that no answer waits after the first second.
const STRETCH: Duration = Duration::from_millis(400);

/// The time after a failure in which answers wait less for the store: one that fails now and then is noticed by its
/// cost alone.
const PROBATION: Duration = Duration::from_secs(5);

/// The circuit breaker of one kind of operation. It logs its opening and its closing, and nothing between.
pub(super) struct Breaker {
    operation: Operation,
    state: Mutex<State>,
    failed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The time at which the store failed last, or did less than it should.
    last_failure: Option<Instant>,
    /// The start of the first operation that failed and that no success has followed, or the success before that.
    failing_since: Option<Instant>,
    /// The cause, while it is open.
    cause: Option<Cause>,
    /// The time of the last success.
    last_success: Option<Instant>,
}

#[derive(Debug)]
struct Cause {
    trouble: Trouble,
    text: String,
    stops_everything: bool,
}

/// The trouble of a store that no operation has reached yet.
const NOT_REACHED: &str = "it has not been reached yet";

impl Breaker {
    pub(super) fn new(operation: Operation) -> Self {
        Self { operation, state: Mutex::default(), failed: Notify::new() }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().cause.is_some()
    }

    /// The cause, while it is open.
    pub(super) fn cause(&self) -> Option<String> {
        self.state().cause.as_ref().map(|cause| cause.text.clone())
    }

    /// Whether any operation has succeeded.
    pub(super) fn has_succeeded(&self) -> bool {
        self.last_success().is_some()
    }

    /// The time of the last success.
    pub(super) fn last_success(&self) -> Option<Instant> {
        self.state().last_success
    }

    /// The cause, while it is open, or that no operation has succeeded yet.
    pub(super) fn trouble(&self) -> Option<String> {
        self.cause().or_else(|| (!self.has_succeeded()).then(|| NOT_REACHED.into()))
    }

    /// [`Self::trouble`], unless it is about operations of this kind alone.
    pub(super) fn trouble_of_all(&self) -> Option<String> {
        let is_of_this_kind = self.state().cause.as_ref().is_some_and(|cause| !cause.stops_everything);
        if is_of_this_kind { None } else { self.trouble() }
    }

    /// Whether it is open for a fault that an operator has to mend.
    pub(super) fn needs_operator(&self) -> bool {
        self.state().cause.as_ref().is_some_and(|cause| cause.trouble.needs_operator())
    }

    /// Whether it is open because the store refuses what is asked of it.
    pub(super) fn is_refused(&self) -> bool {
        let is_refusal = |cause: &Cause| cause.trouble.needs_operator() || cause.trouble == Trouble::RefusesWrites;
        self.state().cause.as_ref().is_some_and(is_refusal)
    }

    /// Whether the last operation failed.
    pub(super) fn is_failing(&self) -> bool {
        self.state().failing_since.is_some()
    }

    /// Whether it has failed lately, even if not all the time.
    pub(super) fn is_on_probation(&self) -> bool {
        self.state().last_failure.is_some_and(|last| last.elapsed() < PROBATION)
    }

    /// Waits for a failure that follows a success. It is for a single waiter.
    pub(super) async fn failure(&self) {
        self.failed.notified().await;
    }

    /// The outcome of an operation within a limit, which it notes.
    pub(super) async fn watch<T>(
        &self,
        limit: Duration,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let outcome = within(limit, operation).await;
        self.note(began, &outcome);
        outcome
    }

    /// Notes the outcome of an operation that began at a time.
    pub(super) fn note<T>(&self, began: Instant, outcome: &Result<T, StoreError>) {
        match outcome {
            Ok(_) => self.succeeded(),
            Err(cause) => self.failed(began, cause, Instant::now()),
        }
    }

    /// Notes that the store does less than it should, though it has not failed: it takes too long, or loses what it had.
    pub(super) fn put_on_probation(&self) {
        self.state().last_failure = Some(Instant::now());
    }

    fn succeeded(&self) {
        let mut state = self.state();
        state.failing_since = None;
        state.last_success = Some(Instant::now());
        if state.cause.take().is_some() {
            telemetry::breaker_closed(self.operation);
        }
    }

    fn failed(&self, began: Instant, cause: &StoreError, now: Instant) {
        let trouble = cause.trouble();
        telemetry::store_failed(self.operation, trouble);
        let mut state = self.state();
        state.last_failure = Some(now);
        // Others may have succeeded since it began.
        let first = state.last_success.map_or(began, |success| began.max(success));
        let since = *state.failing_since.get_or_insert_with(|| {
            self.failed.notify_one();
            first
        });
        // A fault that only an operator can mend is no blip, is logged though another one has opened it, and stays the cause.
        let needs_operator = trouble.needs_operator();
        let known = state.cause.as_ref().map(|known| known.trouble.needs_operator());
        let is_news = match known {
            None => needs_operator || now - since >= STRETCH,
            Some(known) => needs_operator && !known,
        };
        if is_news {
            telemetry::breaker_opened(self.operation, trouble, cause);
        }
        if is_news || known == Some(needs_operator) {
            state.cause = Some(Cause { trouble, text: cause.to_string(), stops_everything: cause.stops_everything() });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two of its changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(breaker: &Breaker, now: Instant) -> bool {
        breaker.failed(now, &StoreError::Late(STRETCH), now);
        breaker.is_open()
    }

    #[test]
    fn a_blip_does_not_open_it() {
        let (breaker, start) = (Breaker::new(Operation::Read), Instant::now());
        assert!(!breaker.is_on_probation());
        for _ in 0..1_000 {
            assert!(!fails(&breaker, start), "however many fail at once");
        }
        assert!(!fails(&breaker, start + STRETCH / 2));
        breaker.note(start, &Ok(()));
        assert!(!breaker.is_failing());
        assert!(!fails(&breaker, start + STRETCH), "a success in between starts the stretch anew");
        assert!(breaker.is_on_probation());
    }

    #[test]
    fn an_operation_that_takes_long_does_not_open_it_while_others_succeed() {
        let breaker = Breaker::new(Operation::Read);
        breaker.note(Instant::now(), &Ok(()));
        let now = Instant::now();
        breaker.failed(now - 2 * STRETCH, &StoreError::Late(STRETCH), now);
        assert!(breaker.is_failing() && !breaker.is_open());
    }

    #[test]
    fn it_names_the_last_cause_and_one_that_needs_an_operator_until_it_closes() {
        let (breaker, start) = (Breaker::new(Operation::Read), Instant::now());
        let refusal = |text: &str| redis::parse_redis_value(text.as_bytes()).unwrap().extract_error().unwrap_err();
        let fails_for = |cause: StoreError| {
            breaker.failed(start, &cause, start + STRETCH);
            breaker.cause().unwrap()
        };
        assert_eq!(fails_for(StoreError::Late(STRETCH)), "no answer within 400ms");
        assert_eq!(fails_for(StoreError::Late(2 * STRETCH)), "no answer within 800ms");
        assert!(!breaker.needs_operator());
        let denied = fails_for(refusal("-NOPERM no\r\n").into());
        assert!(denied.contains("lacks a permission") && breaker.needs_operator(), "{denied}");
        assert_eq!(fails_for(StoreError::Late(STRETCH)), denied);
        let another = fails_for(refusal("-WRONGPASS no\r\n").into());
        assert!(another.contains("rejects this user"), "{another}");
        breaker.note(start, &Ok(()));
        assert_eq!(breaker.cause(), None);
    }

    #[tokio::test]
    async fn a_stretch_of_failures_opens_it_and_one_success_closes_it() {
        let (breaker, start) = (Breaker::new(Operation::Read), Instant::now());
        fails(&breaker, start);
        breaker.failure().await;
        assert!(fails(&breaker, start + STRETCH));
        assert_eq!(breaker.cause().as_deref(), Some("no answer within 400ms"));
        breaker.note(start, &Ok(()));
        assert!(!breaker.is_open());
        assert!(!fails(&breaker, start + 2 * STRETCH), "a new stretch begins");
    }
}
