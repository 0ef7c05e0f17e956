//! The Fibonacci numbers that doubling starts from, off a table of pairs of neighbours.
//!
//! From (F(k), F(k+1)) any F(k+j) follows in linear time, F(k+j) = F(k)·F(j−1) + F(k+1)·F(j) with F(−1) = 1, as long as
//! F(j) is short. For j up to 129 it has at most two limbs.

use std::{array, mem, sync::LazyLock};

use super::{
    index::TWO_LIMBS,
    linear::{combination, without_zeros},
};

/// Indices from one pair to the next.
pub(super) const SPACING: u32 = 128;

/// Pairs on the table, which have 48 KB together. With twice as many, a table of four times the size would save one doubling
/// of a microsecond or two.
const PAIRS: usize = 64;

/// The index up to which, exclusively, numbers are read off the table.
#[expect(clippy::cast_possible_truncation, reason = "it is 64")]
pub(super) const END: u32 = SPACING * PAIRS as u32;

/// (F(128r), F(128r+1)) for each r, made at first use.
static TABLE: LazyLock<[[Vec<u64>; 2]; PAIRS]> = LazyLock::new(|| {
    let mut pair = [Vec::new(), vec![1]];
    array::from_fn(|_| {
        let above = [SPACING, SPACING + 1].map(|j| ahead([&pair[0], &pair[1]], j));
        mem::replace(&mut pair, above)
    })
});

/// F(n) for n < [`END`], in linear time.
pub(super) fn number(n: u32) -> Vec<u64> {
    if let Some(number) = TWO_LIMBS.get(n as usize) {
        return without_zeros(number.to_vec());
    }
    let [here, next] = &TABLE[(n / SPACING) as usize];
    ahead([here, next], n % SPACING)
}

/// F(k+j) from F(k) and F(k+1), for j ≤ 129, in linear time.
pub(super) fn ahead([here, next]: [&[u64]; 2], j: u32) -> Vec<u64> {
    match j as usize {
        0 => here.to_vec(),
        j => without_zeros(combination(here, TWO_LIMBS[j - 1], next, TWO_LIMBS[j])),
    }
}
