//! Evaluating and proving, as jobs of the workers.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{
    Evaluator,
    entry::{Key, Value},
    question::{Failure, LADDER_TOP, Question},
};
use crate::{
    cache::Fact,
    math::{
        fib::{self, Index},
        pi,
        residue::Prime,
        rung::Rung,
    },
    telemetry,
    workers::{MakeWay, Overloaded, Panicked},
};

/// A value of up to this many limbs (n ≈ 86,000) is short: evaluated in a few hundred microseconds at most.
const SHORT_LIMBS: usize = 1_000;

/// An evaluated value and the fact to cache for it.
pub(super) struct Evaluated {
    pub(super) value: Value,
    pub(super) fact: Fact<Key, Value>,
}

impl Evaluator {
    /// Evaluates and proves. When too much is waiting, long values are refused before short ones.
    pub(super) async fn evaluate(&self, questions: Vec<Question>) -> Vec<(Question, Result<Evaluated, Failure>)> {
        let (short, long): (Vec<_>, Vec<_>) =
            questions.into_iter().partition(|question| question.limbs() <= SHORT_LIMBS);
        let (mut groups, mut admissions, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for kind in [short, long] {
            match self.workers.admit(kind.iter().map(|question| question.limbs()).sum()) {
                Ok(admission) => {
                    admissions.push(admission);
                    groups.extend(grouped(kind));
                }
                Err(Overloaded) => {
                    refused.extend(kind.into_iter().map(|question| (question, Err(Failure::Overloaded))));
                }
            }
        }
        let is_alone = groups.len() == 1;
        telemetry::evaluated(groups.iter().map(Vec::len).sum());
        let jobs = groups.into_iter().map(|group| self.evaluate_group(group, is_alone));
        join_all(jobs).await.into_iter().flatten().chain(refused).collect()
    }

    /// Evaluates a group as one job; when there are others it does not run inline, however short.
    async fn evaluate_group(
        &self,
        group: Vec<Question>,
        is_alone: bool,
    ) -> Vec<(Question, Result<Evaluated, Failure>)> {
        let limbs: usize = group.iter().map(|question| question.limbs()).sum();
        let limbs = if is_alone { limbs } else { limbs.max(SHORT_LIMBS) };
        let (prime, work) = (self.prime, group.clone());
        let evaluation =
            move |way: &MakeWay| work.into_iter().map(|question| evaluated(question, &prime, way)).collect::<Vec<_>>();
        let outcomes = self.workers.run(limbs, evaluation).await;
        let outcomes = outcomes.unwrap_or_else(|Panicked| group.iter().map(|_| Err(Failure::Internal)).collect());
        group.into_iter().zip(outcomes).collect()
    }
}

/// Groups of questions whose values are short together, and each long one by itself.
fn grouped(questions: Vec<Question>) -> Vec<Vec<Question>> {
    let (mut groups, mut limbs) = (Vec::<Vec<Question>>::new(), 0);
    for question in questions {
        limbs += question.limbs();
        match groups.last_mut() {
            Some(group) if limbs <= SHORT_LIMBS => group.push(question),
            _ => {
                groups.push(vec![question]);
                limbs = question.limbs();
            }
        }
    }
    groups
}

/// Evaluates and proves one value.
fn evaluated(question: Question, prime: &Prime, way: &MakeWay) -> Result<Evaluated, Failure> {
    let proven = match question {
        Question::Fib(n) if n.get() <= LADDER_TOP => by_rung(n, prime),
        Question::Fib(n) => fib::proven(n, prime, &mut |_| way.now()).map(|value| {
            let value = Value::Fib(Arc::new(value));
            (value.clone(), value.fact(Key::Fib(n)))
        }),
        Question::Pi(terms) => {
            let value = Value::Pi(pi::approximation(terms));
            Some((value.clone(), value.fact(Key::Pi(terms))))
        }
    };
    let Some((value, fact)) = proven else {
        telemetry::evaluation_wrong(&question);
        return Err(Failure::Internal);
    };
    Ok(Evaluated { value, fact })
}

/// F(n) by its rung, which is cached.
fn by_rung(n: Index, prime: &Prime) -> Option<(Value, Fact<Key, Value>)> {
    let rung = Rung::proven(Rung::number_for(n), prime)?;
    let value = rung.read_proven(n, prime)?;
    let key = Key::Rung(rung.number());
    Some((Value::Fib(Arc::new(value)), Value::Rung(Arc::new(rung)).fact(key)))
}
