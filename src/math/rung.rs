//! Rungs: pairs of neighbouring Fibonacci numbers, 128 indices apart.
//!
//! Any number between two rungs follows from the lower one in linear time.

use std::{iter::successors, ops::Range};

use super::{
    decimal::Decimal,
    fib::pair,
    index::{Index, limb_count},
    limb::LIMB_BYTES,
    residue::Prime,
    start::{self, ahead},
};

/// The pair (F(128r), F(128r+1)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    number: u32,
    here: Decimal,
    next: Decimal,
}

impl Rung {
    /// Indices from one rung to the next.
    pub const SPACING: u32 = start::SPACING;

    /// The number of the rung that F(n) is read off.
    #[must_use]
    pub fn number_for(n: Index) -> u32 {
        n.get() / Self::SPACING
    }

    /// Rung r, evaluated by fast doubling. `None` when F(128r+1) is beyond the largest index.
    fn evaluate(r: u32) -> Option<Self> {
        let (_, next_index) = indices(r)?;
        let [next, here] = pair(next_index.get());
        Some(Self { number: r, here, next })
    }

    /// Rung r, evaluated and proven. `None` when F(128r+1) is beyond the largest index, or when a number failed its
    /// proof.
    #[must_use]
    pub fn proven(r: u32, prime: &Prime) -> Option<Self> {
        Self::evaluate(r).filter(|rung| rung.is_proven_by(prime))
    }

    /// The rungs of a range, the first evaluated and each later one from the one before, in linear time; proven by the
    /// last of them. `None` as for [`Self::proven`].
    #[must_use]
    pub fn ladder(numbers: Range<u32>, prime: &Prime) -> Option<Vec<Self>> {
        if numbers.is_empty() {
            return Some(Vec::new());
        }
        indices(numbers.end - 1)?;
        let first = Self::evaluate(numbers.start);
        let rungs: Vec<Self> = successors(first, |rung| Some(rung.advance())).take(numbers.len()).collect();
        rungs.last()?.is_proven_by(prime).then_some(rungs)
    }

    /// The rung after this one, in linear time. The step can be undone, so that a wrong rung makes every later one
    /// wrong: the proof of the last proves all that led to it.
    fn advance(&self) -> Self {
        Self { number: self.number + 1, here: self.ahead(Self::SPACING), next: self.ahead(Self::SPACING + 1) }
    }

    /// F(n), read off in linear time. `None` unless this is the rung of n.
    #[must_use]
    pub fn read(&self, n: Index) -> Option<Decimal> {
        (Self::number_for(n) == self.number).then(|| self.ahead(n.get() % Self::SPACING))
    }

    /// F(128r+j), for j ≤ 129.
    fn ahead(&self, j: u32) -> Decimal {
        Decimal::from_limbs(ahead([self.here.limbs(), self.next.limbs()], j))
    }

    /// [`Self::read`], and proven. `None` unless this is the rung of n, and when the value failed its proof.
    #[must_use]
    pub fn read_proven(&self, n: Index, prime: &Prime) -> Option<Decimal> {
        self.read(n).filter(|value| prime.proves(n, value))
    }

    /// r.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The stored form: the limbs of F(128r), then those of F(128r+1).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.here.write_bytes(&mut bytes);
        self.next.write_bytes(&mut bytes);
        bytes
    }

    /// Reads the stored form of rung r: total and canonical, as [`Decimal::from_bytes`].
    #[must_use]
    pub fn from_bytes(r: u32, bytes: &[u8]) -> Option<Self> {
        let (here_index, next_index) = indices(r)?;
        let (here, next) = bytes.split_at_checked(limb_count(here_index) * LIMB_BYTES)?;
        Some(Self {
            number: r,
            here: Decimal::from_bytes(here, limb_count(here_index))?,
            next: Decimal::from_bytes(next, limb_count(next_index))?,
        })
    }

    /// Whether both numbers are what they should be.
    #[must_use]
    pub fn is_proven_by(&self, prime: &Prime) -> bool {
        indices(self.number)
            .is_some_and(|(here, next)| prime.proves(here, &self.here) && prime.proves(next, &self.next))
    }

    /// Bytes of the stored form of rung r, 0 for a rung beyond the largest index.
    #[must_use]
    pub fn stored_bytes(r: u32) -> usize {
        indices(r).map_or(0, |(here, next)| (limb_count(here) + limb_count(next)) * LIMB_BYTES)
    }
}

/// (128r, 128r+1).
fn indices(r: u32) -> Option<(Index, Index)> {
    let here = r.checked_mul(Rung::SPACING)?;
    Some((Index::new(here)?, Index::new(here + 1)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fib::fibonacci;
    use proptest::prelude::*;

    fn index(n: u32) -> Index {
        Index::new(n).unwrap()
    }

    #[test]
    fn every_value_is_read_off_its_rung() {
        let mut rung = Rung::evaluate(0).unwrap();
        for r in 0..25 {
            assert_eq!(Rung::evaluate(r), Some(rung.clone()), "rung {r}");
            for n in r * Rung::SPACING..(r + 1) * Rung::SPACING {
                assert_eq!(rung.read(index(n)), Some(fibonacci(index(n))), "F({n})");
            }
            assert_eq!(rung.read(index((r + 1) * Rung::SPACING)), None, "of the rung above {r}");
            rung = rung.advance();
        }
    }

    #[test]
    fn the_stored_form_is_read_back_and_nothing_else_is() {
        for r in [0, 1, 2, 7, 781] {
            let rung = Rung::evaluate(r).unwrap();
            let bytes = rung.to_bytes();
            assert_eq!(bytes.len(), Rung::stored_bytes(r), "rung {r}");
            assert_eq!(Rung::from_bytes(r, &bytes), Some(rung), "rung {r}");
            assert_eq!(Rung::from_bytes(r, &bytes[1..]), None, "cut at the start");
            assert_eq!(Rung::from_bytes(r, &bytes[..bytes.len() - 1]), None, "cut at the end");
            assert_eq!(Rung::from_bytes(r + 2, &bytes), None, "of another rung");
        }
        assert_eq!(Rung::from_bytes(u32::MAX, &[]), None, "beyond all indices");
    }

    fn prime() -> Prime {
        let mut seed = 0;
        let Ok(prime) = Prime::draw(|| {
            seed += 8;
            Ok::<_, std::convert::Infallible>(seed)
        });
        prime
    }

    #[test]
    fn what_is_proven_is_what_is_evaluated() {
        let prime = prime();
        for r in [0, 1, 2, 781] {
            let rung = Rung::proven(r, &prime).unwrap();
            assert_eq!(Some(rung.clone()), Rung::evaluate(r));
            let n = index(r * Rung::SPACING + 5);
            assert_eq!(rung.read_proven(n, &prime), rung.read(n));
            let wrong = Rung { next: Decimal::default(), ..rung };
            assert_eq!(wrong.read_proven(n, &prime), None, "off a wrong rung {r}");
        }
        let ladder = Rung::ladder(5..8, &prime).unwrap();
        assert_eq!(ladder, [5, 6, 7].map(|r| Rung::evaluate(r).unwrap()));
        assert_eq!(Rung::ladder(5..5, &prime), Some(Vec::new()));
        let last = Rung::number_for(Index::MAX);
        assert_eq!(Rung::ladder(last + 1..last + 3, &prime), None, "beyond the largest index");
    }

    #[test]
    fn a_wrong_half_is_not_proven() {
        let prime = prime();
        let rung = Rung::evaluate(3).unwrap();
        let above = Rung::evaluate(4).unwrap();
        assert!(rung.is_proven_by(&prime));
        assert!(!Rung { here: above.here, ..rung.clone() }.is_proven_by(&prime));
        assert!(!Rung { next: above.next, ..rung }.is_proven_by(&prime));
    }

    proptest! {
        #[test]
        fn the_ladder_agrees_with_doubling(n in 0_u32..=100_000) {
            let rung = Rung::evaluate(Rung::number_for(index(n))).unwrap();
            prop_assert_eq!(rung.read(index(n)), Some(fibonacci(index(n))));
            prop_assert_eq!(rung.advance(), Rung::evaluate(rung.number() + 1).unwrap());
        }
    }
}
