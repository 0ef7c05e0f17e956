//! Sums of numbers in base 10^18, and of their products with one or two limbs.

use super::{carries::multiples, limb::BASE};

/// ⌊2^123/B⌋, below 2^64.
const RECIPROCAL: u64 = low_word((1 << 123) / BASE as u128);

/// ⌊2^64/B⌋ and the remainder.
const WORD_QUOTIENT: u64 = low_word((1 << 64) / BASE as u128);
const WORD_REMAINDER: u64 = low_word((1 << 64) % BASE as u128);

/// a·x + b·y for x, y of at most two limbs, in linear time: reads values off pairs. There may be zeros at the top.
///
/// A column is divided before what the ones below it carry is known. That is added afterwards, which takes a comparison.
pub(super) fn combination(a: &[u64], x: [u64; 2], b: &[u64], y: [u64; 2]) -> Vec<u64> {
    let limb = |limbs: &[u64], at: usize| limbs.get(at).copied().unwrap_or(0);
    let (mut a_below, mut b_below) = (0, 0);
    // What the columns below add to this one and to the next.
    let mut carried = [0; 2];
    let mut carry = 0;
    let limbs = (0..a.len().max(b.len()) + 3).map(|at| {
        let (a_here, b_here) = (limb(a, at), limb(b, at));
        // Below 4·10^36, and so the quotient below 4·10^18.
        let column = wide(a_here, x[0]) + wide(a_below, x[1]) + wide(b_here, y[0]) + wide(b_below, y[1]);
        (a_below, b_below) = (a_here, b_here);
        let (quotient, rest) = column_by_base(column);
        let quotient = low_word(quotient);
        let sum = rest + carried[0] + carry;
        carried = [carried[1] + quotient % BASE, quotient / BASE];
        carry = multiples::<BASE>(sum);
        sum - carry * BASE
    });
    limbs.collect()
}

/// `to += limbs`, for numbers without zeros at the top.
pub(super) fn add_to(to: &mut Vec<u64>, limbs: &[u64]) {
    to.resize(to.len().max(limbs.len()) + 1, 0);
    add_in_place(to, limbs);
    if to.last() == Some(&0) {
        to.pop();
    }
}

/// `to += limbs`, which are no more. Returns whether the sum had a limb too many, which is lost: a 1.
pub(super) fn add_in_place(to: &mut [u64], limbs: &[u64]) -> bool {
    let (low, high) = to.split_at_mut(limbs.len());
    let mut carry = 0;
    let mut add = |to: &mut u64, limb| {
        let sum = *to + limb + carry;
        carry = u64::from(sum >= BASE);
        *to = sum - carry * BASE;
    };
    for (to, &limb) in low.iter_mut().zip(limbs) {
        add(to, limb);
    }
    for to in high {
        add(to, 0);
    }
    carry == 1
}

/// x divided by B = 10^18, and the remainder, for x < 2^123.
///
/// The quotient is estimated as ⌊⌊x/2^59⌋·⌊2^123/B⌋/2^64⌋. The inner floors take from x/B less than 2^59/B < 0.58 and
/// less than ⌊x/2^59⌋/2^64 < 1, the outer one less than 1: the estimate is at most 2 too small and never too large. So
/// the remainder by it is below 3B < 2^62, and its low 64 bits are all of it.
#[inline]
pub(super) const fn quotient_by_base(x: u128) -> (u64, u64) {
    debug_assert!(x >> 123 == 0);
    let quotient = low_word((low_word(x >> 59) as u128 * RECIPROCAL as u128) >> 64);
    let remainder = low_word(x).wrapping_sub(quotient.wrapping_mul(BASE));
    let excess = (remainder >= BASE) as u64 + (remainder >= 2 * BASE) as u64;
    (quotient + excess, remainder - excess * BASE)
}

/// x divided by B = 10^18, and the remainder, for any x: with x = h·2^64 + l and 2^64 = 18·B + r it is
/// 18·h + (h·r + l)/B, where h·r + l < 2^64·(r + 1) < 2^123.
#[inline]
pub(super) fn column_by_base(x: u128) -> (u128, u64) {
    let (high, low) = (low_word(x >> 64), low_word(x));
    let (quotient, remainder) = quotient_by_base(wide(high, WORD_REMAINDER) + u128::from(low));
    (wide(high, WORD_QUOTIENT) + u128::from(quotient), remainder)
}

/// The product of two words.
#[inline]
pub(super) const fn wide(a: u64, b: u64) -> u128 {
    a as u128 * b as u128
}

/// The lower 64 bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "cutting off is the purpose")]
const fn low_word(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;
    use num_bigint::BigUint;
    use proptest::{collection::vec, prelude::*};

    fn big(limbs: &[u64]) -> BigUint {
        limbs.iter().rev().fold(BigUint::ZERO, |sum, &limb| sum * BASE + limb)
    }

    fn limbs(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<u64>> {
        // Zeros and nines make the longest runs of carries.
        vec(prop_oneof![Just(0), Just(BASE - 1), 0..BASE], length)
    }

    fn exact(limbs: Vec<u64>) -> String {
        Decimal::from_limbs(limbs).to_string()
    }

    #[test]
    fn quotients_are_exact_next_to_multiples_of_the_base() {
        for quotient in [0, 1, 2, BASE - 1, BASE, BASE + 1, (1 << 63) - 1] {
            for remainder in [0, 1, BASE - 1] {
                let x = wide(quotient, BASE) + u128::from(remainder);
                assert_eq!(quotient_by_base(x), (quotient, remainder));
                assert_eq!(column_by_base(x), (u128::from(quotient), remainder));
            }
        }
        let base = u128::from(BASE);
        assert_eq!(column_by_base(u128::MAX), (u128::MAX / base, low_word(u128::MAX % base)));
    }

    proptest! {
        #[test]
        fn sums_agree_with_another_library(a in limbs(0..40), b in limbs(0..40)) {
            let mut sum = a.clone();
            add_to(&mut sum, &b);
            prop_assert_eq!(exact(sum), (big(&a) + big(&b)).to_string());
        }

        #[test]
        fn combinations_agree_with_another_library(
            a in limbs(0..40), x in [0..BASE, 0..BASE], b in limbs(0..40), y in [0..BASE, 0..BASE],
        ) {
            let expected = big(&a) * big(&x) + big(&b) * big(&y);
            prop_assert_eq!(exact(combination(&a, x, &b, y)), expected.to_string());
        }
    }
}
