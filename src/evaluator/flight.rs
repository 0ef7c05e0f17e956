//! A flight evaluates the entries that a lookup did not find, and keeps them. Other requests for them join it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use super::{
    Evaluator,
    evaluation::Evaluated,
    failure::Failure,
    functions::{Entry, Key},
    single_flight::Lead,
};
use crate::{
    cache::{self, Found, Height, Lookup, Want},
    telemetry::{self, Step, within},
};

/// The entries that are missing, by the key with which they are evaluated.
type Missing = BTreeMap<Key, BTreeSet<Key>>;

/// The height that a ladder has to reach before a question is answered, and the flights that the answer waits for.
type Top = (Height, BTreeSet<Key>);

impl Evaluator {
    /// Completes what a lookup has found of these wants: evaluates the other entries, or waits for those who do. `tops` are
    /// the heights that ladders have to reach, each with the places of the wants that it depends on.
    ///
    /// Gives the entries, and the time that keeping them took.
    pub(super) async fn complete(
        self: &Arc<Self>,
        wants: &[Want<Key>],
        Found { entries, lookup }: Found<Entry>,
        tops: impl Iterator<Item = (Height, Range<usize>)> + Clone,
    ) -> (Vec<Result<Entry, Failure>>, Duration) {
        let keys = || wants.iter().map(|want| want.key);
        let entries: Vec<Option<Entry>> = keys().zip(entries).map(|(key, entry)| usable(key, entry)).collect();
        let missing = self.missing(keys().zip(&entries).filter(|(_, entry)| entry.is_none()).map(|(key, _)| key));
        if missing.is_empty() && tops.clone().all(|(top, _)| lookup.has_reached(top)) {
            return (entries.into_iter().map(|entry| entry.ok_or(Failure::Internal)).collect(), Duration::ZERO);
        }
        let flights: HashMap<Key, Key> =
            missing.iter().flat_map(|(flight, keys)| keys.iter().map(|key| (*key, *flight))).collect();
        let kept_since = |flight: &Key| self.kept_since(&missing[flight], &lookup);
        let (waiters, lead) = self.flights.join_or_lead(missing.keys().copied(), kept_since);
        telemetry::joined(waiters.iter().filter(|(_, waiter)| !waiter.is_complete()).count() - lead.keys().count());

        let own_flights: BTreeSet<Key> = lead.keys().copied().collect();
        let waited_for = |places: Range<usize>| -> BTreeSet<Key> {
            wants[places].iter().filter_map(|want| flights.get(&want.key).copied()).collect()
        };
        let (own, mut others): (Vec<Top>, Vec<Top>) = tops
            .map(|(top, places)| (top, waited_for(places)))
            .partition(|(_, flights)| !own_flights.is_empty() && flights.is_subset(&own_flights));
        // Tasks of their own: when the client goes away, what was begun is finished and kept.
        let flight = (!lead.is_empty()).then(|| {
            let fly = Arc::clone(self).evaluate_and_keep(lead, missing.clone(), own, lookup.clone());
            self.tasks.spawn(within(Step::Fly, fly))
        });
        let outcomes = waiters.into_iter().map(async |(flight, waiter)| (flight, waiter.value().await));
        let outcomes: HashMap<Key, Evaluated> = join_all(outcomes)
            .await
            .into_iter()
            .map(|(flight, outcome)| (flight, outcome.unwrap_or(Err(Failure::Internal))))
            .collect();
        let mut kept = match flight {
            // If it panicked, the waiters report it.
            Some(flight) => flight.await.unwrap_or_default(),
            None => Duration::ZERO,
        };
        // An entry may have outlived the mark that rose with it, or have come with a flight that raises the mark less.
        let is_answered = |flights: &BTreeSet<Key>| flights.iter().all(|flight| outcomes[flight].is_ok());
        others.retain(|(top, flights)| !lookup.has_reached(*top) && is_answered(flights));
        if !others.is_empty() {
            let keeping = Arc::clone(self).keep(Vec::new(), others, lookup);
            kept += self.tasks.spawn(within(Step::Fly, keeping)).await.unwrap_or_default();
        }
        let evaluated = |key: Key| match &outcomes[&flights[&key]] {
            Ok(entries) => {
                let own = entries.iter().find(|(made, _)| *made == key);
                own.map(|(_, entry)| entry.clone()).ok_or(Failure::Internal)
            }
            Err(failure) => Err(*failure),
        };
        let entries = keys().zip(entries).map(|(key, entry)| entry.map_or_else(|| evaluated(key), Ok));
        (entries.collect(), kept)
    }

    /// Some keys by the one with which each is evaluated: an evaluation that makes others too is the only one of them.
    fn missing(&self, keys: impl Iterator<Item = Key>) -> Missing {
        let mut missing = Missing::new();
        for key in keys.collect::<BTreeSet<_>>().into_iter().rev() {
            match missing.first_entry() {
                Some(mut least) if least.key().makes(key) => _ = least.get_mut().insert(key),
                _ => _ = missing.entry(key.ahead(&self.limits)).or_default().insert(key),
            }
        }
        missing
    }

    /// The entries of these keys, if this process has evaluated and kept all of them since a lookup. One that is remembered
    /// from before does not count: the lookup did not find it in the store, which has to be given it again.
    fn kept_since(&self, keys: &BTreeSet<Key>, lookup: &Lookup) -> Option<Evaluated> {
        let kept = |key: &Key| Some((*key, self.cache.kept_since(key, lookup)?));
        Some(Ok(Arc::new(keys.iter().map(kept).collect::<Option<_>>()?)))
    }

    /// Evaluates the entries that a request leads, keeps all of them at once, and only then completes them: a client may
    /// rely on an answer being cached. A request that joins waits for all, so that one round trip writes them.
    /// Returns the time that keeping them took.
    async fn evaluate_and_keep(
        self: Arc<Self>,
        mut lead: Lead<Key, Evaluated>,
        missing: Missing,
        mut tops: Vec<Top>,
        lookup: Lookup,
    ) -> Duration {
        let evaluation = pin!(self.evaluate(lead.keys().copied().collect()));
        let evaluated = within(Step::Evaluate, evaluation).await;
        // Of what comes with the missing entries, the store has all that is below its marks.
        let is_missing = |key: &Key| missing.values().any(|keys| keys.contains(key));
        let is_new = |key: &Key| key.height().is_some_and(|height| !lookup.has_reached(height)) || is_missing(key);
        let made = evaluated.iter().filter_map(|(_, outcome)| outcome.as_ref().ok()).flat_map(|entries| &**entries);
        tops.retain(|(_, flights)| !evaluated.iter().any(|(key, outcome)| outcome.is_err() && flights.contains(key)));
        let new: HashMap<Key, Entry> = made.filter(|(key, _)| is_new(key)).cloned().collect();
        let kept = Arc::clone(&self).keep(new.into_iter().collect(), tops, lookup).await;
        for (key, outcome) in evaluated {
            lead.complete(&key, outcome);
        }
        kept
    }

    /// Keeps new entries and raises the marks. Returns the time that it took.
    async fn keep(self: Arc<Self>, entries: Vec<(Key, Entry)>, tops: Vec<Top>, lookup: Lookup) -> Duration {
        let mut highest = BTreeMap::new();
        for (Height { ladder, mark }, _) in tops {
            let highest = highest.entry(ladder).or_insert(mark);
            *highest = mark.max(*highest);
        }
        let tops = highest.into_iter().map(|(ladder, mark)| Height { ladder, mark }).collect();
        let began = Instant::now();
        within(Step::Keep, pin!(self.cache.keep(entries, tops, &lookup))).await;
        began.elapsed()
    }
}

/// The entry, if it answers.
fn usable(key: Key, found: cache::Entry<Entry>) -> Option<Entry> {
    match found {
        cache::Entry::Vouched(entry) => Some(entry),
        cache::Entry::Present(entry) => Some(entry).filter(|_| key.answers_above_mark()),
        cache::Entry::Absent => None,
    }
}
