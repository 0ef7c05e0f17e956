//! The formulas of products, which are computed at the points of a transform.

use super::field::Field;

/// A formula in the values of `FACTORS` factors at each point.
///
/// The arguments are at most 0.51 p in magnitude; results may be up to 2.8 p. No coefficient may be a sum of terms
/// above [`super::plan::MAX_TERM`].
pub(super) trait Rule<const FACTORS: usize>: Copy + Send + Sync {
    /// The number of results, which come first: 1 or 2, and at most `FACTORS`.
    const RESULTS: usize;

    /// The results. The values after them have no meaning.
    fn results<F: Field>(field: F, factors: [F::Vector; FACTORS]) -> [F::Vector; FACTORS];
}

/// a·(a + 2b), and a² + b²: F(2k) and F(2k − 1) from F(k) and F(k − 1).
///
/// Bounds: 0.51·1.53/15.9 + 0.5 = 0.55, and 2·(0.51²/15.9 + 0.5) = 1.04.
#[derive(Clone, Copy)]
pub(super) struct Doubling;

/// a·(a + 2b) alone.
#[derive(Clone, Copy)]
pub(super) struct Even;

/// a² + b² alone.
#[derive(Clone, Copy)]
pub(super) struct Odd;

/// a·b. Bound: 0.51²/15.9 + 0.5 = 0.52.
#[derive(Clone, Copy)]
pub(super) struct Product;

/// a². Bound: as of a product.
#[derive(Clone, Copy)]
pub(super) struct Square;

/// q₁·q₂, and q₂·t₁ + p₁·t₂: the denominator and the numerator of t₁/q₁ + p₁/q₁·t₂/q₂. The factors are q₁, q₂, t₁, p₁, t₂.
/// Bounds: as of a product, and of a sum of two.
#[derive(Clone, Copy)]
pub(super) struct Sum;

impl Rule<2> for Doubling {
    const RESULTS: usize = 2;

    #[inline(always)]
    fn results<F: Field>(field: F, [a, b]: [F::Vector; 2]) -> [F::Vector; 2] {
        let even = field.mul(field.add(a, field.add(b, b)), a);
        [even, field.add(field.mul(a, a), field.mul(b, b))]
    }
}

impl Rule<2> for Even {
    const RESULTS: usize = 1;

    #[inline(always)]
    fn results<F: Field>(field: F, [a, b]: [F::Vector; 2]) -> [F::Vector; 2] {
        [field.mul(field.add(a, field.add(b, b)), a), b]
    }
}

impl Rule<2> for Odd {
    const RESULTS: usize = 1;

    #[inline(always)]
    fn results<F: Field>(field: F, [a, b]: [F::Vector; 2]) -> [F::Vector; 2] {
        [field.add(field.mul(a, a), field.mul(b, b)), b]
    }
}

impl Rule<2> for Product {
    const RESULTS: usize = 1;

    #[inline(always)]
    fn results<F: Field>(field: F, [a, b]: [F::Vector; 2]) -> [F::Vector; 2] {
        [field.mul(a, b), b]
    }
}

impl Rule<1> for Square {
    const RESULTS: usize = 1;

    #[inline(always)]
    fn results<F: Field>(field: F, [a]: [F::Vector; 1]) -> [F::Vector; 1] {
        [field.mul(a, a)]
    }
}

impl Rule<5> for Sum {
    const RESULTS: usize = 2;

    #[inline(always)]
    fn results<F: Field>(field: F, [q1, q2, t1, p1, t2]: [F::Vector; 5]) -> [F::Vector; 5] {
        [field.mul(q1, q2), field.add(field.mul(q2, t1), field.mul(p1, t2)), t1, p1, t2]
    }
}
