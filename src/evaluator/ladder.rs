//! The ladder: how every F(m), m ≤ n, is kept once F(n) was answered.
//!
//! The cache raises the mark; here are the rungs that the mark vouches for.

use std::sync::Arc;

use super::entry::{Key, Value};
use crate::{
    cache::{self, Growth, Memory},
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
                Some(rungs.into_iter().map(entry).collect())
            };
            let rungs: Option<Vec<_>> = workers.run(limbs, make).await.ok()?;
            if rungs.is_none() {
                telemetry::evaluation_wrong(&"the ladder");
            }
            rungs
        })
    })
}

fn remembered(r: u32, memory: &Memory<Key, Value>) -> Option<Arc<Rung>> {
    match memory.get(&Key::Rung(r))? {
        Value::Rung(rung) => Some(rung),
        Value::Fib(_) | Value::Pi(_) => None,
    }
}

/// A rung as the cache keeps it: with those before it, it bears all indices up to the next.
fn entry(rung: Arc<Rung>) -> cache::Rung<Key, Value> {
    let number = rung.number();
    cache::Rung { fact: Value::Rung(rung).fact(Key::Rung(number)), bears: (number + 1) * Rung::SPACING - 1 }
}
