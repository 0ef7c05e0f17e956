//! The ladder: how every F(m), m ≤ n, is kept once F(n) was answered.
//!
//! Rungs are written before the mark that vouches for them. Which are missing is told by the mark that the store gave
//! in the lookup, never by what this process remembers, since the store may have forgotten.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    Evaluator, Seen,
    entry::{Key, Value},
};
use crate::{
    cache::{Fact, WRITE_BUDGET},
    math::{decimal::LIMB_BYTES, rung::Rung},
    telemetry,
    workers::MakeWay,
};

/// How the ladder grows: by one request at a time, so that a crowd that asks for new indices on an empty store writes it
/// once.
#[derive(Default)]
pub(super) struct Ladder {
    growth: Mutex<()>,
    /// How often it has grown, so that whoever waited for its turn knows that its sight of the mark is old.
    growths: AtomicU64,
    /// What it has to reach for answers that could not wait for their turn; 0 when there are none.
    overdue: AtomicU32,
}

impl Ladder {
    /// How often it has grown.
    pub(super) fn growths(&self) -> u64 {
        self.growths.load(Ordering::Acquire)
    }
}

impl Evaluator {
    /// Keeps facts, and sees to it that the ladder reaches `top`. It waits for the store, and for others who write to
    /// it, no longer than one budget for writing; what takes longer goes on behind the answer.
    pub(super) async fn keep(self: &Arc<Self>, facts: Vec<Fact<Key, Value>>, top: Option<u32>, seen: &Seen) {
        let Some(top) = top.filter(|&top| seen.sight.mark < Some(top)) else {
            return self.cache.keep(&facts, None, seen.sight, Duration::ZERO).await;
        };
        let start = Instant::now();
        // Without the store a turn is short, and memory alone has to hold the whole ladder.
        let patience = if seen.sight.store_answered { WRITE_BUDGET } else { Duration::MAX };
        if let Ok(_turn) = timeout(patience, self.ladder.growth.lock()).await {
            return self.grow(facts, top, seen, start).await;
        }
        self.cache.remember_late(&facts, top);
        if self.ladder.overdue.fetch_max(top, Ordering::AcqRel) == 0 {
            self.tasks.spawn(Arc::clone(self).grow_late());
        }
        let values = facts.into_iter().filter(|fact| !matches!(fact.value, Value::Rung(_))).collect::<Vec<_>>();
        self.cache.keep(&values, None, seen.sight, start.elapsed()).await;
    }

    /// Makes the ladder reach what answers could not wait for: one task for all of them.
    async fn grow_late(self: Arc<Self>) {
        let _turn = self.ladder.growth.lock().await;
        let top = self.ladder.overdue.swap(0, Ordering::AcqRel);
        let seen = Seen { sight: self.cache.sight().await, growths: self.ladder.growths(), present: HashSet::new() };
        self.grow(Vec::new(), top, &seen, Instant::now()).await;
    }

    /// Makes the ladder reach `top`, in one's turn, and keeps facts with it.
    async fn grow(&self, mut facts: Vec<Fact<Key, Value>>, top: u32, seen: &Seen, start: Instant) {
        let sight = match (seen.sight.store_answered, self.ladder.growths() == seen.growths) {
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
        self.ladder.growths.fetch_add(1, Ordering::Release);
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
