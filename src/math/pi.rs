//! π approximated by the Basel series: √(6·S(N)) with S(N) = 1/1² + 1/2² + … + 1/N², which tends to π²/6.

use std::sync::LazyLock;

use super::double_double::DoubleDouble;

/// The number of terms that are summed: 0 to [`Terms::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terms(u32);

impl Terms {
    /// The largest number of terms, which is the largest `Int` of GraphQL: 2,147,483,647.
    pub const MAX: Self = Self(i32::MAX.cast_unsigned());

    /// `None` beyond [`Terms::MAX`].
    #[must_use]
    pub const fn new(terms: u32) -> Option<Self> {
        if terms <= Self::MAX.0 { Some(Self(terms)) } else { None }
    }

    /// The number of terms as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// This many terms are summed one by one; from there on the formula of Euler and Maclaurin is exact enough.
const DIRECT: u32 = 100;

/// The Bernoulli numbers B₂ to B₁₆ as fractions.
const BERNOULLI: [(f64, f64); 8] =
    [(1.0, 6.0), (-1.0, 30.0), (1.0, 42.0), (-1.0, 30.0), (5.0, 66.0), (-691.0, 2730.0), (7.0, 6.0), (-3617.0, 510.0)];

/// Precomputed parts of every evaluation.
struct Series {
    /// S(0) to S(100).
    sums: [DoubleDouble; DIRECT as usize + 1],
    /// S(100) and the tail beyond: the limit of the series.
    limit: DoubleDouble,
    bernoulli: [DoubleDouble; BERNOULLI.len()],
}

static SERIES: LazyLock<Series> = LazyLock::new(|| {
    let bernoulli = BERNOULLI.map(|(numerator, denominator)| DoubleDouble::ratio(numerator, denominator));
    let mut sums = [DoubleDouble::from(0.0); DIRECT as usize + 1];
    for i in 1..=DIRECT {
        let square = f64::from(i) * f64::from(i);
        sums[i as usize] = sums[i as usize - 1] + DoubleDouble::ratio(1.0, square);
    }
    let limit = sums[DIRECT as usize] + tail(f64::from(DIRECT), &bernoulli);
    Series { sums, limit, bernoulli }
});

/// The double next to √(6·S(terms)): correctly rounded for every number of terms. Constant time, some 50 ns; nothing
/// in it knows π.
///
/// S(N) is the limit of the series less its tail, both in double-double arithmetic, whose relative error stays below
/// 2^−98. Over all N the value √(6·S(N)) never comes closer than 2^−87, relatively, to the midpoint of two doubles
/// (test `no_rounding_is_in_doubt`), so the rounding is never in doubt.
///
/// ```
/// use phipi_math::pi::{Terms, approximation};
///
/// let terms = Terms::new(1_000).expect("at most 2³¹ − 1");
/// assert_eq!(approximation(terms), 3.140_638_056_205_993_2);
/// ```
#[must_use]
pub fn approximation(terms: Terms) -> f64 {
    precise(terms).high
}

/// π − result, correctly rounded, for a `result` of [`approximation`]; always positive.
#[must_use]
pub fn error(result: f64) -> f64 {
    // π to 106 bits, as two doubles.
    const PI: [f64; 2] = [std::f64::consts::PI, 1.224_646_799_147_353_2e-16];
    // The first difference is exact: a result is 0, or at least √6 and so within a factor of two of π.
    (PI[0] - result) + PI[1]
}

fn precise(Terms(terms): Terms) -> DoubleDouble {
    let sum = match SERIES.sums.get(terms as usize) {
        Some(&sum) => sum,
        None => SERIES.limit - tail(f64::from(terms), &SERIES.bernoulli),
    };
    if terms == 0 { sum } else { (DoubleDouble::from(6.0) * sum).sqrt() }
}

/// Σ 1/i² over all i > n, for n ≥ 100: 1/n − 1/(2n²) + Σ B₂ₖ/n^(2k+1), by Euler and Maclaurin
/// (NIST Digital Library of Mathematical Functions, 2.10.1). The series is cut after B₁₆; its error is below the first
/// term left out, 55/n^19 < 2^−120.
fn tail(n: f64, bernoulli: &[DoubleDouble]) -> DoubleDouble {
    let inverse = DoubleDouble::ratio(1.0, n);
    let square = inverse * inverse;
    let horner = |sum, &coefficient: &DoubleDouble| sum * square + coefficient;
    let corrections = bernoulli.iter().rev().fold(DoubleDouble::from(0.0), horner);
    inverse - square / 2.0 + corrections * square * inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(n: u32) -> Terms {
        Terms::new(n).unwrap()
    }

    /// Lines of `terms`, √(6·S) and π − the double next to it, to 60 digits: made by `scripts/make-pi-references`
    /// from the trigamma function at 400 bits. Rust's parser rounds correctly.
    const REFERENCES: &str = include_str!("../../tests/data/pi-references.tsv");

    #[test]
    fn agrees_with_references() {
        let mut count = 0;
        for line in REFERENCES.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let n = terms(fields.next().unwrap().parse().unwrap());
            let [result, gap] = [(); 2].map(|()| fields.next().unwrap().parse::<f64>().unwrap());
            assert_eq!(approximation(n).to_bits(), result.to_bits(), "{n:?}");
            assert_eq!(error(approximation(n)).to_bits(), gap.to_bits(), "error of {n:?}");
            count += 1;
        }
        assert!(count >= 1_000, "only {count} references");
    }

    #[test]
    fn no_terms_give_nothing() {
        assert_eq!(approximation(terms(0)).to_bits(), 0.0_f64.to_bits());
        assert_eq!(error(0.0).to_bits(), std::f64::consts::PI.to_bits());
    }

    #[test]
    fn terms_are_bounded() {
        assert_eq!(Terms::new(2_147_483_647), Some(Terms::MAX));
        assert_eq!(Terms::new(2_147_483_648), None);
    }

    #[test]
    #[ignore = "visits 2^31 values: scripts/prove runs it"]
    fn no_rounding_is_in_doubt() {
        let nearest = (1..=Terms::MAX.0)
            .map(|n| {
                let DoubleDouble { high, low } = precise(Terms(n));
                let half_ulp = (high.next_up() - high) / 2.0;
                (half_ulp - low.abs()) / high
            })
            .fold(1.0, f64::min);
        println!("nearest: 2^{}", nearest.log2());
        assert!(nearest > 2_f64.powi(-87));
    }

    proptest! {
        /// 1/N − 1/(2N²) + 1/(6N³) − 1/(30N⁵) < Σ_{i>N} 1/i² < 1/N − 1/(2N²) + 1/(6N³), which bounds the square of the
        /// result; the slack is the rounding of the result, of its square and of the bounds.
        #[test]
        fn lies_within_the_bounds_of_the_tail(n in 1_u32..=i32::MAX.cast_unsigned()) {
            let x = f64::from(n);
            let limit = std::f64::consts::PI.powi(2) / 6.0;
            let upper = 1.0 / x - 1.0 / (2.0 * x * x) + 1.0 / (6.0 * x.powi(3));
            let lower = upper - 1.0 / (30.0 * x.powi(5));
            let tail = limit - approximation(terms(n)).powi(2) / 6.0;
            let slack = 8.0 * f64::EPSILON;
            prop_assert!(tail > lower - slack && tail < upper + slack, "tail {tail}, bounds {lower} to {upper}");
        }

        #[test]
        fn more_terms_come_closer(n in 0_u32..i32::MAX.cast_unsigned()) {
            let (here, next) = (approximation(terms(n)), approximation(terms(n + 1)));
            prop_assert!(here <= next && error(next) > 0.0);
        }
    }
}
