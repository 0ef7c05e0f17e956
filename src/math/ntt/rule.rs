//! The doubling formulas, which are computed at the points of a transform.

use super::field::Field;

/// A formula in the values a and b of the two factors at each point.
///
/// The arguments are at most 0.51 p in magnitude; results may be up to 2.8 p. No coefficient may be a sum of terms
/// above [`super::plan::MAX_TERM`].
pub(super) trait Rule: Copy + Send + Sync {
    /// Whether there is a second result.
    const SECOND: bool;

    /// The first result.
    fn first<F: Field>(field: F, a: F::Vector, b: F::Vector) -> F::Vector;

    /// The second result; not called where there is none.
    #[inline(always)]
    fn second<F: Field>(field: F, a: F::Vector, b: F::Vector) -> F::Vector {
        Self::first(field, a, b)
    }
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

impl Rule for Doubling {
    const SECOND: bool = true;

    #[inline(always)]
    fn first<F: Field>(field: F, a: F::Vector, b: F::Vector) -> F::Vector {
        field.mul(field.add(a, field.add(b, b)), a)
    }

    #[inline(always)]
    fn second<F: Field>(field: F, a: F::Vector, b: F::Vector) -> F::Vector {
        field.add(field.mul(a, a), field.mul(b, b))
    }
}

impl Rule for Even {
    const SECOND: bool = false;

    #[inline(always)]
    fn first<F: Field>(field: F, a: F::Vector, b: F::Vector) -> F::Vector {
        Doubling::first(field, a, b)
    }
}

impl Rule for Odd {
    const SECOND: bool = false;

    #[inline(always)]
    fn first<F: Field>(field: F, a: F::Vector, b: F::Vector) -> F::Vector {
        Doubling::second(field, a, b)
    }
}
