//! The ladder: how every F(m), m ≤ n, is kept once F(n) was answered.
//!
//! The cache raises the mark; here are the rungs that the mark vouches for.

use std::sync::Arc;

use super::entry::{Key, Value};
use crate::{
    cache::{Fact, Growth, Memory},
    math::{decimal::LIMB_BYTES, residue::Prime, rung::Rung},
    telemetry,
    workers::{MakeWay, Workers},
};

/// Makes the rungs above one mark, up to the one of another index: those that memory has are taken from there, and the
/// others are evaluated, from the first that it lacks.
pub(super) fn growth(workers: Arc<Workers>, prime: Prime) -> Growth<Key, Value> {
    Box::new(move |mark, top, memory| {
        let workers = Arc::clone(&workers);
        let numbers = mark.map_or(0, |mark| mark / Rung::SPACING + 1)..top / Rung::SPACING + 1;
        Box::pin(async move {
            let limbs = numbers.clone().map(Rung::stored_bytes).sum::<usize>() / LIMB_BYTES;
            let make = move |_: &MakeWay| {
                let mut rungs: Vec<Arc<Rung>> = numbers.clone().map_while(|r| remembered(r, &memory)).collect();
                let first = rungs.last().map_or(numbers.start, |rung| rung.number() + 1);
                rungs.extend(Rung::ladder(first..numbers.end, &prime)?.into_iter().map(Arc::new));
                Some(rungs.into_iter().map(fact).collect())
            };
            let facts: Option<Vec<_>> = workers.run(limbs, make).await.ok()?;
            if facts.is_none() {
                telemetry::evaluation_wrong(&"the ladder");
            }
            facts
        })
    })
}

fn remembered(r: u32, memory: &Memory<Key, Value>) -> Option<Arc<Rung>> {
    match memory.get(&Key::Rung(r))? {
        Value::Rung(rung) => Some(rung),
        Value::Fib(_) | Value::Pi(_) => None,
    }
}

fn fact(rung: Arc<Rung>) -> Fact<Key, Value> {
    let key = Key::Rung(rung.number());
    Value::Rung(rung).fact(key)
}
