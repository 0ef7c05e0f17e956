//! The proof of a value: F(n) modulo a secret prime.
//!
//! Two different numbers of D digits agree modulo a prime drawn at random from the 61-bit primes only if the prime
//! divides their difference. The difference has at most D·3.33/60 such divisors, and there are 2.7·10^16 to draw
//! from: for a number of two million digits the chance is below 10^−11. The prime is drawn when the process starts
//! and never leaves it, so that no value can be crafted to pass.

use super::{
    decimal::Decimal,
    index::Index,
    limb::{BASE, low_word},
};

/// A random prime between 2^60 and 2^61, in Montgomery's form (P. L. Montgomery, "Modular multiplication without
/// trial division", 1985): x is represented by x·2^64 mod p wherever a name ends in `_form`.
#[derive(Clone, Copy)]
pub struct Prime {
    p: u64,
    /// −1/p mod 2^64.
    negative_inverse: u64,
    one_form: u64,
    /// B to the powers from 0 to [`LANES`].
    power_forms: [u64; LANES + 1],
}

/// Concurrent chains of products: their latency divided by their cost, and a little.
const LANES: usize = 8;

impl Prime {
    /// Draws numbers from `random` until one is prime: some 20 draws, below a millisecond.
    ///
    /// # Errors
    /// The errors of `random`.
    pub fn draw<E>(mut random: impl FnMut() -> Result<u64, E>) -> Result<Self, E> {
        loop {
            // Exactly 61 bits, and odd.
            let candidate = (random()? >> 3) | (1 << 60) | 1;
            let modulus = Self::modulo(candidate);
            if modulus.is_prime() {
                return Ok(modulus);
            }
        }
    }

    fn modulo(p: u64) -> Self {
        // Newton's iteration doubles the bits that are right: p·p = 1 mod 2^3, then 6, 12, 24, 48, 96.
        let inverse = (0..5).fold(p, |x, _| x.wrapping_mul(2_u64.wrapping_sub(p.wrapping_mul(x))));
        let form = |x: u64| low_word((u128::from(x) << 64) % u128::from(p));
        let one_form = form(1);
        let mut modulus = Self { p, negative_inverse: inverse.wrapping_neg(), one_form, power_forms: [one_form; _] };
        let base_form = form(BASE);
        for at in 1..=LANES {
            modulus.power_forms[at] = modulus.multiply(modulus.power_forms[at - 1], base_form);
        }
        modulus
    }

    /// Whether `value` is F(n), but for the chance in the docs of the module. Time: one pass over the limbs.
    #[must_use]
    pub fn proves(&self, n: Index, value: &Decimal) -> bool {
        self.of_decimal(value) == self.of_fibonacci(n)
    }

    /// A number modulo p. Time: about 1 ns for each limb.
    ///
    /// Horner's rule waits for each product before it begins the next one. So the limbs are dealt to [`LANES`] numbers
    /// in base B^[`LANES`], whose chains run side by side; at the end each is multiplied with its power of B.
    #[must_use]
    pub fn of_decimal(&self, value: &Decimal) -> u64 {
        let (rows, rest) = value.limbs().as_chunks::<LANES>();
        // A limb is below 10^18 < 2^60 < p.
        let mut lanes = [0; LANES];
        lanes[..rest.len()].copy_from_slice(rest);
        for row in rows.iter().rev() {
            for (lane, &limb) in lanes.iter_mut().zip(row) {
                *lane = self.add(self.multiply(*lane, self.power_forms[LANES]), limb);
            }
        }
        lanes.iter().zip(self.power_forms).fold(0, |sum, (&lane, power)| self.add(sum, self.multiply(lane, power)))
    }

    /// F(n) modulo p, by fast doubling: three products for each bit of n.
    #[must_use]
    pub fn of_fibonacci(&self, n: Index) -> u64 {
        // (F(k), F(k+1)) from k = 0 on.
        let (mut here, mut next) = (0, self.one_form);
        for bit in (0..u32::BITS - n.get().leading_zeros()).rev() {
            let before = self.add(next, self.p - here);
            let odd_below = self.add(self.multiply(here, here), self.multiply(before, before));
            let even = self.multiply(here, self.add(next, before));
            let odd_above = self.add(even, odd_below);
            (here, next) = (even, odd_above);
            if (n.get() >> bit) & 1 == 1 {
                (here, next) = (next, self.add(here, next));
            }
        }
        self.multiply(here, 1)
    }

    /// Σ xy of residues.
    #[cfg(test)]
    pub(super) fn of_sum_of_products(&self, pairs: [(u64, u64); 3]) -> u64 {
        let form = |x: u64| low_word((u128::from(x) << 64) % u128::from(self.p));
        pairs.into_iter().fold(0, |sum, (x, y)| self.add(sum, self.multiply(x, form(y))))
    }

    /// a + b mod p, for a and b of at most p.
    fn add(&self, a: u64, b: u64) -> u64 {
        let sum = a + b;
        if sum >= self.p { sum - self.p } else { sum }
    }

    /// a·b/2^64 mod p, below p, for a·b below 2^64·p.
    fn multiply(&self, a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        let multiple = low_word(product).wrapping_mul(self.negative_inverse);
        // Below 2^64·p + 2^64·p < 2^128, and divisible by 2^64.
        let sum = (product + u128::from(multiple) * u128::from(self.p)) >> 64;
        let reduced = low_word(sum);
        if reduced >= self.p { reduced - self.p } else { reduced }
    }

    fn power(&self, base_form: u64, exponent: u64) -> u64 {
        (0..u64::BITS).rev().fold(self.one_form, |power, bit| {
            let square = self.multiply(power, power);
            if exponent >> bit & 1 == 1 { self.multiply(square, base_form) } else { square }
        })
    }

    /// The test of Miller and Rabin. The first twelve primes as bases decide it for all numbers below 3.3·10^24
    /// (J. Sorenson, J. Webster, "Strong pseudoprimes to twelve prime bases", 2017).
    fn is_prime(&self) -> bool {
        let twos = (self.p - 1).trailing_zeros();
        let minus_one_form = self.p - self.one_form;
        [2_u64, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37].into_iter().all(|base| {
            let base_form = low_word((u128::from(base) << 64) % u128::from(self.p));
            let mut power = self.power(base_form, (self.p - 1) >> twos);
            if power == self.one_form {
                return true;
            }
            (0..twos).any(|_| {
                let found = power == minus_one_form;
                power = self.multiply(power, power);
                found
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::fib::fibonacci;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    /// The largest primes below 2^61 and the smallest above 2^60: the ends of what can be drawn.
    const LARGEST: u64 = (1 << 61) - 1;
    const SMALLEST: u64 = (1 << 60) + 33;

    fn index(n: u32) -> Index {
        Index::new(n).unwrap()
    }

    #[test]
    fn tells_primes_from_composites() {
        for prime in [LARGEST, SMALLEST] {
            assert!(Prime::modulo(prime).is_prime(), "{prime}");
        }
        let composites = [
            ((1 << 60) + 1, "one above the power"),
            (1_073_741_827 * 1_073_741_831, "two primes of thirty bits"),
            (1_195_068_768_795_265_793, "nothing special"),
        ];
        for (composite, why) in composites {
            assert!(!Prime::modulo(composite).is_prime(), "{why}");
        }
    }

    #[test]
    fn draws_primes_of_61_bits() {
        let mut seed = 0_u64;
        for _ in 0..20 {
            let Ok(prime) = Prime::draw(|| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                Ok::<_, Infallible>(seed)
            });
            assert_eq!(prime.p.ilog2(), 60);
            assert!((3..1 << 12).step_by(2).all(|divisor| !prime.p.is_multiple_of(divisor)));
        }
    }

    #[test]
    fn proves_the_right_value_and_no_other() {
        for p in [LARGEST, SMALLEST] {
            let prime = Prime::modulo(p);
            for n in [0, 1, 2, 3, 87, 88, 127, 128, 1_000, 99_999, 100_000] {
                let value = fibonacci(index(n));
                assert!(prime.proves(index(n), &value), "F({n})");
                assert!(!prime.proves(index(n + 3), &value), "F({n}) is not F({n} + 3)");
                for at in 0..value.limbs().len() {
                    let mut limbs = value.limbs().to_vec();
                    limbs[at] = (limbs[at] + 1) % BASE;
                    assert!(!prime.proves(index(n), &Decimal::from_limbs(limbs)), "limb {at} of F({n})");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_another_library(limbs in proptest::collection::vec(0..BASE, 0..50)) {
            let number = limbs.iter().rev().fold(BigUint::ZERO, |sum, &limb| sum * BASE + limb);
            for p in [LARGEST, SMALLEST] {
                let residue = Prime::modulo(p).of_decimal(&Decimal::from_limbs(limbs.clone()));
                prop_assert_eq!(BigUint::from(residue), &number % p);
            }
        }
    }
}
