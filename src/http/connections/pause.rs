//! A pause of a connection, in which all tasks that are ready run.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;
use tokio::task::yield_now;

/// A pause, or none. It holds while a task polls again and again in one turn, as hyper does after it was told to wait.
#[derive(Default)]
pub(super) struct Pause(Option<Arc<Turn>>);

/// The turn of the other tasks.
#[derive(Default)]
struct Turn {
    is_over: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.is_over.store(true, Release);
        self.task.wake();
    }
}

impl Pause {
    /// Begins a pause.
    pub(super) fn begin(&mut self) {
        let turn = Arc::new(Turn::default());
        // The first poll makes the runtime wake it when all tasks that are ready have run.
        let _ = pin!(yield_now()).poll(&mut Context::from_waker(&Waker::from(Arc::clone(&turn))));
        self.0 = Some(turn);
    }

    /// Ready when there is no pause, or when it is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(turn) = &self.0 {
            turn.task.register(cx.waker());
            if !turn.is_over.load(Acquire) {
                return Poll::Pending;
            }
            self.0 = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_pause_lasts_until_other_tasks_have_run_however_often_it_is_polled() {
        let (mut pause, has_run) = (Pause::default(), Arc::new(AtomicBool::new(false)));
        assert!(pause.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        let other = Arc::clone(&has_run);
        tokio::spawn(async move { other.store(true, Release) });
        pause.begin();
        for _ in 0..10 {
            assert!(pause.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        poll_fn(|cx| pause.poll(cx)).await;
        assert!(has_run.load(Acquire));
    }
}
