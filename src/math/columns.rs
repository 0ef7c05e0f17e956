//! The doubling of pairs of Fibonacci numbers by schoolbook in vectors, for those of some dozens of limbs.
//!
//! The numbers are split into digits in base D = 10⁸, one to a word: a word takes the sum of all products of digits that make
//! up a column, and vectors multiply the lower halves of words. From A = F(k) and B = F(k−1) follow, by one product each,
//!
//! ```text
//! F(2k) = A·(A + 2B)    F(2k−1) = A² + B² = (A + B)·(3B − A) + 2s    s = A² − AB − B² = ±1
//! ```
//!
//! where the last is J. D. Cassini's identity; the lowest digits give its sign.

#![expect(clippy::inline_always, reason = "only what is inlined into a loop is compiled for its kernel")]

use std::array;

use super::{
    carries::{INTEGERS, multiples, nearest, ripple},
    limb::BASE,
    linear::without_zeros,
    ntt::{Kernel, PlainLoop},
};

/// The base of the digits.
const D: u64 = 100_000_000;

/// Nine digits in base 10⁸ fill four limbs.
const DIGITS: usize = 9;
const LIMBS: usize = 4;

/// Limbs of the longest number that can be doubled.
pub(super) const MAX_LIMBS: usize = 152;

/// Words in the longest vector, and in a cache line.
const LANES: usize = 8;

/// The lower half of a word.
const LOW: u64 = u32::MAX as u64;

/// Added to each column in units of D, and taken from the next one, so that none is negative. Beyond the top it is dropped.
const BIAS: u64 = 2 * D;

/// The largest digit of A + 2B.
const LARGEST: u64 = 3 * (D - 1);

// The largest column, and its bias.
const _: () = {
    let digits = (MAX_LIMBS * DIGITS).div_ceil(LIMBS) as u128;
    assert!(digits * (LARGEST * (D - 1)) as u128 + ((BIAS * D) as u128) < 1 << 64);
};

/// F(2k) and F(2k−1) from the limbs of A = F(k) and B = F(k−1), where k ≥ 3. B is not longer than A, which has
/// [`MAX_LIMBS`] at most. Time: two products of the digits of A.
pub(super) fn doubling(kernel: Kernel, a: &[u64], b: &[u64]) -> [Vec<u64>; 2] {
    let pair = Pair::new(kernel, a, b);
    [pair.even(), pair.odd()]
}

/// F(2k), as [`doubling`], by one product.
pub(super) fn even(kernel: Kernel, a: &[u64], b: &[u64]) -> Vec<u64> {
    Pair::new(kernel, a, b).even()
}

/// F(2k−1), as [`doubling`], by one product.
pub(super) fn odd(kernel: Kernel, a: &[u64], b: &[u64]) -> Vec<u64> {
    Pair::new(kernel, a, b).odd()
}

/// The digits of A and B.
struct Pair {
    kernel: Kernel,
    a: Vec<u64>,
    b: Vec<u64>,
}

impl Pair {
    fn new(kernel: Kernel, a: &[u64], b: &[u64]) -> Self {
        Self { kernel, a: digits(a, a.len()), b: digits(b, a.len()) }
    }

    fn even(&self) -> Vec<u64> {
        product(self.kernel, &self.combined(|a, b| a + 2 * b), &self.a, 0)
    }

    fn odd(&self) -> Vec<u64> {
        let sum = self.combined(|a, b| a + b);
        // Two too large, so that it is never negative.
        let mut carry = 2;
        let difference = self.combined(|a, b| {
            let digit = 3 * b + (2 * D - 2) + carry - a;
            carry = (1..5).map(|times| u64::from(digit >= times * D)).sum();
            digit - carry * D
        });
        // The lowest digits are the numbers modulo 4, which divides D.
        let (a, b) = (self.a[0], self.b[0]);
        let is_plus = (a * a).wrapping_sub(a * b).wrapping_sub(b * b) % 4 == 1;
        product(self.kernel, &sum, &difference, if is_plus { 2 } else { 2_u64.wrapping_neg() })
    }

    /// A number from both, digit by digit from the lowest.
    fn combined(&self, mut digit: impl FnMut(u64, u64) -> u64) -> Vec<u64> {
        self.a.iter().zip(&self.b).map(|(a, b)| digit(*a, *b)).collect()
    }
}

/// The digits of a number, with zeros up to those of `length` limbs.
fn digits(limbs: &[u64], length: usize) -> Vec<u64> {
    let mut words = vec![0; (length * DIGITS).div_ceil(LIMBS).next_multiple_of(LANES)];
    let digits = limbs.chunks(LIMBS).flat_map(|limbs| {
        let [l0, l1, l2, l3] = array::from_fn(|at| limbs.get(at).copied().unwrap_or(0));
        [
            l0 % D,
            l0 / D % D,
            l0 / (D * D) + l1 % 1_000_000 * 100,
            l1 / 1_000_000 % D,
            l1 / (1_000_000 * D) + l2 % 10_000 * 10_000,
            l2 / 10_000 % D,
            l2 / (10_000 * D) + l3 % 100 * 1_000_000,
            l3 / 100 % D,
            l3 / (100 * D),
        ]
    });
    words.iter_mut().zip(digits).for_each(|(word, digit)| *word = digit);
    words
}

/// The limbs of a·b + the constant, which may be −2, without zeros at the top. The digits of `a` may be up to [`LARGEST`].
fn product(kernel: Kernel, a: &[u64], b: &[u64], constant: u64) -> Vec<u64> {
    let mut columns = vec![0; a.len() + b.len() + LANES];
    kernel.run(Product { a, b, columns: &mut columns });
    columns[0] = columns[0].wrapping_add(constant);
    kernel.run(Carry(&mut columns));
    let mut limbs = Vec::with_capacity(columns.len().div_ceil(DIGITS) * LIMBS);
    for digits in columns.chunks(DIGITS) {
        let [d0, d1, d2, d3, d4, d5, d6, d7, d8] = array::from_fn(|at| digits.get(at).copied().unwrap_or(0));
        limbs.extend([
            d0 + d1 * D + d2 % 100 * (D * D),
            d2 / 100 + d3 * 1_000_000 + d4 % 10_000 * (1_000_000 * D),
            d4 / 10_000 + d5 * 10_000 + d6 % 1_000_000 * (10_000 * D),
            d6 / 1_000_000 + d7 * 100 + d8 * (100 * D),
        ]);
    }
    debug_assert!(limbs.iter().all(|limb| *limb < BASE));
    without_zeros(limbs)
}

/// Adds the product of two numbers to columns.
struct Product<'a> {
    a: &'a [u64],
    b: &'a [u64],
    columns: &'a mut [u64],
}

impl PlainLoop for Product<'_> {
    #[inline(always)]
    fn run(self) {
        // Digit i of `b` adds `a` times the digit, i places up. With a copy of `a` for each place within a vector, no vector
        // straddles two cache lines.
        let width = self.a.len() + LANES;
        let mut shifted = vec![0; LANES * width + LANES];
        let start = shifted.as_ptr().align_offset(LANES * size_of::<u64>()).min(LANES);
        let shifted = &mut shifted[start..][..LANES * width];
        for (places, row) in shifted.chunks_exact_mut(width).enumerate() {
            row[places..][..self.a.len()].copy_from_slice(self.a);
        }
        let mut rows = shifted.chunks_exact(width);
        let [r0, r1, r2, r3, r4, r5, r6, r7] = array::from_fn(|_| rows.next().unwrap_or_default());
        for (first, factors) in (0..).step_by(LANES).zip(self.b.as_chunks::<LANES>().0) {
            let columns = &mut self.columns[first..][..width];
            let [f0, f1, f2, f3, f4, f5, f6, f7] = *factors;
            let low = r0.iter().zip(r1).zip(r2).zip(r3);
            let high = r4.iter().zip(r5).zip(r6).zip(r7);
            for ((column, (((r0, r1), r2), r3)), (((r4, r5), r6), r7)) in columns.iter_mut().zip(low).zip(high) {
                let low = half(f0, *r0) + half(f1, *r1) + (half(f2, *r2) + half(f3, *r3));
                *column += low + (half(f4, *r4) + half(f5, *r5) + (half(f6, *r6) + half(f7, *r7)));
            }
        }
    }
}

/// The product of lower halves.
#[inline(always)]
fn half(a: u64, b: u64) -> u64 {
    (a & LOW) * (b & LOW)
}

/// Turns columns into digits. The lowest column may be negative; the number is not.
struct Carry<'a>(&'a mut [u64]);

impl PlainLoop for Carry<'_> {
    /// A column, with its bias, is r + D·(q₀ + D·q₁). The three are worked out side by side, chunk by chunk, and added to those
    /// of the columns below.
    #[inline(always)]
    fn run(self) {
        let (mut second, mut third, mut carries) = ([0; CHUNK + 1], [0; CHUNK + 2], [0; CHUNK + 1]);
        // Nothing is taken from the lowest column.
        self.0[0] = self.0[0].wrapping_add(BIAS);
        for digits in self.0.chunks_mut(CHUNK) {
            for ((digit, second), third) in digits.iter_mut().zip(&mut second[1..]).zip(&mut third[2..]) {
                let column = digit.wrapping_add(BIAS * D - BIAS);
                let (quotient, low) = below(float(column >> 32) * (4_294_967_296.0 / 1e8) + float(column & LOW) * 1e-8);
                let (_, high) = below(quotient * 1e-8);
                *digit = column.wrapping_sub((low & LOW) * D) & LOW;
                *second = low.wrapping_sub((high & LOW) * D) & LOW;
                *third = high;
            }
            let count = digits.len();
            for (((digit, second), third), carry) in digits.iter_mut().zip(&second).zip(&third).zip(&mut carries[1..]) {
                let sum = *digit + second + third;
                *carry = multiples::<D>(sum);
                *digit = sum - *carry * D;
            }
            let mut largest = 0;
            for (digit, carry) in digits.iter_mut().zip(&carries) {
                *digit += carry;
                largest = largest.max(*digit);
            }
            carries[0] = carries[count] + if largest >= D { ripple::<D>(digits) } else { 0 };
            (second[0], third[0], third[1]) = (second[count], third[count], third[count + 1]);
        }
    }
}

/// Columns whose digits are worked out at a time.
const CHUNK: usize = 64;

/// An integer below x by a quarter to five quarters, for x from 1 to 2³⁸: as a double and as a word. So the remainder of a
/// division by D is in [0, 1.3·D), whatever the errors of x (Gappa checks it in `tests/proofs/columns.gappa`).
#[inline(always)]
fn below(x: f64) -> (f64, u64) {
    nearest(x - 0.75)
}

/// A word below 2³² as a double.
#[inline(always)]
fn float(word: u64) -> f64 {
    f64::from_bits(word | INTEGERS.to_bits()) - INTEGERS
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;

    fn big(digits: &[u64], base: u64) -> BigUint {
        digits.iter().rev().fold(BigUint::ZERO, |sum, digit| sum * base + digit)
    }

    fn limbs(mut number: BigUint) -> Vec<u64> {
        let mut limbs = Vec::new();
        while number != BigUint::ZERO {
            limbs.push((&number % BASE).try_into().unwrap());
            number /= BASE;
        }
        limbs
    }

    fn available() -> impl Iterator<Item = Kernel> {
        Kernel::ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    #[test]
    fn pairs_are_doubled_with_every_kernel() {
        let (mut b, mut a) = (BigUint::from(1_u32), BigUint::from(2_u32));
        for k in 3.. {
            let pair = [limbs(a.clone()), limbs(b.clone())];
            if pair[0].len() > MAX_LIMBS {
                break;
            }
            if k < 300 || k % 61 == 0 || pair[0].len() == MAX_LIMBS {
                let expected = [limbs(&a * (&a + 2_u32 * &b)), limbs(&a * &a + &b * &b)];
                for kernel in available() {
                    assert_eq!(doubling(kernel, &pair[0], &pair[1]), expected, "k = {k}, {kernel}");
                    let [even, odd] = [even(kernel, &pair[0], &pair[1]), odd(kernel, &pair[0], &pair[1])];
                    assert_eq!([even, odd], expected, "k = {k}, {kernel}");
                }
            }
            (a, b) = (&a + &b, a);
        }
    }

    #[test]
    fn the_largest_columns_fit_and_the_longest_carries_go_through() {
        let length = (MAX_LIMBS * DIGITS).div_ceil(LIMBS).next_multiple_of(LANES);
        let mut one = vec![0; length];
        one[0] = 1;
        let (largest, nines) = (vec![LARGEST; length], vec![D - 1; length]);
        for (a, b) in [(&largest, &nines), (&nines, &nines), (&nines, &one), (&one, &one)] {
            for (constant, added) in [(0, 2_u32), (2, 4), (2_u64.wrapping_neg(), 0)] {
                let expected = big(a, D) * big(b, D) + added;
                // One less 2 would be negative.
                if expected >= BigUint::from(2_u32) {
                    for kernel in available() {
                        assert_eq!(product(kernel, a, b, constant), limbs(&expected - 2_u32), "{kernel}");
                    }
                }
            }
        }
    }

    #[test]
    fn limbs_are_split_and_joined() {
        let number = [BASE - 1, 123_456_789_012_345_678, 1, BASE / 7, 99_999_999, 7];
        let split = digits(&number, number.len());
        assert_eq!(big(&split, D), big(&number, BASE));
        let mut one = vec![0; LANES];
        one[0] = 1;
        assert_eq!(product(Kernel::Portable, &split, &one, 0), number);
    }
}
