//! A field for tests: doubles one by one, where every operation asserts what [`super::field`] demands and promises.

use super::field::{Field, LANES, LIMB_SPLIT, Packed, Task, balanced, float};
use super::prime::Prime;
use crate::carries::INTEGERS;

/// Arithmetic modulo a prime that trusts nobody.
#[derive(Clone, Copy)]
pub(super) struct Audited {
    prime: &'static Prime,
    p: f64,
}

type Lanes = [f64; LANES];

impl Audited {
    pub(super) fn new(prime: &'static Prime) -> Self {
        Self { prime, p: float(prime.value) }
    }

    /// The magnitude in units of p.
    fn size(self, x: f64) -> f64 {
        assert!(x.fract().abs() < f64::MIN_POSITIVE, "{x} is no integer");
        x.abs() / self.p
    }

    /// Whether the results are congruent to what they should be.
    #[expect(clippy::cast_possible_truncation, reason = "integers below 2⁵³")]
    fn assert_congruent(self, result: f64, exact: i128) {
        assert_eq!((exact - result as i128) % i128::from(self.prime.value), 0, "{result} is not {exact} mod p");
    }

    #[expect(clippy::cast_possible_truncation, reason = "integers below 2⁵³")]
    fn sum(self, a: f64, b: f64) -> f64 {
        assert!(self.size(a) + self.size(b) <= 31.0, "{a} + {b} is too large");
        self.assert_congruent(a + b, a as i128 + b as i128);
        a + b
    }

    #[expect(clippy::cast_possible_truncation, reason = "integers below 2⁵³")]
    fn product(self, a: f64, b: f64) -> f64 {
        let size = self.size(a) * self.size(b);
        assert!(size <= 7.9, "{a} · {b} is too large: {size} p²");
        let high = a * b;
        let low = a.mul_add(b, -high);
        let quotient = high.mul_add(1.0 / self.p, INTEGERS) - INTEGERS;
        let result = quotient.mul_add(-self.p, high) + low;
        assert!(self.size(result) <= 0.5 + size / 15.9, "the product {result} is too large");
        self.assert_congruent(result, a as i128 * b as i128);
        result
    }
}

/// Both vectors, lane by lane.
fn each(a: Lanes, b: Lanes, operation: impl Fn(f64, f64) -> f64) -> Lanes {
    std::array::from_fn(|lane| operation(a[lane], b[lane]))
}

impl Field for Audited {
    type Word = f64;
    type Vector = Lanes;

    fn prime(self) -> &'static Prime {
        self.prime
    }

    fn run<T: Task<Self>>(self, task: T) -> T::Output {
        task.run(self)
    }

    fn constant(self, residue: u64) -> f64 {
        balanced(residue, self.prime.value)
    }

    fn splat(self, word: f64) -> Lanes {
        [word; LANES]
    }

    fn load(self, from: &Packed<f64>) -> Lanes {
        *from
    }

    fn store(self, to: &mut Packed<f64>, vector: Lanes) {
        *to = vector;
    }

    fn load_limbs(self, limbs: &[u64; LANES]) -> Lanes {
        limbs.map(|limb| {
            assert!(limb < 1 << 60);
            let (low, high) = (limb & ((1 << LIMB_SPLIT) - 1), limb >> LIMB_SPLIT);
            let residue = float(low) - float(high) * float(self.prime.value - (1 << LIMB_SPLIT));
            assert!(self.size(residue) <= 1.0);
            self.assert_congruent(residue, limb.into());
            residue
        })
    }

    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        each(a, b, |a, b| self.sum(a, b))
    }

    fn sub(self, a: Lanes, b: Lanes) -> Lanes {
        each(a, b, |a, b| self.sum(a, -b))
    }

    fn mul(self, a: Lanes, b: Lanes) -> Lanes {
        each(a, b, |a, b| self.product(a, b))
    }

    fn reduce(self, a: Lanes) -> Lanes {
        a.map(|a| {
            assert!(self.size(a) <= 31.0, "{a} is too large to be reduced");
            let quotient = a.mul_add(1.0 / self.p, INTEGERS) - INTEGERS;
            let result = quotient.mul_add(-self.p, a);
            assert!(self.size(result) <= 0.501, "{a} was reduced to {result}");
            result
        })
    }

    fn canonical(self, a: Lanes) -> Lanes {
        a.map(|a| {
            assert!(self.size(a) < 1.0, "{a} is too large to be made canonical");
            if a < 0.0 { a + self.p } else { a }
        })
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "integers below 2⁵³, not negative")]
    fn to_integers(self, a: Lanes) -> [u64; LANES] {
        a.map(|a| {
            assert!(a >= 0.0 && a < self.p);
            a as u64
        })
    }

    fn transpose(self, rows: [Lanes; LANES]) -> [Lanes; LANES] {
        std::array::from_fn(|i| std::array::from_fn(|k| rows[k][i]))
    }
}
