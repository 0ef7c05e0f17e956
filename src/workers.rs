//! CPU work off the async threads, bounded.

use std::{num::NonZero, sync::Arc, thread::available_parallelism};

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Work on so many limbs is done at once, where it is asked for. Numbers of 128 limbs (n ≈ 11,000) are evaluated in
/// some 20 µs, about what handing work to another thread and back takes; an async thread may be held that long.
const INLINE_LIMBS: usize = 128;

/// Numbers that may wait or be worked on, in limbs: 64 MiB of results.
const QUEUE_LIMBS: usize = 8 * 1024 * 1024;

/// Too much work waits already, or this alone would be too much.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too much work is waiting")]
pub struct Overloaded;

/// The work panicked; the panic is in the log.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the work panicked")]
pub struct Panicked;

/// The admission of work. Other work takes its place when it is dropped.
#[derive(Debug)]
pub struct Admission {
    _place: Option<OwnedSemaphorePermit>,
}

/// The one pool of threads for CPU work: as many as the machine has cores.
pub struct Workers {
    pool: rayon::ThreadPool,
    queue: Arc<Semaphore>,
}

impl Workers {
    /// Starts the threads. Four numbers of `longest` limbs are always within what may wait.
    ///
    /// # Errors
    /// When the system can't start them.
    pub fn start(longest: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = available_parallelism().map_or(1, NonZero::get);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("worker-{number}"))
            // The panic is logged where it happens; the one who waits learns of it by the closed channel.
            .panic_handler(|_| {})
            .build()?;
        Ok(Self { pool, queue: Arc::new(Semaphore::new(QUEUE_LIMBS.max(4 * longest))) })
    }

    /// Admits work on so many limbs in all. Short work is always admitted.
    ///
    /// # Errors
    /// [`Overloaded`] when too much is waiting already.
    pub fn admit(&self, limbs: usize) -> Result<Admission, Overloaded> {
        if limbs <= INLINE_LIMBS {
            return Ok(Admission { _place: None });
        }
        let limbs = limbs.try_into().map_err(|_| Overloaded)?;
        let place = Arc::clone(&self.queue).try_acquire_many_owned(limbs).map_err(|_| Overloaded)?;
        Ok(Admission { _place: Some(place) })
    }

    /// Does `work` on numbers of so many limbs: at once when they are few, else on a thread of the pool when its turn
    /// comes. Work that has begun is finished even if nobody waits for it any more.
    ///
    /// # Errors
    /// [`Panicked`] when the work did.
    pub async fn run<T: Send + 'static>(
        &self,
        limbs: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        if limbs <= INLINE_LIMBS {
            return Ok(work());
        }
        let (done, result) = oneshot::channel();
        self.pool.spawn_fifo(move || {
            // Nobody may be waiting any more: then the result is dropped.
            let _ = done.send(work());
        });
        result.await.map_err(|_| Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_work_stays_and_large_work_moves() {
        let workers = Workers::start(0).unwrap();
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_eq!(workers.run(INLINE_LIMBS, thread).await, Ok(here));
        assert_ne!(workers.run(INLINE_LIMBS + 1, thread).await, Ok(here));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_one_who_waits_and_no_one_else() {
        let workers = Workers::start(0).unwrap();
        assert_eq!(workers.run(usize::MAX, || panic!("on purpose")).await, Err::<(), _>(Panicked));
        assert_eq!(workers.run(usize::MAX, || 1).await, Ok(1));
    }

    #[test]
    fn refuses_what_would_wait_too_long() {
        let longest = QUEUE_LIMBS;
        let workers = Workers::start(longest).unwrap();
        let mut admitted = Vec::from([(); 4].map(|()| workers.admit(longest).unwrap()));
        assert_eq!(workers.admit(INLINE_LIMBS + 1).unwrap_err(), Overloaded);
        assert!(workers.admit(INLINE_LIMBS).is_ok(), "short work needs no queue");
        admitted.pop();
        assert!(workers.admit(longest).is_ok());
        assert_eq!(workers.admit(5 * longest).unwrap_err(), Overloaded);
        assert_eq!(workers.admit(usize::MAX).unwrap_err(), Overloaded);
    }
}
