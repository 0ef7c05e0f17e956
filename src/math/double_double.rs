//! Double-double arithmetic: unevaluated sums of two doubles, 106 bits in all.
//!
//! The algorithms and their error bounds are those of M. Joldes, J.-M. Muller, V. Popescu, "Tight and rigorous error
//! bounds for basic building blocks of double-word arithmetic", 2017: each operation is within a few 2^−106 of the
//! exact result, relatively.

use std::ops::{Add, Div, Mul, Sub};

/// high + low, where high is the double next to the sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DoubleDouble {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl DoubleDouble {
    /// a/b for doubles.
    pub(super) fn ratio(a: f64, b: f64) -> Self {
        let quotient = a / b;
        // The remainder of a division is a double.
        Self::fast_sum(quotient, (-quotient).mul_add(b, a) / b)
    }

    /// The square root of a positive number: one step of Newton's iteration from the double next to it.
    pub(super) fn sqrt(self) -> Self {
        let root = self.high.sqrt();
        let remainder = (-root).mul_add(root, self.high) + self.low;
        Self::fast_sum(root, remainder / (2.0 * root))
    }

    /// a + b exactly, for |a| ≥ |b| or a = 0.
    fn fast_sum(a: f64, b: f64) -> Self {
        let high = a + b;
        Self { high, low: b - (high - a) }
    }

    /// a + b exactly.
    fn exact_sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let b_part = high - a;
        Self { high, low: (a - (high - b_part)) + (b - b_part) }
    }

    /// a·b exactly.
    fn exact_product(a: f64, b: f64) -> Self {
        let high = a * b;
        Self { high, low: a.mul_add(b, -high) }
    }
}

impl From<f64> for DoubleDouble {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl Add for DoubleDouble {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let high = Self::exact_sum(self.high, other.high);
        let low = Self::exact_sum(self.low, other.low);
        let sum = Self::fast_sum(high.high, high.low + low.high);
        Self::fast_sum(sum.high, low.low + sum.low)
    }
}

impl Sub for DoubleDouble {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + Self { high: -other.high, low: -other.low }
    }
}

impl Mul for DoubleDouble {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let product = Self::exact_product(self.high, other.high);
        let cross = self.high.mul_add(other.low, self.low * other.high);
        Self::fast_sum(product.high, product.low + cross)
    }
}

impl Div<f64> for DoubleDouble {
    type Output = Self;

    fn div(self, divisor: f64) -> Self {
        let quotient = self.high / divisor;
        let remainder = (-quotient).mul_add(divisor, self.high) + self.low;
        Self::fast_sum(quotient, remainder / divisor)
    }
}
