//! Answers fib and pi from math, cache and workers: the one place where they meet.
//!
//! A request asks all its questions at once. One lookup finds those that are cached; the others are evaluated, kept, and
//! then answered. Up to 100,000 Fibonacci numbers are not kept one by one but as a [`ladder`], one rung each 128 indices,
//! with a mark at the highest index vouched for: once F(n) was answered, every F(m), m ≤ n, can be read off.

mod answers;
mod check;
mod entry;
mod evaluation;
mod ladder;
mod pi_digits;
mod question;
mod single_flight;
mod warm;

use std::{
    collections::{BTreeSet, HashMap},
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;

pub use self::{
    answers::{Answer, Answers},
    check::{Report, check},
    pi_digits::pi_digits,
    question::{Failure, OutOfRange, Question},
    warm::{WarmError, Warmth},
};
use self::{
    entry::{Key, LADDER_MARK, Value},
    evaluation::Evaluated,
    single_flight::{Lead, SingleFlight},
};
pub use crate::{cache::Condition, math::decimal::Decimal};
use crate::{
    cache::{Cache, Entry, Location, Lookup, Settings, Verdict},
    math::{
        decimal::{LIMB_BYTES, LIMB_DIGITS},
        fib::Index,
        pi::Terms,
        residue::Prime,
    },
    telemetry::{self, Spent, Step, within},
    workers::{MakeWay, Panicked, Workers},
};

type Outcome = Result<Value, Failure>;

/// The evaluator of a process.
pub struct Evaluator {
    cache: Cache<Key, Value>,
    flights: Arc<SingleFlight<Question, Outcome>>,
    workers: Arc<Workers>,
    prime: Prime,
    max_n: Index,
    tasks: TaskTracker,
}

/// The result of a lookup, for the evaluation that follows.
struct Seen {
    lookup: Lookup,
    /// Entries that were there, by question, though the mark had not reached them.
    present: HashMap<Question, Value>,
}

impl Evaluator {
    /// Opens the cache at `location`. `max_n` bounds the indices that are served, and `prime` proves what the store
    /// gives.
    ///
    /// # Errors
    /// When the cache is a file that is none of ours and may not be replaced, or the system starts no thread for it.
    pub fn open(
        location: Location,
        prefix: String,
        max_n: Index,
        workers: Arc<Workers>,
        prime: Prime,
    ) -> io::Result<Arc<Self>> {
        let (provers, encoders) = (Arc::clone(&workers), Arc::clone(&workers));
        let proof = move |key: Key, bytes: Vec<u8>| -> BoxFuture<'static, Verdict<Value>> {
            let provers = Arc::clone(&provers);
            Box::pin(async move {
                match provers.run(bytes.len() / LIMB_BYTES, move |_| key.prove(&bytes, &prime)).await {
                    Ok(Some(value)) => Verdict::Proven(value),
                    Ok(None) => Verdict::Refuted,
                    Err(Panicked) => Verdict::Open,
                }
            })
        };
        let encode = move |values: Vec<Value>| -> BoxFuture<'static, Option<Vec<Vec<u8>>>> {
            let encoders = Arc::clone(&encoders);
            Box::pin(async move {
                let limbs = values.iter().map(Value::weight).sum::<usize>() / LIMB_BYTES;
                encoders.run(limbs, move |_| values.iter().map(Value::to_bytes).collect()).await.ok()
            })
        };
        let settings = Settings {
            location,
            prefix,
            mark: LADDER_MARK,
            proof: Box::new(proof),
            encode: Box::new(encode),
            growth: ladder::growth(Arc::clone(&workers), prime),
            retention: Key::retention,
            weight: Value::weight,
        };
        Ok(Arc::new(Self {
            cache: Cache::open(settings)?,
            flights: SingleFlight::new(),
            workers,
            prime,
            max_n,
            tasks: TaskTracker::new(),
        }))
    }

    /// The largest index that is served.
    #[must_use]
    pub fn max_n(&self) -> Index {
        self.max_n
    }

    /// A client's index.
    ///
    /// # Errors
    /// When it is negative or beyond what this server serves.
    pub fn index(&self, n: i64) -> Result<Index, OutOfRange> {
        let index = u32::try_from(n).ok().and_then(Index::new).filter(|&index| index <= self.max_n);
        index.ok_or_else(|| self.not_an_index(n.to_string()))
    }

    /// The error of a value that is no index.
    #[must_use]
    pub fn not_an_index(&self, given: String) -> OutOfRange {
        OutOfRange { argument: "n", largest: self.max_n.get(), given }
    }

    /// A client's number of terms.
    ///
    /// # Errors
    /// When it is negative or beyond [`Terms::MAX`].
    pub fn terms(&self, terms: i64) -> Result<Terms, OutOfRange> {
        let valid = u32::try_from(terms).ok().and_then(Terms::new);
        valid.ok_or_else(|| self.not_terms(terms.to_string()))
    }

    /// The error of a value that is no term count.
    #[must_use]
    pub fn not_terms(&self, given: String) -> OutOfRange {
        OutOfRange { argument: "terms", largest: Terms::MAX.get(), given }
    }

    /// Answers all questions of a request, as of one lookup.
    ///
    /// It waits for the store no longer than the budgets of the cache. Evaluation is single-flight: each value is made
    /// once, however many requests ask, and is kept even if its client goes away.
    pub async fn answer(self: &Arc<Self>, questions: BTreeSet<Question>) -> Answers {
        within(Step::Answer, pin!(self.answer_all(questions))).await
    }

    async fn answer_all(self: &Arc<Self>, questions: BTreeSet<Question>) -> Answers {
        let (asked, wants): (Vec<_>, Vec<_>) =
            questions.into_iter().filter_map(|question| Some((question, Key::want(question)?))).unzip();
        let began = Instant::now();
        let found = within(Step::Lookup, pin!(self.cache.find(&wants))).await;
        let looked_up = began.elapsed();

        let (mut hits, mut misses, mut present) = (Vec::new(), Vec::new(), HashMap::new());
        for (question, entry) in asked.into_iter().zip(found.entries) {
            match entry {
                Entry::Vouched(value) => hits.push((question, value)),
                Entry::Present(value) => {
                    present.insert(question, value);
                    misses.push(question);
                }
                Entry::Absent => misses.push(question),
            }
        }
        let kept = |&question: &Question| self.kept_since(question, &found.lookup).map(Ok);
        let (waiters, lead) = self.flights.join_or_lead(misses, kept);
        // A value may have outlived the mark that rose with it: then its answer raises the mark again.
        let complete = || waiters.iter().filter(|(_, waiter)| waiter.is_complete()).map(|(question, _)| question);
        let there = hits.iter().map(|(question, _)| question).chain(complete());
        let top = there.filter_map(|question| question.ladder_index()).max();
        telemetry::joined(waiters.len() - complete().count() - lead.keys().count());
        let seen = Seen { lookup: found.lookup, present };
        // A task of its own: when the client goes away, what was begun is finished and kept.
        let evaluation = (!lead.is_empty() || seen.lookup.mark < top)
            .then(|| self.tasks.spawn(within(Step::Fly, Arc::clone(self).evaluate_and_keep(lead, top, seen))));

        let is_all_cached = waiters.is_empty();
        let mut answers = Answers { found: self.read(hits).await, ..Answers::default() };
        for (question, waiter) in waiters {
            let value = waiter.value().await.unwrap_or(Err(Failure::Internal));
            answers.found.insert(question, Answer { value, cached: false });
        }
        let kept = match evaluation {
            // If it panicked, the waiters report it.
            Some(evaluation) => evaluation.await.unwrap_or_default(),
            None => Duration::ZERO,
        };
        let cache = looked_up + kept;
        let evaluate = (!is_all_cached).then(|| began.elapsed().saturating_sub(cache));
        answers.spent = Spent { cache, evaluate };
        answers
    }

    /// Prints a value, or at most `digits` of it, where long work may be done.
    ///
    /// # Errors
    /// When printing panics.
    pub async fn text(
        &self,
        value: &Arc<Decimal>,
        digits: usize,
        print: impl FnOnce(&Decimal) -> String + Send + 'static,
    ) -> Result<String, Failure> {
        let (value, limbs) = (Arc::clone(value), value.limbs().len().min(digits / LIMB_DIGITS));
        Ok(self.workers.run(limbs, move |_| print(&value)).await?)
    }

    /// The state of the store.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.cache.condition()
    }

    /// Waits for everything that outlived its request, and for the store to take new entries, until it has taken none
    /// for `patience`; then closes the cache. It must be the last call.
    pub async fn drain(&self, patience: Duration) {
        self.tasks.close();
        self.tasks.wait().await;
        self.cache.drain(patience).await;
    }

    /// The answer, if this process has evaluated and kept it since a lookup. A value remembered from before does not
    /// count: the lookup did not find it in the store, which has to be given it again.
    fn kept_since(&self, question: Question, lookup: &Lookup) -> Option<Value> {
        let value = self.cache.kept_since(&Key::want(question)?.key, lookup)?;
        Some(value.answer(question))
    }

    /// Reads answers off their entries.
    async fn read(&self, hits: Vec<(Question, Value)>) -> HashMap<Question, Answer<Outcome>> {
        let asked: Vec<Question> = hits.iter().map(|(question, _)| *question).collect();
        let is_rung = |hit: &&(Question, Value)| matches!(hit.1, Value::Rung(_));
        let limbs = hits.iter().filter(is_rung).map(|(question, _)| question.limbs()).sum();
        let read =
            move |_: &MakeWay| hits.into_iter().map(|(question, value)| Ok(value.answer(question))).collect::<Vec<_>>();
        let outcomes = self.workers.run(limbs, read).await;
        let outcomes = outcomes.unwrap_or_else(|Panicked| asked.iter().map(|_| Err(Failure::Internal)).collect());
        let answers = outcomes.into_iter().map(|value| Answer { value, cached: true });
        asked.into_iter().zip(answers).collect()
    }

    /// Evaluates the questions that a request leads, keeps all values at once, and only then completes them: a client may
    /// rely on an answer being cached. A request that joins waits for all, so that one round trip writes them.
    ///
    /// `top` is an index that the ladder has to reach in any case. Returns the time that keeping it took.
    async fn evaluate_and_keep(
        self: Arc<Self>,
        mut lead: Lead<Question, Outcome>,
        mut top: Option<u32>,
        seen: Seen,
    ) -> Duration {
        let (mut entries, mut completed) = (Vec::new(), Vec::new());
        let evaluation = pin!(self.evaluate(lead.keys().copied().collect(), &seen.present));
        for Evaluated { answers, new } in within(Step::Evaluate, evaluation).await {
            let answered = answers.iter().filter(|(_, answer)| answer.is_ok());
            top = top.max(answered.filter_map(|(question, _)| question.ladder_index()).max());
            completed.extend(answers);
            entries.extend(new);
        }
        let evaluated = Instant::now();
        let keeping = pin!(self.cache.keep(entries, top, seen.lookup));
        within(Step::Keep, keeping).await;
        for (question, outcome) in completed {
            lead.complete(&question, outcome);
        }
        evaluated.elapsed()
    }
}
