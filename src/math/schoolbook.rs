//! Products and quotients of short numbers, as by hand.
//!
//! The products that make up a limb are summed in 128 bits and divided by the base once.

use super::{
    limb::{BASE, column_by_base, wide},
    linear::{add_in_place, scale, subtract},
};

/// Limbs of the shorter factor at most: a column of two products holds as many products of each.
pub(super) const MAX_LIMBS: usize = 170;

// A carry is below 2^70.
const _: () = assert!(2 * (MAX_LIMBS as u128) * (BASE as u128) * (BASE as u128) < u128::MAX - (1 << 70));

/// Writes a·b, where the shorter one has up to [`MAX_LIMBS`] limbs, into as many limbs as both have together.
pub(super) fn write_product(a: &[u64], b: &[u64], out: &mut [u64]) {
    write_columns(out, |at| column(a, b, at));
}

/// a·b, as [`write_product`]. There may be a zero at the top.
pub(super) fn product(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut out = vec![0; a.len() + b.len()];
    write_product(a, b, &mut out);
    out
}

/// a·b + c·d, where the shorter factors have up to [`MAX_LIMBS`] limbs. There may be zeros at the top.
pub(super) fn sum_of_products([a, b]: [&[u64]; 2], [c, d]: [&[u64]; 2]) -> Vec<u64> {
    let mut out = vec![0; (a.len() + b.len()).max(c.len() + d.len()) + 1];
    write_columns(&mut out, |at| column(a, b, at) + column(c, d, at));
    out
}

/// The sum of the products whose factors' places add up to `at`.
#[inline]
fn column(a: &[u64], b: &[u64], at: usize) -> u128 {
    let first = (at + 1).saturating_sub(b.len());
    let last = a.len().min(at + 1);
    if first >= last {
        return 0;
    }
    let reversed = b[at + 1 - last..at + 1 - first].iter().rev();
    a[first..last].iter().zip(reversed).fold(0, |sum, (&a, &b)| sum + wide(a, b))
}

/// The limbs of a number that fits, from its columns.
#[inline]
fn write_columns(out: &mut [u64], sum: impl Fn(usize) -> u128) {
    let mut carry = 0;
    for (at, limb) in out.iter_mut().enumerate() {
        (carry, *limb) = column_by_base(sum(at) + carry);
    }
    debug_assert_eq!(carry, 0);
}

/// ⌊a/b⌋, for b without a zero at its top. Long division (D. E. Knuth, TAOCP 2, 4.3.1, algorithm D): the top limb of the
/// divisor is made at least ⌊B/2⌋, so that a limb of the quotient, estimated from it, is at most 2 too large. Time: the
/// product of the lengths of divisor and quotient. There may be zeros at the top.
pub(super) fn quotient(a: &[u64], b: &[u64]) -> Vec<u64> {
    let factor = BASE / (b[b.len() - 1] + 1);
    let [mut rest, mut divisor] = [a, b].map(<[u64]>::to_vec);
    rest.push(0);
    scale(&mut rest, factor);
    scale(&mut divisor, factor);
    let (length, leading) = (divisor.len(), u128::from(divisor[divisor.len() - 1]));
    let mut quotient = vec![0; rest.len().saturating_sub(length)];
    for (at, limb) in quotient.iter_mut().enumerate().rev() {
        let part = &mut rest[at..=at + length];
        let numerator = wide(part[length], BASE) + u128::from(part[length - 1]);
        let estimate = u64::try_from(numerator / leading).map_or(BASE - 1, |limb| limb.min(BASE - 1));
        let mut multiple = divisor.clone();
        multiple.push(0);
        scale(&mut multiple, estimate);
        let mut is_negative = subtract(part, &multiple);
        *limb = estimate;
        while is_negative {
            *limb -= 1;
            // Beyond B^length again, the sum is the difference that is not negative.
            is_negative = !add_in_place(part, &divisor);
        }
    }
    quotient
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::{collection::vec, prelude::*};

    fn big(limbs: &[u64]) -> BigUint {
        limbs.iter().rev().fold(BigUint::ZERO, |sum, &limb| sum * BASE + limb)
    }

    fn limbs(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<u64>> {
        // Zeros and nines make the longest runs of carries.
        vec(prop_oneof![Just(0), Just(BASE - 1), Just(BASE / 2), 0..BASE], length)
    }

    #[test]
    fn the_largest_columns_fit() {
        let nines = vec![BASE - 1; MAX_LIMBS];
        let square = big(&nines) * big(&nines);
        assert_eq!(big(&product(&nines, &nines)), square);
        assert_eq!(big(&sum_of_products([&nines, &nines], [&nines, &nines])), square * 2_u32);
    }

    proptest! {
        #[test]
        fn products_agree_with_another_library(a in limbs(0..20), b in limbs(0..20), c in limbs(0..20), d in limbs(0..20)) {
            let expected = big(&a) * big(&b);
            prop_assert_eq!(big(&product(&a, &b)), expected.clone());
            prop_assert_eq!(big(&sum_of_products([&a, &b], [&c, &d])), expected + big(&c) * big(&d));
        }

        #[test]
        fn quotients_agree_with_another_library(a in limbs(0..30), b in limbs(0..20), top in prop_oneof![Just(1), Just(BASE / 2), Just(BASE - 1), 1..BASE]) {
            let b = [b, vec![top]].concat();
            prop_assert_eq!(big(&quotient(&a, &b)), big(&a) / big(&b));
        }

        #[test]
        fn quotients_next_to_multiples_are_exact(q in limbs(1..20), b in limbs(0..20), top in 1..BASE) {
            let b = [b, vec![top]].concat();
            let exact = product(&q, &b);
            prop_assert_eq!(big(&quotient(&exact, &b)), big(&q));
            prop_assume!(exact.iter().any(|&limb| limb != 0));
            let mut less = exact;
            subtract(&mut less, &[1]);
            prop_assert_eq!(big(&quotient(&less, &b)), big(&q) - 1_u32);
        }
    }
}
