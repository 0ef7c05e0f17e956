//! Polls a connection again at once when it wakes itself.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicU8,
            Ordering::{AcqRel, Acquire, Release},
        },
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// The polls in a row of one future, before it yields to other tasks.
const POLLS: usize = 8;

/// A future that, woken while it is polled, is polled again at once.
///
/// hyper hands a body from a connection to its handler by waking the very task that both are part of. The runtime would
/// queue that task anew, and wake another thread to take it, for each request that has a body.
pub(super) struct InPlace<F> {
    future: F,
    bell: Arc<Bell>,
    waker: Waker,
}

/// The waker of the future.
struct Bell {
    state: AtomicU8,
    task: AtomicWaker,
}

/// The states of a [`Bell`]: the future is not being polled, is being polled, or was woken while it was polled.
const IDLE: u8 = 0;
const POLLED: u8 = 1;
const WOKEN: u8 = 2;

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let is_polled = |state| (state != IDLE).then_some(WOKEN);
        if self.state.fetch_update(AcqRel, Acquire, is_polled).is_err() {
            self.task.wake();
        }
    }
}

impl<F: Future + Unpin> InPlace<F> {
    pub(super) fn new(future: F) -> Self {
        let bell = Arc::new(Bell { state: AtomicU8::new(IDLE), task: AtomicWaker::new() });
        Self { future, waker: Waker::from(Arc::clone(&bell)), bell }
    }

    /// The future itself.
    pub(super) fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }
}

impl<F: Future + Unpin> Future for InPlace<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.bell.task.register(cx.waker());
        for _ in 0..POLLS {
            this.bell.state.store(POLLED, Release);
            let polled = Pin::new(&mut this.future).poll(&mut Context::from_waker(&this.waker));
            let was_woken = this.bell.state.swap(IDLE, AcqRel) == WOKEN;
            if polled.is_ready() || !was_woken {
                return polled;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll, thread};

    use super::*;

    /// A future that wakes itself `wakes` times before it is done, and returns its polls.
    async fn counting(wakes: usize) -> usize {
        let mut polled = 0;
        poll_fn(|cx| {
            polled += 1;
            if polled > wakes {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        polled
    }

    #[test]
    fn what_wakes_itself_goes_on_at_once_but_not_forever() {
        let poll_once = |wakes: usize| {
            let mut future = InPlace::new(Box::pin(counting(wakes)));
            Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()))
        };
        assert_eq!(poll_once(0), Poll::Ready(1));
        assert_eq!(poll_once(POLLS - 1), Poll::Ready(POLLS));
        assert_eq!(poll_once(POLLS), Poll::Pending, "others have their turn");
    }

    #[tokio::test]
    async fn no_waking_is_lost_whoever_wakes() {
        assert_eq!(InPlace::new(Box::pin(counting(10 * POLLS))).await, 10 * POLLS + 1);
        for _ in 0..1_000 {
            let (tell, mut told) = tokio::sync::oneshot::channel();
            let waking = thread::spawn(move || tell.send(7));
            assert_eq!(InPlace::new(&mut told).await, Ok(7));
            waking.join().unwrap().unwrap();
        }
    }
}
