//! Products modulo one prime: down the tree of rings, a few multiplications, and up again.
//!
//! [`Ring::combine`] takes factors to one or two results that are polynomials in them, as a [`Rule`] says, modulo
//! xᴺ-like polynomials of the [`super::plan`]. It does not transform whole vectors one after the other. The recursion
//! goes depth first, with all factors side by side, and at each leaf down, through the rule, and up without leaving
//! the registers: a block larger than a cache is read and written only once on the way down and once on the way up per
//! level, and the values of the transform are never stored at all. A factor that occurs in several products of a rule
//! is transformed once, and a sum of products is transformed back once.

use std::marker::PhantomData;

use super::field::{Field, LANES, Packs, Task};
use super::limbs::PaddedLimbs;
use super::plan::Length;
use super::prime::Direction;
use super::progress::{PIECE, Progress};
use super::roots::{LEAF_LOG2, Roots};
use super::rule::Rule;
use super::tail::{FoldLimbs, JoinParts, MAX_PARTS, Tail};
use super::transform::{DOWN, Pass2, Pass4, Root4, UP, Unroot4, leaf_forward, leaf_inverse};
use crate::parallel::Parallel;

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

    /// Shares the work with these threads from now on.
    pub(super) fn share(&mut self, threads: Parallel) {
        self.threads = threads;
    }

    /// The bytes of its roots.
    pub(super) fn bytes(&self) -> usize {
        self.forward.bytes() + self.inverse.bytes()
    }

    /// The field of the coefficients.
    pub(super) fn field(&self) -> F {
        self.field
    }

    /// The coefficients of the rule's results, from the limbs of its factors, in the first of the `blocks`.
    ///
    /// They are multiplied by the length of the main part and divided by the field's product divisor, and at most
    /// 11.8 p in magnitude. The blocks have the length, and the factors have at most as many limbs as its main part has
    /// points; blocks without a result are scratch.
    ///
    /// `progress` advances by the points of the length.
    pub(super) fn combine<R: Rule<FACTORS>, const FACTORS: usize>(
        &self,
        length: Length,
        factors: [PaddedLimbs<'_>; FACTORS],
        blocks: [&mut Packs<F>; FACTORS],
        progress: &mut Progress<'_>,
    ) {
        let [mut main, mut tails] = each_split(blocks, length.main() / LANES);
        self.combine_main::<R, FACTORS>(factors, reborrow(&mut main), progress);
        if let Some(shift) = length.tail_shift() {
            let tail = Tail::new(self.field, shift);
            for (limbs, block) in factors.into_iter().zip(&mut tails) {
                self.fold(&tail, limbs, block);
            }
            self.combine_in_pieces::<R, FACTORS>(reborrow(&mut tails), tail.node(), progress);
            for (main, tail_block) in main.into_iter().zip(tails).take(R::RESULTS) {
                self.join_tail(&tail, main, tail_block);
                progress.advance(0);
            }
        }
    }

    /// The results modulo xᴸ − 1.
    fn combine_main<R: Rule<FACTORS>, const FACTORS: usize>(
        &self,
        factors: [PaddedLimbs<'_>; FACTORS],
        mut blocks: [&mut Packs<F>; FACTORS],
        progress: &mut Progress<'_>,
    ) {
        for (limbs, block) in factors.into_iter().zip(&mut blocks) {
            self.load_root(limbs, block);
            progress.advance(0);
        }
        let points = blocks[0].len() * LANES;
        if points <= PIECE {
            self.each_quarter::<R, FACTORS>(reborrow(&mut blocks), 0);
            progress.advance(points);
        } else {
            for (node, quarter) in each_quarters(reborrow(&mut blocks)).into_iter().enumerate() {
                self.combine_in_pieces::<R, FACTORS>(quarter, node, progress);
            }
        }
        for block in blocks.into_iter().take(R::RESULTS) {
            self.unroot(block);
            progress.advance(0);
        }
    }

    /// [`Self::combine_block`], piece by piece.
    fn combine_in_pieces<R: Rule<FACTORS>, const FACTORS: usize>(
        &self,
        mut blocks: [&mut Packs<F>; FACTORS],
        node: usize,
        progress: &mut Progress<'_>,
    ) {
        let points = blocks[0].len() * LANES;
        if points <= PIECE {
            self.combine_block::<R, FACTORS>(blocks, node);
            return progress.advance(points);
        }
        for block in &mut blocks {
            self.pass4::<DOWN>(block, node);
        }
        for (i, quarter) in each_quarters(reborrow(&mut blocks)).into_iter().enumerate() {
            self.combine_in_pieces::<R, FACTORS>(quarter, 4 * node + i, progress);
        }
        for block in blocks.into_iter().take(R::RESULTS) {
            self.pass4::<UP>(block, node);
        }
        progress.advance(0);
    }

    /// The blocks of a node: the coefficients of the factors become those of the results.
    fn combine_block<R: Rule<FACTORS>, const FACTORS: usize>(&self, mut blocks: [&mut Packs<F>; FACTORS], node: usize) {
        match blocks[0].len() / LEAF_VECTORS {
            1 => self.combine_leaves::<R, FACTORS>(blocks, node),
            2 => {
                for block in &mut blocks {
                    self.pass2::<DOWN>(block, node);
                }
                self.combine_leaves::<R, FACTORS>(reborrow(&mut blocks), 2 * node);
                for block in blocks.into_iter().take(R::RESULTS) {
                    self.pass2::<UP>(block, node);
                }
            }
            _ => {
                for block in &mut blocks {
                    self.pass4::<DOWN>(block, node);
                }
                self.each_quarter::<R, FACTORS>(reborrow(&mut blocks), 4 * node);
                for block in blocks.into_iter().take(R::RESULTS) {
                    self.pass4::<UP>(block, node);
                }
            }
        }
    }

    /// The four blocks below a node, the first of which is `first`.
    fn each_quarter<R: Rule<FACTORS>, const FACTORS: usize>(&self, blocks: [&mut Packs<F>; FACTORS], first: usize) {
        if blocks[0].len() == 4 * LEAF_VECTORS {
            return self.combine_leaves::<R, FACTORS>(blocks, first);
        }
        let worthwhile = blocks[0].len() * LANES >= PARALLEL_POINTS;
        let [q0, q1, q2, q3] = each_quarters(blocks);
        let two = |node, a, b| {
            self.threads.join(
                worthwhile,
                || self.combine_block::<R, FACTORS>(a, node),
                || self.combine_block::<R, FACTORS>(b, node + 1),
            );
        };
        self.threads.join(worthwhile, || two(first, q0, q1), || two(first + 2, q2, q3));
    }

    /// Down, through the rule and up again, for one leaf after the other.
    fn combine_leaves<R: Rule<FACTORS>, const FACTORS: usize>(&self, blocks: [&mut Packs<F>; FACTORS], first: usize) {
        let roots = [&self.forward, &self.inverse];
        self.field.run(Leaves::<F, R, FACTORS> { roots, blocks, first, rule: PhantomData });
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

    fn pass4<const IS_DOWN: bool>(&self, block: &mut Packs<F>, node: usize) {
        let roots = if IS_DOWN { &self.forward } else { &self.inverse }.radix4(node);
        self.threads.columns(PARALLEL_COLUMNS, 0, quarters(block), &|_, quarters| {
            self.field.run(Pass4::<F, IS_DOWN> { quarters, roots });
        });
    }

    fn pass2<const IS_DOWN: bool>(&self, block: &mut Packs<F>, node: usize) {
        let root = if IS_DOWN { &self.forward } else { &self.inverse }.node(node);
        let (low, high) = block.split_at_mut(block.len() / 2);
        self.field.run(Pass2::<F, IS_DOWN> { halves: [low, high], root });
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

/// The first `middle` elements of each block, and the rest of each.
fn each_split<T, const BLOCKS: usize>(blocks: [&mut [T]; BLOCKS], middle: usize) -> [[&mut [T]; BLOCKS]; 2] {
    let mut high = [const { None }; BLOCKS];
    let mut rests = high.iter_mut();
    let low = blocks.map(|block| {
        let (low, rest) = block.split_at_mut(middle);
        if let Some(to) = rests.next() {
            *to = Some(rest);
        }
        low
    });
    [low, high.map(Option::unwrap_or_default)]
}

/// The first quarters of all blocks, the second ones, and so on.
fn each_quarters<T, const BLOCKS: usize>(blocks: [&mut [T]; BLOCKS]) -> [[&mut [T]; BLOCKS]; 4] {
    let half = blocks[0].len() / 2;
    let [q01, q23] = each_split(blocks, half);
    let ([q0, q1], [q2, q3]) = (each_split(q01, half / 2), each_split(q23, half / 2));
    [q0, q1, q2, q3]
}

/// The blocks, for a while.
fn reborrow<'a, T, const BLOCKS: usize>(blocks: &'a mut [&mut [T]; BLOCKS]) -> [&'a mut [T]; BLOCKS] {
    blocks.each_mut().map(|block| &mut **block)
}

/// The leaves from `first` on, in all factors.
struct Leaves<'a, F: Field, R, const FACTORS: usize> {
    /// Forward and inverse.
    roots: [&'a Roots<F>; 2],
    blocks: [&'a mut Packs<F>; FACTORS],
    first: usize,
    rule: PhantomData<R>,
}

impl<F: Field, R: Rule<FACTORS>, const FACTORS: usize> Task<F> for Leaves<'_, F, R, FACTORS> {
    type Output = ();

    #[inline(always)]
    fn run(self, field: F) {
        let [forward, inverse] = self.roots;
        let mut blocks = self.blocks.map(|block| block.as_chunks_mut::<LEAF_VECTORS>().0);
        for i in 0..blocks[0].len() {
            let node = self.first + i;
            let rows = forward.leaf_rows(field, node);
            let lanes = forward.leaf_lanes(field, node);
            let mut values = [[field.splat(F::Word::default()); LANES]; FACTORS];
            for (values, block) in values.iter_mut().zip(&blocks) {
                *values = leaf_forward(field, &block[i], &rows, &lanes);
            }
            for lane in 0..LANES {
                let mut factors = [field.splat(F::Word::default()); FACTORS];
                for (factor, values) in factors.iter_mut().zip(&values) {
                    *factor = field.reduce(values[lane]);
                }
                let results = R::results(field, factors);
                for (result, values) in results.iter().zip(&mut values).take(R::RESULTS) {
                    values[lane] = *result;
                }
            }
            let rows = inverse.leaf_rows(field, node);
            let lanes = inverse.leaf_lanes(field, node);
            for (values, block) in values.iter().zip(&mut blocks).take(R::RESULTS) {
                leaf_inverse(field, *values, &mut block[i], &rows, &lanes);
            }
        }
    }
}
