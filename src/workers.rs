//! Bounded CPU work, off the async threads.

use std::{
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::available_parallelism,
};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use rustix::process::setpriority_process;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Work up to this size runs inline on the caller's thread. Numbers of 128 limbs (n ≈ 11,000) are evaluated in some
/// 20 µs, about as long as a handoff to another thread and back; an async thread may be held that long.
const INLINE_LIMBS: usize = 128;

/// The bounds on work that waits or runs, by its [`Size`], in limbs of results, and for digits of π of all memory that their
/// evaluation takes. They are larger where limits admit larger requests.
const QUEUE_LIMBS: [usize; Size::ALL.len()] = [1024 * 1024, 7 * 1024 * 1024, 3 * 1024 * 1024];

/// The memory that this room may hold, in bytes, by what it is held for. docs/operating.md adds the rooms up.
pub const MEMORY: [(&str, usize); 1] =
    [("results that wait to be evaluated", (QUEUE_LIMBS[0] + QUEUE_LIMBS[1] + QUEUE_LIMBS[2]) * size_of::<u64>())];

/// Work on more limbs (n ≈ 350,000) is done in parts.
const SMALL_LIMBS: usize = 4 * 1024;

/// Work on more limbs (n ≈ 86,000,000, or 147,456 digits of π) is giant: it may take all cores for a second, or for 40.
const GIANT_LIMBS: usize = 1_000_000;

/// The niceness of the threads for giant work, 0 to 19: beside other work they have a tenth of a core.
const GIANT_NICENESS: i32 = 10;

/// The classes of work that is done in parts, by the limbs that it has more of (n ≈ 350,000 and 1,400,000). No more work of
/// one class is under way than there are threads: a thread that waits for a part of its work takes up other work meanwhile,
/// so that any number of evaluations would be half done, each with its memory. No class waits behind a larger one.
const CLASSES: [usize; 3] = [SMALL_LIMBS, 16 * 1024, GIANT_LIMBS];

/// The size of a piece of work. Each has a queue of its own, so that no work keeps out smaller work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Up to the least of [`CLASSES`].
    Small,
    /// Up to [`GIANT_LIMBS`].
    Long,
    /// More than [`GIANT_LIMBS`].
    Giant,
}

impl Size {
    /// All sizes, the smallest first.
    pub const ALL: [Self; 3] = [Self::Small, Self::Long, Self::Giant];

    /// The size of work on this many limbs.
    #[must_use]
    pub fn of(limbs: usize) -> Self {
        Self::ALL[usize::from(limbs > SMALL_LIMBS) + usize::from(limbs > GIANT_LIMBS)]
    }
}

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

/// The threads for CPU work: as many as the machine has cores, and as many of a lower priority for giant work. A thread that
/// waits for a part of its work takes up any other work of its pool, which must not be a giant.
pub struct Workers {
    pool: ThreadPool,
    giants: ThreadPool,
    /// The permits of work that waits or runs, by its size.
    queues: [Arc<Semaphore>; Size::ALL.len()],
    /// The permits of work that is under way, by its class: one for each thread.
    under_way: [Arc<Semaphore>; CLASSES.len()],
}

impl Workers {
    /// Starts the threads. Each queue has room for `numbers` limbs at least, and that of giant work for `digits` limbs more.
    ///
    /// # Errors
    /// When the system can't start them.
    pub fn start([numbers, digits]: [usize; 2]) -> Result<Self, ThreadPoolBuildError> {
        let threads = available_parallelism().map_or(1, NonZero::get);
        let pool = |name: &'static str| {
            let pool = ThreadPoolBuilder::new().num_threads(threads);
            // A panic is logged where it happens; the caller sees a closed channel.
            pool.thread_name(move |number| format!("{name}-{number}")).panic_handler(|_| {})
        };
        let give_way = |_| {
            // Elsewhere this would be the priority of the whole process.
            if cfg!(target_os = "linux") {
                // Work of the usual priority is not wrong.
                let _ = setpriority_process(None, GIANT_NICENESS);
            }
        };
        let queues = Size::ALL.map(|size| {
            let least = if size == Size::Giant { numbers + digits } else { numbers };
            Arc::new(Semaphore::new(QUEUE_LIMBS[size as usize].max(least)))
        });
        let under_way = CLASSES.map(|_| Arc::new(Semaphore::new(threads)));
        let (pool, giants) = (pool("worker").build()?, pool("giant").start_handler(give_way).build()?);
        Ok(Self { pool, giants, queues, under_way })
    }

    /// Admits pieces of work of one size, on `limbs` limbs in all. Short work is always admitted.
    ///
    /// # Errors
    /// [`Overloaded`] when the queue is full.
    pub fn admit(&self, size: Size, limbs: usize) -> Result<Admission, Overloaded> {
        if limbs <= INLINE_LIMBS {
            return Ok(Admission { _permit: None });
        }
        let limbs = limbs.try_into().map_err(|_| Overloaded)?;
        let permit = Arc::clone(&self.queues[size as usize]).try_acquire_many_owned(limbs).map_err(|_| Overloaded)?;
        Ok(Admission { _permit: Some(permit) })
    }

    /// Does `work` on numbers of `limbs` limbs: inline when they are few, else on a thread of a pool. Work that has begun is
    /// finished even if its caller is gone.
    ///
    /// # Errors
    /// [`Panicked`] when the work did.
    pub async fn run<T: Send + 'static>(
        &self,
        limbs: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        if limbs <= INLINE_LIMBS {
            return catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked);
        }
        let (done, result) = oneshot::channel();
        let permit = match CLASSES.iter().rposition(|&least| limbs > least) {
            Some(class) => Arc::clone(&self.under_way[class]).acquire_owned().await.ok(),
            None => None,
        };
        let pool = if limbs > GIANT_LIMBS { &self.giants } else { &self.pool };
        pool.spawn_fifo(move || {
            let result = work();
            drop(permit);
            // If the caller is gone, the result is dropped.
            drop(done.send(result));
        });
        result.await.map_err(|_| Panicked)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        thread,
        time::Duration,
    };

    use tokio::{task::JoinHandle, time::timeout};

    use super::*;

    #[tokio::test]
    async fn small_work_stays_and_large_work_moves() {
        let workers = Workers::start([0; 2]).unwrap();
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_eq!(workers.run(INLINE_LIMBS, thread).await, Ok(here));
        assert_ne!(workers.run(INLINE_LIMBS + 1, thread).await, Ok(here));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_one_who_waits_and_no_one_else() {
        let workers = Workers::start([0; 2]).unwrap();
        assert_eq!(workers.run(usize::MAX, || panic!("on purpose")).await, Err::<(), _>(Panicked));
        assert_eq!(workers.run(usize::MAX, || 1).await, Ok(1));
    }

    /// Starts giant work on all threads, which ends when the flag is set.
    async fn start_giants(workers: &Arc<Workers>, may_end: &Arc<AtomicBool>) -> Vec<JoinHandle<Result<(), Panicked>>> {
        let (threads, started) = (workers.giants.current_num_threads(), Arc::new(AtomicUsize::new(0)));
        let giant = || {
            let (workers, may_end, started) = (Arc::clone(workers), Arc::clone(may_end), Arc::clone(&started));
            let giant = move || {
                started.fetch_add(1, Ordering::Relaxed);
                while !may_end.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
            };
            tokio::spawn(async move { workers.run(usize::MAX, giant).await })
        };
        let giants = (0..2 * threads).map(|_| giant()).collect();
        while started.load(Ordering::Relaxed) < threads {
            tokio::task::yield_now().await;
        }
        giants
    }

    #[tokio::test]
    async fn giants_on_all_threads_hold_up_no_other_work() {
        let (workers, is_done) = (Arc::new(Workers::start([0; 2]).unwrap()), Arc::new(AtomicBool::new(false)));
        let giants = start_giants(&workers, &is_done).await;
        let others = workers.run(GIANT_LIMBS, move || is_done.store(true, Ordering::Relaxed));
        assert_eq!(timeout(Duration::from_secs(30), others).await, Ok(Ok(())));
        for giant in giants {
            assert_eq!(giant.await.unwrap(), Ok(()));
        }
    }

    #[tokio::test]
    async fn work_that_waits_for_a_part_takes_up_no_giant() {
        let workers = Arc::new(Workers::start([0; 2]).unwrap());
        let [part_has_begun, giants_have_begun, is_done] = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
        let until = |flag: &Arc<AtomicBool>| {
            let flag = Arc::clone(flag);
            move || {
                while !flag.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
            }
        };
        let (part_is_elsewhere, part_may_end) = (until(&part_has_begun), until(&giants_have_begun));
        let (begun, done) = (Arc::clone(&part_has_begun), Arc::clone(&is_done));
        let work = move || {
            let part = || {
                begun.store(true, Ordering::Relaxed);
                part_may_end();
            };
            rayon::join(part_is_elsewhere, part);
            done.store(true, Ordering::Relaxed);
        };
        let story = async {
            let waiting = {
                let workers = Arc::clone(&workers);
                tokio::spawn(async move { workers.run(GIANT_LIMBS, work).await })
            };
            let giants = start_giants(&workers, &is_done).await;
            giants_have_begun.store(true, Ordering::Relaxed);
            waiting.await.unwrap().unwrap();
            for giant in giants {
                giant.await.unwrap().unwrap();
            }
        };
        if workers.pool.current_num_threads() > 1 {
            timeout(Duration::from_secs(30), story).await.unwrap();
        }
    }

    #[tokio::test]
    async fn no_more_work_of_a_class_is_under_way_than_there_are_threads() {
        for limbs in CLASSES {
            most_under_way(limbs + 1).await;
        }
    }

    async fn most_under_way(limbs: usize) {
        let workers = Arc::new(Workers::start([0; 2]).unwrap());
        let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work: Vec<_> = (0..50)
            .map(|_| {
                let (workers, under_way, most) = (Arc::clone(&workers), Arc::clone(&under_way), Arc::clone(&most));
                let work = move || {
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
        const NUMBERS: usize = 2 * QUEUE_LIMBS[1];
        const DIGITS: usize = 3 * QUEUE_LIMBS[1];
        let workers = Workers::start([NUMBERS, DIGITS]).unwrap();
        let whole = [NUMBERS, NUMBERS, NUMBERS + DIGITS];
        for (size, limbs) in Size::ALL.into_iter().zip(whole) {
            let _admitted = workers.admit(size, limbs).unwrap();
            assert_eq!(workers.admit(size, INLINE_LIMBS + 1).unwrap_err(), Overloaded);
            assert!(workers.admit(size, INLINE_LIMBS).is_ok(), "short work needs no queue");
            for (other, limbs) in Size::ALL.into_iter().zip(whole) {
                assert!(other == size || workers.admit(other, limbs).is_ok(), "{size:?} work keeps out {other:?} work");
            }
        }
        assert!(Size::ALL.into_iter().zip(whole).all(|(size, limbs)| workers.admit(size, limbs).is_ok()));
        assert_eq!(workers.admit(Size::Giant, usize::MAX).unwrap_err(), Overloaded);
    }
}
