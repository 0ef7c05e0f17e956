//! The three primes, and exact arithmetic modulo them for constants.
//!
//! All three are a little above 2⁴⁸ and of the form c·2²⁶ + 1, so that
//!
//! - their product exceeds 2¹⁴⁴, which holds every coefficient of every product that is asked for (see
//!   [`super::plan`]);
//! - roots of unity of order 2²⁶ exist: enough for transforms of 2²⁵ points;
//! - 2⁴⁸ ≡ −(p − 2⁴⁸), a number below 2³², so that a limb becomes a residue with one multiplication that needs no
//!   reduction (see [`super::field`]);
//! - a double has five bits to spare above p, so that sums need few reductions.
//!
//! This module runs at compile time or a few dozen times per product; it may be slow.

/// log₂ of the largest order of a root of unity modulo each of the primes.
pub(super) const MAX_ORDER_LOG2: usize = 26;

/// A prime p = c·2²⁶ + 1, slightly above 2⁴⁸, and its roots of unity.
pub(super) struct Prime {
    /// p itself.
    pub(super) value: u64,
    /// `roots[s]` has the order 2ˢ, and `roots[s + 1]² = roots[s]`.
    roots: [u64; MAX_ORDER_LOG2 + 1],
    /// The inverses of `roots`.
    inverse_roots: [u64; MAX_ORDER_LOG2 + 1],
}

/// The primes in the order in which the remainders are combined.
pub(super) static PRIMES: [Prime; 3] = [Prime::new(P1, 7), Prime::new(P2, 3), Prime::new(P3, 3)];

/// 2⁴⁸ + 23·2²⁶ + 1, with the primitive root 7.
pub(super) const P1: u64 = (1 << 48) + 23 * (1 << 26) + 1;
/// 2⁴⁸ + 36·2²⁶ + 1, with the primitive root 3.
pub(super) const P2: u64 = (1 << 48) + 36 * (1 << 26) + 1;
/// 2⁴⁸ + 54·2²⁶ + 1, with the primitive root 3.
pub(super) const P3: u64 = (1 << 48) + 54 * (1 << 26) + 1;

/// The direction of a transform: it decides between a root and its inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From coefficients to values.
    Forward,
    /// From values to coefficients.
    Inverse,
}

impl Prime {
    /// The prime `value`, of which `primitive_root` generates the multiplicative group.
    const fn new(value: u64, primitive_root: u64) -> Self {
        let mut roots = [1; MAX_ORDER_LOG2 + 1];
        let mut inverse_roots = [1; MAX_ORDER_LOG2 + 1];
        let mut order = MAX_ORDER_LOG2;
        roots[order] = power(primitive_root, (value - 1) >> order, value);
        inverse_roots[order] = power(roots[order], value - 2, value);
        while order > 0 {
            roots[order - 1] = product(roots[order], roots[order], value);
            inverse_roots[order - 1] = product(inverse_roots[order], inverse_roots[order], value);
            order -= 1;
        }
        Self { value, roots, inverse_roots }
    }

    /// The root of unity of the order 2^`log2`, or its inverse. `log2` is at most [`MAX_ORDER_LOG2`].
    pub(super) const fn root(&self, log2: usize, direction: Direction) -> u64 {
        match direction {
            Direction::Forward => self.roots[log2],
            Direction::Inverse => self.inverse_roots[log2],
        }
    }

    /// a·b mod p.
    pub(super) const fn product(&self, a: u64, b: u64) -> u64 {
        product(a, b, self.value)
    }

    /// 2^−`log2` mod p, for `log2` up to [`MAX_ORDER_LOG2`]: from 2ᵏ·((p − 1)/2ᵏ) ≡ −1.
    pub(super) const fn inverse_power_of_two(&self, log2: usize) -> u64 {
        assert!(log2 <= MAX_ORDER_LOG2);
        self.value - ((self.value - 1) >> log2)
    }
}

/// a·b mod p, for a and b below 2⁶⁴ and p not 0.
#[expect(clippy::cast_possible_truncation, reason = "a remainder modulo a u64 fits in one")]
pub(super) const fn product(a: u64, b: u64, p: u64) -> u64 {
    ((a as u128 * b as u128) % p as u128) as u64
}

/// base^exponent mod p, by squaring.
pub(super) const fn power(base: u64, mut exponent: u64, p: u64) -> u64 {
    let mut square = base % p;
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = product(result, square, p);
        }
        square = product(square, square, p);
        exponent >>= 1;
    }
    result
}

/// The inverse of `a` modulo the prime p, for a not divisible by p.
pub(super) const fn inverse(a: u64, p: u64) -> u64 {
    power(a, p - 2, p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_have_exactly_their_order() {
        for prime in &PRIMES {
            for direction in [Direction::Forward, Direction::Inverse] {
                assert_eq!(prime.root(0, direction), 1);
                assert_eq!(prime.root(1, direction), prime.value - 1);
            }
            for log2 in 1..=MAX_ORDER_LOG2 {
                let root = prime.root(log2, Direction::Forward);
                assert_eq!(prime.product(root, root), prime.root(log2 - 1, Direction::Forward));
                assert_eq!(prime.product(root, prime.root(log2, Direction::Inverse)), 1);
            }
        }
    }

    #[test]
    fn halves_undo_doublings() {
        for prime in &PRIMES {
            for log2 in 0..=MAX_ORDER_LOG2 {
                assert_eq!(prime.product(1 << log2, prime.inverse_power_of_two(log2)), 1);
            }
        }
    }

    #[test]
    fn the_primes_are_prime() {
        // Proth: p = c·2^k + 1 with c < 2^k is prime if and only if some a^((p−1)/2) ≡ −1.
        for (prime, a) in PRIMES.iter().zip([7, 3, 3]) {
            assert!((prime.value - 1) >> 26 < 1 << 26);
            assert_eq!(power(a, (prime.value - 1) / 2, prime.value), prime.value - 1);
        }
    }
}
