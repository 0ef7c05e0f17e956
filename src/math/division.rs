//! Reciprocals and quotients of long numbers, by Newton's iteration.
//!
//! Numbers are limbs in base B = 10¹⁸, least significant first. A divisor is taken as the fraction α with 1/B ≤ α < 1
//! that has its limbs behind the point; the reciprocal as the number x̂ = x/Bᵗ next to 1/α, with t limbs behind the point.
//! Its error is the residual r = 1 − αx̂. From x̂ follows x̂ + x̂r, whose residual is r²: each step doubles the limbs that
//! are right, and is made with no more than those (R. P. Brent, P. Zimmermann, *Modern Computer Arithmetic*, 2010, 3.4
//! and 4.2).
//!
//! # The error of a reciprocal
//!
//! **|r| ≤ 2·B^(1−t).** For up to [`SHORT_LIMBS`] limbs, x is ⌊Bᵗ/α′⌋, where α′ is α without what is beyond t limbs, so
//! that α − α′ < B^(−t): as x̂ ≤ B, −B^(1−t) < r < B^(−t). In a step from s limbs, let r′ be 1 − α′x̂, cut off after t
//! limbs: r′ = r + e with |e| < B^(−t)·(x̂ + 1). The next x̂ is x̂ + x̂r′, cut off: its residual is
//! 1 − αx̂(1 + r′) + αd = r² − (1 − r)e + αd with |d| < B^(−t), which is at most r² + 1.01·B^(1−t), as x̂ < 1.001·B. With
//! |r| ≤ 2·B^(1−s) and 2s ≥ t + 2, r² ≤ 4·B^(2−2s) ≤ 4·B^(−t), so the bound holds again.
//!
//! # The error of a quotient
//!
//! **q̂ differs from ν/δ by less than 1.1·B^(2−t)**, ν being the fraction with the limbs of the numerator and δ that with
//! those of the divisor. The last step of the iteration takes the numerator in (A. Karp, P. Markstein, "High-precision
//! division and square root", 1997). From x̂ of h limbs with 2h ≥ t + 2 follows q₀ = νx̂, for which ν and q₀ are cut off
//! after h limbs; so ν − δq₀ = νr + e₁(1 − r) + δe₂ with 0 ≤ e₁, e₂ < B^(−h), and its magnitude is at most 3·B^(1−h). It is
//! computed as ρ from ν and δ with t limbs and cut off after t, with an error below 1.01·B^(1−t), since q₀ < 1.001·B. Then
//! q̂ = q₀ + ρx̂, cut off, and ν − δq̂ is at most |r|·3·B^(1−h) + 1.02·B^(1−t) + B^(−t) ≤ 6·B^(−t) + 1.03·B^(1−t) in
//! magnitude, while δ ≥ 1/B. By long division the error is below B^(1−t) for what is cut off ν, below B^(2−t) for δ, and
//! B^(−t) for the quotient.

use std::borrow::Cow;

use super::{
    linear::{add_in_place, complement, subtract, top, trimmed},
    products::Products,
    schoolbook,
};

/// Limbs behind the point up to which a quotient is made as by hand.
const SHORT_LIMBS: usize = 32;

/// The quotient of two numbers that are not 0 and have no zero at the top, as fractions: q with ν/δ next to q/Bᵗ for
/// t = `limbs`, at least 2. See the module for the error. There may be zeros at the top.
///
/// Needs `products` of 2·`limbs` limbs. Time: some 2½ products of `limbs` limbs. Memory: some 4·`limbs` besides. `progress`
/// is called with the part of the work that is done.
pub(super) fn quotient(
    numerator: &[u64],
    divisor: &[u64],
    limbs: usize,
    products: &mut Products,
    progress: &mut dyn FnMut(f64),
) -> Vec<u64> {
    let [numerator, divisor] = [numerator, divisor].map(|number| fraction(number, limbs));
    if limbs <= SHORT_LIMBS {
        return schoolbook::quotient(&shifted(&numerator, limbs), &divisor);
    }
    let half = limbs / 2 + 1 + limbs % 2;
    let inverse = reciprocal(&divisor, half, products, &mut |part| progress(0.45 * part));
    let mut first = products.product(top(&numerator, half), &inverse, &mut |part| progress(0.45 + 0.15 * part));
    drop_low(&mut first, half);
    // ρ with t + h limbs behind the point: what is before them cancels out.
    let product = products.product(&divisor, &first, &mut |part| progress(0.6 + 0.25 * part));
    let mut rest = shifted(&numerator, half);
    rest.resize(rest.len().max(product.len()), 0);
    let is_negative = subtract(&mut rest, &product);
    drop(product);
    if is_negative {
        complement(&mut rest);
    }
    let correction =
        products.product(&rest[half.min(rest.len())..], &inverse, &mut |part| progress(0.85 + 0.15 * part));
    corrected(&first, limbs - half, &correction[half.min(correction.len())..], is_negative)
}

/// The reciprocal of a number that is not 0 and has no zero at the top, as a fraction: x with 1/α next to x/Bᵗ for
/// t = `limbs`, at least 2. See the module for the error. There may be zeros at the top.
///
/// Needs `products` of 3/2·`limbs` limbs and a few. Time: some 2½ products of `limbs` limbs. Memory: some 3·`limbs` besides.
/// `progress` is called with the part of the work that is done.
pub(super) fn reciprocal(a: &[u64], limbs: usize, products: &mut Products, progress: &mut dyn FnMut(f64)) -> Vec<u64> {
    let a = &*fraction(a, limbs);
    if limbs <= SHORT_LIMBS {
        let mut one = vec![0; 2 * limbs + 1];
        one[2 * limbs] = 1;
        return schoolbook::quotient(&one, a);
    }
    let known = limbs / 2 + 1 + limbs % 2;
    let inverse = reciprocal(a, known, products, &mut |part| progress(0.5 * part));
    let mut rest = products.product(a, &inverse, &mut |part| progress(0.5 + 0.3 * part));
    // 1 − r′, with s + t limbs behind the point.
    let is_above = rest.len() > known + limbs;
    rest.resize(known + limbs, 0);
    if !is_above {
        complement(&mut rest);
    }
    let correction = products.product(&rest[known..], &inverse, &mut |part| progress(0.8 + 0.2 * part));
    corrected(&inverse, limbs - known, &correction[known.min(correction.len())..], is_above)
}

/// The top `limbs` limbs of a number, with zeros below them when there are fewer.
fn fraction(number: &[u64], limbs: usize) -> Cow<'_, [u64]> {
    let number = top(number, limbs);
    if number.len() == limbs { Cow::Borrowed(number) } else { Cow::Owned(shifted(number, limbs - number.len())) }
}

/// The number with zeros below it.
fn shifted(number: &[u64], zeros: usize) -> Vec<u64> {
    let mut limbs = Vec::with_capacity(zeros + number.len() + 1);
    limbs.resize(zeros, 0);
    limbs.extend_from_slice(number);
    limbs
}

/// Drops the lowest limbs.
fn drop_low(limbs: &mut Vec<u64>, count: usize) {
    limbs.drain(..count.min(limbs.len()));
}

/// The number with `zeros` more limbs behind the point, plus or minus the correction, which is less.
pub(super) fn corrected(number: &[u64], zeros: usize, correction: &[u64], is_negative: bool) -> Vec<u64> {
    let mut limbs = shifted(number, zeros);
    limbs.push(0);
    let correction = trimmed(correction);
    if is_negative {
        subtract(&mut limbs, correction);
    } else {
        add_in_place(&mut limbs, correction);
    }
    limbs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limb::BASE, ntt::Kernel, parallel::Parallel};
    use num_bigint::{BigInt, BigUint};
    use proptest::{collection::vec, prelude::*};

    fn big(limbs: &[u64]) -> BigInt {
        limbs.iter().rev().fold(BigInt::ZERO, |sum, &limb| sum * BASE + limb)
    }

    fn power(limbs: usize) -> BigInt {
        BigUint::from(BASE).pow(u32::try_from(limbs).unwrap()).into()
    }

    fn products(limbs: usize) -> Products {
        Products::new(Kernel::best(), 2 * limbs + 16, Parallel::none())
    }

    /// Checks a quotient against the bound that the module proves, multiplied by the divisor to be free of division.
    fn assert_divided(numerator: &[u64], divisor: &[u64], limbs: usize) {
        let mut progress = Vec::new();
        let quotient = quotient(numerator, divisor, limbs, &mut products(limbs), &mut |part| progress.push(part));
        assert!(quotient.iter().all(|&limb| limb < BASE));
        assert!(progress.is_sorted() && progress.iter().all(|part| (0.0..=1.0).contains(part)));
        // ν/δ as a fraction of whole numbers, and |q/Bᵗ − ν/δ| < 1.1·B^(2−t).
        let (above, below) = (big(numerator) * power(divisor.len()), big(divisor) * power(numerator.len()));
        let error: BigInt = big(&quotient) * &below - above * power(limbs);
        let bound: BigInt = below * power(2) * 11;
        assert!(error.magnitude() * 10_u32 < *bound.magnitude(), "{limbs} limbs");
    }

    /// Checks that |1 − αx̂| is at most 2·B^(1−t).
    fn assert_inverted(a: &[u64], limbs: usize) {
        let inverse = reciprocal(a, limbs, &mut products(limbs), &mut |_| ());
        assert!(inverse.iter().all(|&limb| limb < BASE));
        let residual: BigInt = power(a.len() + limbs) - big(a) * big(&inverse);
        let bound: BigInt = 2 * power(a.len() + 1);
        assert!(residual.magnitude() <= bound.magnitude(), "{limbs} limbs");
    }

    /// Numbers at the ends of what a fraction can be, and between them.
    fn fractions(limbs: usize) -> Vec<Vec<u64>> {
        let scattered = |seed: u64| -> Vec<u64> {
            (1..=limbs as u64).map(|i| (seed + i).wrapping_mul(0x9e37_79b9_7f4a_7c15) % (BASE - 1) + 1).collect()
        };
        let mut one = vec![0; limbs];
        one[limbs - 1] = 1;
        let mut above_one = one.clone();
        above_one[0] = 1;
        let mut half = vec![0; limbs];
        half[limbs - 1] = BASE / 2;
        vec![one, above_one, half, vec![BASE - 1; limbs], scattered(1), scattered(0x1234_5678)]
    }

    #[test]
    fn every_length_is_within_the_bound() {
        for limbs in (2..200).chain([255, 256, 257, 511, 1_000]) {
            let numbers = fractions(limbs);
            for (i, numerator) in numbers.iter().enumerate() {
                assert_inverted(numerator, limbs);
                assert_divided(numerator, &numbers[(i + 1) % numbers.len()], limbs);
            }
        }
    }

    #[test]
    fn exact_quotients_may_be_next_to_all_nines() {
        for limbs in [4, 33, 100, 300] {
            let numbers = fractions(limbs);
            for number in &numbers {
                assert_divided(number, number, limbs);
                assert_divided(number, &[1], limbs);
                assert_divided(&[3], number, limbs);
            }
        }
    }

    #[test]
    fn the_bound_of_a_reciprocal_is_tight() {
        // The limbs that are cut off the divisor make the error: α′ is B^(−1), and α nearly B^(−t) more.
        let mut a = vec![BASE - 1; 150];
        a[50..].fill(0);
        a[149] = 1;
        let inverse = reciprocal(&a, 100, &mut products(100), &mut |_| ());
        let residual: BigInt = power(250) - big(&a) * big(&inverse);
        let bound: BigInt = 9 * power(151);
        assert!(residual.magnitude() * 10_u32 > *bound.magnitude());
    }

    proptest! {
        #[test]
        fn quotients_agree_with_another_library(
            numerator in vec(prop_oneof![Just(0), Just(BASE - 1), 0..BASE], 0..150), a in 1..BASE,
            divisor in vec(prop_oneof![Just(0), Just(BASE - 1), 0..BASE], 0..150), b in prop_oneof![Just(1), 1..BASE],
            limbs in 2..150_usize,
        ) {
            let (numerator, divisor) = ([numerator, vec![a]].concat(), [divisor, vec![b]].concat());
            assert_divided(&numerator, &divisor, limbs);
            assert_inverted(&divisor, limbs);
        }
    }
}
