//! Sums and products of numbers in base 10^18.
//!
//! Products are schoolbook below [`KARATSUBA_FROM`] limbs and Karatsuba's above (A. Karatsuba, Yu. Ofman,
//! "Multiplication of Many-Digital Numbers by Automatic Computers", 1962): O(m^1.585) for m limbs.

use super::decimal::BASE;

/// From this many limbs of the shorter factor on, three half-size products beat one schoolbook product (measured).
/// It also bounds a schoolbook column: 32 products below 10^36 and a carry stay far below 2^128 ≈ 340·10^36.
const KARATSUBA_FROM: usize = 32;

/// a + b, in as many limbs as the longer one and one more.
pub(super) fn sum(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut out = Vec::with_capacity(long.len() + 1);
    out.extend_from_slice(long);
    out.push(0);
    add_to(&mut out, short);
    out
}

/// a·x + b·y for x, y of at most two limbs, in linear time: how a rung yields its values.
pub(super) fn combination(a: &[u64], x: [u64; 2], b: &[u64], y: [u64; 2]) -> Vec<u64> {
    let limb = |limbs: &[u64], at: usize| limbs.get(at).copied().unwrap_or(0);
    let length = a.len().max(b.len());
    let (mut a_below, mut b_below, mut carry) = (0, 0, 0);
    let mut out = Vec::with_capacity(length + 3);
    for at in 0..length + 3 {
        let (a_here, b_here) = (limb(a, at), limb(b, at));
        // At most 4·10^36 and a carry below 5·10^18.
        let column = wide(a_here, x[0]) + wide(a_below, x[1]) + wide(b_here, y[0]) + wide(b_below, y[1]) + carry;
        out.push(low(column));
        carry = column / u128::from(BASE);
        (a_below, b_below) = (a_here, b_here);
    }
    debug_assert_eq!(carry, 0);
    out
}

/// a·b, in `a.len() + b.len()` limbs.
pub(super) fn product(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    if short.len() < KARATSUBA_FROM {
        return schoolbook(long, short);
    }
    if 2 * short.len() > long.len() + 1 {
        return karatsuba(long, short);
    }
    let mut out = vec![0; long.len() + short.len()];
    for (piece, limbs) in long.chunks(short.len()).enumerate() {
        add_to(&mut out[piece * short.len()..], &product(limbs, short));
    }
    out
}

/// Column by column. `short` has fewer than [`KARATSUBA_FROM`] limbs.
fn schoolbook(long: &[u64], short: &[u64]) -> Vec<u64> {
    let length = long.len() + short.len();
    let mut carry = 0;
    let mut out = Vec::with_capacity(length);
    for column in 0..length {
        let first = (column + 1).saturating_sub(long.len());
        let last = short.len().min(column + 1);
        let sum: u128 = (first..last).map(|i| wide(short[i], long[column - i])).sum::<u128>() + carry;
        out.push(low(sum));
        carry = sum / u128::from(BASE);
    }
    debug_assert_eq!(carry, 0);
    out
}

/// With a = a1·B + a0 and b = b1·B + b0: a·b = a1b1·B² + (a1b1 + a0b0 − (a1−a0)(b1−b0))·B + a0b0.
/// The differences are taken by magnitude, so that no carry ever leaves a half.
fn karatsuba(a: &[u64], b: &[u64]) -> Vec<u64> {
    let half = a.len().div_ceil(2);
    let ((a0, a1), (b0, b1)) = (a.split_at(half), b.split_at(half));
    let (low, high) = (product(a0, b0), product(a1, b1));
    let (a_sign, a_gap) = difference(a1, a0);
    let (b_sign, b_gap) = difference(b1, b0);
    let cross = product(&a_gap, &b_gap);

    let mut middle = sum(&low, &high);
    if a_sign == b_sign {
        subtract_from(&mut middle, &cross);
    } else {
        middle = sum(&middle, &cross);
    }
    let mut out = low;
    out.extend_from_slice(&high);
    add_to(&mut out[half..], &middle);
    out
}

/// (a ≥ b, |a − b|), in as many limbs as the longer one.
fn difference(a: &[u64], b: &[u64]) -> (bool, Vec<u64>) {
    let length = a.len().max(b.len());
    let extended = |limbs: &[u64]| {
        let mut out = limbs.to_vec();
        out.resize(length, 0);
        out
    };
    let (mut a, mut b) = (extended(a), extended(b));
    let a_is_larger = a.iter().rev().ge(b.iter().rev());
    if a_is_larger {
        subtract_from(&mut a, &b);
        (true, a)
    } else {
        subtract_from(&mut b, &a);
        (false, b)
    }
}

/// `to += limbs`. What of `limbs` lies beyond `to` is zeros, and the sum fits.
fn add_to(to: &mut [u64], limbs: &[u64]) {
    let (low, high) = limbs.split_at(limbs.len().min(to.len()));
    debug_assert!(high.iter().all(|&limb| limb == 0));
    let mut carry = 0;
    for (at, out) in to.iter_mut().enumerate() {
        if at >= low.len() && carry == 0 {
            return;
        }
        let limb = *out + low.get(at).copied().unwrap_or(0) + carry;
        carry = u64::from(limb >= BASE);
        *out = limb - carry * BASE;
    }
    debug_assert_eq!(carry, 0);
}

/// `from -= limbs`, which is not the larger one.
fn subtract_from(from: &mut [u64], limbs: &[u64]) {
    let (low, high) = limbs.split_at(limbs.len().min(from.len()));
    debug_assert!(high.iter().all(|&limb| limb == 0));
    let mut borrow = 0;
    for (at, out) in from.iter_mut().enumerate() {
        if at >= low.len() && borrow == 0 {
            return;
        }
        let limb = BASE + *out - low.get(at).copied().unwrap_or(0) - borrow;
        borrow = u64::from(limb < BASE);
        *out = limb - (1 - borrow) * BASE;
    }
    debug_assert_eq!(borrow, 0);
}

/// The product of two words.
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// The limb that a column leaves.
fn low(column: u128) -> u64 {
    u64::try_from(column % u128::from(BASE)).expect("below 10^18")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::decimal::Decimal;
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
    fn the_largest_columns_fit() {
        for length in [1, KARATSUBA_FROM - 1, KARATSUBA_FROM, 2 * KARATSUBA_FROM - 1, 500] {
            let nines = vec![BASE - 1; length];
            assert_eq!(exact(product(&nines, &nines)), (big(&nines) * big(&nines)).to_string(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn products_agree_with_another_library(a in limbs(0..200), b in limbs(0..200)) {
            prop_assert_eq!(exact(product(&a, &b)), (big(&a) * big(&b)).to_string());
        }

        #[test]
        fn sums_agree_with_another_library(a in limbs(0..40), b in limbs(0..40)) {
            prop_assert_eq!(exact(sum(&a, &b)), (big(&a) + big(&b)).to_string());
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
