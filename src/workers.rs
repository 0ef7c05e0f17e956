//! A bounded pool for CPU work, off the async threads.

use std::{
    collections::VecDeque,
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::available_parallelism,
};

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Work up to this size runs inline on the caller's thread. Numbers of 128 limbs (n ≈ 11,000) are evaluated in some
/// 20 µs, about as long as a handoff to another thread and back; an async thread may be held that long.
const INLINE_LIMBS: usize = 128;

/// The bound on work that waits or runs, in limbs: 64 MiB of results, or of all that the evaluation of digits of π takes.
const QUEUE_LIMBS: usize = 8 * 1024 * 1024;

/// The memory that this room may hold, in bytes, by what it is held for. docs/operating.md adds the rooms up.
pub const MEMORY: [(&str, usize); 1] = [("results that wait to be evaluated", QUEUE_LIMBS * size_of::<u64>())];

/// Work on more limbs (n ≈ 86,000,000) is giant: it may take all threads for a second, and yields to other work.
const GIANT_LIMBS: usize = 1_000_000;

/// The classes of work that is done in parts, by the limbs that it has more of (n ≈ 350,000 and 1,400,000). No more work of
/// one class is under way than there are threads: a thread that waits for a part of its work takes up other work meanwhile,
/// so that any number of evaluations would be half done, each with its memory. No class waits behind a larger one.
const CLASSES: [usize; 3] = [4 * 1024, 16 * 1024, GIANT_LIMBS];

/// The queue of work is full, or this work alone exceeds it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too much work is waiting")]
pub struct Overloaded;

/// The work panicked; the panic is in the log.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the work panicked")]
pub struct Panicked;

/// The permit of work, in limbs. Dropping it admits other work.
#[derive(Debug)]
pub struct Admission {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The one pool of threads for CPU work: as many as the machine has cores.
pub struct Workers {
    pool: rayon::ThreadPool,
    waiting: Arc<Waiting>,
    queue: Arc<Semaphore>,
    /// The permits of work that is under way, by its class: one for each thread.
    under_way: [Arc<Semaphore>; CLASSES.len()],
}

impl Workers {
    /// Starts the threads. The queue has room for `least` limbs at least.
    ///
    /// # Errors
    /// When the system can't start them.
    pub fn start(least: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = available_parallelism().map_or(1, NonZero::get);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("worker-{number}"))
            // The panic is logged where it happens; the caller sees a closed channel.
            .panic_handler(|_| {})
            .build()?;
        let queue = Arc::new(Semaphore::new(QUEUE_LIMBS.max(least)));
        let under_way = CLASSES.map(|_| Arc::new(Semaphore::new(threads)));
        Ok(Self { pool, waiting: Arc::default(), queue, under_way })
    }

    /// Admits work on `limbs` limbs in all. Short work is always admitted.
    ///
    /// # Errors
    /// [`Overloaded`] when the queue is full.
    pub fn admit(&self, limbs: usize) -> Result<Admission, Overloaded> {
        if limbs <= INLINE_LIMBS {
            return Ok(Admission { _permit: None });
        }
        let limbs = limbs.try_into().map_err(|_| Overloaded)?;
        let permit = Arc::clone(&self.queue).try_acquire_many_owned(limbs).map_err(|_| Overloaded)?;
        Ok(Admission { _permit: Some(permit) })
    }

    /// Does `work` on numbers of `limbs` limbs: inline when they are few, else on a thread of the pool. Work that has
    /// begun is finished even if its caller is gone. Giant work has to [yield](MakeWay::now) from time to time.
    ///
    /// # Errors
    /// [`Panicked`] when the work did.
    pub async fn run<T: Send + 'static>(
        &self,
        limbs: usize,
        work: impl FnOnce(&MakeWay) -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        if limbs <= INLINE_LIMBS {
            return catch_unwind(AssertUnwindSafe(|| work(&MakeWay(None)))).map_err(|_| Panicked);
        }
        let (done, result) = oneshot::channel();
        let permit = match CLASSES.iter().rposition(|&least| limbs > least) {
            Some(class) => Arc::clone(&self.under_way[class]).acquire_owned().await.ok(),
            None => None,
        };
        let finish = move |way: &MakeWay| {
            let result = work(way);
            drop(permit);
            // If the caller is gone, the result is dropped.
            drop(done.send(result));
        };
        let waiting = Arc::clone(&self.waiting);
        if limbs > GIANT_LIMBS {
            self.pool.spawn_fifo(move || finish(&MakeWay(Some(waiting))));
        } else {
            self.waiting.push(Box::new(move || finish(&MakeWay(None))));
            self.pool.spawn_fifo(move || waiting.do_next());
        }
        result.await.map_err(|_| Panicked)
    }
}

/// The queue of work that is not giant. The pool is woken once for each job, and takes the first one left.
#[derive(Default)]
struct Waiting(Mutex<VecDeque<Job>>);

type Job = Box<dyn FnOnce() + Send>;

impl Waiting {
    fn push(&self, job: Job) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
    }

    fn do_next(&self) {
        let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if let Some(job) = next {
            // A panic is logged where it happens, and does not unwind into the giant work on this thread.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }
}

/// The yield point of giant work.
pub struct MakeWay(Option<Arc<Waiting>>);

impl MakeWay {
    /// Does a waiting job first, if this work is giant. Other work is not interrupted, so that interruptions do not
    /// nest.
    pub fn now(&self) {
        if let Some(waiting) = &self.0 {
            waiting.do_next();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn small_work_stays_and_large_work_moves() {
        let workers = Workers::start(0).unwrap();
        let here = std::thread::current().id();
        let thread = |_: &MakeWay| std::thread::current().id();
        assert_eq!(workers.run(INLINE_LIMBS, thread).await, Ok(here));
        assert_ne!(workers.run(INLINE_LIMBS + 1, thread).await, Ok(here));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_one_who_waits_and_no_one_else() {
        let workers = Workers::start(0).unwrap();
        assert_eq!(workers.run(usize::MAX, |_| panic!("on purpose")).await, Err::<(), _>(Panicked));
        assert_eq!(workers.run(usize::MAX, |_| 1).await, Ok(1));
    }

    #[tokio::test]
    async fn giants_on_all_threads_yield_to_other_work() {
        let workers = Arc::new(Workers::start(0).unwrap());
        let threads = workers.pool.current_num_threads();
        let small_is_done = Arc::new(AtomicBool::new(false));
        let started = Arc::new(AtomicUsize::new(0));
        let giants: Vec<_> = (0..2 * threads)
            .map(|_| {
                let (workers, done) = (Arc::clone(&workers), Arc::clone(&small_is_done));
                let started = Arc::clone(&started);
                let giant = move |way: &MakeWay| {
                    started.fetch_add(1, Ordering::Relaxed);
                    while !done.load(Ordering::Relaxed) {
                        way.now();
                    }
                };
                tokio::spawn(async move { workers.run(usize::MAX, giant).await })
            })
            .collect();
        while started.load(Ordering::Relaxed) < threads {
            tokio::task::yield_now().await;
        }
        let small = workers.run(GIANT_LIMBS, move |_| small_is_done.store(true, Ordering::Relaxed));
        assert_eq!(timeout(Duration::from_secs(30), small).await, Ok(Ok(())));
        for giant in giants {
            assert_eq!(giant.await.unwrap(), Ok(()));
        }
    }

    #[tokio::test]
    async fn no_more_work_of_a_class_is_under_way_than_there_are_threads() {
        for limbs in CLASSES {
            most_under_way(limbs + 1).await;
        }
    }

    async fn most_under_way(limbs: usize) {
        let workers = Arc::new(Workers::start(0).unwrap());
        let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work: Vec<_> = (0..50)
            .map(|_| {
                let (workers, under_way, most) = (Arc::clone(&workers), Arc::clone(&under_way), Arc::clone(&most));
                let work = move |_: &MakeWay| {
                    most.fetch_max(under_way.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    let part = || std::thread::sleep(Duration::from_millis(1));
                    rayon::join(part, part);
                    under_way.fetch_sub(1, Ordering::Relaxed);
                };
                tokio::spawn(async move { workers.run(limbs, work).await })
            })
            .collect();
        for work in work {
            assert_eq!(work.await.unwrap(), Ok(()));
        }
        assert!(most.load(Ordering::Relaxed) <= workers.pool.current_num_threads(), "{most:?} at a time");
    }

    #[test]
    fn refuses_what_would_wait_too_long() {
        let longest = QUEUE_LIMBS;
        let workers = Workers::start(4 * longest).unwrap();
        let mut admitted = Vec::from([(); 4].map(|()| workers.admit(longest).unwrap()));
        assert_eq!(workers.admit(INLINE_LIMBS + 1).unwrap_err(), Overloaded);
        assert!(workers.admit(INLINE_LIMBS).is_ok(), "short work needs no queue");
        admitted.pop();
        assert!(workers.admit(longest).is_ok());
        assert_eq!(workers.admit(5 * longest).unwrap_err(), Overloaded);
        assert_eq!(workers.admit(usize::MAX).unwrap_err(), Overloaded);
    }
}
