//! Arithmetic on rows of limbs in linear time: sums, differences, and products and quotients by a word or two.
//!
//! Rows are least significant first, and each limb is below [`BASE`].

use super::{
    carries::multiples,
    limb::{BASE, column_by_base, low_word, quotient_by_base, wide},
};

/// The row without zeros at its top.
pub(super) fn trimmed(limbs: &[u64]) -> &[u64] {
    &limbs[..limbs.iter().rposition(|&limb| limb != 0).map_or(0, |top| top + 1)]
}

/// The number without zeros at its top.
pub(super) fn without_zeros(mut limbs: Vec<u64>) -> Vec<u64> {
    limbs.truncate(trimmed(&limbs).len());
    limbs
}

/// The top `count` limbs, or all when there are fewer.
pub(super) fn top(limbs: &[u64], count: usize) -> &[u64] {
    &limbs[limbs.len().saturating_sub(count)..]
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

/// `from -= limbs`, for `limbs` of no greater value and length. Returns whether the difference was negative, and then
/// B^length was added to it.
pub(super) fn subtract(from: &mut [u64], limbs: &[u64]) -> bool {
    let (low, high) = from.split_at_mut(limbs.len());
    let mut borrow = 0;
    let mut take = |from: &mut u64, limb| {
        let (difference, is_negative) = from.overflowing_sub(limb + borrow);
        borrow = u64::from(is_negative);
        *from = if is_negative { difference.wrapping_add(BASE) } else { difference };
    };
    for (from, &limb) in low.iter_mut().zip(limbs) {
        take(from, limb);
    }
    for from in high {
        take(from, 0);
    }
    borrow == 1
}

/// B^length − the number, for a number that is not 0.
pub(super) fn complement(limbs: &mut [u64]) {
    let mut limbs = limbs.iter_mut().skip_while(|limb| **limb == 0);
    if let Some(lowest) = limbs.next() {
        *lowest = BASE - *lowest;
    }
    for limb in limbs {
        *limb = BASE - 1 - *limb;
    }
}

/// `limbs *= word`, for a word below B.
pub(super) fn scale(limbs: &mut Vec<u64>, word: u64) {
    let mut carry = 0;
    for limb in &mut *limbs {
        (carry, *limb) = quotient_by_base(wide(*limb, word) + u128::from(carry));
    }
    if carry != 0 {
        limbs.push(carry);
    }
}

/// a·x + b·y for x, y of at most two limbs, in linear time: reads values off pairs. There may be zeros at the top.
///
/// A column is divided before what the ones below it carry is known. That is added afterwards, which takes a comparison.
pub(super) fn combination(a: &[u64], x: [u64; 2], b: &[u64], y: [u64; 2]) -> Vec<u64> {
    let limb = |limbs: &[u64], at: usize| limbs.get(at).copied().unwrap_or(0);
    let (mut a_below, mut b_below) = (0, 0);
    // The columns below carry these into this column and into the next one.
    let mut carried = [0; 2];
    let mut carry = 0;
    let column = |at| {
        let (a_here, b_here) = (limb(a, at), limb(b, at));
        // Below 4·10^36, and so the quotient below 4·10^18.
        let products = wide(a_here, x[0]) + wide(a_below, x[1]) + wide(b_here, y[0]) + wide(b_below, y[1]);
        (a_below, b_below) = (a_here, b_here);
        let (quotient, rest) = column_by_base(products);
        let quotient = low_word(quotient);
        let sum = rest + carried[0] + carry;
        carried = [carried[1] + quotient % BASE, quotient / BASE];
        carry = multiples::<BASE>(sum);
        sum - carry * BASE
    };
    let limbs = (0..a.len().max(b.len()) + 3).map(column).collect();
    debug_assert_eq!((carried, carry), ([0; 2], 0));
    limbs
}

/// `limbs /= 2`, rounded down.
pub(super) fn halve(limbs: &mut [u64]) {
    let mut carry = 0;
    for limb in limbs.iter_mut().rev() {
        let is_odd = *limb % 2;
        *limb = limb.midpoint(carry * BASE);
        carry = is_odd;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::{collection::vec, prelude::*};

    fn big(limbs: &[u64]) -> BigUint {
        limbs.iter().rev().fold(BigUint::ZERO, |sum, &limb| sum * BASE + limb)
    }

    fn power(limbs: usize) -> BigUint {
        (0..limbs).fold(BigUint::from(1_u32), |power, _| power * BASE)
    }

    fn limbs(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<u64>> {
        // Zeros and nines make the longest runs of carries.
        vec(prop_oneof![Just(0), Just(BASE - 1), 0..BASE], length)
    }

    #[test]
    fn ends_are_cut() {
        assert_eq!(trimmed(&[0, 1, 0, 0]), [0, 1]);
        assert_eq!(trimmed(&[0, 0]), [0; 0]);
        assert_eq!(top(&[1, 2, 3], 2), [2, 3]);
        assert_eq!(top(&[1, 2], 3), [1, 2]);
    }

    proptest! {
        #[test]
        fn sums_agree_with_another_library(a in limbs(0..40), b in limbs(0..40)) {
            let mut sum = a.clone();
            add_to(&mut sum, &b);
            prop_assert_eq!(big(&sum), big(&a) + big(&b));
        }

        #[test]
        fn combinations_agree_with_another_library(
            a in limbs(0..40), x in limbs(2), b in limbs(0..40), y in limbs(2),
        ) {
            let [x, y] = [x, y].map(|words| [words[0], words[1]]);
            let expected = big(&a) * big(&x) + big(&b) * big(&y);
            prop_assert_eq!(big(&combination(&a, x, &b, y)), expected);
        }

        #[test]
        fn differences_agree_with_another_library(a in limbs(0..20), b in limbs(0..20)) {
            let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
            let mut difference = long.clone();
            let is_negative = subtract(&mut difference, &short);
            prop_assert_eq!(is_negative, big(&long) < big(&short));
            let added = if is_negative { power(long.len()) } else { BigUint::ZERO };
            prop_assert_eq!(big(&difference) + big(&short), big(&long) + added);
            prop_assert!(difference.iter().all(|&limb| limb < BASE));
        }

        #[test]
        fn complements_add_up_to_the_power(a in limbs(1..20)) {
            prop_assume!(a.iter().any(|&limb| limb != 0));
            let mut other = a.clone();
            complement(&mut other);
            prop_assert_eq!(big(&a) + big(&other), power(a.len()));
            prop_assert!(other.iter().all(|&limb| limb < BASE));
        }

        #[test]
        fn multiples_and_halves_agree_with_another_library(a in limbs(0..20), word in prop_oneof![0..BASE, Just(BASE - 1)]) {
            let (mut multiple, mut half) = (a.clone(), a.clone());
            scale(&mut multiple, word);
            halve(&mut half);
            prop_assert_eq!(big(&multiple), big(&a) * word);
            prop_assert_eq!(big(&half), big(&a) / 2_u32);
            prop_assert!(multiple.iter().chain(&half).all(|&limb| limb < BASE));
        }
    }
}
