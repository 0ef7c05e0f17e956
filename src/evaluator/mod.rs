//! Answers fib and pi from math, cache and workers: the one place where they meet.
//!
//! A request asks all its questions at once. One lookup tells which are cached; the others are evaluated, kept, and
//! then answered. Up to [`LADDER_TOP`] Fibonacci numbers are not kept one by one but as a *ladder*, one rung each 128
//! indices, with a mark at the highest index vouched for: once F(n) was answered, every F(m), m ≤ n, can be read off.

mod entry;
mod question;

use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::future::join_all;
use tokio::{sync::Mutex, time::timeout};
use tokio_util::task::TaskTracker;

use self::entry::{Key, LADDER_MARK, LADDER_TOP, Value};
pub use self::question::{Answer, Answers, Failure, OutOfRange, Question};
use crate::{
    cache::{self, Cache, Entry, Fact, Flights, Lead, Location, Settings, Sight, Verdict},
    math::{
        decimal::{Decimal, LIMB_BYTES, LIMB_DIGITS},
        fib::{self, Index},
        pi::{self, Terms},
        residue::Prime,
        rung::Rung,
    },
    telemetry,
    workers::{Refusal, Workers},
};

type Outcome = Result<Value, Failure>;

/// The evaluator of a process.
pub struct Evaluator {
    cache: Cache<Key, Value>,
    flights: Arc<Flights<Question, Outcome>>,
    workers: Arc<Workers>,
    prime: Prime,
    max_n: Index,
    /// The ladder grows by one request at a time: a crowd that asks for new indices on an empty store writes it once.
    growth: Mutex<()>,
    /// How often it has grown, so that whoever waited for its turn knows that its sight of the mark is old.
    growths: AtomicU64,
    tasks: TaskTracker,
}

/// What a lookup saw, for the flight that follows from it.
struct Seen {
    sight: Sight,
    growths: u64,
    /// Questions whose entry was there, though the mark had not reached it.
    present: HashSet<Question>,
}

/// An evaluated question and what is to be kept of it.
struct Evaluated {
    question: Question,
    value: Value,
    fact: Fact<Key, Value>,
}

impl Evaluator {
    /// Opens the cache at `location`. `max_n` bounds the indices that are served, and `prime` proves what the store
    /// gives.
    #[must_use]
    pub fn open(location: Location, prefix: String, max_n: Index, workers: Workers, prime: Prime) -> Arc<Self> {
        let workers = Arc::new(workers);
        let provers = Arc::clone(&workers);
        let proof = move |key: Key, bytes: Vec<u8>| -> cache::Judging<Value> {
            let provers = Arc::clone(&provers);
            Box::pin(async move {
                match provers.run(bytes.len() / LIMB_BYTES, move || key.prove(&bytes, &prime)).await {
                    Ok(Some(value)) => Verdict::Proven(value),
                    Ok(None) => Verdict::Refuted,
                    Err(Refusal::Overloaded | Refusal::Panicked) => Verdict::Open,
                }
            })
        };
        let settings = Settings { location, prefix, mark: LADDER_MARK, proof: Box::new(proof) };
        Arc::new(Self {
            cache: Cache::open(settings, Value::weight),
            flights: Flights::new(),
            workers,
            prime,
            max_n,
            growth: Mutex::default(),
            growths: AtomicU64::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// A client's index.
    ///
    /// # Errors
    /// When it is negative or beyond what this server serves.
    pub fn index(&self, n: i64) -> Result<Index, OutOfRange> {
        let index = u32::try_from(n).ok().and_then(Index::new).filter(|&index| index <= self.max_n);
        index.ok_or_else(|| self.not_an_index(n.to_string()))
    }

    /// The error of an index that is none.
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

    /// The error of a number of terms that is none.
    #[must_use]
    pub fn not_terms(&self, given: String) -> OutOfRange {
        OutOfRange { argument: "terms", largest: Terms::MAX.get(), given }
    }

    /// Answers all questions of a request, as of one lookup.
    ///
    /// It waits for the store no longer than the budgets of the cache. What has to be evaluated is evaluated once,
    /// however many requests ask, and is kept even if the one who asked goes away.
    pub async fn answer(self: &Arc<Self>, questions: BTreeSet<Question>) -> Answers {
        let growths = self.growths.load(Ordering::Acquire);
        let (asked, wants): (Vec<_>, Vec<_>) =
            questions.into_iter().filter_map(|question| Some((question, Key::want(question)?))).unzip();
        let found = self.cache.find(&wants).await;

        let mut answers = Answers::default();
        let mut answer = |question, value, cached| answers.found.insert(question, Answer { value, cached });
        let (mut misses, mut present) = (Vec::new(), HashSet::new());
        for (question, entry) in asked.into_iter().zip(found.entries) {
            match entry {
                Entry::Vouched(value) => drop(answer(question, Ok(value.answer(question)), true)),
                Entry::Present(_) => {
                    present.insert(question);
                    misses.push(question);
                }
                Entry::Absent => misses.push(question),
            }
        }

        let (tickets, lead) = self.flights.board(misses, |&question| self.remembered(question).map(Ok));
        if !lead.is_empty() {
            let seen = Seen { sight: found.sight, growths, present };
            // A task of its own: when the client goes away, what was begun is finished and kept.
            self.tasks.spawn(Arc::clone(self).fly(lead, seen));
        }
        for (question, ticket) in tickets {
            let outcome = ticket.arrival().await.unwrap_or(Err(Failure::Internal));
            answer(question, outcome, false);
        }
        answers
    }

    /// Prints a value, or at most so many digits of it, where long work may be done.
    ///
    /// # Errors
    /// When there is too much of that already.
    pub async fn text(
        &self,
        value: &Arc<Decimal>,
        digits: usize,
        print: impl FnOnce(&Decimal) -> String + Send + 'static,
    ) -> Result<String, Failure> {
        let (value, limbs) = (Arc::clone(value), value.limbs().len().min(digits / LIMB_DIGITS));
        Ok(self.workers.run(limbs, move || print(&value)).await?)
    }

    /// Waits for everything that outlived its request.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.cache.drain().await;
    }

    /// The answer, if this process has it in memory and vouched for.
    fn remembered(&self, question: Question) -> Option<Value> {
        match self.cache.remembered(&Key::want(question)?) {
            Entry::Vouched(value) => Some(value.answer(question)),
            Entry::Present(_) | Entry::Absent => None,
        }
    }

    /// Evaluates what a request leads, keeps all of it at once, and only then lands it: who hears an answer may rely
    /// on its being cached.
    async fn fly(self: Arc<Self>, mut lead: Lead<Question, Outcome>, seen: Seen) {
        let questions: Vec<Question> = lead.keys().copied().collect();
        let outcomes = join_all(questions.iter().map(|&question| self.evaluate(question))).await;
        let (mut facts, mut landing, mut top) = (Vec::new(), Vec::new(), None);
        for (question, outcome) in questions.into_iter().zip(outcomes) {
            match outcome {
                Ok(Evaluated { question, value, fact }) => {
                    if let Question::Fib(n) = question {
                        top = top.max(Some(n.get().min(LADDER_TOP)));
                    }
                    if !seen.present.contains(&question) {
                        facts.push(fact);
                    }
                    landing.push((question, Ok(value)));
                }
                Err(failure) => landing.push((question, Err(failure))),
            }
        }
        let budget =
            cache::write_budget(facts.iter().map(Fact::stored_bytes).sum::<usize>() + ladder_bytes(&seen, top));
        let keeping = self.tasks.spawn(Arc::clone(&self).keep(facts, top, seen));
        // Beyond the budget it goes on behind the answer.
        let _ = timeout(budget, keeping).await;
        for (question, outcome) in landing {
            lead.land(&question, outcome);
        }
    }

    /// Evaluates and proves one value.
    async fn evaluate(&self, question: Question) -> Result<Evaluated, Failure> {
        let prime = self.prime;
        let evaluated = match question {
            Question::Fib(n) => {
                let evaluation =
                    move || if n.get() <= LADDER_TOP { by_rung(n, &prime) } else { by_doubling(n, &prime) };
                self.workers.run(fib::limb_count(n), evaluation).await?
            }
            Question::Pi(terms) => {
                let value = Value::Pi(pi::approximation(terms));
                Some((value.clone(), value.fact(Key::Pi(terms))))
            }
        };
        let Some((value, fact)) = evaluated else {
            telemetry::evaluation_wrong(&question);
            return Err(Failure::Internal);
        };
        Ok(Evaluated { question, value, fact })
    }

    /// Keeps facts, and sees to it that the ladder reaches `top`.
    async fn keep(self: Arc<Self>, mut facts: Vec<Fact<Key, Value>>, top: Option<u32>, seen: Seen) {
        let Some(top) = top.filter(|&top| seen.sight.mark < Some(top)) else {
            return self.cache.keep(facts, None, &seen.sight).await;
        };
        let _turn = self.growth.lock().await;
        let sight =
            if self.growths.load(Ordering::Acquire) == seen.growths { seen.sight } else { self.cache.sight().await };
        match self.missing_rungs(sight.mark, top).await {
            Ok(rungs) => {
                facts.retain(|fact| rungs.iter().all(|rung| rung.key != fact.key));
                facts.extend(rungs);
                self.cache.keep(facts, Some(top), &sight).await;
            }
            // Then the ladder grows with a later answer.
            Err(Failure::Overloaded | Failure::Internal) => self.cache.keep(facts, None, &sight).await,
        }
        self.growths.fetch_add(1, Ordering::Release);
    }

    /// The rungs above the mark that the store gave, up to the one of `top`: never what this process remembers, since
    /// the store may have forgotten.
    async fn missing_rungs(&self, mark: Option<u32>, top: u32) -> Result<Vec<Fact<Key, Value>>, Failure> {
        let numbers = missing(mark, top);
        let (prime, limbs) = (self.prime, numbers.clone().map(Rung::stored_bytes).sum::<usize>() / LIMB_BYTES);
        let run = move || {
            let first = numbers.clone().next().and_then(Rung::evaluate);
            let rungs: Vec<Rung> =
                std::iter::successors(first, |rung| Some(rung.advance())).take(numbers.len()).collect();
            // The last proves all that led to it.
            rungs.last().is_none_or(|last| last.is_proven_by(&prime)).then_some(rungs)
        };
        let Some(rungs) = self.workers.run(limbs, run).await? else {
            telemetry::evaluation_wrong(&"the ladder");
            return Err(Failure::Internal);
        };
        Ok(rungs.into_iter().map(|rung| Value::Rung(Arc::new(rung.clone())).fact(Key::Rung(rung.number()))).collect())
    }
}

/// F(n) by its rung, which is what is kept; `None` when it fails its proof.
fn by_rung(n: Index, prime: &Prime) -> Option<(Value, Fact<Key, Value>)> {
    let rung = Rung::evaluate(Rung::number_for(n))?;
    let value = rung.read(n)?;
    let proven = rung.is_proven_by(prime) && prime.proves(n, &value);
    let key = Key::Rung(rung.number());
    proven.then(|| (Value::Fib(Arc::new(value)), Value::Rung(Arc::new(rung)).fact(key)))
}

/// F(n) by itself; `None` when it fails its proof.
fn by_doubling(n: Index, prime: &Prime) -> Option<(Value, Fact<Key, Value>)> {
    let value = fib::fibonacci(n);
    let proven = prime.proves(n, &value);
    let value = Value::Fib(Arc::new(value));
    proven.then(|| (value.clone(), value.fact(Key::Fib(n))))
}

/// The numbers of the rungs that have to be written before a mark may be raised to `top`.
fn missing(mark: Option<u32>, top: u32) -> std::ops::Range<u32> {
    let first = mark.map_or(0, |mark| mark / Rung::SPACING + 1);
    first..top / Rung::SPACING + 1
}

/// How much of the ladder a growth to `top` writes.
fn ladder_bytes(seen: &Seen, top: Option<u32>) -> usize {
    top.map_or(0, |top| missing(seen.sight.mark, top).map(Rung::stored_bytes).sum())
}
