//! The second part of a length: folding limbs into it, and joining it with the first part.
//!
//! Let f = f₀ + xᴸ·f₁ be the product, f₁ of degree below M. As xᴸ = wᴸᐟᴹ = −1 modulo xᴹ − w, its remainders are
//! g = f₀ + f₁ modulo xᴸ − 1, and h = f₀ − f₁ modulo xᴹ − w. So f₁ = (g mod (xᴹ − w) − h)/2 and f₀ = g − f₁, where
//! xᴹ = w folds g: Σ wⁱ·gᵢ over its parts gᵢ of M coefficients. g carries the factor L from its transform and h the
//! factor M; f leaves with L.

use super::field::{Field, Packs, Task};
use super::limbs::PaddedLimbs;
use super::prime::Direction;

/// Parts of M coefficients in L, at most.
pub(super) const MAX_PARTS: usize = 8;

/// The constants of a second part of M = L/2ˢ points.
pub(super) struct Tail<F: Field> {
    shift: u32,
    /// wⁱ.
    powers: [F::Word; MAX_PARTS],
    /// wⁱ/2.
    half_powers: [F::Word; MAX_PARTS],
    /// −(L/M)/2: it brings h to the factor L.
    scale: F::Word,
}

impl<F: Field> Tail<F> {
    /// For M = L/2^`shift`.
    pub(super) fn new(field: F, shift: u32) -> Self {
        let prime = field.prime();
        let half = prime.inverse_power_of_two(1);
        let scale = prime.value - prime.product(half, 1 << shift);
        let (mut powers, mut half_powers) = ([F::Word::default(); MAX_PARTS], [F::Word::default(); MAX_PARTS]);
        let w = prime.root(shift as usize + 1, Direction::Forward);
        let mut power = 1;
        for (word, half_word) in powers.iter_mut().zip(&mut half_powers) {
            *word = field.constant(power);
            *half_word = field.constant(prime.product(power, half));
            power = prime.product(power, w);
        }
        Self { shift, powers, half_powers, scale: field.constant(scale) }
    }

    /// The node of the tree of rings that is modulo xᴹ − w.
    pub(super) fn node(&self) -> usize {
        1 << self.shift
    }
}

/// Limbs modulo xᴹ − w: the sum of their parts, each times its power of w.
///
/// At most six parts hold limbs, for a factor is at most three quarters of L; the first adds 1, each other at most
/// 0.5 + 0.5/15.9, so that the sum is below the 4 that a pass takes.
pub(super) struct FoldLimbs<'a, F: Field> {
    /// The constants.
    pub(super) tail: &'a Tail<F>,
    /// The limbs, and zeros after them.
    pub(super) limbs: PaddedLimbs<'a>,
    /// The vector of the limbs with which the block begins.
    pub(super) first: usize,
    /// Vectors from the beginning of a part to that of the next.
    pub(super) stride: usize,
    /// The destination of the sums, or of a part of them.
    pub(super) block: &'a mut Packs<F>,
}

impl<F: Field> Task<F> for FoldLimbs<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self, field: F) {
        let parts = self.limbs.vectors().div_ceil(self.stride).min(self.tail.node());
        let powers = &self.tail.powers[1..parts];
        for (at, to) in self.block.iter_mut().enumerate() {
            let mut from = self.first + at;
            let mut sum = field.load_limbs(self.limbs.vector(from));
            for power in powers {
                from += self.stride;
                let part = field.load_limbs(self.limbs.vector(from));
                sum = field.add(sum, field.mul(part, field.splat(*power)));
            }
            field.store(to, sum);
        }
    }
}

/// Joins g and h, column by column; parts beyond L/M are empty.
///
/// The main part comes with at most 11.2 p: a term is 0.5 + 11.2·0.5/15.9 = 0.86 p, and nine of them, the tail's among
/// them, stay below 7.8 p until they are reduced. f₀ is at most 11.8 p.
pub(super) struct JoinParts<'a, F: Field> {
    /// The constants.
    pub(super) tail: &'a Tail<F>,
    /// h, which becomes f₁.
    pub(super) upper: &'a mut Packs<F>,
    /// The parts of g, which become f₀.
    pub(super) parts: [&'a mut Packs<F>; MAX_PARTS],
}

impl<F: Field> Task<F> for JoinParts<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self, field: F) {
        let scale = field.splat(self.tail.scale);
        let count = self.tail.node();
        for (at, upper) in self.upper.iter_mut().enumerate() {
            let mut sum = field.mul(field.load(upper), scale);
            for (part, power) in self.parts[..count].iter().zip(&self.tail.half_powers) {
                sum = field.add(sum, field.mul(field.load(&part[at]), field.splat(*power)));
            }
            let sum = field.reduce(sum);
            field.store(upper, sum);
            let lower = field.sub(field.load(&self.parts[0][at]), sum);
            field.store(&mut self.parts[0][at], lower);
        }
    }
}
