//! Contenders run side by side, round by round, so that a busy machine slows all of them alike.

use std::time::{Duration, Instant};

/// The median of the samples of each contender, each run in a pool of its threads, and the number of rounds. There is
/// another round as long as `goes_on` says so, given the number of rounds and the time so far.
pub fn medians<T: Sync>(
    contenders: &[T],
    threads: impl Fn(&T) -> usize,
    sample: impl Fn(&T) -> f64 + Sync,
    goes_on: impl Fn(usize, Duration) -> bool,
) -> (Vec<f64>, usize) {
    let pools: Vec<_> = contenders.iter().map(|contender| pool(threads(contender))).collect();
    let mut samples = vec![Vec::new(); contenders.len()];
    let (mut rounds, start) = (0, Instant::now());
    while goes_on(rounds, start.elapsed()) {
        for ((contender, pool), samples) in contenders.iter().zip(&pools).zip(&mut samples) {
            samples.push(pool.install(|| sample(contender)));
        }
        rounds += 1;
    }
    (samples.into_iter().map(median).collect(), rounds)
}

/// A pool of threads.
pub fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples[samples.len() / 2]
}
