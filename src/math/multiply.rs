//! Sums of numbers in base 10^18, sums of short products, and the doubling of short pairs.
//!
//! All products here are schoolbook, column by column: the products that make up a limb of the result are summed in 128
//! bits and divided by the base once.

use super::limb::BASE;

/// Limbs of the longest pair that is doubled here, and of the longest of which one result is made. From then on vectors win
/// (measured).
pub(super) const SHORT_LIMBS: usize = 54;
const RESULT_LIMBS: usize = 40;

/// Keep the columns and the carries of a doubling from being negative, since no column of −2B² is below
/// −2·[`SHORT_LIMBS`]·(B−1)²: each carry is too high by the first, and each column by what that takes.
const CARRY_LIFT: u128 = 2 * SHORT_LIMBS as u128 * BASE as u128;
const COLUMN_LIFT: u128 = CARRY_LIFT * (BASE as u128 - 1);

// The largest column is 4·B² for each limb, its lift, and a carry.
const _: () =
    assert!(4 * (SHORT_LIMBS as u128) < (u128::MAX - COLUMN_LIFT - (1 << 70)) / (BASE as u128 * BASE as u128));

/// ⌊2^123/B⌋, below 2^64.
const RECIPROCAL: u64 = low_word((1 << 123) / BASE as u128);

/// ⌊2^64/B⌋ and the remainder.
const WORD_QUOTIENT: u64 = low_word((1 << 64) / BASE as u128);
const WORD_REMAINDER: u64 = low_word((1 << 64) % BASE as u128);

/// a·x + b·y for x, y of at most two limbs, in linear time: reads values off a rung.
pub(super) fn combination(a: &[u64], x: [u64; 2], b: &[u64], y: [u64; 2]) -> Vec<u64> {
    let limb = |limbs: &[u64], at: usize| limbs.get(at).copied().unwrap_or(0);
    let length = a.len().max(b.len());
    let (mut a_below, mut b_below, mut carry) = (0, 0, 0);
    let mut out = Vec::with_capacity(length + 3);
    for at in 0..length + 3 {
        let (a_here, b_here) = (limb(a, at), limb(b, at));
        // At most 4·10^36 and a carry below 5·10^18.
        let column = wide(a_here, x[0]) + wide(a_below, x[1]) + wide(b_here, y[0]) + wide(b_below, y[1]) + carry;
        let limb;
        (carry, limb) = column_by_base(column);
        out.push(limb);
        (a_below, b_below) = (a_here, b_here);
    }
    debug_assert_eq!(carry, 0);
    out
}

/// Limbs of the results of a doubling at most: A(A+2B) may be three times the square of the largest number, and the sum
/// with A²+B² five times.
const fn doubled(length: usize) -> usize {
    2 * length + 1
}

/// Two neighbours A = F(k) and B = F(k−1), doubled in place. B is not longer than A.
pub(super) struct ShortPair {
    /// A, B, and twice room for the results from them, in quarters.
    memory: Vec<u64>,
    /// Limbs of A; the top one is not 0.
    length: usize,
}

impl ShortPair {
    /// The pair of A > 0 and B with these limbs. It may be doubled as long as it [is short](Self::is_short), and while
    /// A gets at most `limbs` limbs.
    pub(super) fn new(a: [u64; 2], b: [u64; 2], limbs: usize) -> Self {
        // The last result is given the limbs that it may have, which can be two more than it has.
        let room = (limbs + 2).min(doubled(SHORT_LIMBS));
        let mut pair = Self { memory: vec![0; 4 * room], length: 1 + usize::from(a[1] != 0) };
        let [to_a, to_b, ..] = pair.quarters();
        to_a[..2].copy_from_slice(&a);
        to_b[..2].copy_from_slice(&b);
        pair
    }

    /// Whether it can be doubled here: A has at most [`SHORT_LIMBS`] limbs.
    pub(super) fn is_short(&self) -> bool {
        self.length <= SHORT_LIMBS
    }

    /// Whether one result is best made here.
    pub(super) fn makes_result(&self) -> bool {
        self.length <= RESULT_LIMBS
    }

    /// A and B, which may have zeros at the top.
    pub(super) fn limbs(&self) -> [&[u64]; 2] {
        let room = self.memory.len() / 4;
        [&self.memory[..self.length], &self.memory[room..][..self.length]]
    }

    /// Doubles k, and adds 1 if `above`, by two squares: with e = A²−AB−B², which is 1 or −1 (Cassini's identity), F(2k+1) is
    /// 4A²−B²−2e, F(2k) is 3A²−2B²−2e, and F(2k−1) is A²+B².
    pub(super) fn double(&mut self, above: bool) {
        let (old, length) = (self.length, doubled(self.length));
        let [a, b, new_a, new_b] = self.quarters().map(|quarter| &mut quarter[..length]);
        // The lowest limbs are the numbers modulo 4, which divides the base.
        let (x, y) = (a[0] % 4, b[0] % 4);
        let is_plus = (x * x + 3 * (x * y + y * y)) % 4 == 1;
        let less = if is_plus { CARRY_LIFT - 2 } else { CARRY_LIFT + 2 };
        let (from, to) = ([&a[..old], &b[..old]], [&mut *new_a, &mut *new_b]);
        if above {
            write_squares(from, to, [less, less], |a, b| [4 * a + COLUMN_LIFT - b, 3 * a + COLUMN_LIFT - 2 * b]);
        } else {
            write_squares(from, to, [less, CARRY_LIFT], |a, b| [3 * a + COLUMN_LIFT - 2 * b, a + COLUMN_LIFT + b]);
        }
        a.copy_from_slice(new_a);
        b.copy_from_slice(new_b);
        self.length = length - a.iter().rev().take_while(|&&limb| limb == 0).count();
    }

    /// A(A+2B): F(2k). There may be zeros at the top.
    pub(super) fn even(mut self) -> Vec<u64> {
        let length = self.length;
        let mut even = vec![0; doubled(length)];
        let [a, b, scratch, _] = self.quarters();
        write_even(&a[..length], &b[..length], &mut even, scratch);
        even
    }

    /// A²+B²: F(2k−1). There may be zeros at the top.
    pub(super) fn odd(&self) -> Vec<u64> {
        let [a, b] = self.limbs();
        let mut odd = vec![0; doubled(self.length)];
        write_odd(a, b, &mut odd);
        odd
    }

    fn quarters(&mut self) -> [&mut [u64]; 4] {
        let half = self.memory.len() / 2;
        let (low, high) = self.memory.split_at_mut(half);
        let (a, b) = low.split_at_mut(low.len() / 2);
        let (c, d) = high.split_at_mut(high.len() / 2);
        [a, b, c, d]
    }
}

/// A(A+2B), for factors of the same length and a result that is [`doubled`] as long. The scratch is not shorter than
/// the factors.
fn write_even(a: &[u64], b: &[u64], even: &mut [u64], scratch: &mut [u64]) {
    // Not carried: a limb is below 3·10^18.
    for ((other, a), b) in scratch.iter_mut().zip(a).zip(b) {
        *other = a + 2 * b;
    }
    let other = &scratch[..a.len()];
    carry_columns(even, |column| {
        let first = (column + 1).saturating_sub(a.len());
        let last = a.len().min(column + 1);
        let reversed = other[column + 1 - last..column + 1 - first].iter().rev();
        a[first..last].iter().zip(reversed).fold(0, |sum, (&a, &b)| sum + wide(a, b))
    });
}

/// A²+B², as [`write_even`].
fn write_odd(a: &[u64], b: &[u64], odd: &mut [u64]) {
    carry_columns(odd, |column| square_column(a, column) + square_column(b, column));
}

/// Two sums of multiples of A² and B², as [`write_even`], from the sums for a column of each, with [`COLUMN_LIFT`]. The
/// carries begin at [`CARRY_LIFT`], which is subtracted at the end.
#[inline]
fn write_squares(
    [a, b]: [&[u64]; 2],
    [first, second]: [&mut [u64]; 2],
    mut carries: [u128; 2],
    sums: impl Fn(u128, u128) -> [u128; 2],
) {
    let last = first.len() - 1;
    for (column, (first, second)) in first.iter_mut().zip(&mut *second).take(last).enumerate() {
        let sums = sums(square_column(a, column), square_column(b, column));
        (carries[0], *first) = column_by_base(sums[0] + carries[0]);
        (carries[1], *second) = column_by_base(sums[1] + carries[1]);
    }
    [first[last], second[last]] = carries.map(|carry| low_word(carry - CARRY_LIFT));
}

/// The limbs of a number from its columns; the top limb is the last carry.
#[inline]
fn carry_columns(limbs: &mut [u64], sum: impl Fn(usize) -> u128) {
    let (top, limbs) = limbs.split_last_mut().expect("a product is longer than its factors");
    let mut carry = 0;
    for (column, limb) in limbs.iter_mut().enumerate() {
        (carry, *limb) = column_by_base(sum(column) + carry);
    }
    debug_assert!(carry < 5);
    *top = low_word(carry);
}

/// A column of a square: each product of different limbs occurs twice.
#[inline]
fn square_column(a: &[u64], column: usize) -> u128 {
    let first = (column + 1).saturating_sub(a.len());
    let last = a.len().min(column + 1);
    let half = (last - first) / 2;
    let reversed = a[last - half..last].iter().rev();
    let pairs = a[first..first + half].iter().zip(reversed).fold(0, |sum, (&a, &b)| sum + wide(a, b));
    let middle = if (last - first) % 2 == 1 { wide(a[first + half], a[first + half]) } else { 0 };
    2 * pairs + middle
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

    fn pair(a: &[u64], b: &[u64]) -> ShortPair {
        let mut pair = ShortPair::new([1, 0], [0, 0], doubled(a.len()));
        let [to_a, to_b, ..] = pair.quarters();
        to_a[..a.len()].copy_from_slice(a);
        to_b[..b.len()].copy_from_slice(b);
        pair.length = a.len();
        pair
    }

    fn limbs(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<u64>> {
        // Zeros and nines make the longest runs of carries.
        vec(prop_oneof![Just(0), Just(BASE - 1), 0..BASE], length)
    }

    fn exact(limbs: Vec<u64>) -> String {
        Decimal::from_limbs(limbs).to_string()
    }

    fn assert_doubled(a: &[u64], b: &[u64]) {
        let (x, y) = (big(a), big(b));
        let (even, odd) = (&x * (&x + 2_u32 * &y), &x * &x + &y * &y);
        assert_eq!(big(&pair(a, b).even()), even);
        assert_eq!(big(&pair(a, b).odd()), odd);
        let b = [b, &vec![0; a.len() - b.len()]].concat();
        let (x, y) = (&x * &x, &y * &y);
        for (start, two) in [(CARRY_LIFT - 2, 2_u32), (CARRY_LIFT + 2, 0)] {
            let (mut first, mut second) = (vec![0; doubled(a.len())], vec![0; doubled(a.len())]);
            let results = [&mut first[..], &mut second];
            write_squares([a, &b], results, [start; 2], |a, b| [4 * a + COLUMN_LIFT - b, 3 * a + COLUMN_LIFT - 2 * b]);
            assert_eq!(big(&first) + two, 4_u32 * &x - &y + (2 - two));
            assert_eq!(big(&second) + two, 3_u32 * &x - 2_u32 * &y + (2 - two));
        }
    }

    #[test]
    fn the_largest_columns_fit() {
        for length in [1, 2, 3, SHORT_LIMBS - 1] {
            // The result of nines would have a limb more than twice their limbs.
            let a = [vec![BASE - 1; length], vec![BASE / 4]].concat();
            assert_doubled(&a, &a);
            // Without a lift nearly all columns would be negative.
            let power = [vec![0; length], vec![BASE / 4]].concat();
            assert_doubled(&power, &a[..length]);
        }
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
        fn doublings_agree_with_another_library(a in limbs(1..SHORT_LIMBS), b in limbs(0..SHORT_LIMBS)) {
            let b = &b[..b.len().min(a.len())];
            let a = [&a[..], &[BASE / 4]].concat();
            assert_doubled(&a, b);
        }

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
