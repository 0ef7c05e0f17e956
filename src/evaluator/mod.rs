//! Answers fib and pi from math, cache and workers: the one place where they meet.
//!
//! A request asks all its questions at once. One lookup tells which are cached; the others are evaluated, kept, and
//! then answered. Up to [`LADDER_TOP`] Fibonacci numbers are not kept one by one but as a *ladder*, one rung each 128
//! indices, with a mark at the highest index vouched for: once F(n) was answered, every F(m), m ≤ n, can be read off.

mod entry;
mod question;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use self::entry::{Key, LADDER_MARK, LADDER_TOP, Value};
pub use self::question::{Answer, Answers, Failure, OutOfRange, Question};
pub use crate::math::decimal::Decimal;
use crate::{
    cache::{self, Cache, Entry, Fact, Flights, Lead, Location, Settings, Sight, Verdict, WRITE_BUDGET},
    math::{
        decimal::{LIMB_BYTES, LIMB_DIGITS},
        fib::{self, Index},
        pi::{self, Terms},
        residue::Prime,
        rung::Rung,
    },
    telemetry,
    workers::{MakeWay, Overloaded, Panicked, Workers},
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
    /// What the ladder has to reach for answers that could not wait for their turn; 0 when there are none.
    overdue: AtomicU32,
    tasks: TaskTracker,
}

/// What a lookup saw, for the flight that follows from it.
struct Seen {
    sight: Sight,
    growths: u64,
    /// Questions whose entry was there, though the mark had not reached it.
    present: HashSet<Question>,
}

/// An evaluated value and what is to be kept of it.
struct Evaluated {
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
                match provers.run(bytes.len() / LIMB_BYTES, move |_| key.prove(&bytes, &prime)).await {
                    Ok(Some(value)) => Verdict::Proven(value),
                    Ok(None) => Verdict::Refuted,
                    Err(Panicked) => Verdict::Open,
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
            overdue: AtomicU32::default(),
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
        let growths = self.growths();
        let (asked, wants): (Vec<_>, Vec<_>) =
            questions.into_iter().filter_map(|question| Some((question, Key::want(question)?))).unzip();
        let found = self.cache.find(&wants).await;

        let (mut hits, mut misses, mut present) = (Vec::new(), Vec::new(), HashSet::new());
        for (question, entry) in asked.into_iter().zip(found.entries) {
            match entry {
                Entry::Vouched(value) => hits.push((question, value)),
                Entry::Present(_) => {
                    present.insert(question);
                    misses.push(question);
                }
                Entry::Absent => misses.push(question),
            }
        }
        let (tickets, lead) = self.flights.board(misses, |&question| self.remembered(question).map(Ok));
        // A value may have outlived the mark that rose with it: then its answer raises the mark again.
        let top = hits.iter().filter_map(|(question, _)| question.ladder_index()).max();
        let seen = Seen { sight: found.sight, growths, present };
        // A task of its own: when the client goes away, what was begun is finished and kept.
        let flight = (!lead.is_empty() || seen.sight.mark < top)
            .then(|| self.tasks.spawn(Arc::clone(self).fly(lead, top, seen)));

        let mut answers = Answers { found: self.read(hits).await };
        for (question, ticket) in tickets {
            let value = ticket.arrival().await.unwrap_or(Err(Failure::Internal));
            answers.found.insert(question, Answer { value, cached: false });
        }
        if let Some(flight) = flight {
            // If it panicked, the tickets told.
            let _ = flight.await;
        }
        answers
    }

    /// Prints a value, or at most so many digits of it, where long work may be done.
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

    /// Evaluates what a request leads, keeps all of it at once, and only then lands it: who hears an answer may rely
    /// on its being cached. Who joins waits for all of it, so that a request has one round trip to write.
    ///
    /// `top` is an index that the ladder has to reach in any case.
    async fn fly(self: Arc<Self>, mut lead: Lead<Question, Outcome>, mut top: Option<u32>, seen: Seen) {
        let (mut facts, mut landing) = (HashMap::new(), Vec::new());
        for (question, outcome) in self.evaluate(lead.keys().copied().collect()).await {
            let landed = outcome.map(|Evaluated { value, fact }| {
                top = top.max(question.ladder_index());
                if !seen.present.contains(&question) {
                    facts.insert(fact.key, fact);
                }
                value
            });
            landing.push((question, landed));
        }
        self.keep(facts.into_values().collect(), top, &seen).await;
        for (question, outcome) in landing {
            lead.land(&question, outcome);
        }
    }

    /// Evaluates and proves. When too much is waiting, long values are refused before short ones.
    async fn evaluate(&self, questions: Vec<Question>) -> Vec<(Question, Result<Evaluated, Failure>)> {
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
        let jobs = groups.into_iter().map(|group| self.evaluate_group(group, is_alone));
        join_all(jobs).await.into_iter().flatten().chain(refused).collect()
    }

    /// Evaluates a group as one job; when there are others it is not done in place, however short.
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

    /// Keeps facts, and sees to it that the ladder reaches `top`. It waits for the store, and for others who write to
    /// it, no longer than one budget for writing; what takes longer goes on behind the answer.
    async fn keep(self: &Arc<Self>, facts: Vec<Fact<Key, Value>>, top: Option<u32>, seen: &Seen) {
        let Some(top) = top.filter(|&top| seen.sight.mark < Some(top)) else {
            return self.cache.keep(&facts, None, seen.sight, Duration::ZERO).await;
        };
        let start = Instant::now();
        // Without the store a turn is short, and memory alone has to hold the whole ladder.
        let patience = if seen.sight.store_answered { WRITE_BUDGET } else { Duration::MAX };
        if let Ok(_turn) = timeout(patience, self.growth.lock()).await {
            return self.grow(facts, top, seen, start).await;
        }
        self.cache.remember_late(&facts, top);
        if self.overdue.fetch_max(top, Ordering::AcqRel) == 0 {
            self.tasks.spawn(Arc::clone(self).grow_late());
        }
        let values = facts.into_iter().filter(|fact| !matches!(fact.value, Value::Rung(_))).collect::<Vec<_>>();
        self.cache.keep(&values, None, seen.sight, start.elapsed()).await;
    }

    /// Makes the ladder reach what answers could not wait for: one task for all of them.
    async fn grow_late(self: Arc<Self>) {
        let _turn = self.growth.lock().await;
        let top = self.overdue.swap(0, Ordering::AcqRel);
        let seen = Seen { sight: self.cache.sight().await, growths: self.growths(), present: HashSet::new() };
        self.grow(Vec::new(), top, &seen, Instant::now()).await;
    }

    /// Makes the ladder reach `top`, in one's turn, and keeps facts with it.
    async fn grow(&self, mut facts: Vec<Fact<Key, Value>>, top: u32, seen: &Seen, start: Instant) {
        let sight = match (seen.sight.store_answered, self.growths() == seen.growths) {
            (_, true) => seen.sight,
            (true, false) => self.cache.sight().await,
            (false, false) => self.cache.own_sight(),
        };
        // The store is what may be late; the rungs take what they take.
        let waited = start.elapsed();
        let rungs = self.missing_rungs(sight.mark, top).await;
        let mark = rungs.is_some().then_some(top).filter(|&top| sight.mark < Some(top));
        let rungs = rungs.unwrap_or_default();
        facts.retain(|fact| rungs.iter().all(|rung| rung.key != fact.key));
        facts.extend(rungs);
        self.cache.keep(&facts, mark, sight, waited).await;
        self.growths.fetch_add(1, Ordering::Release);
    }

    fn growths(&self) -> u64 {
        self.growths.load(Ordering::Acquire)
    }

    /// The rungs above the mark that the store gave, up to the one of `top`: never what this process remembers, since
    /// the store may have forgotten. `None` when they can't be evaluated, and then the log tells why.
    async fn missing_rungs(&self, mark: Option<u32>, top: u32) -> Option<Vec<Fact<Key, Value>>> {
        let first = mark.map_or(0, |mark| mark / Rung::SPACING + 1);
        let numbers = first..top / Rung::SPACING + 1;
        let limbs = numbers.clone().map(Rung::stored_bytes).sum::<usize>() / LIMB_BYTES;
        let prime = self.prime;
        let fact = |rung: Rung| (Key::Rung(rung.number()), Value::Rung(Arc::new(rung)));
        let facts = move |rungs: Vec<Rung>| rungs.into_iter().map(fact).map(|(key, value)| value.fact(key)).collect();
        let run = move |_: &MakeWay| Rung::ladder(numbers, &prime).map(facts);
        let rungs = self.workers.run(limbs, run).await.ok()?;
        if rungs.is_none() {
            telemetry::evaluation_wrong(&"the ladder");
        }
        rungs
    }
}

/// Up to so many limbs (n ≈ 86,000) a value is short: it is evaluated in a few hundred microseconds at most.
const SHORT_LIMBS: usize = 1_000;

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

/// F(n) by its rung, which is what is kept.
fn by_rung(n: Index, prime: &Prime) -> Option<(Value, Fact<Key, Value>)> {
    let rung = Rung::proven(Rung::number_for(n), prime)?;
    let value = rung.read_proven(n, prime)?;
    let key = Key::Rung(rung.number());
    Some((Value::Fib(Arc::new(value)), Value::Rung(Arc::new(rung)).fact(key)))
}
