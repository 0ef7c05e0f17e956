//! The progress of a client in reading a response, so that a stalled response is aborted.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use tokio::sync::OwnedSemaphorePermit;

/// The least throughput of a response in bytes a second, which leaves room for several on a slow network. Without it, a
/// client could hold a response of two million digits for a day by reading some bytes from time to time.
pub(in crate::http) const PACE: u32 = 4 * 1024;

/// The least interval of checks while no byte of a response waits.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// The bytes of one response that its client has not read, and the time that is left to it.
///
/// A client has the stall timeout to read something. Each byte that it reads gives back the time of a byte at [`PACE`],
/// and so does time in which no byte waits, up to the whole timeout. Only the bytes of this response count, and time
/// runs only while some wait for the client.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
    /// Woken when no byte waits any more.
    taken: AtomicWaker,
    stall: Duration,
}

#[derive(Debug)]
struct State {
    /// The bytes that wait for the client.
    waiting: usize,
    /// The time that was left to the client at `since`.
    left: Duration,
    since: Instant,
    /// Whether anything was sent.
    is_begun: bool,
}

impl Progress {
    /// Starts a response that may stall for `stall`.
    pub(super) fn new(stall: Duration) -> Self {
        let state = State { waiting: 0, left: stall, since: Instant::now(), is_begun: false };
        Self { state: Mutex::new(state), taken: AtomicWaker::new(), stall }
    }

    /// Notes bytes of the response that wait for the client from now on.
    pub(super) fn wait(&self, bytes: usize) {
        let mut state = self.state();
        if state.waiting == 0 {
            let now = Instant::now();
            state.left = (state.left + (now - state.since)).min(self.stall);
            state.since = now;
        }
        state.waiting += bytes;
        state.is_begun = true;
    }

    /// Notes bytes that the client has read.
    pub(super) fn take(&self, bytes: usize) {
        let mut state = self.state();
        let now = Instant::now();
        let earned = Duration::from_secs(bytes as u64) / PACE;
        state.left = (state.left.saturating_sub(now - state.since) + earned).min(self.stall);
        state.since = now;
        state.waiting = state.waiting.saturating_sub(bytes);
        if state.waiting == 0 {
            self.taken.wake();
        }
    }

    /// Waits until the client has read all that was sent so far.
    pub(super) fn poll_taken(&self, cx: &Context<'_>) -> Poll<()> {
        self.taken.register(cx.waker());
        if self.state().waiting == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether nothing was sent yet.
    pub(super) fn is_untouched(&self) -> bool {
        !self.state().is_begun
    }

    /// The time at which the response has stalled if the client reads nothing; `None` when it has stalled.
    fn next_look(&self) -> Option<Instant> {
        let (state, now) = (self.state(), Instant::now());
        if state.waiting == 0 {
            return Some(now + state.left.max(LEAST_INTERVAL));
        }
        Some(state.since + state.left).filter(|&end| end > now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves no inconsistent state, since none occurs between two assignments.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches the response that is sent at present, on an HTTP/1.1 connection or an HTTP/2 stream.
#[derive(Debug, Default)]
pub(super) struct Watch {
    progress: Mutex<Weak<Progress>>,
    /// The permit of the stream.
    permit: Option<Arc<OwnedSemaphorePermit>>,
}

tokio::task_local! {
    /// The watch of the HTTP/2 stream that is being polled.
    static STREAM: Arc<Watch>;
}

impl Watch {
    /// The watch of the stream that is being polled, if it is one of HTTP/2.
    pub(super) fn of_stream() -> Option<Arc<Self>> {
        STREAM.try_with(Arc::clone).ok()
    }

    /// Watches an HTTP/2 stream that has this permit.
    pub(super) fn over_stream(permit: OwnedSemaphorePermit) -> Self {
        Self { permit: Some(Arc::new(permit)), ..Self::default() }
    }

    /// The permit of the stream, if it is one of HTTP/2.
    pub(super) fn permit(&self) -> Option<Arc<OwnedSemaphorePermit>> {
        self.permit.clone()
    }

    /// Polls an HTTP/2 stream as the one that this watches.
    pub(super) fn over<F: Future>(self: Arc<Self>, stream: F) -> impl Future<Output = F::Output> {
        STREAM.scope(self, stream)
    }

    /// Watches this response from now on.
    pub(super) fn begin(&self, answer: &Arc<Progress>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(answer);
    }

    /// The earliest time at which the response may have stalled, given that responses may stall for `stall`; `None`
    /// when it has.
    pub(super) fn next_look(&self, stall: Duration) -> Option<Instant> {
        let answer = self.progress.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        answer.map_or_else(|| Some(Instant::now() + stall), |answer| answer.next_look())
    }

    /// Resolves when the response has stalled.
    pub(super) async fn stalled(&self, stall: Duration) {
        while let Some(next) = self.next_look(stall) {
            tokio::time::sleep_until(next.into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);
    const MOMENT: Duration = Duration::from_millis(2);

    fn left(progress: &Progress) -> Option<Duration> {
        progress.next_look().map(|look| look - Instant::now())
    }

    #[test]
    fn time_runs_only_while_bytes_wait() {
        let progress = Progress::new(MOMENT);
        sleep(2 * MOMENT);
        assert!(left(&progress).is_some(), "nothing waits");
        progress.wait(10);
        sleep(2 * MOMENT);
        assert_eq!(left(&progress), None, "the client takes nothing");
    }

    #[test]
    fn bytes_give_time_at_the_pace_and_never_more_than_the_limit() {
        let progress = Progress::new(LONG);
        progress.wait(usize::MAX);
        progress.state().left = MOMENT;
        progress.take(60 * PACE as usize);
        let minute = Duration::from_mins(1);
        assert!(left(&progress).is_some_and(|left| left.abs_diff(minute) <= MOMENT));
        progress.take(usize::MAX / 2);
        assert!(left(&progress).is_some_and(|left| left <= LONG));
    }

    #[test]
    fn a_client_that_drips_runs_out_of_time() {
        let progress = Progress::new(MOMENT);
        progress.wait(1_000);
        let until = Instant::now() + LONG;
        while left(&progress).is_some() {
            assert!(Instant::now() < until, "a byte now and then keeps an answer for ever");
            progress.take(1);
            sleep(MOMENT / 4);
        }
    }

    #[tokio::test]
    async fn a_watch_sees_the_answer_that_is_sent() {
        let watch = Watch::default();
        assert!(watch.next_look(LONG).is_some());
        let answer = Arc::new(Progress::new(MOMENT));
        watch.begin(&answer);
        answer.wait(1);
        watch.stalled(LONG).await;
        drop(answer);
        assert!(watch.next_look(LONG).is_some(), "the answer is gone");
    }
}
