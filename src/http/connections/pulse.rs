//! What is known of a connection's progress: enough to tell one that is slow from one that is dead.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::Limits;
use crate::telemetry::Cut;

/// What one connection has done so far. Its stream and its requests write it, a store or two for each; the watch over
/// the connection reads it when a limit may have passed. Nothing is ordered by it, so that all of it is relaxed.
pub(super) struct Pulse {
    accepted: Instant,
    /// Requests whose head has come.
    begun: AtomicU64,
    /// Those of them whose answer was handed over to its end, or given up.
    ended: AtomicU64,
    /// Whether bytes of an answer that was handed over may not be written yet.
    owes: AtomicBool,
    /// When bytes of a request or an answer last moved, in milliseconds since the connection was accepted.
    moved_ms: AtomicU64,
}

/// What the limits say of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No limit passes before then.
    Fine(Instant),
    /// One has passed.
    Over(Cut),
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            accepted: Instant::now(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            owes: AtomicBool::new(false),
            moved_ms: AtomicU64::new(0),
        }
    }

    /// A head has come. The request is open until what is returned was dropped.
    pub(super) fn begin(self: &Arc<Self>) -> OpenRequest {
        self.begun.fetch_add(1, Relaxed);
        OpenRequest(Arc::clone(self))
    }

    /// Bytes were read. They only count for an open request: a head that trickles in is no progress.
    pub(super) fn read(&self) {
        if self.is_open() {
            self.moved();
        }
    }

    /// Bytes were written. They count for an answer that is not sent to its end: what answers a ping is no progress.
    pub(super) fn written(&self) {
        if self.is_open() || self.owes.load(Relaxed) {
            self.moved();
        }
    }

    /// All that there was to write is written.
    pub(super) fn flushed(&self) {
        self.owes.store(false, Relaxed);
    }

    /// Whether no request has come yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.begun.load(Relaxed) == 0
    }

    /// Whether nothing is under way, nor was for `grace`.
    pub(super) fn is_quiet(&self, grace: Duration) -> bool {
        !self.is_open() && !self.owes.load(Relaxed) && self.moved_at().elapsed() >= grace
    }

    /// Holds the connection against its limits.
    pub(super) fn verdict(&self, limits: &Limits) -> Verdict {
        let (now, moved) = (Instant::now(), self.moved_at());
        let (limit, cause) = if self.is_fresh() {
            (self.accepted + limits.head, Cut::Silent)
        } else if self.is_open() {
            (moved + limits.stall, Cut::Stalled)
        } else if self.owes.load(Relaxed) {
            (moved + limits.idle, Cut::Stalled)
        } else {
            (moved + limits.idle, Cut::Silent)
        };
        if limit <= now {
            Verdict::Over(cause)
        } else {
            // An open request may end at once, and the connection be idle from then on.
            Verdict::Fine(limit.min(now + limits.idle))
        }
    }

    fn is_open(&self) -> bool {
        // In this order, a request that ends between the two is taken for an open one, and never the other way.
        let ended = self.ended.load(Relaxed);
        self.begun.load(Relaxed) > ended
    }

    fn moved(&self) {
        let since = self.accepted.elapsed().as_millis();
        self.moved_ms.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
    }

    fn moved_at(&self) -> Instant {
        self.accepted + Duration::from_millis(self.moved_ms.load(Relaxed))
    }
}

/// A request that came and is not answered to its end.
pub(super) struct OpenRequest(Arc<Pulse>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.moved();
        self.0.owes.store(true, Relaxed);
        self.0.ended.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_hours(1);

    /// What is said when each of the limits has passed, or not by far.
    fn verdicts(pulse: &Pulse) -> [Option<Cut>; 3] {
        let limits = |head, idle, stall| Limits { head, idle, stall, ..Limits::REAL };
        [limits(NONE, LONG, LONG), limits(LONG, NONE, LONG), limits(LONG, LONG, NONE)].map(|limits| {
            match pulse.verdict(&limits) {
                Verdict::Over(cause) => Some(cause),
                Verdict::Fine(_) => None,
            }
        })
    }

    #[test]
    fn each_limit_holds_in_its_time() {
        let pulse = Arc::new(Pulse::new());
        assert_eq!(verdicts(&pulse), [Some(Cut::Silent), None, None], "no head has come");
        let (first, second) = (pulse.begin(), pulse.begin());
        assert_eq!(verdicts(&pulse), [None, None, Some(Cut::Stalled)], "two requests are open");
        drop(first);
        assert_eq!(verdicts(&pulse), [None, None, Some(Cut::Stalled)], "one is");
        drop(second);
        assert_eq!(verdicts(&pulse), [None, Some(Cut::Stalled), None], "the answer is not written");
        pulse.flushed();
        assert_eq!(verdicts(&pulse), [None, Some(Cut::Silent), None], "the next head has not come");
    }

    #[test]
    fn what_trickles_in_before_a_request_is_no_progress() {
        let accepted = Instant::now().checked_sub(LONG).unwrap();
        let pulse = Arc::new(Pulse { accepted, ..Pulse::new() });
        pulse.read();
        assert_eq!(pulse.moved_at(), accepted);
        let request = pulse.begin();
        pulse.read();
        assert!(pulse.moved_at() > accepted, "a body that comes is progress");
        drop(request);
        pulse.flushed();
        assert!(pulse.is_quiet(NONE) && !pulse.is_quiet(LONG));
    }

    #[test]
    fn what_answers_a_ping_is_no_progress() {
        let accepted = Instant::now().checked_sub(LONG).unwrap();
        let pulse = Arc::new(Pulse { accepted, ..Pulse::new() });
        pulse.written();
        assert_eq!(pulse.moved_at(), accepted);
        drop(pulse.begin());
        pulse.moved_ms.store(0, Relaxed);
        pulse.written();
        assert!(pulse.moved_at() > accepted, "an answer that is on its way is progress");
    }

    #[test]
    fn the_next_look_is_not_later_than_a_limit_can_pass() {
        let pulse = Arc::new(Pulse::new());
        let limits = Limits { idle: LONG, stall: 2 * LONG, ..Limits::REAL };
        let _request = pulse.begin();
        let Verdict::Fine(look) = pulse.verdict(&limits) else { panic!("nothing has passed") };
        assert!(look <= Instant::now() + LONG, "the request could end now");
    }
}
