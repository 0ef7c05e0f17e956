//! The ladder: it keeps every F(m), m ≤ n, once F(n) was answered.
//!
//! The cache raises the mark; here are the rungs that the mark vouches for.

use std::{ops::Range, sync::Arc};

use super::entry::{Key, Value};
use crate::{
    cache::{Growth, Memory, Rungs},
    math::{decimal::LIMB_BYTES, residue::Prime, rung::Rung},
    telemetry,
    workers::{MakeWay, Workers},
};

/// Builds the rungs above `mark`, up to that of `top` or about `bytes` of them: first those that memory has, then,
/// from the first that it lacks, evaluated ones.
pub(super) fn growth(workers: Arc<Workers>, prime: Prime) -> Growth<Key, Value> {
    Box::new(move |mark, top, bytes, memory| {
        let workers = Arc::clone(&workers);
        let (numbers, mark) = step(mark, top, bytes);
        Box::pin(async move {
            let limbs = numbers.clone().map(Rung::stored_bytes).sum::<usize>() / LIMB_BYTES;
            let make = move |_: &MakeWay| {
                let mut rungs: Vec<Arc<Rung>> = numbers.clone().map_while(|r| remembered(r, &memory)).collect();
                let first = rungs.last().map_or(numbers.start, |rung| rung.number() + 1);
                rungs.extend(Rung::ladder(first..numbers.end, &prime)?.into_iter().map(Arc::new));
                let entry = |rung: Arc<Rung>| (Key::Rung(rung.number()), Value::Rung(rung));
                Some(Rungs { entries: rungs.into_iter().map(entry).collect(), mark })
            };
            let rungs = workers.run(limbs, make).await.ok()?;
            if rungs.is_none() {
                telemetry::evaluation_wrong(&"the ladder");
            }
            rungs
        })
    })
}

/// The numbers of the rungs above `mark`, up to that of `top` or as many as fit `bytes`, but at least one; and the
/// mark that they justify.
fn step(mark: Option<u32>, top: u32, bytes: usize) -> (Range<u32>, u32) {
    let first = mark.map_or(0, |mark| mark / Rung::SPACING + 1);
    let end = top / Rung::SPACING + 1;
    let mut taken = 0_usize;
    let fit = (first..end).take_while(|&r| {
        taken = taken.saturating_add(Rung::stored_bytes(r));
        r == first || taken <= bytes
    });
    let next = fit.last().map_or(end, |last| last + 1);
    (first..next, if next == end { top } else { next * Rung::SPACING - 1 })
}

fn remembered(r: u32, memory: &Memory<Key, Value>) -> Option<Arc<Rung>> {
    match memory.get(&Key::Rung(r))? {
        Value::Rung(rung) => Some(rung),
        Value::Fib(_) | Value::Pi(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lead_to_the_top_without_a_gap() {
        for (start, top, bytes) in [(None, 100_000, 64 * 1024), (Some(127), 128, 1), (Some(500), 5_000, 0)] {
            let mut mark = start;
            let mut next = start.map_or(0, |mark| mark / Rung::SPACING + 1);
            while mark < Some(top) {
                let (numbers, next_mark) = step(mark, top, bytes);
                assert_eq!(numbers.start, next, "after {mark:?}");
                assert_eq!(next_mark.min(top) / Rung::SPACING + 1, numbers.end, "they justify {next_mark}");
                let size: usize = numbers.clone().map(Rung::stored_bytes).sum();
                assert!(numbers.len() == 1 || size <= bytes, "{size} bytes");
                (mark, next) = (Some(next_mark), numbers.end);
            }
            assert_eq!(mark, Some(top));
        }
        assert_eq!(step(Some(300), 310, 0), (3..3, 310), "on a known rung the mark alone rises");
        assert_eq!(step(None, 100_000, usize::MAX), (0..782, 100_000));
    }
}
