//! From remainders modulo three primes to one number: Garner's mixed radix.
//!
//! The coefficient C < p₁p₂p₃ is k₁ + p₁·(k₂ + p₂·k₃) with 0 ≤ kᵢ < pᵢ:
//!
//! ```text
//! k₁ = C mod p₁    k₂ = (C − k₁)/p₁ mod p₂    k₃ = ((C − k₁)/p₁ − k₂)/p₂ mod p₃
//! ```
//!
//! (H. L. Garner, "The residue number system", 1959; D. E. Knuth, TAOCP 2, 4.3.2.)
//!
//! Bounds, in units of p: the transforms leave at most 11.8, scaled to 0.5 + 11.8·0.5/15.9 = 0.88. Canonical values are
//! below 1 (and, being of another prime, below 1.001 of this one). So the differences are at most 1.9, their products
//! with constants at most 0.5 + 1.9·0.5/15.9 = 0.56; those of the second difference, 1.6, too. Only products of at most
//! 0.88 are made canonical.

use super::field::{Field, LANES, Packed};
use super::prime::{P1, P2, P3, inverse};

/// The inverses of the primes modulo the later ones.
const P1_MOD_P2: u64 = inverse(P1, P2);
const P1_MOD_P3: u64 = inverse(P1, P3);
const P2_MOD_P3: u64 = inverse(P2, P3);

/// The mixed-radix digits k₁, k₂, k₃ of eight coefficients.
pub(super) type MixedRadix = [[u64; LANES]; 3];

/// The multipliers of the remainders, and the inverses of the primes.
#[derive(Clone, Copy)]
pub(super) struct Garner<F: Field> {
    fields: [F; 3],
    /// Undoes the length and the product divisor.
    scales: [F::Word; 3],
    /// p₁⁻¹ mod p₂.
    p1_mod_p2: F::Word,
    /// p₁⁻¹ mod p₃.
    p1_mod_p3: F::Word,
    /// p₂⁻¹ mod p₃.
    p2_mod_p3: F::Word,
}

impl<F: Field> Garner<F> {
    /// For remainders that were multiplied by 2^`length_log2` and divided by the product divisor.
    pub(super) fn new(fields: [F; 3], length_log2: u32) -> Self {
        let scale = |field: F| {
            let prime = field.prime();
            let inverse_length = prime.inverse_power_of_two(length_log2 as usize);
            field.constant(prime.product(inverse_length, field.product_divisor()))
        };
        Self {
            fields,
            scales: fields.map(scale),
            p1_mod_p2: fields[1].constant(P1_MOD_P2),
            p1_mod_p3: fields[2].constant(P1_MOD_P3),
            p2_mod_p3: fields[2].constant(P2_MOD_P3),
        }
    }

    /// The field of the first prime, whose kernel is that of all three.
    pub(super) fn field(&self) -> F {
        self.fields[0]
    }

    /// The digits of eight coefficients from their remainders.
    #[inline(always)]
    pub(super) fn digits(&self, [x1, x2, x3]: [&Packed<F::Word>; 3]) -> MixedRadix {
        let [f1, f2, f3] = self.fields;
        let scaled = |f: F, x, scale| f.mul(f.load(x), f.splat(scale));
        let k1 = f1.canonical(scaled(f1, x1, self.scales[0]));
        let c2 = scaled(f2, x2, self.scales[1]);
        let k2 = f2.canonical(f2.mul(f2.sub(c2, k1), f2.splat(self.p1_mod_p2)));
        let c3 = scaled(f3, x3, self.scales[2]);
        let c3 = f3.mul(f3.sub(c3, k1), f3.splat(self.p1_mod_p3));
        let k3 = f3.canonical(f3.mul(f3.sub(c3, k2), f3.splat(self.p2_mod_p3)));
        [f1.to_integers(k1), f2.to_integers(k2), f3.to_integers(k3)]
    }
}
