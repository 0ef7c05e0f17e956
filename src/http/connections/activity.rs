//! The activity of a connection, from which its timeouts follow.
//!
//! While a request is open its handler has the deadline, and a [`Watch`] bounds the time in which the client reads
//! nothing of the response. Bytes of the connection itself, such as those of a PING, never count as progress.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{limits::Limits, progress::Watch};
use crate::telemetry::Timeout;

/// The activity of one connection so far. Each request writes it once or twice; the task of the connection reads it
/// when a timeout may have passed. It orders no other memory, so that all accesses are relaxed.
pub(super) struct Activity {
    accepted: Instant,
    /// The requests whose head has arrived.
    begun: AtomicU64,
    /// The requests whose response was written to its end, or aborted.
    ended: AtomicU64,
    /// The end of the last request, in milliseconds since the connection was accepted.
    ended_ms: AtomicU64,
    /// Whether the connection was upgraded to another protocol.
    is_upgraded: AtomicBool,
    is_http2: AtomicBool,
    /// Watches the response of HTTP/1.1; each HTTP/2 stream has a watch of its own.
    pub(super) answer: Watch,
}

/// The outcome of a check of the timeouts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// No timeout passes before then.
    Next(Instant),
    /// A timeout has passed.
    TimedOut(Timeout),
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            accepted: Instant::now(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            ended_ms: AtomicU64::new(0),
            is_upgraded: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
            answer: Watch::default(),
        }
    }

    /// Notes a request whose head has arrived. It is open until the returned guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> OpenRequest {
        self.begun.fetch_add(1, Relaxed);
        OpenRequest(Arc::clone(self))
    }

    /// The number of requests whose head has arrived.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    /// Notes that the connection was upgraded to another protocol, which has timeouts of its own.
    pub(super) fn upgrade(&self) {
        self.is_upgraded.store(true, Relaxed);
    }

    /// Notes that the connection speaks HTTP/2.
    pub(super) fn speak_http2(&self) {
        self.is_http2.store(true, Relaxed);
    }

    /// Whether the connection speaks HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        self.is_http2.load(Relaxed)
    }

    /// Whether bytes that are read belong to a head: no request is open, and the connection speaks HTTP.
    pub(super) fn reads_head(&self) -> bool {
        !self.is_open() && !self.is_upgraded.load(Relaxed)
    }

    /// Whether no request has arrived yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.begun() == 0
    }

    /// Whether no request was open for `grace`.
    pub(super) fn is_quiet(&self, grace: Duration) -> bool {
        !self.is_open() && self.ended_at().elapsed() >= grace
    }

    /// Checks the timeouts of the connection.
    pub(super) fn check(&self, limits: &Limits) -> Check {
        let now = Instant::now();
        let (limit, cause) = if self.is_fresh() {
            (self.accepted + limits.head, Timeout::Idle)
        } else if self.is_open() {
            (self.answer.next_look(limits.stall).unwrap_or(now), Timeout::Stalled)
        } else {
            (self.ended_at() + limits.idle, Timeout::Idle)
        };
        if limit <= now {
            Check::TimedOut(cause)
        } else {
            // An open request may end at once, and the connection is idle from then on.
            Check::Next(limit.min(now + limits.idle))
        }
    }

    /// Whether a request is open.
    pub(super) fn is_open(&self) -> bool {
        // In this order, a request that ends between the two loads is taken for open, never an open one for ended.
        let ended = self.ended.load(Relaxed);
        self.begun() > ended
    }

    fn ended_at(&self) -> Instant {
        self.accepted + Duration::from_millis(self.ended_ms.load(Relaxed))
    }
}

/// An open request: its head has arrived, and its response is not written to its end.
pub(super) struct OpenRequest(Arc<Activity>);

impl std::fmt::Debug for OpenRequest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("OpenRequest")
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let since = self.0.accepted.elapsed().as_millis();
        self.0.ended_ms.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
        self.0.ended.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connections::progress::Progress;

    const NONE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_hours(1);

    /// The causes for which a connection is closed when each of the limits has passed, and the others have not by far.
    fn timeouts(activity: &Activity) -> [Option<Timeout>; 2] {
        let limits = |head, idle| Limits { head, idle, ..Limits::PUBLIC };
        [limits(NONE, LONG), limits(LONG, NONE)].map(|limits| match activity.check(&limits) {
            Check::TimedOut(cause) => Some(cause),
            Check::Next(_) => None,
        })
    }

    #[test]
    fn each_limit_holds_in_its_time() {
        let activity = Arc::new(Activity::new());
        assert_eq!(timeouts(&activity), [Some(Timeout::Idle), None], "no head has come");
        assert!(activity.reads_head());
        let (first, second) = (activity.begin(), activity.begin());
        assert_eq!(timeouts(&activity), [None, None], "two requests are open");
        drop(first);
        assert_eq!(timeouts(&activity), [None, None], "one is");
        assert!(!activity.reads_head());
        drop(second);
        assert_eq!(timeouts(&activity), [None, Some(Timeout::Idle)], "the next head has not come");
        assert!(activity.is_quiet(NONE) && !activity.is_quiet(LONG));
        activity.upgrade();
        assert!(!activity.reads_head());
    }

    #[test]
    fn an_answer_that_nobody_takes_costs_the_connection() {
        let (activity, answer) = (Arc::new(Activity::new()), Arc::new(Progress::new(NONE)));
        let _request = activity.begin();
        activity.answer.begin(&answer);
        answer.wait(1);
        assert_eq!(activity.check(&Limits::PUBLIC), Check::TimedOut(Timeout::Stalled));
    }

    #[test]
    fn the_next_look_is_not_later_than_a_limit_can_pass() {
        let activity = Arc::new(Activity::new());
        let limits = Limits { idle: LONG, stall: 2 * LONG, ..Limits::PUBLIC };
        let _request = activity.begin();
        let Check::Next(look) = activity.check(&limits) else { panic!("nothing has passed") };
        assert!(look <= Instant::now() + LONG, "the request could end now");
    }
}
