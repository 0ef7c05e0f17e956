//! The Fibonacci numbers, F(0) = 0, F(1) = 1, F(n) = F(n−1) + F(n−2).

pub use super::index::{Index, digit_count, limb_count};
use super::{
    columns,
    decimal::Decimal,
    index::LAST_OF_TWO_LIMBS,
    linear::add_to,
    ntt::{self, Kernel, Lent, Multiplier},
    parallel::Parallel,
    residue::Prime,
    start,
};

/// F(n) with the fastest kernel, for the tests of what is made from it.
#[cfg(test)]
pub(super) fn fibonacci(n: Index) -> Decimal {
    evaluate(n, Kernel::best(), &mut |_| ())
}

/// F(n), exact, with the kernel for all that is long, and not proven: for comparing kernels. Values that are served
/// come from [`proven`]. `progress` is called with the part of the work that is done, from 0 to 1: after each
/// doubling, and in the long ones again and again, some tens of milliseconds apart. It is called on the caller's
/// thread.
///
/// Fast doubling: from A = F(k) and B = F(k−1) follow F(2k) = A(A+2B), F(2k−1) = A²+B² and F(2k+1) as their sum
/// (D. E. Knuth, TAOCP 1, 1.2.8, exercise 27 and its kin). It starts off a table, from the leading bits of n. The last
/// doubling needs but one of the two, from k = ⌈n/2⌉.
/// Time: some three products of numbers half as long as the result. Memory: some seven times the limbs of the result.
/// Inside of a rayon pool all of its threads are used where they pay.
///
/// # Panics
///
/// If the processor does not have the kernel.
#[must_use]
pub fn evaluate(n: Index, kernel: Kernel, progress: &mut dyn FnMut(f64)) -> Decimal {
    let value = if n.0 < start::END {
        start::number(n.0)
    } else {
        let mut doubler = Doubler::new(kernel, limb_count(n) + 1);
        let pair = doubler.pair(n.0.div_ceil(2), &mut |part| progress(PAIR_WORK * part));
        let last = &mut |part: f64| progress(PAIR_WORK + (1.0 - PAIR_WORK) * part);
        if n.0.is_multiple_of(2) { doubler.even(pair, last) } else { doubler.odd(pair, last) }
    };
    progress(1.0);
    Decimal::from_limbs(value)
}

/// F(n), exact, with the fastest kernel, and proven: `None` if it failed its proof, which only a fault of the machine or
/// of this program explains. Values of one or two limbs come off a table and need no proof.
///
/// `progress` is called as by [`evaluate`]. The proof takes a few hundredths of the time; of numbers of some hundred digits,
/// about half.
///
/// ```
/// use phipi_math::{fib, residue::Prime};
///
/// let prime = Prime::draw(getrandom::u64)?;
/// let n = fib::Index::new(100).expect("at most 10⁹");
/// let value = fib::proven(n, &prime, &mut |_part| {}).expect("memory that works");
/// assert_eq!(value.chunk(0).as_deref(), Some("354224848179261915075"));
/// # Ok::<(), getrandom::Error>(())
/// ```
#[must_use]
pub fn proven(n: Index, prime: &Prime, progress: &mut dyn FnMut(f64)) -> Option<Decimal> {
    let value = evaluate(n, Kernel::best(), progress);
    (n.0 <= LAST_OF_TWO_LIMBS || prime.proves(n, &value)).then_some(value)
}

/// F(first) and the numbers after it, `count` in all, exact and proven: two of them are evaluated, and each other one is the
/// sum of the two before it. `None` as for [`proven`], and when there are not as many indices.
///
/// Time and memory: beyond those of the first two, linear in the result.
#[must_use]
pub fn consecutive(first: Index, count: usize, prime: &Prime) -> Option<Vec<Decimal>> {
    if count < 2 {
        return proven(first, prime, &mut |_| ()).map(|number| vec![number]);
    }
    let last = u32::try_from(count - 1).ok().and_then(|more| Index::new(first.0.checked_add(more)?))?;
    let [next, here] = pair(first.0 + 1);
    let mut numbers = Vec::with_capacity(count);
    numbers.extend([here, next]);
    while let [.., before, here] = &numbers[..]
        && numbers.len() < count
    {
        let mut sum = here.limbs().to_vec();
        add_to(&mut sum, before.limbs());
        numbers.push(Decimal::from_limbs(sum));
    }
    // A wrong number makes every later one wrong: what proves the last two proves all that led to them.
    let are_proven = prime.proves(last, &numbers[count - 1]) && prime.proves(Index(last.0 - 1), &numbers[count - 2]);
    are_proven.then_some(numbers)
}

/// (F(k), F(k−1)) for k ≥ 1. Time and memory as for [`evaluate`].
pub(super) fn pair(k: u32) -> [Decimal; 2] {
    let pair = Doubler::new(Kernel::best(), limb_count(Index(k)) + 1).pair(k, &mut |_| ());
    // Without the room that they may have for longer ones.
    pair.map(|limbs| Decimal::from_limbs(limbs.as_slice().to_vec()))
}

/// Doubles pairs of neighbours: by schoolbook in vectors, or by transforms.
struct Doubler {
    kernel: Kernel,
    /// The limbs of the longest result.
    limbs: usize,
    /// Made for the first pair that is long enough.
    transforms: Option<Lent>,
}

/// Limbs of the longest pair that schoolbook doubles, and of the longest of which it makes one result. From then on transforms
/// win (measured): later where one result is wanted, since they transform both numbers for it as well.
const fn column_limbs(kernel: Kernel) -> [usize; 2] {
    match kernel {
        Kernel::Avx512 | Kernel::Avx2 => [64, 96],
        Kernel::Portable => [columns::MAX_LIMBS; 2],
    }
}

impl Doubler {
    /// For results of up to `limbs` limbs.
    fn new(kernel: Kernel, limbs: usize) -> Self {
        Self { kernel, limbs, transforms: None }
    }

    /// (F(k), F(k−1)) for k ≥ 1.
    fn pair(&mut self, k: u32, progress: &mut dyn FnMut(f64)) -> [Vec<u64>; 2] {
        let mut doublings = 0;
        while k >> doublings >= start::END {
            doublings += 1;
        }
        let first = k >> doublings;
        let mut pair = [first, first - 1].map(start::number);
        for bit in (0..doublings).rev() {
            // The work on a doubling is about proportional to its length.
            let (before, after) = (f64::from(k >> bit >> 1) / f64::from(k), f64::from(k >> bit) / f64::from(k));
            let [even, mut below] = self.doubling(pair, &mut |part| progress(before + (after - before) * part));
            pair = if k >> bit & 1 == 1 {
                add_to(&mut below, &even);
                [below, even]
            } else {
                [even, below]
            };
        }
        pair
    }

    /// F(2k) and F(2k−1).
    fn doubling(&mut self, pair: [Vec<u64>; 2], progress: &mut dyn FnMut(f64)) -> [Vec<u64>; 2] {
        let [longest, _] = column_limbs(self.kernel);
        if pair[0].len() <= longest {
            return columns::doubling(self.kernel, &pair[0], &pair[1]);
        }
        self.transforms().doubling(pair, progress)
    }

    /// F(2k).
    fn even(&mut self, pair: [Vec<u64>; 2], progress: &mut dyn FnMut(f64)) -> Vec<u64> {
        let [_, longest] = column_limbs(self.kernel);
        if pair[0].len() <= longest {
            return columns::even(self.kernel, &pair[0], &pair[1]);
        }
        self.transforms().even(pair, progress)
    }

    /// F(2k−1).
    fn odd(&mut self, pair: [Vec<u64>; 2], progress: &mut dyn FnMut(f64)) -> Vec<u64> {
        let [_, longest] = column_limbs(self.kernel);
        if pair[0].len() <= longest {
            return columns::odd(self.kernel, &pair[0], &pair[1]);
        }
        self.transforms().odd(pair, progress)
    }

    fn transforms(&mut self) -> &mut dyn Multiplier {
        let (kernel, limbs) = (self.kernel, self.limbs);
        &mut **self.transforms.get_or_insert_with(|| ntt::multiplier(kernel, limbs, Parallel::in_this_pool()))
    }
}

/// The part of the work that it takes to get to the last pair. A doubling costs about as much as all before it together,
/// and the last one, of a single result, three quarters of one of two (measured).
const PAIR_WORK: f64 = 0.56;

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;

    fn index(n: u32) -> Index {
        Index::new(n).unwrap()
    }

    #[test]
    fn agrees_with_the_naive_sum() {
        // The pairs that are doubled without transforms are among them, and both results of the longest.
        let (mut here, mut next, mut before) = (vec![], vec![1], Decimal::from(1));
        for n in 0..=19_000 {
            let naive = Decimal::from_limbs(here.clone());
            assert_eq!(fibonacci(index(n)), naive, "F({n})");
            if n > 0 {
                assert_eq!(pair(n), [naive.clone(), before], "F({n}) and the one before it");
            }
            assert_eq!(digit_count(index(n)), naive.digit_count(), "digits of F({n})");
            assert_eq!(limb_count(index(n)), naive.limbs().len(), "limbs of F({n})");
            add_to(&mut here, &next);
            std::mem::swap(&mut here, &mut next);
            before = naive;
        }
    }

    #[test]
    fn neighbours_obey_cassini() {
        // F(k)² − F(k)·F(k−1) − F(k−1)² = (−1)^(k+1), an identity that transforms do not use.
        for k in [1, 2, 87, 88, 89, 127, 128, 173, 174, 8_191, 8_192, 16_383, 16_384, 65_537] {
            let [a, b] = pair(k).map(|value| value.to_string().parse::<BigUint>().unwrap());
            let (square, rest) = (&a * &a, &a * &b + &b * &b);
            let (one_more, one_less) = if k % 2 == 1 { (square, rest) } else { (rest, square) };
            assert_eq!(one_more, one_less + 1_u32, "k = {k}");
        }
    }
}
