//! Chudnovsky's series by binary splitting.
//!
//! ```text
//!  426880·√10005     ∞                (6k)!·(13591409 + 545140134·k)
//! --------------- =  Σ  (−1)ᵏ · ------------------------------------
//!        π          k=0             (3k)!·(k!)³·640320³ᵏ
//! ```
//!
//! (D. V. Chudnovsky, G. V. Chudnovsky, "Approximations and complex multiplication according to Ramanujan", 1988.) The
//! factor of a term over that of the one before it is −p(k)/q(k) with
//!
//! ```text
//! p(k) = (6k − 5)(2k − 1)(6k − 1)    q(k) = k³·640320³/24    a(k) = 13591409 + 545140134·k
//! ```
//!
//! and p(0) = q(0) = 1. For a range of terms let P and Q be the products of p and q, and T/Q the sum of the range, over the
//! product of all factors before it, its first term taken as positive. Ranges with an *even* number of terms are put together
//! without a sign, as the signs of the right one begin anew:
//!
//! ```text
//! P = P₁P₂    Q = Q₁Q₂    T = Q₂T₁ + P₁T₂
//! ```
//!
//! (B. Haible, T. Papanikolaou, "Fast multiprecision evaluation of series of rational numbers", 1998). All numbers are
//! positive, for each term of a range is far less than the one before it.
//!
//! # The terms
//!
//! (6k)!/((3k)!·(k!)³) is a product of binomial coefficients below 2⁶ᵏ·3³ᵏ = 1728ᵏ, so that the product of p/q below k is at
//! most (1728/640320³)ᵏ < 10^(−14.1816·k). The series alternates and its terms fall, so that what is left out after n terms
//! is less than the next one, a(n)·10^(−14.1816·n), and relative to the sum, 1.3·10⁷, less than 42n·10^(−14.1816·n).
//!
//! # The limbs that are kept
//!
//! A sum is wanted with a relative error below B^(−w). A range that begins at term k contributes less by the factor
//! 10^(−14.1816·k), so that its sum needs fewer limbs by ⌊14.1816·k/18⌋. Where its Q has more than w + 3 − ⌊14.1816·k/18⌋
//! limbs, *the same number* of limbs is dropped from P, Q and T: the lowest limb means the same in all three, which is all
//! that the formulas demand, and the quotient of the whole is none the wiser. This changes P and T by less than 1 in Q's
//! lowest place, and so T/Q and P/Q by less than 2 of it over Q; beyond the first range T/Q < 32, since a(k)·p(k)/q(k) is.
//! So the sum of the range, and what follows it by way of P, change by less than 100·B^(−w−2+⌊…⌋), and the whole by less
//! than 100·B^(−w−2). Few ranges are that long: fewer than a hundred, some three each time the length doubles.

use std::ops::Range;

use super::super::{
    limb::{BASE, LIMB_DIGITS},
    linear::{subtract, without_zeros},
    ntt::{self, Kernel},
    parallel::Parallel,
    products::Products,
    schoolbook::{self, write_product},
};

/// 640320³/24.
const Q_FACTOR: u128 = 640_320_u128.pow(3) / 24;

/// Digits for each term, in units of 10^−4, rounded down: 3·log10 640320 − log10 1728.
const DIGITS_OF_TERM: usize = 141_816;

/// Terms of ranges whose halves are two threads' work: some 30 ms of it for one.
const SHARED_TERMS: usize = 1 << 14;

/// The part of the work on a range of [`SHARED_TERMS`] terms, in levels of the tree above it (measured).
const LEVELS_OF_SHARED: u32 = 9;

/// Digits of P, Q and T for each term at most: q(k) < 10·B².
const MAX_DIGITS_OF_TERM: usize = 2 * LIMB_DIGITS + 1;

/// Terms at most: 10⁸ digits take 7,052,000.
const MAX_TERMS: usize = 7_100_000;

// q(k) has at most that many digits, p(k) two limbs, a(k) one, and 42n·10^(−28) is below 10^(−15).
const _: () = {
    let k = MAX_TERMS as u128;
    assert!(k * k * k * Q_FACTOR < 10 * BASE as u128 * BASE as u128);
    assert!(72 * k * k * k < BASE as u128 * BASE as u128);
    assert!(a(MAX_TERMS as u64) < BASE);
};

/// Q and T of the whole series, with T/Q known to `limbs` limbs, by the module's bounds: the relative error is below
/// B^(−`limbs`). The lowest limb of both means the same. Needs `products` of 2·`limbs` limbs and 16.
///
/// Time: as of some 30 products of as many limbs (for 10⁷ digits; the logarithm of the length is in it). `progress` is called
/// on the caller's thread with the part of the work that is done.
pub(super) fn denominator_and_numerator(
    limbs: usize,
    kernel: Kernel,
    products: &mut Products,
    progress: &mut dyn FnMut(f64),
) -> [Vec<u64>; 2] {
    let halves = Parallel::in_this_pool()
        .is_enabled()
        .then(|| [(); 2].map(|()| Products::new(kernel, half_limbs(limbs), Parallel::none())));
    let terms = terms(limbs);
    assert!(terms <= MAX_TERMS, "{limbs} limbs are more than 10⁸ digits have");
    let mut splitting = Splitting { limbs, products, halves };
    let whole = splitting.range(0..terms, true, progress);
    [whole.q, whole.t]
}

/// Limbs that the halves of shared ranges take, with their transforms.
pub(super) fn shared_limbs(limbs: usize) -> usize {
    2 * (11 * ntt::points(half_limbs(limbs)) + 6 * half_limbs(limbs))
}

/// Limbs of the products within half of a shared range.
fn half_limbs(limbs: usize) -> usize {
    // A sum of `limbs` limbs has fewer terms than 2 for each, and 8.
    let terms = SHARED_TERMS.min(2 * limbs + 8) / 2 + 2;
    terms * MAX_DIGITS_OF_TERM / LIMB_DIGITS + 8
}

/// An even number of terms for a sum with a relative error below B^(−w)·10^(−15).
///
/// The error in the docs of the module is below 10⁹·10^(−14.1816·n) for n up to 2·10⁷; two more terms are worth 10^(−28).
const fn terms(limbs: usize) -> usize {
    (limbs * 18 * 10_000 / DIGITS_OF_TERM + 3).next_multiple_of(2)
}

/// Limbs of Q that are kept of a range that begins at a term.
const fn kept(limbs: usize, first: usize) -> usize {
    (limbs + 3).saturating_sub(first * DIGITS_OF_TERM / 10_000 / 18)
}

/// The term at which a range of an even number of terms is split: so that the left part has an even number, too.
const fn middle(range: &Range<usize>) -> usize {
    range.start + ((range.end - range.start) / 2).next_multiple_of(2)
}

/// P, Q and T of a range, of which the same number of the lowest limbs may have been dropped. P is empty for the last one:
/// nothing follows it.
struct Part {
    p: Vec<u64>,
    q: Vec<u64>,
    t: Vec<u64>,
}

/// The multipliers, and the precision, with which ranges are evaluated.
struct Splitting<'a> {
    /// Limbs of the sum that are wanted.
    limbs: usize,
    /// For ranges that are worth all threads.
    products: &'a mut Products,
    /// For the halves of those that are worth a thread each.
    halves: Option<[Products; 2]>,
}

impl Splitting<'_> {
    /// The part of a range of an even number of terms.
    fn range(&mut self, range: Range<usize>, is_last: bool, progress: &mut dyn FnMut(f64)) -> Part {
        let count = range.end - range.start;
        if count <= SHARED_TERMS {
            let part = self.shared(range, is_last);
            progress(1.0);
            return part;
        }
        // Each level above the shared ranges is about the same work.
        let levels = LEVELS_OF_SHARED + count.div_ceil(SHARED_TERMS).next_power_of_two().ilog2();
        let below = 0.5 - 0.5 / f64::from(levels);
        let middle = middle(&range);
        let left = self.range(range.start..middle, false, &mut |part| progress(below * part));
        let right = self.range(middle..range.end, is_last, &mut |part| progress(below + below * part));
        let last = &mut |part: f64| progress(2.0 * below + (1.0 - 2.0 * below) * part);
        merged(left, right, is_last, kept(self.limbs, range.start), self.products, last)
    }

    /// The part of a range whose halves are a thread's work each.
    fn shared(&mut self, range: Range<usize>, is_last: bool) -> Part {
        let limbs = self.limbs;
        let Some([products1, products2]) = self.halves.as_mut().filter(|_| range.end - range.start > 2) else {
            return sequential(range, is_last, limbs, self.products);
        };
        let middle = middle(&range);
        let (left, right) = rayon::join(
            || sequential(range.start..middle, false, limbs, products1),
            || sequential(middle..range.end, is_last, limbs, products2),
        );
        merged(left, right, is_last, kept(limbs, range.start), self.products, &mut |_| ())
    }
}

/// The part of a range of an even number of terms, on this thread.
fn sequential(range: Range<usize>, is_last: bool, limbs: usize, products: &mut Products) -> Part {
    if range.end - range.start == 2 {
        return two_terms(range.start);
    }
    let middle = middle(&range);
    let left = sequential(range.start..middle, false, limbs, products);
    let right = sequential(middle..range.end, is_last, limbs, products);
    merged(left, right, is_last, kept(limbs, range.start), products, &mut |_| ())
}

/// The part of two ranges, one after the other, of whose Q `kept` limbs are kept.
fn merged(
    left: Part,
    right: Part,
    is_last: bool,
    kept: usize,
    products: &mut Products,
    progress: &mut dyn FnMut(f64),
) -> Part {
    let factors = [&left.q, &right.q, &left.t, &left.p, &right.t].map(Vec::as_slice);
    let [q, t] = products.sum(factors, &mut |part| progress(0.8 * part));
    drop((left.q, left.t, right.q, right.t));
    let p =
        if is_last { Vec::new() } else { products.product(&left.p, &right.p, &mut |part| progress(0.8 + 0.2 * part)) };
    let excess = q.len().saturating_sub(kept);
    let [p, q, t] = [p, q, t].map(|mut limbs| {
        limbs.drain(..excess.min(limbs.len()));
        limbs
    });
    Part { p, q, t }
}

/// The part of the terms k and k + 1: P = p(k)·p(k+1), Q = q(k)·q(k+1), T = p(k)·(a(k)·q(k+1) − a(k+1)·p(k+1)).
fn two_terms(k: usize) -> Part {
    let k = u64::try_from(k).expect("at most 10⁷");
    let [p1, p2] = [k, k + 1].map(|k| limbs::<2>(p(k)));
    let [q1, q2] = [k, k + 1].map(|k| limbs::<3>(q(k)));
    let (mut first, mut second) = ([0; 4], [0; 4]);
    write_product(&q2, &[a(k)], &mut first);
    write_product(&p2, &[a(k + 1)], &mut second[..3]);
    subtract(&mut first, &second);
    let product = |x: &[u64], y: &[u64]| without_zeros(schoolbook::product(x, y));
    Part { p: product(&p1, &p2), q: product(&q1, &q2), t: product(&p1, &first) }
}

/// p(k), below 10³⁶ for k up to 10⁷.
fn p(k: u64) -> u128 {
    let k = u128::from(k);
    if k == 0 { 1 } else { (6 * k - 5) * (2 * k - 1) * (6 * k - 1) }
}

/// q(k), below 2¹²⁸ for k up to 10⁷.
fn q(k: u64) -> u128 {
    if k == 0 { 1 } else { u128::from(k).pow(3) * Q_FACTOR }
}

/// a(k).
const fn a(k: u64) -> u64 {
    13_591_409 + 545_140_134 * k
}

/// The limbs of a number that fits.
fn limbs<const LIMBS: usize>(mut number: u128) -> [u64; LIMBS] {
    [(); LIMBS].map(|()| {
        let limb = u64::try_from(number % u128::from(BASE)).expect("below B");
        number /= u128::from(BASE);
        limb
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;

    fn big(limbs: &[u64]) -> BigUint {
        limbs.iter().rev().fold(BigUint::ZERO, |sum, &limb| sum * BASE + limb)
    }

    fn products() -> Products {
        Products::new(Kernel::best(), 2_000, Parallel::none())
    }

    /// P, Q and T by their definition: the sum of p(first) … p(k)·q(k+1) … q(last)·a(k), with alternating signs.
    fn by_definition(range: Range<u64>) -> [BigUint; 3] {
        let product =
            |range: Range<u64>, factor: fn(u64) -> u128| range.map(factor).map(BigUint::from).product::<BigUint>();
        let term = |k| product(range.start..k + 1, p) * product(k + 1..range.end, q) * a(k);
        let sums = [0, 1].map(|parity| range.clone().skip(parity).step_by(2).map(term).sum::<BigUint>());
        [product(range.clone(), p), product(range.clone(), q), &sums[0] - &sums[1]]
    }

    #[test]
    fn ranges_are_what_they_are_defined_as() {
        let mut products = products();
        for (start, end) in [(0, 2), (0, 4), (0, 6), (2, 12), (0, 100), (50, 150), (7_099_900, 7_100_000)] {
            let part = sequential(start..end, false, 10_000_000, &mut products);
            let [p, q, t] = by_definition(start as u64..end as u64);
            assert_eq!([&part.p, &part.q, &part.t].map(|limbs| big(limbs)), [p, q, t], "{start}..{end}");
        }
    }

    #[test]
    fn the_limbs_that_are_dropped_are_beyond_the_error() {
        let mut products = products();
        for limbs in [4, 5, 10, 50, 200] {
            let whole = sequential(0..terms(limbs) + 40, true, 1_000_000, &mut products);
            let [q, t] = denominator_and_numerator(limbs, Kernel::best(), &mut products, &mut |_| ());
            assert!(q.len() <= limbs + 3, "{limbs} limbs");
            let (exact, found) = (big(&whole.t) * big(&q), big(&t) * big(&whole.q));
            let error = if exact > found { &exact - found } else { found - &exact };
            let power = BigUint::from(BASE).pow(u32::try_from(limbs).unwrap());
            assert!(error * power < exact, "{limbs} limbs");
        }
    }

    #[test]
    fn threads_change_nothing() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for limbs in [4, 100, 15_000] {
            let result = || {
                let mut products = Products::new(Kernel::best(), 2 * limbs + 16, Parallel::in_this_pool());
                denominator_and_numerator(limbs, Kernel::best(), &mut products, &mut |_| ())
            };
            assert!(result() == pool.install(result), "{limbs} limbs");
        }
    }
}
