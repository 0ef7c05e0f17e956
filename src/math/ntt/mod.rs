//! Products of long decimals by number-theoretic transforms.
//!
//! The limbs of a decimal, base 10¹⁸, are the coefficients of a polynomial. Polynomials are multiplied modulo three
//! primes of 48 bits, in rings that are products of rings of one point, where a multiplication is one of numbers
//! (J. M. Pollard, 1971); the Chinese remainder theorem gives the coefficients, and a change of base and carries the
//! limbs. In reading order:
//!
//! | module | holds |
//! |---|---|
//! | [`prime`] | the three primes and their roots of unity |
//! | [`field`] | the interface of a kernel, and the proof that its arithmetic is exact |
//! | [`avx512`], [`avx2`], [`portable`] | the kernels |
//! | [`kernel`] | the choice among them |
//! | [`roots`] | the tree of rings and the roots that go with it |
//! | [`transform`] | butterflies and passes, and their bounds |
//! | [`plan`] | the lengths, and the largest coefficient |
//! | [`rule`] | the formulas of products, at the points |
//! | [`tail`] | the second part of a length |
//! | [`convolution`] | products modulo one prime |
//! | [`remainder`] | from three remainders to one number |
//! | [`carry`] | from numbers to limbs |
//! | [`limbs`] | the padded input |
//! | [`multiplier`](mod@multiplier) | the interface of all that |
//! | [`kept`] | buffers and roots between evaluations |
//! | [`progress`] | reports while all that goes on |
//!
//! Unsafe code is in the kernels alone.

#![expect(clippy::inline_always, reason = "only what is inlined into a task is compiled for its kernel")]

#[cfg(test)]
mod audit;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod carry;
mod convolution;
mod field;
mod kept;
mod kernel;
mod limbs;
mod multiplier;
mod plan;
mod portable;
mod prime;
mod progress;
mod remainder;
mod roots;
mod rule;
mod tail;
mod transform;

use std::{cmp::Reverse, ops::Range};

use convolution::Ring;
pub(super) use field::PlainLoop;
use field::{Field, LANES, Packs};
#[cfg(test)]
pub(super) use kept::disabled;
pub(super) use kept::{KEPT_BYTES, Lent};
pub use kernel::Kernel;
use limbs::PaddedLimbs;
pub(super) use multiplier::Multiplier;
use plan::{Length, MAX_OPERAND_LIMBS};
use prime::PRIMES;
use progress::Progress;
use remainder::Garner;
use rule::{Doubling, Even, Odd, Product, Rule, Square, Sum};

use super::{pages, parallel::Parallel};

/// A multiplier for factors that have up to `limbs` limbs together, both not empty, with these threads.
///
/// It holds 3·N words of buffers and 4/3·N of roots, where N, the length of the transform, exceeds `limbs` by at most a
/// third (and is 256 at least). By the length of the longest of each, N more are for products (3·N where the primes are
/// worth a thread each), 3·N for doublings, and 6·N for sums; and four words for each limb of the longest pair. When it is
/// dropped it is kept for others, within [`KEPT_BYTES`].
///
/// # Panics
///
/// If the processor does not have the kernel; if `limbs` are more than F(10⁹) has.
pub(super) fn multiplier(kernel: Kernel, limbs: usize, threads: Parallel) -> Lent {
    assert!(limbs <= 2 * MAX_OPERAND_LIMBS, "{limbs} limbs are more than those of F(10⁹)");
    Lent::new(kernel, limbs, threads, || transforms(kernel, limbs, threads))
}

fn transforms(kernel: Kernel, limbs: usize, threads: Parallel) -> Box<dyn Multiplier> {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 => Box::new(Transforms::new(kernel.fields(avx512::Avx512::new), limbs, threads)),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => Box::new(Transforms::new(kernel.fields(avx2::Avx2::new), limbs, threads)),
        #[cfg(not(target_arch = "x86_64"))]
        Kernel::Avx512 | Kernel::Avx2 => panic!("this processor has no {kernel}"),
        Kernel::Portable => Box::new(Transforms::new(PRIMES.each_ref().map(portable::Portable::new), limbs, threads)),
    }
}

/// The points of the transform for products of up to `limbs` limbs.
pub(super) fn points(limbs: usize) -> usize {
    Length::for_points(limbs).points()
}

/// The rings modulo the three primes, and buffers for the factors, which become the results.
struct Transforms<F: Field> {
    rings: [Ring<F>; 3],
    /// For the first factor modulo each prime.
    first: [Buffer<F>; 3],
    /// For the second factor modulo each prime; a rule with one result uses the first buffer for all primes in turn, unless
    /// each prime has a thread of its own.
    second: [Buffer<F>; 3],
    /// For the factors beyond two, modulo one prime after the other.
    further: [Buffer<F>; 3],
    /// The limbs of pairs before, for results.
    spare: Vec<Vec<u64>>,
    threads: Parallel,
}

/// Pairs whose memory is kept for results: each is about half as long as the next, so that more would not matter.
const SPARE_PAIRS: usize = 4;

/// Limbs of the longest pair whose memory is kept. With longer ones a multiplier is not kept for other evaluations.
const SPARE_LIMBS: usize = 1 << 17;

impl<F: Field> Transforms<F> {
    /// For factors that have up to `limbs` limbs together.
    fn new(fields: [F; 3], limbs: usize, threads: Parallel) -> Self {
        // The last doubling of an evaluation has half of the limbs of its result.
        let (longest, doubled) = (Length::for_points(limbs), Length::for_points(limbs.div_ceil(2)));
        Self {
            rings: fields.map(|field| Ring::new(field, longest, threads)),
            first: fields.map(|_| Buffer::new(longest.points())),
            second: fields.map(|_| Buffer::new(doubled.points())),
            further: fields.map(|_| Buffer::new(0)),
            spare: Vec::new(),
            threads,
        }
    }

    /// The first result of the rule, of up to `count` coefficients, and the second if there is one, each in [`room`] that is
    /// given.
    fn combine<R: Rule<FACTORS>, const FACTORS: usize>(
        &mut self,
        factors: [&[u64]; FACTORS],
        count: usize,
        results: [Vec<u64>; 2],
        progress: &mut dyn FnMut(f64),
    ) -> [Vec<u64>; 2] {
        let length = Length::for_points(count);
        debug_assert!(factors.iter().all(|limbs| length.holds(limbs.len())), "a factor is too long");
        let mut progress = Progress::new(PRIMES.len() * length.points() + R::RESULTS * carry::work(count), progress);
        let factors = factors.map(PaddedLimbs::new);
        let are_together = FACTORS <= 2 && PARALLEL_PRIMES.contains(&count);
        let is_shared = R::RESULTS == 1 && !are_together;
        make_room(&mut self.second, if is_shared { FACTORS.min(2) - 1 } else { 3 }, length);
        make_room(&mut self.further, FACTORS.saturating_sub(2), length);
        if are_together {
            self.transform_together::<R, FACTORS>(length, factors);
            progress.advance(PRIMES.len() * length.points());
        } else {
            for (prime, (ring, first)) in self.rings.iter().zip(&mut self.first).enumerate() {
                let second = &mut self.second[if is_shared { 0 } else { prime }];
                let blocks = blocks([first, second].into_iter().chain(&mut self.further), length);
                ring.combine::<R, FACTORS>(length, factors, blocks, &mut progress);
            }
        }
        let garner = Garner::new(self.rings.each_ref().map(Ring::field), length.main_log2());
        let [first, second] = results;
        let mut limbs = |buffers: &[Buffer<F>; 3], limbs| {
            let remainders = buffers.each_ref().map(|buffer| buffer.packs(length));
            carry::limbs(&garner, remainders, limbs, self.threads, &mut progress)
        };
        [limbs(&self.first, first), if R::RESULTS == 2 { limbs(&self.second, second) } else { second }]
    }

    /// [`Self::combine`] for a rule with one result.
    fn result<R: Rule<FACTORS>, const FACTORS: usize>(
        &mut self,
        factors: [&[u64]; FACTORS],
        count: usize,
        progress: &mut dyn FnMut(f64),
    ) -> Vec<u64> {
        let [result, _] = self.combine::<R, FACTORS>(factors, count, [room(count), Vec::new()], progress);
        result
    }

    /// [`Self::result`] for a pair, whose memory is kept.
    fn result_of_pair<R: Rule<2>>(&mut self, pair: [Vec<u64>; 2], progress: &mut dyn FnMut(f64)) -> Vec<u64> {
        let [a, b] = pair.each_ref().map(|limbs| &limbs[..]);
        let result = self.result::<R, 2>([a, b], coefficients_of_squares(a, b), progress);
        self.keep(pair);
        result
    }

    /// [`room`], in the memory of a pair before if it is neither too short nor more than twice as long.
    fn spare_room(&mut self, count: usize) -> Vec<u64> {
        let length = count + carry::OVERFLOW_LIMBS;
        let fits = |limbs: &Vec<u64>| (length..=2 * length).contains(&limbs.capacity());
        let Some(place) = self.spare.iter().position(fits) else { return room(count) };
        let mut limbs = self.spare.swap_remove(place);
        limbs.resize(length, 0);
        limbs
    }

    /// Keeps the memory of a pair for results to come.
    fn keep(&mut self, pair: [Vec<u64>; 2]) {
        self.spare.extend(pair.into_iter().filter(|limbs| limbs.capacity() <= SPARE_LIMBS));
        self.spare.sort_unstable_by_key(|limbs| Reverse(limbs.capacity()));
        self.spare.truncate(2 * SPARE_PAIRS);
    }

    /// The transforms modulo all three primes at a time, of up to two factors.
    fn transform_together<R: Rule<FACTORS>, const FACTORS: usize>(
        &mut self,
        length: Length,
        factors: [PaddedLimbs<'_>; FACTORS],
    ) {
        let ([a1, a2, a3], [b1, b2, b3]) = (&mut self.first, &mut self.second);
        let [ring1, ring2, ring3] = &self.rings;
        let alone = |ring: &Ring<F>, a: &mut Buffer<F>, b: &mut Buffer<F>| {
            let blocks = blocks([a, b].into_iter(), length);
            ring.combine::<R, FACTORS>(length, factors, blocks, &mut Progress::new(1, &mut |_| ()));
        };
        let others = || self.threads.join(true, || alone(ring2, a2, b2), || alone(ring3, a3, b3));
        self.threads.join(true, || alone(ring1, a1, b1), others);
    }
}

/// Room for a result of up to `count` coefficients.
fn room(count: usize) -> Vec<u64> {
    pages::zeros(count + carry::OVERFLOW_LIMBS)
}

/// Makes room for a length in the first `count` buffers; when there is none in them yet, the others are freed before.
fn make_room<F: Field>(buffers: &mut [Buffer<F>], count: usize, length: Length) {
    let (used, others) = buffers.split_at_mut(count);
    if used.iter().any(|buffer| !buffer.has_room(length)) {
        others.iter_mut().for_each(|buffer| *buffer = Buffer::new(0));
    }
    for buffer in used.iter_mut().filter(|buffer| !buffer.has_room(length)) {
        // The old words go first.
        *buffer = Buffer::new(0);
        *buffer = Buffer::new(length.points());
    }
}

/// The vectors of the first buffers.
fn blocks<'a, F: Field + 'a, const FACTORS: usize>(
    mut buffers: impl Iterator<Item = &'a mut Buffer<F>>,
    length: Length,
) -> [&'a mut Packs<F>; FACTORS] {
    std::array::from_fn(|_| buffers.next().expect("a buffer for each factor").packs_mut(length))
}

/// Coefficients for which the primes are worth a thread each. Two primes at a time would not share the caches: longer
/// products are shared prime by prime.
const PARALLEL_PRIMES: Range<usize> = 1 << 12..1 << 15;

impl<F: Field> Multiplier for Transforms<F> {
    fn doubling(&mut self, pair: [Vec<u64>; 2], progress: &mut dyn FnMut(f64)) -> [Vec<u64>; 2] {
        let [a, b] = pair.each_ref().map(|limbs| &limbs[..]);
        let count = coefficients_of_squares(a, b);
        let results = [(); 2].map(|()| self.spare_room(count));
        let doubled = self.combine::<Doubling, 2>([a, b], count, results, progress);
        self.keep(pair);
        doubled
    }

    fn even(&mut self, pair: [Vec<u64>; 2], progress: &mut dyn FnMut(f64)) -> Vec<u64> {
        self.result_of_pair::<Even>(pair, progress)
    }

    fn odd(&mut self, pair: [Vec<u64>; 2], progress: &mut dyn FnMut(f64)) -> Vec<u64> {
        self.result_of_pair::<Odd>(pair, progress)
    }

    fn product(&mut self, a: &[u64], b: &[u64], progress: &mut dyn FnMut(f64)) -> Vec<u64> {
        self.result::<Product, 2>([a, b], coefficients(a, b), progress)
    }

    fn square(&mut self, a: &[u64], progress: &mut dyn FnMut(f64)) -> Vec<u64> {
        self.result::<Square, 1>([a], coefficients(a, a), progress)
    }

    fn sum(&mut self, factors: [&[u64]; 5], progress: &mut dyn FnMut(f64)) -> [Vec<u64>; 2] {
        let [q1, q2, t1, p1, t2] = factors;
        let count = coefficients(q1, q2).max(coefficients(q2, t1)).max(coefficients(p1, t2));
        self.combine::<Sum, 5>(factors, count, [(); 2].map(|()| room(count)), progress)
    }

    fn share(&mut self, threads: Parallel) {
        self.threads = threads;
        self.rings.iter_mut().for_each(|ring| ring.share(threads));
    }

    fn shrink(&mut self) -> usize {
        self.further = [(); 3].map(|()| Buffer::new(0));
        let buffers = self.first.iter().chain(&self.second).map(|buffer| buffer.words.len() * size_of::<F::Word>());
        let spare = self.spare.iter().map(|limbs| limbs.capacity() * size_of::<u64>());
        buffers.chain(spare).chain(self.rings.iter().map(Ring::bytes)).sum()
    }
}

/// The coefficients of a product.
fn coefficients(a: &[u64], b: &[u64]) -> usize {
    a.len() + b.len() - 1
}

/// The coefficients of the square of the longer factor, which has the most of all products of the two.
fn coefficients_of_squares(a: &[u64], b: &[u64]) -> usize {
    coefficients(a, a).max(coefficients(b, b))
}

/// Words for a transform, aligned to a cache line: no vector straddles two.
struct Buffer<F: Field> {
    words: Vec<F::Word>,
    /// The first word that is aligned.
    start: usize,
}

/// Bytes in a cache line, and in the longest vector.
const CACHE_LINE: usize = 64;

impl<F: Field> Buffer<F> {
    /// Room for `points` words. Zeros come from the system without being touched.
    fn new(points: usize) -> Self {
        let words: Vec<F::Word> = pages::zeros(points + LANES);
        // Misaligned words would be slower, not wrong: should it not be known, start at 0.
        let start = words.as_ptr().align_offset(CACHE_LINE).min(LANES);
        Self { words, start }
    }

    fn has_room(&self, length: Length) -> bool {
        self.words.len() >= length.points() + LANES
    }

    /// The vectors of a transform of the length.
    fn packs(&self, length: Length) -> &Packs<F> {
        self.words[self.start..][..length.points()].as_chunks().0
    }

    /// The vectors of a transform of the length.
    fn packs_mut(&mut self, length: Length) -> &mut Packs<F> {
        self.words[self.start..][..length.points()].as_chunks_mut().0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::{BASE, Decimal};
    use crate::residue;
    use audit::Audited;
    use std::convert::Infallible;

    const NINES: u64 = BASE - 1;

    /// Limbs without a pattern, from a generator of D. Lehmer's kind.
    fn scattered(count: usize, mut seed: u64) -> Vec<u64> {
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1 + (seed >> 4) % NINES
        };
        (0..count).map(|_| next()).collect()
    }

    /// Long carries, the largest coefficients, and neither.
    fn inputs(count: usize) -> [[Vec<u64>; 2]; 4] {
        let mut alternating = vec![0; count];
        alternating.iter_mut().rev().step_by(2).for_each(|limb| *limb = NINES);
        [
            [vec![NINES; count], vec![NINES; count]],
            [vec![NINES; count], vec![1]],
            [alternating, vec![BASE / 2; count]],
            [scattered(count, 1), scattered(count - count / 20, 2)],
        ]
    }

    /// Compares residues: of the results, and of the formulas.
    fn assert_doubled(multiplier: &mut dyn Multiplier, a: &[u64], b: &[u64], what: &str) {
        let prime = secret_prime();
        let residue = |limbs: &[u64]| prime.of_decimal(&Decimal::from_limbs(limbs.to_vec()));
        let pair = || [a.to_vec(), b.to_vec()];
        let [even, odd] = multiplier.doubling(pair(), &mut |_| ());
        let (x, y) = (residue(a), residue(b));
        assert_eq!(residue(&even), prime.of_sum_of_products([(x, x), (x, y), (x, y)]), "a(a+2b), {what}");
        assert_eq!(residue(&odd), prime.of_sum_of_products([(x, x), (y, y), (0, 0)]), "a²+b², {what}");
        for limbs in [&even, &odd] {
            assert!(limbs.last() != Some(&0) && limbs.iter().all(|limb| *limb < BASE), "{what}");
        }
        assert_eq!(multiplier.even(pair(), &mut |_| ()), even, "{what}");
        assert_eq!(multiplier.odd(pair(), &mut |_| ()), odd, "{what}");
    }

    /// As [`assert_doubled`], for the products of factors of different lengths: a with all of its limbs, b with the lower
    /// two thirds of as many.
    fn assert_multiplied(multiplier: &mut dyn Multiplier, a: &[u64], b: &[u64], what: &str) {
        let prime = secret_prime();
        let residue = |limbs: &[u64]| prime.of_decimal(&Decimal::from_limbs(limbs.to_vec()));
        let mut b = b.to_vec();
        b.resize(a.len() - a.len() / 3, 0);
        let b = &b[..];
        let (x, y) = (residue(a), residue(b));
        let product = multiplier.product(a, b, &mut |_| ());
        assert_eq!(residue(&product), prime.of_sum_of_products([(x, y), (0, 0), (0, 0)]), "ab, {what}");
        let square = multiplier.square(a, &mut |_| ());
        assert_eq!(residue(&square), prime.of_sum_of_products([(x, x), (0, 0), (0, 0)]), "a², {what}");
        let [first, sum] = multiplier.sum([a, b, b, a, a], &mut |_| ());
        assert!(first == product, "ab of a sum, {what}");
        assert_eq!(residue(&sum), prime.of_sum_of_products([(y, y), (x, x), (0, 0)]), "bb + aa, {what}");
        let [_, sum] = multiplier.sum([a, b, a, a, b], &mut |_| ());
        assert_eq!(residue(&sum), prime.of_sum_of_products([(y, x), (x, y), (0, 0)]), "ba + ab, {what}");
        for limbs in [&product, &square, &sum] {
            assert!(limbs.last() != Some(&0) && limbs.iter().all(|limb| *limb < BASE), "{what}");
        }
    }

    fn secret_prime() -> residue::Prime {
        let mut seed = 7;
        let Ok(prime) = residue::Prime::draw(|| {
            seed += 0x1234_5678_9abc_def1;
            Ok::<_, Infallible>(seed)
        });
        prime
    }

    /// Factors on both sides of each change of length, of up to `limit` limbs.
    fn boundaries(limit: usize) -> impl Iterator<Item = usize> {
        let fits = |limbs: usize| Length::for_points(2 * limbs - 1);
        (1..limit)
            .filter(move |&limbs| limbs == 1 || fits(limbs) != fits(limbs + 1))
            .flat_map(|limbs| [limbs, limbs + 1])
    }

    #[test]
    fn every_length_is_right_with_every_kernel() {
        for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
            for limbs in boundaries(10_000) {
                let mut multiplier = multiplier(kernel, 2 * limbs, Parallel::none());
                for [a, b] in inputs(limbs) {
                    assert_doubled(&mut *multiplier, &a, &b, &format!("{kernel}, {limbs} limbs"));
                    assert_multiplied(&mut *multiplier, &a, &b, &format!("{kernel}, {limbs} limbs"));
                }
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
            for limbs in [5_000, 33_000, 37_000, 72_000, 90_000] {
                let [a, b] = [scattered(limbs, 3), vec![NINES; limbs]];
                let results = |threads| {
                    let mut multiplier = multiplier(kernel, 2 * limbs, threads);
                    let doubled = multiplier.doubling([a.clone(), b.clone()], &mut |_| ());
                    let simple = [multiplier.product(&a, &b, &mut |_| ()), multiplier.square(&a, &mut |_| ())];
                    [doubled, simple, multiplier.sum([&a, &b, &a, &a, &a], &mut |_| ())]
                };
                let alone = results(Parallel::none());
                let shared = pool.install(|| results(Parallel::in_this_pool()));
                assert_eq!(alone, shared, "{kernel}, {limbs} limbs");
            }
        }
    }

    #[test]
    fn no_bound_is_exceeded() {
        let fields = PRIMES.each_ref().map(Audited::new);
        for limbs in boundaries(1_300) {
            let mut multiplier = Transforms::new(fields, 2 * limbs, Parallel::none());
            for [a, b] in inputs(limbs) {
                assert_doubled(&mut multiplier, &a, &b, &format!("audited, {limbs} limbs"));
                assert_multiplied(&mut multiplier, &a, &b, &format!("audited, {limbs} limbs"));
            }
        }
    }

    #[test]
    #[should_panic(expected = "more than those of F(10⁹)")]
    fn longer_factors_are_refused() {
        multiplier(Kernel::Portable, 2 * MAX_OPERAND_LIMBS + 1, Parallel::none());
    }
}
