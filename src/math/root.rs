//! Reciprocal square roots of words, by Newton's iteration.
//!
//! For a word a, let ŷ = y/Bᵗ be the number next to 1/√a with t limbs behind the point, B = 10¹⁸. Its error is the
//! residual r = 1 − aŷ². From ŷ follows ŷ + ŷr/2, whose residual is 3/4·r² + r³/4: each step doubles the limbs that are
//! right, and is made with no more than those (R. P. Brent, P. Zimmermann, *Modern Computer Arithmetic*, 2010, 3.5 and
//! 4.2). There is no division in it, and the root itself is a·ŷ.
//!
//! # The error
//!
//! **|r| ≤ 4√a·B^(−t) for t ≥ 3.** The first ŷ has one limb and is too small by less than 1/B, so that 0 ≤ r ≤ 2√a/B. In
//! a step, r and the next ŷ are cut off after t limbs, which changes ŷ by at most 1.5·B^(−t) and its residual by at most
//! 3.01·√a·B^(−t). So two limbs have |r| ≤ 4a/B² + 3.01·√a/B² ≤ 8a/B², and three 64a²/B⁴ + 3.01·√a/B³, which is within
//! the bound for a ≤ 10¹⁰. From s limbs on, 16a·B^(−2s) is less than √a·B^(−t)/2 where t ≤ 2s − 1.

use super::{
    division::corrected,
    limb::BASE,
    linear::{complement, halve, scale},
    products::Products,
};

/// The largest word whose root is taken.
pub(super) const MAX_WORD: u64 = 10_000_000_000;

/// y with 1/√`word` next to y/Bᵗ for t = `limbs`, at least 3, for a word from 1 to [`MAX_WORD`]. See the module for the
/// error. There may be zeros at the top.
///
/// Needs `products` of 3/2·`limbs` limbs and a few. Time: some 1½ products of `limbs` limbs. Memory: some 3·`limbs` besides.
/// `progress` is called with the part of the work that is done.
pub(super) fn reciprocal_square_root(
    word: u64,
    limbs: usize,
    products: &mut Products,
    progress: &mut dyn FnMut(f64),
) -> Vec<u64> {
    debug_assert!((1..=MAX_WORD).contains(&word));
    let known = match limbs {
        1 => return first(word).to_vec(),
        2 | 3 => limbs - 1,
        _ => limbs / 2 + 1,
    };
    let root = reciprocal_square_root(word, known, products, &mut |part| progress(0.5 * part));
    // 1 − r, with 2s limbs behind the point.
    let mut rest = products.square(&root, &mut |part| progress(0.5 + 0.25 * part));
    scale(&mut rest, word);
    let is_above = rest.len() > 2 * known;
    rest.resize(2 * known, 0);
    if !is_above {
        complement(&mut rest);
    }
    let mut correction = products.product(&rest[2 * known - limbs..], &root, &mut |part| progress(0.75 + 0.25 * part));
    halve(&mut correction);
    corrected(&root, limbs - known, &correction[known.min(correction.len())..], is_above)
}

/// ⌊B/√a⌋.
fn first(word: u64) -> [u64; 2] {
    let root = (u128::from(BASE) * u128::from(BASE) / u128::from(word)).isqrt();
    let root = u64::try_from(root).expect("at most B");
    [root % BASE, root / BASE]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ntt::Kernel, parallel::Parallel};
    use num_bigint::{BigInt, BigUint};
    use proptest::prelude::*;

    /// Checks that |1 − aŷ²| is at most 4√a·B^(−t), squared to be free of roots.
    fn assert_root(word: u64, limbs: usize) {
        let mut products = Products::new(Kernel::best(), 2 * limbs + 16, Parallel::none());
        let mut progress = Vec::new();
        let root = reciprocal_square_root(word, limbs, &mut products, &mut |part| progress.push(part));
        assert!(root.iter().all(|&limb| limb < BASE));
        assert!(progress.is_sorted() && progress.iter().all(|part| (0.0..=1.0).contains(part)));
        let root: BigInt = root.iter().rev().fold(BigInt::ZERO, |sum, &limb| sum * BASE + limb);
        let power = |limbs: usize| BigInt::from(BigUint::from(BASE).pow(u32::try_from(limbs).unwrap()));
        let residual: BigInt = power(2 * limbs) - &root * &root * word;
        assert!(&residual * &residual <= power(2 * limbs) * 16 * word, "√{word}, {limbs} limbs");
    }

    #[test]
    fn every_length_is_within_the_bound() {
        for limbs in (3..200).chain([255, 256, 257, 511, 1_000]) {
            let rows = [
                (1, "a root without a fraction, which may be next to all nines"),
                (2, "the smallest that has none"),
                (10_005, "that of π"),
                (1_000_000, "a power of the base's root"),
                (MAX_WORD - 1, "next to the largest"),
                (MAX_WORD, "the largest"),
            ];
            for (word, _) in rows {
                assert_root(word, limbs);
            }
        }
    }

    proptest! {
        #[test]
        fn roots_of_all_words_are_within_the_bound(word in 1..=MAX_WORD, limbs in 3..100_usize) {
            assert_root(word, limbs);
        }
    }
}
