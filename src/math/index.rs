//! An index says which Fibonacci number is meant, and so how long that is, before it is known.

use super::limb::{self, BASE, LIMB_DIGITS};

/// The index of a Fibonacci number: 0 to [`Index::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub(super) u32);

impl Index {
    /// The largest index: F(10^9) has 208,987,640 digits.
    pub const MAX: Self = Self(1_000_000_000);

    /// `None` beyond [`Index::MAX`].
    #[must_use]
    pub const fn new(n: u32) -> Option<Self> {
        if n <= Self::MAX.0 { Some(Self(n)) } else { None }
    }

    /// The index as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The largest index whose value fits two limbs: F(173) < 10^36 < F(174).
pub(super) const LAST_OF_TWO_LIMBS: u32 = 173;

/// F(0) to F(173), two limbs each.
pub(super) const TWO_LIMBS: [[u64; 2]; LAST_OF_TWO_LIMBS as usize + 1] = {
    let mut table = [[0; 2]; LAST_OF_TWO_LIMBS as usize + 1];
    table[1] = [1, 0];
    let mut n = 2;
    while n < table.len() {
        let low = table[n - 1][0] + table[n - 2][0];
        table[n] = [low % BASE, table[n - 1][1] + table[n - 2][1] + low / BASE];
        n += 1;
    }
    table
};

const _: () = {
    let ([_, last], [_, before]) = (TWO_LIMBS[173], TWO_LIMBS[172]);
    assert!(last < BASE && last + before >= BASE);
};

/// log10 φ and log10 √5, in units of 2^−96, rounded down.
const LOG10_PHI: u128 = 16_557_706_725_197_925_994_019_937_059;
const LOG10_SQRT_5: u128 = 27_689_054_548_065_073_289_135_761_812;

/// The digit count of F(n), in constant time: ⌊n·log10 φ − log10 √5⌋ + 1, since F(n) is φ^n/√5 but for a relative
/// error of φ^−2n.
///
/// The fraction is known to n·2^−96 < 2^−66, and φ^−2n < 2^−122 beyond one limb. Over all n ≤ 10^9 the fraction never
/// comes closer to a whole number than 2^−32 (test `no_length_is_in_doubt`), so the floor is never in doubt.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "no length is larger than a usize")]
pub fn digit_count(n: Index) -> usize {
    match TWO_LIMBS.get(n.0 as usize) {
        Some(&[low, 0]) => limb::digit_count(low),
        _ => usize::try_from(logarithm(n) >> 96).expect("at most 208,987,640") + 1,
    }
}

/// The limb count of F(n), in constant time; F(0) has none.
#[must_use]
pub fn limb_count(n: Index) -> usize {
    if n.0 == 0 { 0 } else { digit_count(n).div_ceil(LIMB_DIGITS) }
}

/// log10 F(n) in units of 2^−96, for n beyond one limb.
fn logarithm(Index(n): Index) -> u128 {
    u128::from(n) * LOG10_PHI - LOG10_SQRT_5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_bounded() {
        assert_eq!(Index::new(1_000_000_000), Some(Index::MAX));
        assert_eq!(Index::new(1_000_000_001), None);
        assert_eq!(digit_count(Index::MAX), 208_987_640);
    }

    #[test]
    fn no_length_is_in_doubt() {
        let fraction = (1_u128 << 96) - 1;
        let nearest = (LAST_OF_TWO_LIMBS + 1..=Index::MAX.0)
            .map(|n| logarithm(Index(n)) & fraction)
            .map(|part| part.min(fraction - part))
            .min()
            .unwrap();
        println!("nearest: 2^-{}", 96 - nearest.ilog2());
        assert!(nearest > 1 << (96 - 32));
    }
}
