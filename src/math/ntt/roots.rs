//! The roots of unity that the butterflies multiply by.
//!
//! The transform walks down a tree of rings. Node j has the ring modulo xᵐ − w(j)², and its children are nodes 2j,
//! modulo x^(m/2) − w(j), and 2j + 1, modulo x^(m/2) + w(j). So
//!
//! ```text
//! w(0) = 1    w(2j)² = w(j)    w(2j + 1) = i·w(2j)
//! ```
//!
//! which is solved by w(2ʰ + k) = w(k)·r with r of the order 2^(h+2), for k < 2ʰ. It does not depend on m: one table
//! serves all lengths, and a shorter one is its beginning. (The exponents are the bits of j in reverse order.) From the
//! same formula, w(j·2ˢ + k) = w(j·2ˢ)·w(k) for k < 2ˢ, so that the roots of eight neighbours are a scalar times a
//! constant vector.

use super::field::{Field, LANES, Packed, Packs, Task};
use super::prime::Direction;

/// log₂ of the points of a leaf: the ring in which the recursion ends.
pub(super) const LEAF_LOG2: u32 = 6;

/// The distinct multipliers of a radix-8 butterfly: w(j); w(2j), w(2j + 1); w(4j) … w(4j + 3).
pub(super) const RADIX8_ROOTS: usize = 7;

/// The roots for one prime and one direction.
pub(super) struct Roots<F: Field> {
    /// w(j) for the nodes down to the first half of the leaves.
    nodes: Vec<Packed<F::Word>>,
    /// w(8j), w(16j), w(32j) for leaf j: the scalars of the second half of the leaves.
    lanes: [Vec<Packed<F::Word>>; 3],
    /// The constant vectors that go with them, over lanes k: w(k); w(2k), w(2k + 1); w(4k) ….
    constants: [Packed<F::Word>; RADIX8_ROOTS],
}

impl<F: Field> Roots<F> {
    /// The roots for transforms with up to `leaves` leaves.
    pub(super) fn new(field: F, leaves: usize, direction: Direction) -> Self {
        let table = |count, shift| root_table(field, count, shift, direction);
        let constant = |scale: usize, offset: usize| {
            let mut lanes = [F::Word::default(); LANES];
            for (k, lane) in lanes.iter_mut().enumerate() {
                *lane = field.constant(root(field, scale * k + offset, 0, direction));
            }
            lanes
        };
        Self {
            nodes: table(4 * leaves, 0),
            lanes: [table(leaves, 3), table(leaves, 4), table(leaves, 5)],
            constants: [
                constant(1, 0),
                constant(2, 0),
                constant(2, 1),
                constant(4, 0),
                constant(4, 1),
                constant(4, 2),
                constant(4, 3),
            ],
        }
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        let packs = self.nodes.len() + self.lanes.iter().map(Vec::len).sum::<usize>();
        packs * size_of::<Packed<F::Word>>()
    }

    /// w(j).
    #[inline(always)]
    pub(super) fn node(&self, j: usize) -> F::Word {
        word(&self.nodes, j)
    }

    /// w(j), w(2j), w(2j + 1), for a radix-4 butterfly at node j.
    #[inline(always)]
    pub(super) fn radix4(&self, j: usize) -> [F::Word; 3] {
        [self.node(j), self.node(2 * j), self.node(2 * j + 1)]
    }

    /// The multipliers of the first three levels of leaf j, the same in all lanes.
    #[inline(always)]
    pub(super) fn leaf_rows(&self, field: F, j: usize) -> [F::Vector; RADIX8_ROOTS] {
        [
            field.splat(self.node(j)),
            field.splat(self.node(2 * j)),
            field.splat(self.node(2 * j + 1)),
            field.splat(self.node(4 * j)),
            field.splat(self.node(4 * j + 1)),
            field.splat(self.node(4 * j + 2)),
            field.splat(self.node(4 * j + 3)),
        ]
    }

    /// The multipliers of the last three levels of leaf j: lane k has those of node 8j + k.
    #[inline(always)]
    pub(super) fn leaf_lanes(&self, field: F, j: usize) -> [F::Vector; RADIX8_ROOTS] {
        let a = field.splat(word(&self.lanes[0], j));
        let b = field.splat(word(&self.lanes[1], j));
        let c = field.splat(word(&self.lanes[2], j));
        [
            field.mul(field.load(&self.constants[0]), a),
            field.mul(field.load(&self.constants[1]), b),
            field.mul(field.load(&self.constants[2]), b),
            field.mul(field.load(&self.constants[3]), c),
            field.mul(field.load(&self.constants[4]), c),
            field.mul(field.load(&self.constants[5]), c),
            field.mul(field.load(&self.constants[6]), c),
        ]
    }
}

/// Element j of a table of vectors.
#[inline(always)]
fn word<W: Copy>(table: &[Packed<W>], j: usize) -> W {
    table[j / LANES][j % LANES]
}

/// w(j·2^`shift`) mod p, from the bits of j.
fn root<F: Field>(field: F, j: usize, shift: usize, direction: Direction) -> u64 {
    let prime = field.prime();
    let bits = (0..j.checked_ilog2().map_or(0, |top| top as usize + 1)).filter(|h| j >> h & 1 == 1);
    bits.fold(1, |product, h| prime.product(product, prime.root(h + 2 + shift, direction)))
}

/// w(j·2^`shift`) for j below `count`, rounded up to whole vectors.
fn root_table<F: Field>(field: F, count: usize, shift: usize, direction: Direction) -> Vec<Packed<F::Word>> {
    let packs = count.div_ceil(LANES);
    let mut table = Vec::with_capacity(packs);
    let mut first = [F::Word::default(); LANES];
    for (j, lane) in first.iter_mut().enumerate() {
        *lane = field.constant(root(field, j, shift, direction));
    }
    table.push(first);
    while table.len() < packs {
        let known = table.len();
        let step = field.constant(root(field, known * LANES, shift, direction));
        let wanted = known.min(packs - known);
        table.resize(known + wanted, [F::Word::default(); LANES]);
        let (from, to) = table.split_at_mut(known);
        field.run(Multiples::<F> { from: &from[..wanted], to, step });
    }
    table
}

/// Writes `from` times `step` into `to`.
struct Multiples<'a, F: Field> {
    from: &'a Packs<F>,
    to: &'a mut Packs<F>,
    step: F::Word,
}

impl<F: Field> Task<F> for Multiples<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self, field: F) {
        let step = field.splat(self.step);
        for (from, to) in self.from.iter().zip(self.to) {
            field.store(to, field.mul(field.load(from), step));
        }
    }
}
