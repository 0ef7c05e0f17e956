//! The decimal digits of π: 3.14159…, cut and never rounded.
//!
//! Digit 0 is the 3 before the point, digit k the k-th behind it. In reading order:
//!
//! | module | holds |
//! |---|---|
//! | [`block`] | the rows of digits that are stored |
//! | [`span`] | digits in a row, off their blocks |
//! | [`series`] | Chudnovsky's series by binary splitting |
//! | [`mod@fingerprint`] | what proves a block |
//!
//! With the series' sum T/Q, π is 426880·√10005·Q/T. All of it is computed in base B = 10¹⁸, so that the digits are there
//! when the division ends.
//!
//! # The last digits
//!
//! For L limbs of digits the quotient has t = L + g + 1 limbs behind the point. It is a fraction over another and so π times
//! a power of B: its top limb is the 3, and behind that there are at least t − 1 limbs. Its error is below 1.1·B^(3−t) by the
//! division ([`super::division`]), below π·B^(−t) by T/Q ([`series`]), and below π·201·B^(−t) by 1/√10005
//! ([`super::root`]), whose residual of 4·√10005·B^(−t) is twice its relative error: together below 2·B^(−L−(g−2)).
//! So the digits are right unless the first g − 2 limbs behind them, as one number, are within 2 of 0 or of B^(g−2); then π
//! is evaluated again, with a g one larger. The first g is 3, and a second round has a chance of 4·10^(−18).

mod block;
mod fingerprint;
mod series;
mod span;

use std::ops::Range;

pub use self::{
    block::{BLOCK_BYTES, BLOCK_DIGITS, BLOCKS, Block},
    fingerprint::fingerprint,
    span::{Row, Span},
};
use super::{
    digits,
    division::quotient,
    limb::{BASE, LIMB_DIGITS},
    linear::{scale, without_zeros},
    ntt::{self, Kernel},
    parallel::Parallel,
    products::Products,
    root::reciprocal_square_root,
};

/// Limbs behind the digits, of which two absorb errors.
const GUARD_LIMBS: usize = 3;

/// The radicand, and what the root of its reciprocal is multiplied by: 426880·10005.
const RADICAND: u64 = 10_005;
const FACTOR: u64 = 426_880 * RADICAND;

/// A number of digits of π, the 3 counted: from 1 to [`Count::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(usize);

/// The 3 alone.
impl Default for Count {
    fn default() -> Self {
        Self(1)
    }
}

impl Count {
    /// The 3 and all blocks: 10⁸ digits, and the rest of the last block.
    pub const MAX: Self = Self(1 + BLOCKS * BLOCK_DIGITS);

    /// `None` for 0 and beyond [`Count::MAX`].
    #[must_use]
    pub const fn new(count: usize) -> Option<Self> {
        if count >= 1 && count <= Self::MAX.0 { Some(Self(count)) } else { None }
    }

    /// The 3 and the first blocks. `None` for more than [`BLOCKS`].
    #[must_use]
    pub const fn of_blocks(blocks: usize) -> Option<Self> {
        if blocks <= BLOCKS { Some(Self(1 + blocks * BLOCK_DIGITS)) } else { None }
    }

    /// The count as a number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }

    /// The number of blocks that hold the digits behind the point.
    #[must_use]
    pub const fn blocks(self) -> usize {
        (self.0 - 1).div_ceil(BLOCK_DIGITS)
    }

    /// Limbs that hold the digits behind the point.
    const fn limbs(self) -> usize {
        (self.0 - 1).div_ceil(LIMB_DIGITS)
    }
}

/// Digits of π from the first one on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    /// The limbs behind the point, the last one first.
    limbs: Vec<u64>,
}

impl Digits {
    /// The number of digits, the 3 counted: at least as many as were asked for, and whole limbs behind the 3.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.limbs.len() * LIMB_DIGITS
    }

    /// Appends the digits of a range, without a point. Time and memory: linear in their number. Inside of a rayon pool its
    /// threads share it.
    ///
    /// # Panics
    /// If the range goes beyond the [count](Self::count).
    pub fn write(&self, range: Range<usize>, text: &mut Vec<u8>) {
        assert!(range.end <= self.count(), "there are {} digits", self.count());
        if range.contains(&0) {
            text.push(b'3');
        }
        let decimals = range.start.max(1) - 1..range.end.max(1) - 1;
        digits::write_part(&self.limbs, decimals, text);
    }

    /// The block with this number, if all of its digits are there.
    #[must_use]
    pub fn block(&self, number: usize) -> Option<Block> {
        Block::of(&self.limbs, number)
    }
}

/// The first digits of π, with the kernel for all that is long. The digits are not proven here: the caller proves each block
/// by its [`fingerprint()`].
///
/// `progress` is called with the part of the work that is done, from 0 to 1, some tens of milliseconds apart, on the caller's
/// thread. Inside of a rayon pool all of its threads are used where they pay. Time: some 30 times that of a Fibonacci number
/// of as many digits. Memory: [`memory`].
///
/// ```
/// use phipi_math::{Kernel, pi_digits};
///
/// let count = pi_digits::Count::new(100).expect("at most 10⁸");
/// let digits = pi_digits::evaluate(count, Kernel::best(), &mut |_part| {});
/// let mut text = Vec::new();
/// digits.write(0..10, &mut text);
/// assert_eq!(text, b"3141592653");
/// ```
///
/// # Panics
///
/// If the processor does not have the kernel.
#[must_use]
pub fn evaluate(count: Count, kernel: Kernel, progress: &mut dyn FnMut(f64)) -> Digits {
    // Rounding in sums of shares, or a second round, must not lead the progress back.
    let mut furthest = 0.0_f64;
    let forward = &mut |part: f64| {
        furthest = furthest.max(part.min(1.0));
        progress(furthest);
    };
    let limbs = (GUARD_LIMBS..).find_map(|guard| attempt(count.limbs(), guard, kernel, forward));
    progress(1.0);
    Digits { limbs: limbs.expect("digits that are not all 0 or 9") }
}

/// Bytes that [`evaluate`] allocates at most at a time, its result among them, with up to two threads: some 20 MB for 10⁶
/// digits, 1.5 GB for 10⁸. (An evaluation need not touch all of them.)
#[must_use]
pub fn memory(count: Count) -> usize {
    let wanted = count.limbs() + GUARD_LIMBS + 1;
    let numbers = 9 * wanted;
    let transforms = 11 * ntt::points(product_limbs(wanted));
    size_of::<u64>() * (numbers + transforms + series::shared_limbs(wanted))
}

/// The limbs of the longest product for `wanted` limbs of a quotient, and a few.
fn product_limbs(wanted: usize) -> usize {
    2 * wanted + 16
}

/// The limbs behind the point, the last one first, if this number of guard limbs makes them certain.
fn attempt(limbs: usize, guard: usize, kernel: Kernel, progress: &mut dyn FnMut(f64)) -> Option<Vec<u64>> {
    let wanted = limbs + guard + 1;
    let mut products = Products::new(kernel, product_limbs(wanted), Parallel::in_this_pool());
    let [numerator, denominator] = fraction(wanted, kernel, &mut products, &mut |part| progress(0.92 * part));
    let last = &mut |part: f64| progress(0.92 + 0.08 * part);
    let mut pi = without_zeros(quotient(&numerator, &denominator, wanted, &mut products, last));
    let whole = pi.pop();
    debug_assert_eq!(whole, Some(3), "a power of the base times π");
    let digits = pi.split_off(pi.len() - limbs);
    is_certain(&pi[pi.len() - (guard - 2)..]).then_some(digits)
}

/// Two numbers whose quotient is π times a power of B.
fn fraction(wanted: usize, kernel: Kernel, products: &mut Products, progress: &mut dyn FnMut(f64)) -> [Vec<u64>; 2] {
    let series = &mut |part: f64| progress(0.93 * part);
    let [mut q, t] = series::denominator_and_numerator(wanted, kernel, products, series);
    scale(&mut q, FACTOR);
    let root = reciprocal_square_root(RADICAND, wanted, products, &mut |part| progress(0.93 + 0.04 * part));
    [products.product(&q, &root, &mut |part| progress(0.97 + 0.03 * part)), t]
}

/// Whether limbs behind the digits, the last one first, are neither within 2 of 0 nor of the power of B above them.
fn is_certain(guard: &[u64]) -> bool {
    let (last, others) = guard.split_first().expect("a guard limb");
    let is_next_to_zero = *last < 2 && others.iter().all(|&limb| limb == 0);
    let is_next_to_power = *last >= BASE - 2 && others.iter().all(|&limb| limb == BASE - 1);
    !is_next_to_zero && !is_next_to_power
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ntt::disabled;
    use num_bigint::BigInt;

    fn count(count: usize) -> Count {
        Count::new(count).unwrap()
    }

    fn text(digits: &Digits, range: Range<usize>) -> String {
        let mut text = Vec::new();
        digits.write(range, &mut text);
        String::from_utf8(text).unwrap()
    }

    fn kernels() -> impl Iterator<Item = Kernel> {
        Kernel::ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    /// The first digits by another formula and another library: π = 16·arctan(1/5) − 4·arctan(1/239) (J. Machin, 1706).
    fn by_machin(count: usize) -> String {
        let one = BigInt::from(10).pow(u32::try_from(count).unwrap() + 9);
        let arctan_of_inverse = |x: u32| {
            let mut power = &one / x;
            let mut sum = power.clone();
            for k in 1_u32.. {
                power = -power / (x * x);
                if power == BigInt::ZERO {
                    break;
                }
                sum += &power / (2 * k + 1);
            }
            sum
        };
        let pi: BigInt = 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239);
        pi.to_string()[..count].to_owned()
    }

    #[test]
    fn a_count_is_bounded() {
        assert_eq!(Count::new(0), None);
        assert_eq!(Count::new(Count::MAX.get() + 1), None);
        assert_eq!(Count::of_blocks(BLOCKS), Some(Count::MAX));
        assert_eq!(Count::of_blocks(BLOCKS + 1), None);
        assert_eq!((BLOCKS, Count::MAX.get()), (2_713, 100_012_033));
        assert!([0, 1, 2].map(|blocks| Count::of_blocks(blocks).unwrap().get()) == [1, 36_865, 73_729]);
    }

    #[test]
    fn every_short_count_agrees_with_another_formula() {
        let expected = by_machin(2_100);
        for kernel in kernels() {
            for digits in 1..=2_000 {
                let pi = evaluate(count(digits), kernel, &mut |_| ());
                assert!(pi.count() >= digits && pi.count() < digits + LIMB_DIGITS, "{digits} digits");
                assert_eq!(text(&pi, 0..pi.count()), expected[..pi.count()], "{digits} digits, {kernel}");
            }
        }
    }

    #[test]
    fn every_range_is_a_part_of_the_whole() {
        let expected = by_machin(100);
        let pi = evaluate(count(100), Kernel::best(), &mut |_| ());
        for end in 0..=100 {
            for start in 0..=end {
                assert_eq!(text(&pi, start..end), expected[start..end], "{start}..{end}");
            }
        }
        let mut text = b"pi = ".to_vec();
        pi.write(0..3, &mut text);
        assert_eq!(text, b"pi = 314");
    }

    #[test]
    #[should_panic(expected = "there are 19 digits")]
    fn no_range_goes_beyond_the_count() {
        let _ = text(&evaluate(count(10), Kernel::best(), &mut |_| ()), 0..20);
    }

    #[test]
    fn doubt_is_seen() {
        let rows = [
            (vec![0], false, "0 exactly"),
            (vec![1], false, "next to 0"),
            (vec![2], true, "as near as the error comes"),
            (vec![BASE - 3], true, "the same from the other side"),
            (vec![BASE - 2], false, "next to the next digit"),
            (vec![BASE - 1], false, "all nines"),
            (vec![1, 0], false, "a second guard limb of 0"),
            (vec![1, 1], true, "one that is not"),
            (vec![BASE - 2, BASE - 1], false, "a second guard limb of nines"),
            (vec![BASE - 2, 0], true, "one of zeros below nines"),
        ];
        for (guard, certain, why) in rows {
            assert_eq!(is_certain(&guard), certain, "{why}");
        }
    }

    #[test]
    fn more_guard_limbs_change_nothing() {
        for limbs in [1, 10, 100, 1_000] {
            let attempts = [3, 4, 5].map(|guard| attempt(limbs, guard, Kernel::best(), &mut |_| ()));
            assert!(attempts[0].is_some() && attempts[0] == attempts[1] && attempts[0] == attempts[2], "{limbs} limbs");
        }
    }

    #[test]
    fn memory_is_known_beforehand() {
        for digits in [1, 1_000, 10_000, 100_000, 300_000, 1_000_000] {
            let mut pi = None;
            let taken = allocation_counter::measure(|| {
                pi = Some(disabled(|| evaluate(count(digits), Kernel::best(), &mut |_| ())));
            });
            let (taken, known) = (usize::try_from(taken.bytes_max).unwrap(), memory(count(digits)));
            assert!(taken <= known, "{digits} digits take {taken} bytes, not {known}");
            // The room for a second thread is not used here.
            let shared = size_of::<u64>() * series::shared_limbs(count(digits).limbs() + GUARD_LIMBS + 1);
            assert!(taken * 10 > (known - shared) * 7, "{digits} digits take {taken} bytes, far less than {known}");
        }
        let largest = memory(Count::MAX);
        assert!(largest < 1_700_000_000, "{largest} bytes");
    }

    #[test]
    fn progress_ends_with_the_work() {
        let mut reports = Vec::new();
        let _ = evaluate(count(300_000), Kernel::best(), &mut |part| reports.push(part));
        assert!(reports.is_sorted() && reports.last() == Some(&1.0), "{reports:?}");
        assert!(reports.windows(2).all(|pair| pair[1] - pair[0] < 0.5), "{reports:?}");
    }

    #[test]
    fn blocks_have_one_form() {
        let pi = evaluate(Count::of_blocks(2).unwrap(), Kernel::best(), &mut |_| ());
        assert_eq!(pi.block(2), None);
        let [first, second] = [0, 1].map(|number| pi.block(number).unwrap());
        let whole = text(&pi, 0..pi.count());
        for (block, start) in [(&first, 1), (&second, 1 + BLOCK_DIGITS)] {
            let mut digits = Vec::new();
            block.write_digits(0..BLOCK_DIGITS, &mut digits);
            assert!(digits == whole.as_bytes()[start..start + BLOCK_DIGITS]);
            let mut bytes = Vec::new();
            block.write_bytes(&mut bytes);
            assert_eq!(bytes.len(), BLOCK_BYTES);
            assert_eq!(Block::from_bytes(&bytes).as_ref(), Some(block));
            assert_eq!(Block::from_bytes(&bytes[1..]), None);
            assert_eq!(Block::from_bytes(&[&bytes[..], &[0]].concat()), None);
            bytes[8 * 77..8 * 78].copy_from_slice(&BASE.to_le_bytes());
            assert_eq!(Block::from_bytes(&bytes), None, "a limb of 10^18");
        }
        let mut digits = Vec::new();
        second.write_digits(17..20, &mut digits);
        assert!(digits == whole.as_bytes()[BLOCK_DIGITS + 18..BLOCK_DIGITS + 21]);
        let mut bytes = Vec::new();
        first.write_bytes(&mut bytes);
        assert_eq!(bytes[..8], 141_592_653_589_793_238_u64.to_le_bytes());
    }

    #[test]
    fn every_block_has_a_fingerprint() {
        assert!(fingerprint(0).is_some() && fingerprint(BLOCKS - 1).is_some());
        assert_eq!(fingerprint(BLOCKS), None);
    }
}
