//! Products modulo one prime: down the tree of rings, a few multiplications, and up again.
//!
//! [`Ring::combine`] takes two factors to one or two results that are polynomials in them, as a [`Rule`] says, modulo
//! xᴺ-like polynomials of the [`super::plan`]. It does not transform whole vectors one after the other. The recursion
//! goes depth first, with both factors side by side, and at each leaf down, through the rule, and up without leaving
//! the registers: a block larger than a cache is read and written only once on the way down and once on the way up per
//! level, and the values of the transform are never stored at all.

use std::marker::PhantomData;

use super::field::{Field, LANES, Packs, Task};
use super::limbs::PaddedLimbs;
use super::plan::Length;
use super::prime::Direction;
use super::progress::{PIECE, Progress};
use super::roots::{LEAF_LOG2, Roots};
use super::rule::Rule;
use super::tail::{FoldLimbs, JoinParts, MAX_PARTS, Tail};
use super::transform::{Merge2, Merge4, Root4, Split2, Split4, Unroot4, leaf_forward, leaf_inverse};
use crate::math::parallel::Parallel;

/// Vectors in a leaf.
const LEAF_VECTORS: usize = (1 << LEAF_LOG2) / LANES;

/// Points below which a block is not worth a second thread: some 20 µs of work.
const PARALLEL_POINTS: usize = 1 << 13;

/// Columns of vectors below which a pass is not worth a second thread: the same, for less work at each point.
const PARALLEL_COLUMNS: usize = 1 << 11;

/// Products modulo one prime.
pub(super) struct Ring<F: Field> {
    field: F,
    forward: Roots<F>,
    inverse: Roots<F>,
    threads: Parallel,
}

impl<F: Field> Ring<F> {
    /// A ring for lengths of up to `longest`.
    pub(super) fn new(field: F, longest: Length, threads: Parallel) -> Self {
        let roots = |direction| Roots::new(field, longest.leaves(), direction);
        let worthwhile = longest.points() >= PARALLEL_POINTS;
        let (forward, inverse) = threads.join(worthwhile, || roots(Direction::Forward), || roots(Direction::Inverse));
        Self { field, forward, inverse, threads }
    }

    /// The field of the coefficients.
    pub(super) fn field(&self) -> F {
        self.field
    }

    /// The coefficients of the rule's results, from the limbs of both factors, in `x` and `y`.
    ///
    /// They are multiplied by the length of the main part and divided by the field's product divisor, and at most
    /// 11.8 p in magnitude. `x` and `y` have the length; `y` is scratch when there is no second result.
    ///
    /// `progress` advances by the points of the length.
    pub(super) fn combine<R: Rule>(
        &self,
        length: Length,
        factors: [PaddedLimbs<'_>; 2],
        [x, y]: [&mut Packs<F>; 2],
        progress: &mut Progress<'_>,
    ) {
        let (main_x, tail_x) = x.split_at_mut(length.main() / LANES);
        let (main_y, tail_y) = y.split_at_mut(length.main() / LANES);
        self.combine_main::<R>(factors, main_x, main_y, progress);
        if let Some(shift) = length.tail_shift() {
            let tail = Tail::new(self.field, shift);
            self.fold(&tail, factors[0], tail_x);
            self.fold(&tail, factors[1], tail_y);
            self.combine_in_pieces::<R>(tail_x, tail_y, tail.node(), progress);
            self.join_tail(&tail, main_x, tail_x);
            progress.advance(0);
            if R::SECOND {
                self.join_tail(&tail, main_y, tail_y);
            }
        }
    }

    /// The results modulo xᴸ − 1.
    fn combine_main<R: Rule>(
        &self,
        [a, b]: [PaddedLimbs<'_>; 2],
        x: &mut Packs<F>,
        y: &mut Packs<F>,
        progress: &mut Progress<'_>,
    ) {
        self.load_root(a, x);
        progress.advance(0);
        self.load_root(b, y);
        progress.advance(0);
        if x.len() * LANES <= PIECE {
            self.each_quarter::<R>(x, y, 0);
            progress.advance(x.len() * LANES);
        } else {
            for (node, (x, y)) in quarters(x).into_iter().zip(quarters(y)).enumerate() {
                self.combine_in_pieces::<R>(x, y, node, progress);
            }
        }
        self.unroot(x);
        progress.advance(0);
        if R::SECOND {
            self.unroot(y);
            progress.advance(0);
        }
    }

    /// [`Self::combine_block`], piece by piece.
    fn combine_in_pieces<R: Rule>(&self, x: &mut Packs<F>, y: &mut Packs<F>, node: usize, progress: &mut Progress<'_>) {
        if x.len() * LANES <= PIECE {
            self.combine_block::<R>(x, y, node);
            return progress.advance(x.len() * LANES);
        }
        self.split4(x, node);
        self.split4(y, node);
        for (i, (x, y)) in quarters(x).into_iter().zip(quarters(y)).enumerate() {
            self.combine_in_pieces::<R>(x, y, 4 * node + i, progress);
        }
        self.merge4(x, node);
        if R::SECOND {
            self.merge4(y, node);
        }
        progress.advance(0);
    }

    /// The block of a node: its coefficients become those of the results.
    fn combine_block<R: Rule>(&self, x: &mut Packs<F>, y: &mut Packs<F>, node: usize) {
        match x.len() / LEAF_VECTORS {
            1 => self.combine_leaves::<R>(x, y, node),
            2 => {
                self.split2(x, node);
                self.split2(y, node);
                self.combine_leaves::<R>(x, y, 2 * node);
                self.merge2(x, node);
                if R::SECOND {
                    self.merge2(y, node);
                }
            }
            _ => {
                self.split4(x, node);
                self.split4(y, node);
                self.each_quarter::<R>(x, y, 4 * node);
                self.merge4(x, node);
                if R::SECOND {
                    self.merge4(y, node);
                }
            }
        }
    }

    /// The four blocks below a node, the first of which is `first`.
    fn each_quarter<R: Rule>(&self, x: &mut Packs<F>, y: &mut Packs<F>, first: usize) {
        if x.len() == 4 * LEAF_VECTORS {
            return self.combine_leaves::<R>(x, y, first);
        }
        let worthwhile = x.len() * LANES >= PARALLEL_POINTS;
        let [x0, x1, x2, x3] = quarters(x);
        let [y0, y1, y2, y3] = quarters(y);
        let two = |node, [x0, x1]: [&mut Packs<F>; 2], [y0, y1]: [&mut Packs<F>; 2]| {
            self.threads.join(
                worthwhile,
                || self.combine_block::<R>(x0, y0, node),
                || self.combine_block::<R>(x1, y1, node + 1),
            );
        };
        self.threads.join(worthwhile, || two(first, [x0, x1], [y0, y1]), || two(first + 2, [x2, x3], [y2, y3]));
    }

    /// Down, through the rule and up again, for one leaf after the other.
    fn combine_leaves<R: Rule>(&self, x: &mut Packs<F>, y: &mut Packs<F>, first: usize) {
        let roots = [&self.forward, &self.inverse];
        self.field.run(Leaves::<F, R> { roots, x, y, first, rule: PhantomData });
    }

    /// The first pass, from limbs.
    fn load_root(&self, limbs: PaddedLimbs<'_>, block: &mut Packs<F>) {
        let stride = block.len() / 4;
        self.threads.columns(PARALLEL_COLUMNS, 0, quarters(block), &|first, quarters| {
            self.field.run(Root4::<F> { limbs, first, stride, quarters });
        });
    }

    /// The last pass.
    fn unroot(&self, block: &mut Packs<F>) {
        self.threads.columns(PARALLEL_COLUMNS, 0, quarters(block), &|_, quarters| {
            self.field.run(Unroot4::<F> { quarters });
        });
    }

    fn split4(&self, block: &mut Packs<F>, node: usize) {
        let roots = self.forward.radix4(node);
        self.threads.columns(PARALLEL_COLUMNS, 0, quarters(block), &|_, quarters| {
            self.field.run(Split4::<F> { quarters, roots });
        });
    }

    fn merge4(&self, block: &mut Packs<F>, node: usize) {
        let roots = self.inverse.radix4(node);
        self.threads.columns(PARALLEL_COLUMNS, 0, quarters(block), &|_, quarters| {
            self.field.run(Merge4::<F> { quarters, roots });
        });
    }

    fn split2(&self, block: &mut Packs<F>, node: usize) {
        let (low, high) = block.split_at_mut(block.len() / 2);
        self.field.run(Split2::<F> { halves: [low, high], root: self.forward.node(node) });
    }

    fn merge2(&self, block: &mut Packs<F>, node: usize) {
        let (low, high) = block.split_at_mut(block.len() / 2);
        self.field.run(Merge2::<F> { halves: [low, high], root: self.inverse.node(node) });
    }

    /// A factor modulo xᴹ − w.
    fn fold(&self, tail: &Tail<F>, limbs: PaddedLimbs<'_>, block: &mut Packs<F>) {
        let stride = block.len();
        self.threads.columns(PARALLEL_COLUMNS, 0, [block], &|first, [block]| {
            self.field.run(FoldLimbs { tail, limbs, first, stride, block });
        });
    }

    /// A result modulo xᴸ − 1 and modulo xᴹ − w becomes its coefficients.
    fn join_tail(&self, tail: &Tail<F>, main: &mut Packs<F>, upper: &mut Packs<F>) {
        let mut parts = main.chunks_exact_mut(upper.len());
        let [p0, p1, p2, p3, p4, p5, p6, p7] = [(); MAX_PARTS].map(|()| parts.next().unwrap_or_default());
        let rows = [upper, p0, p1, p2, p3, p4, p5, p6, p7];
        self.threads.columns(PARALLEL_COLUMNS, 0, rows, &|_, [upper, parts @ ..]| {
            self.field.run(JoinParts { tail, upper, parts });
        });
    }
}

/// The quarters of a block.
fn quarters<T>(block: &mut [T]) -> [&mut [T]; 4] {
    let (low, high) = block.split_at_mut(block.len() / 2);
    let (q0, q1) = low.split_at_mut(low.len() / 2);
    let (q2, q3) = high.split_at_mut(high.len() / 2);
    [q0, q1, q2, q3]
}

/// The leaves from `first` on, in both factors.
struct Leaves<'a, F: Field, R> {
    /// Forward and inverse.
    roots: [&'a Roots<F>; 2],
    x: &'a mut Packs<F>,
    y: &'a mut Packs<F>,
    first: usize,
    rule: PhantomData<R>,
}

impl<F: Field, R: Rule> Task<F> for Leaves<'_, F, R> {
    type Output = ();

    #[inline(always)]
    fn run(self, field: F) {
        let [forward, inverse] = self.roots;
        let (leaves_x, _) = self.x.as_chunks_mut::<LEAF_VECTORS>();
        let (leaves_y, _) = self.y.as_chunks_mut::<LEAF_VECTORS>();
        for (i, (x, y)) in leaves_x.iter_mut().zip(leaves_y).enumerate() {
            let node = self.first + i;
            let rows = forward.leaf_rows(field, node);
            let lanes = forward.leaf_lanes(field, node);
            let mut a = leaf_forward(field, x, &rows, &lanes);
            let mut b = leaf_forward(field, y, &rows, &lanes);
            for (a, b) in a.iter_mut().zip(&mut b) {
                let (u, v) = (field.reduce(*a), field.reduce(*b));
                *a = R::first(field, u, v);
                if R::SECOND {
                    *b = R::second(field, u, v);
                }
            }
            let rows = inverse.leaf_rows(field, node);
            let lanes = inverse.leaf_lanes(field, node);
            leaf_inverse(field, a, x, &rows, &lanes);
            if R::SECOND {
                leaf_inverse(field, b, y, &rows, &lanes);
            }
        }
    }
}
