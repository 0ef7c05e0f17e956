//! From coefficients to limbs: a change of base and the carries.
//!
//! A coefficient C < 2¹⁴⁴ is written as c₀ + c₁·B + c₂·B² with B = 10¹⁸, independently of its neighbours; then limb i
//! is c₀ of coefficient i, plus c₁ of i − 1, plus c₂ of i − 2, and a carry. All of it is done in loops over arrays that
//! the compiler turns into vectors; only where a limb is within 2 of the base a carry walks on by itself.
//!
//! # The change of base
//!
//! Let p₁p₂ = e₁·B + e₀, so that C = k₁ + p₁k₂ + p₁p₂k₃ is x + B·e₁k₃ with x = k₁ + p₁k₂ + e₀k₃. The quotients are
//! estimated in doubles, and the remainders follow exactly from the low 64 bits of the products:
//!
//! ```text
//! q = [x/B − 0.6]    c₀ = x − q·B    c₂ = [(e₁k₃ + q)/B − 0.6]    c₁ = e₁k₃ + q − c₂·B
//! ```
//!
//! with [·] for the nearest integer. Let kᵢ < 2⁴⁸(1 + 2⁻¹⁶). As e₀ < 0.49·B, the estimate of x/B, which is
//! k₃·(e₀/B) + k₂·(p₁/B), is below 2⁴⁷. It is wrong by less than 0.05: the first constant was rounded twice, which
//! makes 2⁴⁷·2⁻⁵² = 2⁻⁵; the large product and the sum are rounded by at most 2⁻⁷ each; the small product and k₁/B,
//! which is left out, are below 2⁻¹¹. So x/B − q is between 0 and 1.2, and 0 ≤ c₀ < 1.2·B < 2⁶¹: its low 64 bits are
//! all of it. The estimate of c₂ is below 2²⁵, and its error below 0.01: 0.09·B < c₁ < 1.11·B. q and c₂ may be −1;
//! words wrap around.
//!
//! The sum of a limb is below 1.2·B + 1.11·B + 2²⁵ < 2.4·B and, as c₂ ≥ −1, not negative: it leaves a carry of at most
//! 2.

use super::field::{Field, LANES, Packs, Task, float};
use super::prime::{P1, P2};
use super::progress::{PIECE, Progress};
use super::remainder::Garner;
use crate::{
    carries::{multiples, nearest, ripple},
    limb::{BASE, low_word},
    parallel::Parallel,
};

/// Vectors of coefficients at a time: what is between them and the limbs stays in the first cache.
const CHUNK_VECTORS: usize = 32;

/// Coefficients at a time.
const CHUNK: usize = CHUNK_VECTORS * LANES;

/// Limbs below which a part is not worth a second thread: some 20 µs of work.
const PARALLEL_LIMBS: usize = 1 << 13;

/// p₁·p₂ in base B: e₁ and e₀.
const E1: u64 = low_word(P1 as u128 * P2 as u128 / BASE as u128);
const E0: u64 = low_word(P1 as u128 * P2 as u128 % BASE as u128);

/// p₁/B, e₀/B, e₁/B and 1/B.
const P1_BY_BASE: f64 = float(P1) * BASE_INVERSE;
const E0_BY_BASE: f64 = float(E0) / float(BASE);
const E1_BY_BASE: f64 = float(E1) / float(BASE);
const BASE_INVERSE: f64 = 1.0 / float(BASE);

const _: () = assert!(E0_BY_BASE < 0.49 && E1 < 1 << 37);

/// The work on `count` coefficients, in the points of [`super::progress`] (measured).
pub(super) const fn work(count: usize) -> usize {
    count / 2
}

/// Limbs more than coefficients: for the overflow after the last one.
pub(super) const OVERFLOW_LIMBS: usize = 2;

/// The limbs of Σ Cᵢ·Bⁱ, where the remainders of the coefficients are given: as many as `limbs` has limbs, but for
/// [`OVERFLOW_LIMBS`]. The contents of `limbs` are overwritten. The top limb is not 0.
pub(super) fn limbs<F: Field>(
    garner: &Garner<F>,
    remainders: [&Packs<F>; 3],
    mut limbs: Vec<u64>,
    threads: Parallel,
    progress: &mut Progress<'_>,
) -> Vec<u64> {
    let count = limbs.len() - OVERFLOW_LIMBS;
    let (mut coefficients, rest) = limbs.split_at_mut(count);
    rest.fill(0);
    let (mut from, mut pending) = (0, Pending::default());
    while !coefficients.is_empty() {
        // The last piece is the longest, so that none has fewer than two limbs.
        let length = if coefficients.len() < 2 * PIECE { coefficients.len() } else { PIECE };
        let (piece, others) = coefficients.split_at_mut(length);
        let next = segment(garner, remainders.map(|x| &x[from / LANES..]), piece, threads);
        pending = pending.add_to(piece, next);
        (from, coefficients) = (from + length, others);
        progress.advance(work(length));
    }
    pending.add_to(rest, Pending::default());
    let len = limbs.iter().rposition(|limb| *limb != 0).map_or(0, |top| top + 1);
    limbs.truncate(len);
    limbs
}

/// The overflow of the limbs so far into the next two. The sum is not negative.
#[derive(Clone, Copy, Default)]
struct Pending {
    /// To the next limb: below 1.2·B.
    low: u64,
    /// To the one after it: below 2²⁶, and possibly −1.
    high: u64,
}

impl Pending {
    /// Adds the overflow to the limbs that follow, and returns that after them, with `next` added to it.
    ///
    /// There are at least two limbs, so that only a carry gets beyond them.
    fn add_to(self, limbs: &mut [u64], next: Self) -> Self {
        let (mut carry, mut after) = (self.low, self.high);
        for limb in limbs {
            if carry == 0 && after == 0 {
                return next;
            }
            let sum = *limb + carry;
            let excess = multiples::<BASE>(sum);
            *limb = sum - excess * BASE;
            (carry, after) = (after.wrapping_add(excess), 0);
        }
        Self { low: next.low + carry, high: next.high }
    }
}

/// The limbs of consecutive coefficients, and their overflow into the next ones.
fn segment<F: Field>(garner: &Garner<F>, remainders: [&Packs<F>; 3], limbs: &mut [u64], threads: Parallel) -> Pending {
    if limbs.len() < PARALLEL_LIMBS || !threads.is_enabled() {
        return garner.field().run(Sequence { garner: *garner, remainders, limbs });
    }
    let middle = (limbs.len() / 2).next_multiple_of(LANES);
    let (lower, upper) = limbs.split_at_mut(middle);
    let halves = remainders.map(|x| x.split_at(middle / LANES));
    let (lower_rest, upper_rest) = threads.join(
        true,
        || segment(garner, halves.map(|(low, _)| low), lower, threads),
        || segment(garner, halves.map(|(_, high)| high), upper, threads),
    );
    lower_rest.add_to(upper, upper_rest)
}

/// [`segment`] on one thread.
struct Sequence<'a, F: Field> {
    garner: Garner<F>,
    remainders: [&'a Packs<F>; 3],
    limbs: &'a mut [u64],
}

impl<F: Field> Task<F> for Sequence<'_, F> {
    type Output = Pending;

    #[inline(always)]
    fn run(self, _: F) -> Pending {
        let [x1, x2, x3] = self.remainders;
        let mut digits = Digits::new();
        let chunks = x1.chunks(CHUNK_VECTORS).zip(x2.chunks(CHUNK_VECTORS)).zip(x3.chunks(CHUNK_VECTORS));
        for (limbs, ((x1, x2), x3)) in self.limbs.chunks_mut(CHUNK).zip(chunks) {
            for (at, ((x1, x2), x3)) in x1.iter().zip(x2).zip(x3).enumerate() {
                digits.set(at * LANES, self.garner.digits([x1, x2, x3]));
            }
            digits.write(limbs);
        }
        digits.pending
    }
}

/// The digits c₀, c₁, c₂ of a chunk of coefficients, each under the limb that it belongs to.
struct Digits {
    /// c₀ of coefficient i.
    first: [u64; CHUNK],
    /// c₁ of coefficient i − 1.
    second: [u64; CHUNK + 1],
    /// c₂ of coefficient i − 2.
    third: [u64; CHUNK + 2],
    /// The overflow of the chunks so far.
    pending: Pending,
}

impl Digits {
    fn new() -> Self {
        Self { first: [0; CHUNK], second: [0; CHUNK + 1], third: [0; CHUNK + 2], pending: Pending::default() }
    }

    /// Takes the digits of eight coefficients, the first of which is number `at` of the chunk.
    #[inline(always)]
    fn set(&mut self, at: usize, [k1, k2, k3]: [[u64; LANES]; 3]) {
        for i in 0..LANES {
            let [c0, c1, c2] = base_digits(k1[i], k2[i], k3[i]);
            self.first[at + i] = c0;
            self.second[at + i + 1] = c1;
            self.third[at + i + 2] = c2;
        }
    }

    /// Writes the limbs of the chunk.
    #[inline(always)]
    fn write(&mut self, limbs: &mut [u64]) {
        // The sums leave carries of at most 2, the carries then at most one more where a limb is close to the base.
        self.second[0] = self.pending.low;
        (self.third[0], self.third[1]) = (0, self.pending.high);
        let count = limbs.len();
        let mut carries = [0; CHUNK + 1];
        for i in 0..count {
            let sum = self.first[i] + self.second[i].wrapping_add(self.third[i]);
            carries[i + 1] = multiples::<BASE>(sum);
            limbs[i] = sum - carries[i + 1] * BASE;
        }
        let mut largest = 0;
        for (limb, carry) in limbs.iter_mut().zip(&carries) {
            *limb += carry;
            largest = largest.max(*limb);
        }
        let mut carry = carries[count];
        if largest >= BASE {
            carry += ripple::<BASE>(limbs);
        }
        let low = self.second[count].wrapping_add(self.third[count]).wrapping_add(carry);
        self.pending = Pending { low, high: self.third[count + 1] };
    }
}

/// c₀, c₁, c₂ of the coefficient k₁ + p₁·(k₂ + p₂·k₃). See the module.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "the numbers are below 2⁴⁹")]
fn base_digits(k1: u64, k2: u64, k3: u64) -> [u64; 3] {
    let (x2, x3) = (k2.cast_signed() as f64, k3.cast_signed() as f64);
    let (quotient, q) = nearest(x3 * E0_BY_BASE + (x2 * P1_BY_BASE - 0.6));
    let (_, c2) = nearest(x3 * E1_BY_BASE + (quotient * BASE_INVERSE - 0.6));
    let x = k1.wrapping_add(k2.wrapping_mul(P1)).wrapping_add(k3.wrapping_mul(E0));
    let c0 = x.wrapping_sub(q.wrapping_mul(BASE));
    let c1 = k3.wrapping_mul(E1).wrapping_add(q).wrapping_sub(c2.wrapping_mul(BASE));
    [c0, c1, c2]
}
