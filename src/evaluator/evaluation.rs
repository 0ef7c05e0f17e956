//! Evaluating and proving entries, as jobs of the workers.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{
    Evaluator,
    failure::Failure,
    functions::{Entry, Key},
};
use crate::{
    telemetry,
    workers::{Overloaded, Panicked, Size},
};

/// A value of up to this many limbs (n ≈ 86,000) is short: evaluated in a few hundred microseconds at most.
const SHORT_LIMBS: usize = 1_000;

/// The entries that one evaluation made, or why there are none.
pub(super) type Evaluated = Result<Arc<Vec<(Key, Entry)>>, Failure>;

/// Entries that are evaluated together, each after the one before.
type Job = Vec<Key>;

impl Evaluator {
    /// Evaluates and proves the entries of these keys, and those that come with them. When too much of one size is waiting,
    /// those of that size are refused.
    pub(super) async fn evaluate(&self, keys: Vec<Key>) -> Vec<(Key, Evaluated)> {
        let mut all = jobs(keys);
        let (mut groups, mut admissions, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for size in Size::ALL {
            let jobs: Vec<Job> = all.extract_if(.., |job| Size::of(limbs_of(job)) == size).collect();
            match self.workers.admit(size, jobs.iter().map(|job| limbs_of(job)).sum()) {
                Ok(admission) => {
                    admissions.push(admission);
                    groups.extend(grouped(jobs));
                }
                Err(Overloaded) => {
                    refused.extend(jobs.into_iter().flatten().map(|key| (key, Err(Failure::Overloaded))));
                }
            }
        }
        let is_alone = groups.len() == 1;
        telemetry::evaluated(groups.iter().flatten().map(Vec::len).sum());
        let work = groups.into_iter().map(|group| self.evaluate_group(group, is_alone));
        join_all(work).await.into_iter().flatten().chain(refused).collect()
    }

    /// Evaluates a group as one piece of work; when there are others it does not run inline, however short.
    async fn evaluate_group(&self, group: Vec<Job>, is_alone: bool) -> Vec<(Key, Evaluated)> {
        let limbs: usize = group.iter().map(|job| limbs_of(job)).sum();
        let limbs = if is_alone { limbs } else { limbs.max(SHORT_LIMBS) };
        let keys: Job = group.iter().flatten().copied().collect();
        let prime = self.prime;
        let evaluate = self.workers.run(limbs, move || {
            let entries = group.into_iter().map(|job| {
                let entries = Key::evaluate(&job, &prime);
                if entries.is_none() {
                    job.iter().for_each(telemetry::evaluation_wrong);
                }
                (job, entries.map(Arc::new).ok_or(Failure::Internal))
            });
            entries.collect::<Vec<_>>()
        });
        match evaluate.await {
            Ok(jobs) => jobs
                .into_iter()
                .flat_map(|(job, outcome)| job.into_iter().map(move |key| (key, outcome.clone())))
                .collect(),
            Err(Panicked) => keys.into_iter().map(|key| (key, Err(Failure::Internal))).collect(),
        }
    }
}

/// A job for each entry, or for as many as follow each other.
fn jobs(mut keys: Vec<Key>) -> Vec<Job> {
    keys.sort_unstable();
    keys.chunk_by(|before, key| key.follows(*before)).map(<[Key]>::to_vec).collect()
}

fn limbs_of(job: &[Key]) -> usize {
    job.iter().map(|key| key.work()).sum()
}

/// Groups of jobs that are short together, and each long one by itself.
fn grouped(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let (mut groups, mut limbs) = (Vec::<Vec<Job>>::new(), 0);
    for job in jobs {
        limbs += limbs_of(&job);
        match groups.last_mut() {
            Some(group) if limbs <= SHORT_LIMBS => group.push(job),
            _ => {
                limbs = limbs_of(&job);
                groups.push(vec![job]);
            }
        }
    }
    groups
}
