//! Approximations of π.

use std::{
    fmt::{self, Display},
    iter,
};

use super::{
    function::Function,
    limits::{Given, Limits, OutOfRange},
};
use crate::{
    cache::{Height, Retention, Want},
    math::{
        pi::{self, Terms},
        residue::Prime,
    },
};

impl Limits {
    /// The largest number of terms.
    pub const MAX_TERMS: u32 = Terms::MAX.get();

    /// A client's number of terms.
    ///
    /// # Errors
    /// When it is beyond [`Limits::MAX_TERMS`].
    pub fn terms(&self, terms: Given) -> Result<Terms, OutOfRange> {
        terms.within("terms", 0, Self::MAX_TERMS, Terms::new)
    }

    /// A client's row of up to `points` numbers of terms from 1 to `terms` at about equal ratios, each different.
    ///
    /// # Errors
    /// When there are no terms or too many, or no points or more than [`Limits::MAX_COUNT`].
    pub fn spaced(&self, terms: Given, points: Given) -> Result<impl Iterator<Item = Terms> + use<>, OutOfRange> {
        let largest = terms.within("terms", 1, Self::MAX_TERMS, Some)?;
        let points = points.within("points", 1, Self::MAX_COUNT, Some)?;
        Ok(spaced(largest, points).filter_map(Terms::new))
    }
}

/// Up to `points` numbers from 1 to `largest` at about equal ratios, each different; the last is `largest`.
fn spaced(largest: u32, points: u32) -> impl Iterator<Item = u32> {
    let steps = f64::from(points.saturating_sub(1).max(1));
    let number = move |point: u32| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 1 and largest")]
        let rounded = f64::from(largest).powf(f64::from(point) / steps).round() as u32;
        if point + 1 == points { largest } else { rounded.clamp(1, largest) }
    };
    let mut before = 0;
    (0..points).map(number).filter(move |&number| {
        let is_new = number > before;
        before = before.max(number);
        is_new
    })
}

/// The name of an entry: an approximation over these terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Terms);

impl Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "1:pi:{}", self.0.get())
    }
}

impl Function for Terms {
    type Key = Key;
    type Entry = f64;
    type Value = f64;

    const ANSWERS_ABOVE_MARK: bool = true;

    fn wants(self) -> impl Iterator<Item = Want<Key>> {
        iter::once(Want { key: Key(self), bytes: 0, ladder: None, mark: None })
    }

    fn top(self, _: &Limits) -> Option<Height> {
        None
    }

    fn read(self, mut entries: impl Iterator<Item = f64>, _: &Prime) -> Option<f64> {
        entries.next()
    }

    fn limbs(self) -> usize {
        0
    }

    /// None: it takes nanoseconds, and has 17 digits.
    fn digits(self, _: Option<Self>) -> usize {
        0
    }

    fn bytes(self) -> usize {
        size_of::<f64>()
    }

    fn name(self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "pi({})", self.get())
    }

    fn key(name: &str) -> Option<Key> {
        name.strip_prefix("1:pi:")?.parse().ok().and_then(Terms::new).map(Key)
    }

    fn height(_: Key) -> Option<Height> {
        None
    }

    fn retention(_: Key) -> Retention {
        Retention::Cheap
    }

    /// By evaluating it, which takes less time than reading it did.
    fn prove(Key(terms): Key, bytes: &[u8], _: &Prime) -> Option<f64> {
        let value = pi::approximation(terms);
        (bytes == Self::to_bytes(&value)).then_some(value)
    }

    fn work(_: Key) -> usize {
        1
    }

    fn evaluate(keys: &[Key], _: &Prime) -> Option<Vec<(Key, f64)>> {
        Some(keys.iter().map(|&key| (key, pi::approximation(key.0))).collect())
    }

    fn weight(_: &f64) -> usize {
        0
    }

    /// The shortest text that reads back as the same double.
    fn to_bytes(value: &f64) -> Vec<u8> {
        value.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_different_and_evenly_spaced() {
        let points = |largest, points| spaced(largest, points).collect::<Vec<_>>();
        assert_eq!(points(1, 50), [1]);
        assert_eq!(points(1_000, 1), [1_000], "one alone is the largest");
        assert_eq!(points(1_000, 2), [1, 1_000]);
        assert_eq!(points(1_000, 4), [1, 10, 100, 1_000]);
        assert_eq!(points(4, 1_000), [1, 2, 3, 4], "as many as there are");
        for (largest, count) in [(1_000, 50), (u32::MAX / 2, 1_000), (7, 3)] {
            let points = points(largest, count);
            assert!(points.is_sorted_by(|a, b| a < b) && points.len() <= count as usize, "{largest}, {count}");
            assert_eq!((points[0], points[points.len() - 1]), (1, largest));
        }
    }
}
