//! The field in 64-bit integers, for any processor: signed Montgomery products.

use super::field::{Field, LANES, LIMB_SPLIT, Packed, Task};
use super::prime::{self, Prime};

/// Arithmetic modulo a prime in eight integers.
#[derive(Clone, Copy)]
pub(super) struct Portable {
    prime: &'static Prime,
    p: i64,
    /// p⁻¹ mod 2⁶⁴.
    inverse: i64,
    /// R mod p, as a multiplier that only reduces.
    one: i64,
    /// R² mod p.
    radix_squared: u64,
}

impl Portable {
    /// The field: every processor has it.
    pub(super) fn new(prime: &'static Prime) -> Self {
        let p = prime.value;
        // R = 2⁶⁴ does not fit; 2⁶³ is doubled in its place.
        let radix = prime::product(1 << 63, 2, p);
        let radix_squared = prime::product(radix, radix, p);
        let mut inverse = p;
        // Newton's iteration doubles the correct bits: 3, 6, 12, 24, 48, 96.
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(p.wrapping_mul(inverse)));
        }
        Self { prime, p: p.cast_signed(), inverse: inverse.cast_signed(), one: signed(radix, p), radix_squared }
    }

    /// a·b/R: (a·b − m·p)/R with the m for which the low halves agree.
    #[inline(always)]
    fn montgomery(self, a: i64, b: i64) -> i64 {
        let (low, high) = widening(a, b);
        high - widening(low.wrapping_mul(self.inverse), self.p).1
    }
}

/// The low and the high half of a·b.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
fn widening(a: i64, b: i64) -> (i64, i64) {
    let product = i128::from(a) * i128::from(b);
    (product as i64, (product >> 64) as i64)
}

/// The number of least magnitude that is congruent to the residue.
fn signed(residue: u64, p: u64) -> i64 {
    if residue > p / 2 { -(p - residue).cast_signed() } else { residue.cast_signed() }
}

impl Field for Portable {
    type Word = i64;
    type Vector = [i64; LANES];

    #[inline(always)]
    fn prime(self) -> &'static Prime {
        self.prime
    }

    fn run<T: Task<Self>>(self, task: T) -> T::Output {
        task.run(self)
    }

    #[inline(always)]
    fn constant(self, residue: u64) -> i64 {
        // The Montgomery product with R² is the residue times R.
        let scaled = self.montgomery(residue.cast_signed(), self.radix_squared.cast_signed());
        self.montgomery(scaled, self.one)
    }

    #[inline(always)]
    fn product_divisor(self) -> u64 {
        prime::product(1 << 63, 2, self.prime.value)
    }

    #[inline(always)]
    fn splat(self, word: i64) -> [i64; LANES] {
        [word; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Packed<i64>) -> [i64; LANES] {
        *from
    }

    #[inline(always)]
    fn store(self, to: &mut Packed<i64>, vector: [i64; LANES]) {
        *to = vector;
    }

    #[inline(always)]
    fn load_limbs(self, limbs: &[u64; LANES]) -> [i64; LANES] {
        let excess = self.p - (1 << LIMB_SPLIT);
        let mut residues = [0; LANES];
        for (residue, limb) in residues.iter_mut().zip(limbs) {
            let limb = limb.cast_signed();
            *residue = (limb & ((1 << LIMB_SPLIT) - 1)) - (limb >> LIMB_SPLIT) * excess;
        }
        residues
    }

    #[inline(always)]
    fn add(self, mut a: [i64; LANES], b: [i64; LANES]) -> [i64; LANES] {
        for (a, b) in a.iter_mut().zip(b) {
            *a += b;
        }
        a
    }

    #[inline(always)]
    fn sub(self, mut a: [i64; LANES], b: [i64; LANES]) -> [i64; LANES] {
        for (a, b) in a.iter_mut().zip(b) {
            *a -= b;
        }
        a
    }

    #[inline(always)]
    fn mul(self, mut a: [i64; LANES], b: [i64; LANES]) -> [i64; LANES] {
        for (a, b) in a.iter_mut().zip(b) {
            *a = self.montgomery(*a, b);
        }
        a
    }

    #[inline(always)]
    fn reduce(self, a: [i64; LANES]) -> [i64; LANES] {
        self.mul(a, [self.one; LANES])
    }

    #[inline(always)]
    fn canonical(self, mut a: [i64; LANES]) -> [i64; LANES] {
        for a in &mut a {
            // The shift spreads the sign: all ones when negative.
            *a += (*a >> 63) & self.p;
        }
        a
    }

    #[inline(always)]
    fn to_integers(self, a: [i64; LANES]) -> [u64; LANES] {
        a.map(i64::cast_unsigned)
    }

    #[inline(always)]
    fn transpose(self, rows: [[i64; LANES]; LANES]) -> [[i64; LANES]; LANES] {
        let mut columns = [[0; LANES]; LANES];
        for (i, row) in rows.iter().enumerate() {
            for (column, lane) in columns.iter_mut().zip(row) {
                column[i] = *lane;
            }
        }
        columns
    }
}
