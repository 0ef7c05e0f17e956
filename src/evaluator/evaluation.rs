//! Evaluating and proving, as jobs of the workers.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::join_all;

use super::{
    Evaluator,
    entry::{Key, Value},
    question::{Failure, Question},
};
use crate::{
    cache::Want,
    math::{fib, pi, residue::Prime, rung::Rung},
    telemetry,
    workers::{MakeWay, Overloaded, Panicked},
};

/// A value of up to this many limbs (n ≈ 86,000) is short: evaluated in a few hundred microseconds at most.
const SHORT_LIMBS: usize = 1_000;

/// An entry, and the questions that it answers.
#[derive(Clone)]
struct Job {
    key: Key,
    /// The entry, if the lookup found it.
    found: Option<Value>,
    questions: Vec<Question>,
}

/// The outcome of a job.
pub(super) struct Evaluated {
    pub(super) answers: Vec<(Question, Result<Value, Failure>)>,
    /// The entry, if it was evaluated.
    pub(super) new: Option<(Key, Value)>,
}

impl Evaluator {
    /// Evaluates and proves the entries that answer some questions, but for those in `present`. When too much is waiting,
    /// long values are refused before short ones.
    pub(super) async fn evaluate(
        &self,
        questions: Vec<Question>,
        present: &HashMap<Question, Value>,
    ) -> Vec<Evaluated> {
        let is_short = |job: &Job| job.questions.iter().all(|question| question.limbs() <= SHORT_LIMBS);
        let (short, long): (Vec<_>, Vec<_>) = jobs(questions, present).into_iter().partition(is_short);
        let (mut groups, mut admissions, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for kind in [short, long] {
            match self.workers.admit(kind.iter().map(Job::limbs).sum()) {
                Ok(admission) => {
                    admissions.push(admission);
                    groups.extend(grouped(kind));
                }
                Err(Overloaded) => refused.extend(kind.into_iter().map(|job| job.failed(Failure::Overloaded))),
            }
        }
        let is_alone = groups.len() == 1;
        telemetry::evaluated(groups.iter().flatten().filter(|job| job.found.is_none()).count());
        let work = groups.into_iter().map(|group| self.evaluate_group(group, is_alone));
        join_all(work).await.into_iter().flatten().chain(refused).collect()
    }

    /// Evaluates a group as one piece of work; when there are others it does not run inline, however short.
    async fn evaluate_group(&self, group: Vec<Job>, is_alone: bool) -> Vec<Evaluated> {
        let limbs: usize = group.iter().map(Job::limbs).sum();
        let limbs = if is_alone { limbs } else { limbs.max(SHORT_LIMBS) };
        let (prime, jobs) = (self.prime, group.clone());
        let evaluation = move |way: &MakeWay| jobs.into_iter().map(|job| job.done(&prime, way)).collect();
        let outcome = self.workers.run(limbs, evaluation).await;
        outcome.unwrap_or_else(|Panicked| group.into_iter().map(|job| job.failed(Failure::Internal)).collect())
    }
}

/// One job for each entry, however many questions it answers.
fn jobs(questions: Vec<Question>, present: &HashMap<Question, Value>) -> Vec<Job> {
    let mut jobs = HashMap::new();
    for question in questions {
        let Some(Want { key, .. }) = Key::want(question) else { continue };
        let job = jobs.entry(key).or_insert_with(|| Job { key, found: None, questions: Vec::new() });
        job.found = job.found.take().or_else(|| present.get(&question).cloned());
        job.questions.push(question);
    }
    jobs.into_values().collect()
}

/// Groups of jobs that are short together, and each long one by itself.
fn grouped(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let (mut groups, mut limbs) = (Vec::<Vec<Job>>::new(), 0);
    for job in jobs {
        limbs += job.limbs();
        match groups.last_mut() {
            Some(group) if limbs <= SHORT_LIMBS => group.push(job),
            _ => {
                limbs = job.limbs();
                groups.push(vec![job]);
            }
        }
    }
    groups
}

impl Job {
    fn limbs(&self) -> usize {
        self.questions.iter().map(|question| question.limbs()).sum()
    }

    fn done(self, prime: &Prime, way: &MakeWay) -> Evaluated {
        let is_new = self.found.is_none();
        let entry = self.found.or_else(|| evaluated(self.key, prime, way));
        let answers = self.questions.into_iter().map(|question| {
            let answer = entry.as_ref().and_then(|entry| entry.proven_answer(question, prime));
            let answer = answer.ok_or_else(|| {
                telemetry::evaluation_wrong(&question);
                Failure::Internal
            });
            (question, answer)
        });
        Evaluated { answers: answers.collect(), new: entry.filter(|_| is_new).map(|entry| (self.key, entry)) }
    }

    fn failed(self, failure: Failure) -> Evaluated {
        let answers = self.questions.into_iter().map(|question| (question, Err(failure)));
        Evaluated { answers: answers.collect(), new: None }
    }
}

/// Evaluates and proves one entry. `None` when it failed its proof.
fn evaluated(key: Key, prime: &Prime, way: &MakeWay) -> Option<Value> {
    match key {
        Key::Rung(r) => Rung::proven(r, prime).map(|rung| Value::Rung(Arc::new(rung))),
        Key::Fib(n) => fib::proven(n, prime, &mut |_| way.now()).map(|value| Value::Fib(Arc::new(value))),
        Key::Pi(terms) => Some(Value::Pi(pi::approximation(terms))),
    }
}
