//! Butterflies and passes: one step down or up the tree of rings.
//!
//! A radix-2 butterfly splits the ring modulo xᵐ − w² into those modulo x^(m/2) ∓ w: the coefficients u below m/2 and v
//! above become u + w·v and u − w·v. Larger butterflies are several levels of it without a visit to memory. Values come
//! out in the order of the tree, which is of no concern to a product; the inverse goes up the same way.
//!
//! # Bounds
//!
//! In units of p, with roots of at most 0.52 (they are products of constants of 0.5), the rules of [`super::field`]
//! turn a butterfly's bound B of u and v into B + 0.5 + 0.033·B for both results, and, on the way up, into 2B for the
//! sum and 0.5 + 0.066·B for the product.
//!
//! - **4** holds on the way down: the first pass adds four residues. Radix-4 with u₀ reduced leaves less:
//!   0.51 → 0.51 + 0.64 = 1.15 → 1.15 + 0.66 = 1.81, where the second product is of 4 + 0.64 at most. Radix-2 leaves
//!   1.15.
//! - A leaf reduces nothing on the way down: its six levels give 4.64, 5.30, 5.98, 6.68, 7.41 and 8.16, so that no
//!   product is larger than 7.41·0.52 = 3.9 of the allowed 7.9.
//! - **2.8** holds on the way up. In radix-4 the first level gives 5.6 and products of 0.69; the second multiplies at
//!   most 11.2·0.52 = 5.9 of 7.9, reduces the sum of four to 0.51, and adds two products to 1.4. Radix-8 adds one level
//!   to this: its inputs are 0.51, 0.89, 1.4, 0.6; so it gives at most 2.8.
//!
//! The tests run whole transforms in a field that asserts these bounds at every operation (`super::audit`).

use super::field::{Field, LANES, Packs, Task};
use super::limbs::PaddedLimbs;
use super::prime::Direction;
use super::roots::RADIX8_ROOTS;

/// (u + w·v, u − w·v).
#[inline(always)]
fn split<F: Field>(field: F, u: F::Vector, v: F::Vector, w: F::Vector) -> (F::Vector, F::Vector) {
    let v = field.mul(v, w);
    (field.add(u, v), field.sub(u, v))
}

/// (a + b, w·(a − b)): twice (u, v) when (a, b) = (u + v/w, u − v/w).
#[inline(always)]
fn merge<F: Field>(field: F, a: F::Vector, b: F::Vector, w: F::Vector) -> (F::Vector, F::Vector) {
    (field.add(a, b), field.mul(field.sub(a, b), w))
}

/// Two levels down. `x[0]` is not multiplied.
#[inline(always)]
fn split4<F: Field>(field: F, x: [F::Vector; 4], w: [F::Vector; 3]) -> [F::Vector; 4] {
    let (a0, a2) = split(field, x[0], x[2], w[0]);
    let (a1, a3) = split(field, x[1], x[3], w[0]);
    let (b0, b1) = split(field, a0, a1, w[1]);
    let (b2, b3) = split(field, a2, a3, w[2]);
    [b0, b1, b2, b3]
}

/// Two levels up. The sum of all four is reduced.
#[inline(always)]
fn merge4<F: Field>(field: F, x: [F::Vector; 4], w: [F::Vector; 3]) -> [F::Vector; 4] {
    let (a0, a1) = merge(field, x[0], x[1], w[1]);
    let (a2, a3) = merge(field, x[2], x[3], w[2]);
    let (b0, b2) = merge(field, a0, a2, w[0]);
    let (b1, b3) = merge(field, a1, a3, w[0]);
    [field.reduce(b0), b1, b2, b3]
}

/// Three levels down.
#[inline(always)]
fn split8<F: Field>(field: F, x: [F::Vector; LANES], w: &[F::Vector; RADIX8_ROOTS]) -> [F::Vector; LANES] {
    let (a0, a4) = split(field, x[0], x[4], w[0]);
    let (a1, a5) = split(field, x[1], x[5], w[0]);
    let (a2, a6) = split(field, x[2], x[6], w[0]);
    let (a3, a7) = split(field, x[3], x[7], w[0]);
    let [b0, b1, b2, b3] = split4(field, [a0, a1, a2, a3], [w[1], w[3], w[4]]);
    let [b4, b5, b6, b7] = split4(field, [a4, a5, a6, a7], [w[2], w[5], w[6]]);
    [b0, b1, b2, b3, b4, b5, b6, b7]
}

/// Three levels up.
#[inline(always)]
fn merge8<F: Field>(field: F, x: [F::Vector; LANES], w: &[F::Vector; RADIX8_ROOTS]) -> [F::Vector; LANES] {
    let [a0, a1, a2, a3] = merge4(field, [x[0], x[1], x[2], x[3]], [w[1], w[3], w[4]]);
    let [a4, a5, a6, a7] = merge4(field, [x[4], x[5], x[6], x[7]], [w[2], w[5], w[6]]);
    let (b0, b4) = merge(field, a0, a4, w[0]);
    let (b1, b5) = merge(field, a1, a5, w[0]);
    let (b2, b6) = merge(field, a2, a6, w[0]);
    let (b3, b7) = merge(field, a3, a7, w[0]);
    [b0, b1, b2, b3, b4, b5, b6, b7]
}

/// The 64 values of a leaf, from its coefficients; eight to a vector, in an order of its own.
///
/// Three levels between the vectors, then, transposed, three more.
#[inline(always)]
pub(super) fn leaf_forward<F: Field>(
    field: F,
    leaf: &Packs<F>,
    rows: &[F::Vector; RADIX8_ROOTS],
    lanes: &[F::Vector; RADIX8_ROOTS],
) -> [F::Vector; LANES] {
    let x = [
        field.load(&leaf[0]),
        field.load(&leaf[1]),
        field.load(&leaf[2]),
        field.load(&leaf[3]),
        field.load(&leaf[4]),
        field.load(&leaf[5]),
        field.load(&leaf[6]),
        field.load(&leaf[7]),
    ];
    split8(field, field.transpose(split8(field, x, rows)), lanes)
}

/// The coefficients of a leaf, times 64, from its values in the order of [`leaf_forward`].
#[inline(always)]
pub(super) fn leaf_inverse<F: Field>(
    field: F,
    values: [F::Vector; LANES],
    leaf: &mut Packs<F>,
    rows: &[F::Vector; RADIX8_ROOTS],
    lanes: &[F::Vector; RADIX8_ROOTS],
) {
    let x = merge8(field, field.transpose(merge8(field, values, lanes)), rows);
    for (to, x) in leaf.iter_mut().zip(x) {
        field.store(to, x);
    }
}

/// The first pass down, at the root of the tree, from limbs: its roots are 1, 1 and i.
///
/// Four residues of at most p add up to 4p.
pub(super) struct Root4<'a, F: Field> {
    /// The limbs, and zeros after them.
    pub(super) limbs: PaddedLimbs<'a>,
    /// The vector of the limbs with which the first of these quarters begins.
    pub(super) first: usize,
    /// Vectors from the beginning of a quarter to that of the next.
    pub(super) stride: usize,
    /// The destination of the quarters, or of the same part of each.
    pub(super) quarters: [&'a mut Packs<F>; 4],
}

impl<F: Field> Task<F> for Root4<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self, field: F) {
        let i = field.splat(field.constant(field.prime().root(2, Direction::Forward)));
        let [q0, q1, q2, q3] = self.quarters;
        for ((((p0, p1), p2), p3), at) in q0.iter_mut().zip(q1).zip(q2).zip(q3).zip(self.first..) {
            let x0 = field.load_limbs(self.limbs.vector(at));
            let x1 = field.load_limbs(self.limbs.vector(at + self.stride));
            let x2 = field.load_limbs(self.limbs.vector(at + 2 * self.stride));
            let x3 = field.load_limbs(self.limbs.vector(at + 3 * self.stride));
            let (a0, a1) = (field.add(x0, x2), field.add(x1, x3));
            let (a2, a3) = (field.sub(x0, x2), field.mul(field.sub(x1, x3), i));
            field.store(p0, field.add(a0, a1));
            field.store(p1, field.sub(a0, a1));
            field.store(p2, field.add(a2, a3));
            field.store(p3, field.sub(a2, a3));
        }
    }
}

/// The last pass up, at the root of the tree. It leaves at most four times 2.8 p.
pub(super) struct Unroot4<'a, F: Field> {
    /// The quarters of the block.
    pub(super) quarters: [&'a mut Packs<F>; 4],
}

impl<F: Field> Task<F> for Unroot4<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self, field: F) {
        let i = field.splat(field.constant(field.prime().root(2, Direction::Inverse)));
        let [q0, q1, q2, q3] = self.quarters;
        for (((p0, p1), p2), p3) in q0.iter_mut().zip(q1).zip(q2).zip(q3) {
            let (x0, x1) = (field.load(p0), field.load(p1));
            let (x2, x3) = (field.load(p2), field.load(p3));
            let (a0, a1) = (field.add(x0, x1), field.sub(x0, x1));
            let (a2, a3) = merge(field, x2, x3, i);
            field.store(p0, field.add(a0, a2));
            field.store(p1, field.add(a1, a3));
            field.store(p2, field.sub(a0, a2));
            field.store(p3, field.sub(a1, a3));
        }
    }
}

/// The directions of a pass in place.
pub(super) const DOWN: bool = true;
pub(super) const UP: bool = false;

/// One radix-4 pass at a node, in place.
pub(super) struct Pass4<'a, F: Field, const IS_DOWN: bool> {
    /// The quarters of the block.
    pub(super) quarters: [&'a mut Packs<F>; 4],
    /// The roots of the node; on the way up, the inverse ones.
    pub(super) roots: [F::Word; 3],
}

impl<F: Field, const IS_DOWN: bool> Task<F> for Pass4<'_, F, IS_DOWN> {
    type Output = ();

    #[inline(always)]
    fn run(self, field: F) {
        let [w0, w1, w2] = self.roots;
        let w = [field.splat(w0), field.splat(w1), field.splat(w2)];
        let [q0, q1, q2, q3] = self.quarters;
        for (((p0, p1), p2), p3) in q0.iter_mut().zip(q1).zip(q2).zip(q3) {
            let x0 = field.load(p0);
            let x0 = if IS_DOWN { field.reduce(x0) } else { x0 };
            let x = [x0, field.load(p1), field.load(p2), field.load(p3)];
            let y = if IS_DOWN { split4(field, x, w) } else { merge4(field, x, w) };
            field.store(p0, y[0]);
            field.store(p1, y[1]);
            field.store(p2, y[2]);
            field.store(p3, y[3]);
        }
    }
}

/// One radix-2 pass at a node, in place: where a block is twice a leaf.
pub(super) struct Pass2<'a, F: Field, const IS_DOWN: bool> {
    /// The lower and the upper half of the block.
    pub(super) halves: [&'a mut Packs<F>; 2],
    /// The root of the node; on the way up, the inverse one.
    pub(super) root: F::Word,
}

impl<F: Field, const IS_DOWN: bool> Task<F> for Pass2<'_, F, IS_DOWN> {
    type Output = ();

    #[inline(always)]
    fn run(self, field: F) {
        let w = field.splat(self.root);
        let [low, high] = self.halves;
        for (p0, p1) in low.iter_mut().zip(high) {
            let x0 = field.load(p0);
            let (y0, y1) = if IS_DOWN {
                split(field, field.reduce(x0), field.load(p1), w)
            } else {
                let (sum, product) = merge(field, x0, field.load(p1), w);
                (field.reduce(sum), product)
            };
            field.store(p0, y0);
            field.store(p1, y1);
        }
    }
}
