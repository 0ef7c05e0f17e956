//! The field in doubles with AVX-512: one register a vector.

#![expect(unsafe_code, reason = "vector instructions; each block says why it is sound")]

use core::arch::x86_64::{
    __m512d, _mm512_add_pd, _mm512_and_si512, _mm512_cmplt_pd_mask, _mm512_cvtepu64_pd, _mm512_cvtpd_epu64,
    _mm512_fmadd_pd, _mm512_fmsub_pd, _mm512_fnmadd_pd, _mm512_loadu_pd, _mm512_loadu_si512, _mm512_mask_add_pd,
    _mm512_mul_pd, _mm512_set1_epi64, _mm512_set1_pd, _mm512_setzero_pd, _mm512_shuffle_f64x2, _mm512_srli_epi64,
    _mm512_storeu_pd, _mm512_storeu_si512, _mm512_sub_pd, _mm512_unpackhi_pd, _mm512_unpacklo_pd,
};

use super::field::{Field, LANES, LIMB_SPLIT, Packed, Task, balanced, float};
use super::prime::Prime;
use crate::carries::INTEGERS;

/// Arithmetic modulo a prime in eight doubles of a 512-bit register.
#[derive(Clone, Copy)]
pub(super) struct Avx512 {
    prime: &'static Prime,
    p: __m512d,
    reciprocal: __m512d,
    rounding: __m512d,
}

impl Avx512 {
    /// The field, if this processor has the instructions.
    pub(super) fn new(prime: &'static Prime) -> Option<Self> {
        // SAFETY: the features that `Self::constants` is compiled for have just been detected.
        Self::is_available().then(|| unsafe { Self::constants(prime) })
    }

    /// Whether this processor has the instructions.
    pub(super) fn is_available() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq")
    }

    #[target_feature(enable = "avx512f,avx512dq")]
    fn constants(prime: &'static Prime) -> Self {
        let p = float(prime.value);
        Self { prime, p: _mm512_set1_pd(p), reciprocal: _mm512_set1_pd(1.0 / p), rounding: _mm512_set1_pd(INTEGERS) }
    }

    /// The integer next to a·b, or nearly; |a·b| < 2⁵¹.
    #[inline(always)]
    fn round_product(self, a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: `self` exists only where AVX-512 was detected.
        unsafe { _mm512_sub_pd(_mm512_fmadd_pd(a, b, self.rounding), self.rounding) }
    }
}

impl Field for Avx512 {
    type Word = f64;
    type Vector = __m512d;

    #[inline(always)]
    fn prime(self) -> &'static Prime {
        self.prime
    }

    fn run<T: Task<Self>>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx512f,avx512dq")]
        fn with_features<T: Task<Avx512>>(field: Avx512, task: T) -> T::Output {
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
    fn splat(self, word: f64) -> __m512d {
        // SAFETY: `self` exists only where AVX-512 was detected.
        unsafe { _mm512_set1_pd(word) }
    }

    #[inline(always)]
    fn load(self, from: &Packed<f64>) -> __m512d {
        // SAFETY: AVX-512 was detected; a `Packed` is eight doubles.
        unsafe { _mm512_loadu_pd(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut Packed<f64>, vector: __m512d) {
        // SAFETY: AVX-512 was detected; a `Packed` is eight doubles.
        unsafe { _mm512_storeu_pd(to.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn load_limbs(self, limbs: &[u64; LANES]) -> __m512d {
        let excess = float(self.prime.value - (1 << LIMB_SPLIT));
        // SAFETY: AVX-512 was detected; the load reads the eight limbs and needs no alignment.
        unsafe {
            let limbs = _mm512_loadu_si512(limbs.as_ptr().cast());
            let low = _mm512_and_si512(limbs, _mm512_set1_epi64((1 << LIMB_SPLIT) - 1));
            let high = _mm512_srli_epi64::<LIMB_SPLIT>(limbs);
            _mm512_fnmadd_pd(_mm512_cvtepu64_pd(high), _mm512_set1_pd(excess), _mm512_cvtepu64_pd(low))
        }
    }

    #[inline(always)]
    fn add(self, a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: `self` exists only where AVX-512 was detected.
        unsafe { _mm512_add_pd(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: `self` exists only where AVX-512 was detected.
        unsafe { _mm512_sub_pd(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: `self` exists only where AVX-512 was detected.
        unsafe {
            let high = _mm512_mul_pd(a, b);
            let low = _mm512_fmsub_pd(a, b, high);
            let quotient = self.round_product(high, self.reciprocal);
            _mm512_add_pd(_mm512_fnmadd_pd(quotient, self.p, high), low)
        }
    }

    #[inline(always)]
    fn reduce(self, a: __m512d) -> __m512d {
        let quotient = self.round_product(a, self.reciprocal);
        // SAFETY: `self` exists only where AVX-512 was detected.
        unsafe { _mm512_fnmadd_pd(quotient, self.p, a) }
    }

    #[inline(always)]
    fn canonical(self, a: __m512d) -> __m512d {
        // SAFETY: `self` exists only where AVX-512 was detected.
        unsafe {
            let negative = _mm512_cmplt_pd_mask(a, _mm512_setzero_pd());
            _mm512_mask_add_pd(a, negative, a, self.p)
        }
    }

    #[inline(always)]
    fn to_integers(self, a: __m512d) -> [u64; LANES] {
        let mut integers = [0; LANES];
        // SAFETY: AVX-512 was detected; the store fills the eight integers and needs no alignment.
        unsafe { _mm512_storeu_si512(integers.as_mut_ptr().cast(), _mm512_cvtpd_epu64(a)) };
        integers
    }

    #[inline(always)]
    fn transpose(self, rows: [__m512d; LANES]) -> [__m512d; LANES] {
        // The 2×2 blocks within 128 bits, then the blocks of 128 bits in two steps.
        // SAFETY: `self` exists only where AVX-512 was detected.
        unsafe {
            let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
            let (a0, a1) = (_mm512_unpacklo_pd(r0, r1), _mm512_unpackhi_pd(r0, r1));
            let (a2, a3) = (_mm512_unpacklo_pd(r2, r3), _mm512_unpackhi_pd(r2, r3));
            let (a4, a5) = (_mm512_unpacklo_pd(r4, r5), _mm512_unpackhi_pd(r4, r5));
            let (a6, a7) = (_mm512_unpacklo_pd(r6, r7), _mm512_unpackhi_pd(r6, r7));
            let (b0, b4) = even_and_odd_quarters(a0, a2);
            let (b1, b5) = even_and_odd_quarters(a1, a3);
            let (b2, b6) = even_and_odd_quarters(a4, a6);
            let (b3, b7) = even_and_odd_quarters(a5, a7);
            let (c0, c4) = even_and_odd_quarters(b0, b2);
            let (c1, c5) = even_and_odd_quarters(b1, b3);
            let (c2, c6) = even_and_odd_quarters(b4, b6);
            let (c3, c7) = even_and_odd_quarters(b5, b7);
            [c0, c1, c2, c3, c4, c5, c6, c7]
        }
    }
}

/// The quarters 0 and 2 of both registers, and their quarters 1 and 3.
#[inline]
#[target_feature(enable = "avx512f")]
fn even_and_odd_quarters(a: __m512d, b: __m512d) -> (__m512d, __m512d) {
    (_mm512_shuffle_f64x2::<0b10_00_10_00>(a, b), _mm512_shuffle_f64x2::<0b11_01_11_01>(a, b))
}
