//! Answers questions from math, cache and workers: the one place where they meet.
//!
//! A request asks all its questions at once. One lookup finds the entries of the cache that answer those which are
//! cached; the others are evaluated and kept, and then all values are read off their entries. Each
//! [function](Function) defines its entries.

mod answers;
mod check;
mod evaluation;
mod failure;
mod fib;
mod flight;
mod function;
mod functions;
mod limits;
mod pi;
mod pi_digits;
mod single_flight;
mod warm;

use std::{
    io,
    ops::Range,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use smallvec::SmallVec;
use tokio_util::task::TaskTracker;

pub use self::{
    answers::{Answer, Answers},
    check::{Report, check},
    failure::Failure,
    fib::all_up_to,
    function::Function,
    functions::{FromValue, Question, Value, digits_admitted, digits_to_evaluate, distinct},
    limits::{Given, Limits, OutOfRange},
    pi_digits::pi_digits,
    warm::WarmError,
};
use self::{
    evaluation::Evaluated,
    functions::{Entry, Key},
    single_flight::SingleFlight,
};
pub use crate::{
    cache::Condition,
    math::{decimal::Decimal, pi_digits::Row},
};
use crate::{
    cache::{self, Cache, Location, Settings, Verdict},
    math::{
        decimal::{LIMB_BYTES, LIMB_DIGITS},
        residue::Prime,
    },
    telemetry::{self, Spent, Step, within},
    workers::{Panicked, Workers},
};

/// The evaluator of a process.
pub struct Evaluator {
    cache: Cache<Key, Entry>,
    flights: Arc<SingleFlight<Key, Evaluated>>,
    workers: Arc<Workers>,
    prime: Prime,
    limits: Limits,
    tasks: TaskTracker,
}

impl Evaluator {
    /// Opens the cache at `location`. `limits` bound what is served, and `prime` proves what the store gives.
    ///
    /// # Errors
    /// When the cache is a file of another program, which must not be replaced, or the system starts no thread for it.
    pub fn open(
        location: Location,
        prefix: String,
        limits: Limits,
        workers: Arc<Workers>,
        prime: Prime,
    ) -> io::Result<Arc<Self>> {
        let (provers, encoders) = (Arc::clone(&workers), Arc::clone(&workers));
        let proof = move |key: Key, bytes: Vec<u8>| -> BoxFuture<'static, Verdict<Entry>> {
            let provers = Arc::clone(&provers);
            Box::pin(async move {
                match provers.run(bytes.len() / LIMB_BYTES, move || key.prove(&bytes, &prime)).await {
                    Ok(Some(entry)) => Verdict::Proven(entry),
                    Ok(None) => Verdict::Refuted,
                    Err(Panicked) => Verdict::Open,
                }
            })
        };
        let encode = move |entries: Vec<Entry>| -> BoxFuture<'static, Option<Vec<Vec<u8>>>> {
            let encoders = Arc::clone(&encoders);
            Box::pin(async move {
                let limbs = entries.iter().map(Entry::weight).sum::<usize>() / LIMB_BYTES;
                encoders.run(limbs, move || entries.iter().map(Entry::to_bytes).collect()).await.ok()
            })
        };
        let settings = Settings {
            location,
            prefix,
            proof: Box::new(proof),
            encode: Box::new(encode),
            ladders: functions::ladders(&workers, prime),
            height: Key::height,
            retention: Key::retention,
            weight: Entry::weight,
        };
        Ok(Arc::new(Self {
            cache: Cache::open(settings)?,
            flights: SingleFlight::new(),
            workers,
            prime,
            limits,
            tasks: TaskTracker::new(),
        }))
    }

    /// The limits of this server.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Answers all questions of a request, as of one lookup.
    ///
    /// It waits for the store no longer than the budgets of the cache. Evaluation is single-flight: each entry is made
    /// once, however many requests ask, and is kept even if its client goes away.
    pub async fn answer(self: &Arc<Self>, questions: Vec<Question>) -> Answers {
        let answered = async {
            let questions = distinct(questions);
            let mut wants = Vec::with_capacity(questions.len());
            let ask = |question: Question| {
                let first = wants.len();
                question.add_wants(&mut wants);
                Asked { question, wants: first..wants.len() }
            };
            let asked: Vec<Asked> = questions.into_iter().map(ask).collect();
            let began = Instant::now();
            let found = within(Step::Lookup, pin!(self.cache.find(&wants))).await;
            let looked_up = began.elapsed();

            let is_vouched = |asked: &Asked| found.entries[asked.wants.clone()].iter().all(cache::Entry::is_vouched);
            let is_cached: Vec<bool> = asked.iter().map(is_vouched).collect();
            let is_all_cached = is_cached.iter().all(|&is_cached| is_cached);
            let top = |asked: &Asked| Some((asked.question.top(&self.limits)?, asked.wants.clone()));
            let (entries, kept) = self.complete(&wants, found, asked.iter().filter_map(top)).await;
            let cache = looked_up + kept;
            let evaluate = (!is_all_cached).then(|| began.elapsed().saturating_sub(cache));

            let values = self.read(&asked, entries).await;
            let answers = values.into_iter().zip(is_cached).map(|(value, cached)| Answer { value, cached });
            let found = asked.into_iter().map(|asked| asked.question).zip(answers).collect();
            Answers { found, spent: Spent { cache, evaluate } }
        };
        within(Step::Answer, pin!(answered)).await
    }

    /// Reads the values of questions off their entries.
    async fn read(&self, asked: &[Asked], entries: Vec<Result<Entry, Failure>>) -> Vec<Result<Value, Failure>> {
        let own = |asked: &Asked| {
            let entries = entries[asked.wants.clone()].iter().cloned().collect::<Result<SmallVec<[_; 1]>, _>>();
            (asked.question, entries)
        };
        let limbs = asked.iter().map(|asked| asked.question.limbs()).sum();
        let questions: Vec<_> = asked.iter().map(own).collect();
        let prime = self.prime;
        let read = move || {
            let values = questions.into_iter().map(|(question, entries)| {
                let value = question.read(entries?.into_iter(), &prime);
                value.ok_or_else(|| {
                    telemetry::evaluation_wrong(&question);
                    Failure::Internal
                })
            });
            values.collect::<Vec<_>>()
        };
        let values = self.workers.run(limbs, read).await;
        values.unwrap_or_else(|Panicked| asked.iter().map(|_| Err(Failure::Internal)).collect())
    }

    /// Prints a value of which about `digits` digits are wanted, where long work may be done.
    ///
    /// # Errors
    /// When printing panics.
    pub async fn text(
        &self,
        digits: usize,
        print: impl FnOnce() -> String + Send + 'static,
    ) -> Result<String, Failure> {
        Ok(self.workers.run(digits / LIMB_DIGITS, print).await?)
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
}

#[cfg(test)]
impl Evaluator {
    /// An evaluator without a store, for the tests of other rooms.
    pub(crate) fn in_memory(limits: Limits, workers: Arc<Workers>) -> Arc<Self> {
        let location = Location::new("memory:", &cache::Access::default()).unwrap();
        Self::open(location, String::new(), limits, workers, Prime::draw(getrandom::u64).unwrap()).unwrap()
    }
}

/// A question of a request, and the places of its wants among those of all.
struct Asked {
    question: Question,
    wants: Range<usize>,
}
