//! The field in doubles with AVX2 and FMA: two registers a vector.

#![expect(unsafe_code, reason = "vector instructions; each block says why it is sound")]

use core::arch::x86_64::{
    __m256d, _CMP_LT_OQ, _mm256_add_pd, _mm256_and_pd, _mm256_and_si256, _mm256_castpd_si256, _mm256_castsi256_pd,
    _mm256_cmp_pd, _mm256_fmadd_pd, _mm256_fmsub_pd, _mm256_fnmadd_pd, _mm256_loadu_pd, _mm256_loadu_si256,
    _mm256_mul_pd, _mm256_or_si256, _mm256_permute2f128_pd, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_setzero_pd,
    _mm256_srli_epi64, _mm256_storeu_pd, _mm256_storeu_si256, _mm256_sub_pd, _mm256_unpackhi_pd, _mm256_unpacklo_pd,
    _mm256_xor_si256,
};

use super::field::{Field, LANES, LIMB_SPLIT, Packed, Task, balanced, float};
use super::prime::Prime;
use crate::carries::INTEGERS;

/// Arithmetic modulo a prime in eight doubles of two 256-bit registers.
#[derive(Clone, Copy)]
pub(super) struct Avx2 {
    prime: &'static Prime,
    p: __m256d,
    reciprocal: __m256d,
    rounding: __m256d,
}

/// Lanes 0 to 3 and 4 to 7.
type Halves = [__m256d; 2];

impl Avx2 {
    /// The field, if this processor has the instructions.
    pub(super) fn new(prime: &'static Prime) -> Option<Self> {
        // SAFETY: the features that `Self::constants` is compiled for have just been detected.
        Self::is_available().then(|| unsafe { Self::constants(prime) })
    }

    /// Whether this processor has the instructions.
    pub(super) fn is_available() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
    }

    #[target_feature(enable = "avx2,fma")]
    fn constants(prime: &'static Prime) -> Self {
        let p = float(prime.value);
        Self { prime, p: _mm256_set1_pd(p), reciprocal: _mm256_set1_pd(1.0 / p), rounding: _mm256_set1_pd(INTEGERS) }
    }

    /// The integer next to a·b, or nearly; |a·b| < 2⁵¹.
    #[inline(always)]
    fn round_product(self, a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: `self` exists only where AVX2 and FMA were detected.
        unsafe { _mm256_sub_pd(_mm256_fmadd_pd(a, b, self.rounding), self.rounding) }
    }

    /// [`Field::mul`] of four lanes.
    #[inline(always)]
    fn mul_half(self, a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: `self` exists only where AVX2 and FMA were detected.
        unsafe {
            let high = _mm256_mul_pd(a, b);
            let low = _mm256_fmsub_pd(a, b, high);
            let quotient = self.round_product(high, self.reciprocal);
            _mm256_add_pd(_mm256_fnmadd_pd(quotient, self.p, high), low)
        }
    }

    /// [`Field::reduce`] of four lanes.
    #[inline(always)]
    fn reduce_half(self, a: __m256d) -> __m256d {
        let quotient = self.round_product(a, self.reciprocal);
        // SAFETY: `self` exists only where AVX2 and FMA were detected.
        unsafe { _mm256_fnmadd_pd(quotient, self.p, a) }
    }

    /// [`Field::canonical`] of four lanes.
    #[inline(always)]
    fn canonical_half(self, a: __m256d) -> __m256d {
        // SAFETY: `self` exists only where AVX2 and FMA were detected.
        unsafe {
            let negative = _mm256_cmp_pd::<_CMP_LT_OQ>(a, _mm256_setzero_pd());
            _mm256_add_pd(a, _mm256_and_pd(negative, self.p))
        }
    }

    /// [`Field::load_limbs`] of four limbs. An integer below 2⁵¹ becomes a double when its bits are put under those of
    /// [`INTEGERS`], which is then taken away.
    #[inline(always)]
    fn load_limbs_half(self, limbs: &[u64; 4]) -> __m256d {
        let excess = float(self.prime.value - (1 << LIMB_SPLIT));
        // SAFETY: AVX2 and FMA were detected; the load reads the four limbs, and needs no alignment.
        unsafe {
            let offset = self.rounding;
            let offset_bits = _mm256_castpd_si256(offset);
            let limbs = _mm256_loadu_si256(limbs.as_ptr().cast());
            let low = _mm256_and_si256(limbs, _mm256_set1_epi64x((1 << LIMB_SPLIT) - 1));
            let low = _mm256_castsi256_pd(_mm256_or_si256(low, offset_bits));
            let high = _mm256_srli_epi64::<{ LIMB_SPLIT.cast_signed() }>(limbs);
            let high = _mm256_castsi256_pd(_mm256_or_si256(high, offset_bits));
            _mm256_fnmadd_pd(_mm256_sub_pd(high, offset), _mm256_set1_pd(excess), _mm256_sub_pd(low, offset))
        }
    }

    /// Four rows of four lanes, transposed: 2×2 blocks within 128 bits, then the blocks.
    #[inline(always)]
    fn transpose_quarter([r0, r1, r2, r3]: [__m256d; 4]) -> [__m256d; 4] {
        // SAFETY: the caller is a method of a field, which exists only where AVX2 was detected.
        unsafe {
            let (a0, a1) = (_mm256_unpacklo_pd(r0, r1), _mm256_unpackhi_pd(r0, r1));
            let (a2, a3) = (_mm256_unpacklo_pd(r2, r3), _mm256_unpackhi_pd(r2, r3));
            [
                _mm256_permute2f128_pd::<0x20>(a0, a2),
                _mm256_permute2f128_pd::<0x20>(a1, a3),
                _mm256_permute2f128_pd::<0x31>(a0, a2),
                _mm256_permute2f128_pd::<0x31>(a1, a3),
            ]
        }
    }
}

impl Field for Avx2 {
    type Word = f64;
    type Vector = Halves;

    #[inline(always)]
    fn prime(self) -> &'static Prime {
        self.prime
    }

    fn run<T: Task<Self>>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx2,fma")]
        fn with_features<T: Task<Avx2>>(field: Avx2, task: T) -> T::Output {
            task.run(field)
        }
        // SAFETY: `self` exists only where these features were detected.
        unsafe { with_features(self, task) }
    }

    #[inline(always)]
    fn constant(self, residue: u64) -> f64 {
        balanced(residue, self.prime.value)
    }

    #[inline(always)]
    fn splat(self, word: f64) -> Halves {
        // SAFETY: `self` exists only where AVX2 was detected.
        unsafe { [_mm256_set1_pd(word); 2] }
    }

    #[inline(always)]
    fn load(self, from: &Packed<f64>) -> Halves {
        let (halves, _) = from.as_chunks::<4>();
        // SAFETY: AVX2 was detected; each half is four doubles.
        unsafe { [_mm256_loadu_pd(halves[0].as_ptr()), _mm256_loadu_pd(halves[1].as_ptr())] }
    }

    #[inline(always)]
    fn store(self, to: &mut Packed<f64>, vector: Halves) {
        let (halves, _) = to.as_chunks_mut::<4>();
        // SAFETY: as in `load`.
        unsafe {
            _mm256_storeu_pd(halves[0].as_mut_ptr(), vector[0]);
            _mm256_storeu_pd(halves[1].as_mut_ptr(), vector[1]);
        }
    }

    #[inline(always)]
    fn load_limbs(self, limbs: &[u64; LANES]) -> Halves {
        let (halves, _) = limbs.as_chunks::<4>();
        [self.load_limbs_half(&halves[0]), self.load_limbs_half(&halves[1])]
    }

    #[inline(always)]
    fn add(self, a: Halves, b: Halves) -> Halves {
        // SAFETY: `self` exists only where AVX2 was detected.
        unsafe { [_mm256_add_pd(a[0], b[0]), _mm256_add_pd(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: Halves, b: Halves) -> Halves {
        // SAFETY: `self` exists only where AVX2 was detected.
        unsafe { [_mm256_sub_pd(a[0], b[0]), _mm256_sub_pd(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: Halves, b: Halves) -> Halves {
        [self.mul_half(a[0], b[0]), self.mul_half(a[1], b[1])]
    }

    #[inline(always)]
    fn reduce(self, a: Halves) -> Halves {
        [self.reduce_half(a[0]), self.reduce_half(a[1])]
    }

    #[inline(always)]
    fn canonical(self, a: Halves) -> Halves {
        [self.canonical_half(a[0]), self.canonical_half(a[1])]
    }

    #[inline(always)]
    fn to_integers(self, a: Halves) -> [u64; LANES] {
        let mut integers = [0; LANES];
        let (halves, _) = integers.as_chunks_mut::<4>();
        for (half, a) in halves.iter_mut().zip(a) {
            // SAFETY: AVX2 was detected; the store fills the four integers and needs no alignment.
            unsafe {
                let bits = _mm256_castpd_si256(_mm256_add_pd(a, self.rounding));
                let integer = _mm256_xor_si256(bits, _mm256_castpd_si256(self.rounding));
                _mm256_storeu_si256(half.as_mut_ptr().cast(), integer);
            }
        }
        integers
    }

    #[inline(always)]
    fn transpose(self, rows: [Halves; LANES]) -> [Halves; LANES] {
        let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
        let a = Self::transpose_quarter([r0[0], r1[0], r2[0], r3[0]]);
        let b = Self::transpose_quarter([r4[0], r5[0], r6[0], r7[0]]);
        let c = Self::transpose_quarter([r0[1], r1[1], r2[1], r3[1]]);
        let d = Self::transpose_quarter([r4[1], r5[1], r6[1], r7[1]]);
        [[a[0], b[0]], [a[1], b[1]], [a[2], b[2]], [a[3], b[3]], [c[0], d[0]], [c[1], d[1]], [c[2], d[2]], [c[3], d[3]]]
    }
}
