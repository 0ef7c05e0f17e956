//! Threads: those of the rayon pool in which the caller runs, or none.

/// Whether work is shared between threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parallel {
    enabled: bool,
}

impl Parallel {
    /// Enabled inside of a pool of several threads. Outside of one, rayon would start its global pool behind the
    /// caller's back: everything stays on the caller's thread.
    pub(super) fn in_this_pool() -> Self {
        Self { enabled: rayon::current_thread_index().is_some() && rayon::current_num_threads() > 1 }
    }

    /// Everything stays on the caller's thread.
    pub(super) fn none() -> Self {
        Self { enabled: false }
    }

    /// Whether there are threads to share work with.
    pub(super) fn is_enabled(self) -> bool {
        self.enabled
    }

    /// Runs both, concurrently if that is `worthwhile` and there are threads.
    pub(super) fn join<A: Send, B: Send>(
        self,
        worthwhile: bool,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        if !self.enabled || !worthwhile {
            return (a(), b());
        }
        let (mut a, mut b) = (Some(a), Some(b));
        let (mut of_a, mut of_b) = (None, None);
        join(&mut || of_a = a.take().map(|a| a()), &mut || of_b = b.take().map(|b| b()));
        (of_a.expect("join runs both"), of_b.expect("join runs both"))
    }

    /// Runs the task on the rows, which are as long as the first or empty, in pieces of equal columns. No piece has
    /// fewer than half of `grain` columns. The task learns the number of the first column.
    pub(super) fn columns<T: Send, const ROWS: usize>(
        self,
        grain: usize,
        first: usize,
        rows: [&mut [T]; ROWS],
        task: &(impl Fn(usize, [&mut [T]; ROWS]) + Sync),
    ) {
        let length = rows[0].len();
        if !self.enabled || length < grain {
            return task(first, rows);
        }
        let middle = length / 2;
        let halves = rows.map(|row| row.split_at_mut(middle.min(row.len())));
        let mut left = [const { None }; ROWS];
        let mut right = [const { None }; ROWS];
        for (i, (low, high)) in halves.into_iter().enumerate() {
            (left[i], right[i]) = (Some(low), Some(high));
        }
        let [left, right] = [left, right].map(|half| half.map(Option::unwrap_or_default));
        let (left, right) =
            (|| self.columns(grain, first, left, task), || self.columns(grain, first + middle, right, task));
        self.join(true, left, right);
    }
}

/// `rayon::join`, compiled once for all jobs: it is a thousand lines of code for each pair of closures.
fn join(a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
    rayon::join(a, b);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_visited_once() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let mut rows = [vec![0; 1000], vec![0; 1000], Vec::new()];
        pool.install(|| {
            let task = |first: usize, [a, b, c]: [&mut [usize]; 3]| {
                assert!(c.is_empty() && a.len() == b.len() && a.len() <= 100);
                for ((i, at), count) in a.iter_mut().enumerate().zip(b) {
                    *at += first + i;
                    *count += 1;
                }
            };
            Parallel::in_this_pool().columns(100, 5, rows.each_mut().map(Vec::as_mut_slice), &task);
        });
        assert!(rows[0].iter().enumerate().all(|(i, at)| *at == i + 5));
        assert!(rows[1].iter().all(|count| *count == 1));
    }

    #[test]
    fn nothing_is_shared_outside_of_a_pool() {
        assert!(!Parallel::in_this_pool().is_enabled());
    }
}
