//! Products of numbers of any lengths: short ones as by hand, long ones by transforms.

use super::{
    linear::{add_in_place, trimmed, without_zeros},
    ntt::{self, Kernel, Lent},
    parallel::Parallel,
    schoolbook,
};

/// Limbs of the shorter factor up to which a product is made as by hand (measured).
const SHORT_LIMBS: usize = 64;

const _: () = assert!(SHORT_LIMBS <= schoolbook::MAX_LIMBS);

/// Makes products; what transforms need is kept from one to the next.
///
/// Numbers are limbs below 10¹⁸, least significant first. Factors may have zeros at the top, results have none.
/// `progress` is called with the part of the product that is done, from 0 to 1, when it is long.
pub(super) struct Products {
    multiplier: Lent,
}

impl Products {
    /// For products of up to `limbs` limbs, with these threads. Memory: as [`ntt::multiplier`] says.
    ///
    /// # Panics
    /// If the processor does not have the kernel.
    pub(super) fn new(kernel: Kernel, limbs: usize, threads: Parallel) -> Self {
        Self { multiplier: ntt::multiplier(kernel, limbs, threads) }
    }

    /// a·b.
    pub(super) fn product(&mut self, a: &[u64], b: &[u64], progress: &mut dyn FnMut(f64)) -> Vec<u64> {
        let (a, b) = (trimmed(a), trimmed(b));
        let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
        if short.len() <= SHORT_LIMBS {
            return without_zeros(schoolbook::product(long, short));
        }
        if long.len() <= 2 * short.len() {
            return self.multiplier.product(long, short, progress);
        }
        let mut sum = vec![0; long.len() + short.len()];
        for (number, piece) in long.chunks(short.len()).enumerate() {
            let product = self.product(piece, short, &mut |_| ());
            add_in_place(&mut sum[number * short.len()..], &product);
        }
        without_zeros(sum)
    }

    /// a².
    pub(super) fn square(&mut self, a: &[u64], progress: &mut dyn FnMut(f64)) -> Vec<u64> {
        let a = trimmed(a);
        if a.len() <= SHORT_LIMBS {
            return without_zeros(schoolbook::product(a, a));
        }
        self.multiplier.square(a, progress)
    }

    /// q₁·q₂ and q₂·t₁ + p₁·t₂ of the factors q₁, q₂, t₁, p₁, t₂.
    pub(super) fn sum(&mut self, factors: [&[u64]; 5], progress: &mut dyn FnMut(f64)) -> [Vec<u64>; 2] {
        let factors @ [q1, q2, t1, p1, t2] = factors.map(trimmed);
        let pairs = [[q1, q2], [q2, t1], [p1, t2]];
        if pairs.iter().all(|[x, y]| x.len().min(y.len()) <= SHORT_LIMBS) {
            let sum = schoolbook::sum_of_products([q2, t1], [p1, t2]);
            return [schoolbook::product(q1, q2), sum].map(without_zeros);
        }
        let lengths = factors.map(<[u64]>::len);
        let [longest, shortest] =
            [lengths.iter().max(), lengths.iter().min()].map(|length| length.copied().unwrap_or(0));
        let most = pairs.iter().map(|[x, y]| x.len() + y.len()).max().unwrap_or(0);
        if shortest > 0 && 3 * longest <= 2 * most {
            return self.multiplier.sum(factors, progress);
        }
        let mut sum = self.product(q2, t1, &mut |_| ());
        let other = self.product(p1, t2, &mut |_| ());
        sum.resize(sum.len().max(other.len()) + 1, 0);
        add_in_place(&mut sum, &other);
        [self.product(q1, q2, progress), without_zeros(sum)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limb::BASE;
    use num_bigint::BigUint;
    use proptest::{collection::vec, prelude::*};

    fn big(limbs: &[u64]) -> BigUint {
        limbs.iter().rev().fold(BigUint::ZERO, |sum, &limb| sum * BASE + limb)
    }

    /// Numbers of lengths on both sides of all decisions, with zeros at the top among them.
    fn number() -> impl Strategy<Value = Vec<u64>> {
        let length = prop_oneof![0..3_usize, SHORT_LIMBS - 2..SHORT_LIMBS + 3, 2 * SHORT_LIMBS..500];
        length.prop_flat_map(|length| vec(prop_oneof![Just(0), Just(BASE - 1), 0..BASE], length))
    }

    proptest! {
        #[test]
        fn all_lengths_agree_with_another_library(
            [a, b] in [number(), number()], [t1, p1, t2] in [number(), number(), number()],
        ) {
            let mut products = Products::new(Kernel::best(), 1_000, Parallel::none());
            let (product, square) = (big(&a) * big(&b), big(&a) * big(&a));
            let results = [products.product(&a, &b, &mut |_| ()), products.square(&a, &mut |_| ())];
            prop_assert_eq!(results.each_ref().map(|limbs| big(limbs)), [product.clone(), square]);
            let sums = products.sum([&a, &b, &t1, &p1, &t2], &mut |_| ());
            let sum = big(&b) * big(&t1) + big(&p1) * big(&t2);
            prop_assert_eq!(sums.each_ref().map(|limbs| big(limbs)), [product, sum]);
            for limbs in results.iter().chain(&sums) {
                prop_assert!(limbs.last() != Some(&0) && limbs.iter().all(|&limb| limb < BASE));
            }
        }
    }
}
