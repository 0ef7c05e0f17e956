//! CPU work off the async threads, bounded.

use std::{num::NonZero, sync::Arc, thread::available_parallelism};

use thiserror::Error;
use tokio::sync::{Semaphore, oneshot};

/// Work on so many limbs is done at once, where it is asked for. Numbers of 128 limbs (n ≈ 11,000) are evaluated in
/// some 20 µs, about what handing work to another thread and back takes; an async thread may be held that long.
const INLINE_LIMBS: usize = 128;

/// Jobs that may wait or run for each thread. A job of the default limits takes milliseconds, so the last in such a
/// queue still answers within the patience of a client.
const JOBS_PER_THREAD: usize = 64;

/// Why work was not done.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Too many jobs wait already.
    #[error("too much work is waiting")]
    Overloaded,
    /// The work panicked; the panic is in the log.
    #[error("the work panicked")]
    Panicked,
}

/// The one pool of threads for CPU work: as many as the machine has cores.
pub struct Workers {
    pool: rayon::ThreadPool,
    jobs: Arc<Semaphore>,
}

impl Workers {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system can't start them.
    pub fn start() -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = available_parallelism().map_or(1, NonZero::get);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("worker-{number}"))
            // The panic is logged where it happens; the one who waits learns of it by the closed channel.
            .panic_handler(|_| {})
            .build()?;
        Ok(Self { pool, jobs: Arc::new(Semaphore::new(threads * JOBS_PER_THREAD)) })
    }

    /// Does `work` on numbers of so many limbs: at once when they are few, else on a thread of the pool. Work that has
    /// begun is finished even if nobody waits for it any more.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn run<T: Send + 'static>(
        &self,
        limbs: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        if limbs <= INLINE_LIMBS {
            return Ok(work());
        }
        let job = Arc::clone(&self.jobs).try_acquire_owned().map_err(|_| Refusal::Overloaded)?;
        let (done, result) = oneshot::channel();
        self.pool.spawn_fifo(move || {
            let _job = job;
            // Nobody may be waiting any more: then the result is dropped.
            let _ = done.send(work());
        });
        result.await.map_err(|_| Refusal::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_work_stays_and_large_work_moves() {
        let workers = Workers::start().unwrap();
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_eq!(workers.run(INLINE_LIMBS, thread).await, Ok(here));
        assert_ne!(workers.run(INLINE_LIMBS + 1, thread).await, Ok(here));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_one_who_waits_and_no_one_else() {
        let workers = Workers::start().unwrap();
        assert_eq!(workers.run(usize::MAX, || panic!("on purpose")).await, Err::<(), _>(Refusal::Panicked));
        assert_eq!(workers.run(usize::MAX, || 1).await, Ok(1));
    }

    #[tokio::test]
    async fn refuses_what_would_wait_too_long() {
        let workers = Arc::new(Workers::start().unwrap());
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let waiting: Vec<_> = (0..workers.jobs.available_permits())
            .map(|_| {
                let (workers, gate) = (Arc::clone(&workers), Arc::clone(&gate));
                tokio::spawn(async move { workers.run(usize::MAX, move || gate.lock().unwrap().recv().is_err()).await })
            })
            .collect();
        while workers.jobs.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(workers.run(usize::MAX, || ()).await, Err(Refusal::Overloaded));
        assert_eq!(workers.run(1, || 1).await, Ok(1), "small work needs no queue");
        drop(release);
        for job in waiting {
            assert_eq!(job.await.unwrap(), Ok(true));
        }
        assert_eq!(workers.run(usize::MAX, || 1).await, Ok(1));
    }
}
