//! The plan of lengths.
//!
//! A product of c coefficients needs a ring of at least c points. Powers of two alone would waste up to half of the
//! work, so a length is N = L + M with L = 2ᵏ and M = 0, L/8, L/4 or L/2: the ring modulo (xᴸ − 1)(xᴹ − w) with
//! wᴸᐟᴹ = −1. The first factor is the root of the tree of [`super::roots`]; the second is its node L/M. They have no
//! common factor, as xᴹ = w gives xᴸ = −1, and a product is put together from both by the Chinese remainder theorem
//! ([`super::convolution`]). Of a length at most a quarter is wasted, just above 3/2; a ninth below 5/4.
//!
//! # The largest coefficient
//!
//! Three primes above 2⁴⁸ determine a coefficient below 2¹⁴⁴. A coefficient is a sum of at most as many terms as the
//! shorter factor has limbs. With B = 10¹⁸, a term of A·(A + 2B) is at most 3·B², one of A² + B² is at most 2·B². The
//! largest index is 10⁹; its last step multiplies numbers of at most [`MAX_OPERAND_LIMBS`] limbs, and
//! 3·(10¹⁸)²·5,805,213 = 1.742·10⁴³ < 2¹⁴⁴ = 2.230·10⁴³. A sum A² + (A + B)² would not fit: that is why F(2k + 1) is
//! never asked for (see `math::fib`).

use super::prime::{MAX_ORDER_LOG2, P1, P2, P3};
use super::roots::LEAF_LOG2;
use crate::limb::BASE;

/// Limbs of a factor at most: those of F(500,000,000), and a little.
pub(super) const MAX_OPERAND_LIMBS: usize = 5_805_214;

/// The largest multiple of B² that a term of any [`super::rule::Rule`] reaches.
pub(super) const MAX_TERM: u128 = 3;

/// log₂ of the shortest main part: four leaves, for the first pass is of radix 4.
const MIN_MAIN_LOG2: u32 = 8;

// 3·B²·limbs < p₁·p₂·p₃, both sides divided by B = 10¹⁸ (the left side is rounded up).
const _: () = {
    let largest = MAX_TERM * (BASE as u128) * (MAX_OPERAND_LIMBS as u128) + 1;
    let product_by_base = (P1 as u128 * P2 as u128 / BASE as u128) * P3 as u128;
    assert!(largest < product_by_base);
};

// The deepest root that a transform of the longest product uses: see `Length::order_log2`.
const _: () = assert!(Length::for_points(2 * MAX_OPERAND_LIMBS).order_log2() <= MAX_ORDER_LOG2);

/// A length L + M of a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length {
    /// log₂ L.
    main_log2: u32,
    /// log₂ (L/M), if there is a second part.
    tail_shift: Option<u32>,
}

impl Length {
    /// The shortest length of at least `points`.
    pub(super) const fn for_points(points: usize) -> Self {
        let mut main_log2 = MIN_MAIN_LOG2;
        while (2 << main_log2) <= points {
            main_log2 += 1;
        }
        // With tails of 1/8, 1/4, 1/2 of the main part; a tail is at least a leaf.
        if points <= 1 << main_log2 {
            return Self { main_log2, tail_shift: None };
        }
        let mut shift = 3;
        while shift > 0 {
            let length = Self { main_log2, tail_shift: Some(shift) };
            if main_log2 - shift >= LEAF_LOG2 && length.points() >= points {
                return length;
            }
            shift -= 1;
        }
        Self { main_log2: main_log2 + 1, tail_shift: None }
    }

    /// L.
    pub(super) const fn main(self) -> usize {
        1 << self.main_log2
    }

    /// log₂ L.
    pub(super) const fn main_log2(self) -> u32 {
        self.main_log2
    }

    /// log₂ (L/M), if M is not 0.
    pub(super) const fn tail_shift(self) -> Option<u32> {
        self.tail_shift
    }

    /// L + M.
    pub(super) const fn points(self) -> usize {
        match self.tail_shift {
            None => self.main(),
            Some(shift) => self.main() + (self.main() >> shift),
        }
    }

    /// Whether the first pass takes a factor of `limbs` limbs. It takes L; and where the second part is an eighth of
    /// the first, six of its parts ([`super::tail`]).
    pub(super) const fn holds(self, limbs: usize) -> bool {
        match self.tail_shift {
            Some(3) => limbs <= self.main() / 4 * 3,
            _ => limbs <= self.main(),
        }
    }

    /// The leaves of the transform: nodes 0, 1, … of the level of the leaves.
    pub(super) const fn leaves(self) -> usize {
        self.points() >> LEAF_LOG2
    }

    /// log₂ of the largest order of a root that the transform takes: w(j) for j below 2ʰ has the order 2^(h+1), and the
    /// deepest nodes are half of the points.
    const fn order_log2(self) -> usize {
        self.points().next_power_of_two().ilog2() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_length_that_suffices_is_taken() {
        let cases = [
            (1, 256),
            (256, 256),
            (257, 320), // a tail of 1/8 would be half a leaf
            (321, 384),
            (385, 512),
            (512, 512),
            (513, 576),
            (577, 640),
            (641, 768),
            (769, 1024),
            (1_161_043, 1_179_648), // F(10⁸)
        ];
        for (points, expected) in cases {
            assert_eq!(Length::for_points(points).points(), expected, "{points} points");
        }
    }

    #[test]
    fn a_factor_of_two_thirds_is_held() {
        for points in 1..20_000 {
            assert!(Length::for_points(points).holds((points + 1) * 2 / 3), "{points} points");
        }
    }

    #[test]
    fn no_shorter_length_is_possible() {
        for points in 1..20_000 {
            let length = Length::for_points(points);
            assert!(length.points() >= points);
            assert!(points <= 256 || length.points() * 3 <= points * 4 + 3);
        }
    }
}
