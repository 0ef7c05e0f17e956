//! A prime field, eight elements at a time: the interface of a kernel.
//!
//! # Representation
//!
//! An element is a *signed* number that is congruent to it, of a magnitude that may exceed p: a "lazy" residue. Sums
//! and differences are plain; only products and [`Field::reduce`] bring the magnitude down. With P = |x|/p for the
//! magnitude in units of p, every kernel promises
//!
//! | operation | needs | gives |
//! |---|---|---|
//! | `add`, `sub` | P(a) + P(b) ≤ 31 | P ≤ P(a) + P(b) |
//! | `mul(a, b)` | P(a)·P(b) ≤ 7.9 | P ≤ 0.5 + P(a)·P(b)/15.9 |
//! | `reduce(a)` | P(a) ≤ 31 | P ≤ 0.501 |
//! | `load_limbs` | limbs below 2⁶⁰ | P ≤ 1 |
//!
//! # Proof for the kernels that compute in doubles
//!
//! Let u = 2⁻⁵³, 2⁴⁸ < p < 2⁴⁸(1 + 2⁻¹⁶), and let all values be integers in doubles. Sums are exact because 31p < 2⁵³.
//! The product is
//!
//! ```text
//! h = fl(a·b)    l = fl(a·b − h)    q = fl(h·r + M) − M    result = fl(h − q·p) + l
//! ```
//!
//! with r = fl(1/p), M = 3·2⁵¹, the differences a·b − h, h·r + M and h − q·p being fused.
//!
//! 1. *l is exact*: the error of a rounded product is a double (no underflow: these are integers).
//! 2. *q is an integer next to ab/p.* h·r = (ab/p)(1 + e) with |e| ≤ 2u + u². As P(a)·P(b) ≤ 7.9,
//!    |ab/p| ≤ 7.9p < 2⁵¹, so that h·r + M lies in [2⁵², 2⁵³), where the spacing of doubles is 1: the
//!    fused sum is M plus h·r rounded to an integer, and the subtraction of M is exact. Hence
//!    |q − ab/p| ≤ 1/2 + |ab/p|·(2u + u²) ≤ 1/2 + P(a)·P(b)·p·2⁻⁵²·(1 + u) ≤ 1/2 + P(a)·P(b)/15.9.
//! 3. *h − q·p is exact.* It is the integer (ab − q·p) − l. By 2, |ab − qp| < p; and |l| is at most half a unit in the
//!    last place of h, |h| < 2¹⁰⁰, so that |l| ≤ 2⁴⁶. The sum is below 2⁵³.
//! 4. *The last sum is exact* as it is ab − q·p, an integer below p in magnitude; and that magnitude is p·|q − ab/p|,
//!    which 2 bounds.
//!
//! Gappa checks all four in `tests/proofs/`: `remainder.gappa` 1, 3 and 4; `product.gappa` the errors of h and h·r, and
//! `quotient.gappa` that of q, from which 2 follows.
//!
//! `reduce` is the same with h = a, l = 0: |q − a/p| ≤ 1/2 + |a/p|·(u + …) < 0.501.
//!
//! # Proof for the integers of the portable kernel
//!
//! Montgomery's product of signed words with R = 2⁶⁴: t = a·b, m ≡ t·p⁻¹ mod R with |m| ≤ R/2, and the result is
//! (t − m·p)/R, exactly. It is at most |ab|/R + p/2 ≤ p·(1/2 + P(a)·P(b)·p/R), far inside the bound, and nothing comes
//! near 2⁶³.
//!
//! # Limbs
//!
//! A limb below 2⁶⁰ is x = y·2⁴⁸ + z with y < 2¹², z < 2⁴⁸, and x ≡ z − y·(p − 2⁴⁸). With p − 2⁴⁸ < 2³² the second term
//! is below 2⁴⁴: the result is between −2⁴⁴ and 2⁴⁸, below p in magnitude, and exact in a double.
//!
//! The doubles' product is T. J. Dekker's and W. Kahan's error-free transformation with a fused multiply-add; its use
//! in modular arithmetic is described by J. van der Hoeven, G. Lecerf and G. Quintin, "Modular SIMD arithmetic in
//! Mathemagix" (2016). The signed Montgomery product is from G. Seiler, "Faster AVX2 optimized NTT multiplication"
//! (2018).

use super::prime::Prime;

/// Elements in a vector.
pub(super) const LANES: usize = 8;

/// The bits of a limb's lower part when it is split to become a residue.
pub(super) const LIMB_SPLIT: u32 = 48;

/// Eight words in memory.
pub(super) type Packed<W> = [W; LANES];

/// The eight-element vectors that a transform of the field works on, in memory.
pub(super) type Packs<F> = [Packed<<F as Field>::Word>];

/// Arithmetic modulo one prime with the instructions of one kernel. See the module for the bounds.
///
/// An instance exists only where the processor has those instructions; that makes its methods safe. All of them are
/// inlined into the [`Task`] that is being run, and so compiled for them.
pub(super) trait Field: Copy + Send + Sync {
    /// An element in memory.
    type Word: Copy + Default + Send + Sync;
    /// Eight elements in registers.
    type Vector: Copy;

    /// The prime.
    fn prime(self) -> &'static Prime;

    /// Runs the task with this kernel's instructions enabled.
    fn run<T: Task<Self>>(self, task: T) -> T::Output;

    /// The word c for which `mul(a, c)` is a·`residue`, for a residue below p. P(c) ≤ 0.5.
    fn constant(self, residue: u64) -> Self::Word;

    /// The k for which `mul` of two elements is their product divided by k.
    #[inline(always)]
    fn product_divisor(self) -> u64 {
        1
    }

    /// The word in each lane.
    fn splat(self, word: Self::Word) -> Self::Vector;

    /// Reads a vector.
    fn load(self, from: &Packed<Self::Word>) -> Self::Vector;

    /// Writes a vector.
    fn store(self, to: &mut Packed<Self::Word>, vector: Self::Vector);

    /// The residues of limbs below 2⁶⁰.
    fn load_limbs(self, limbs: &[u64; LANES]) -> Self::Vector;

    /// a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a − b.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// a·b / [`product_divisor`](Self::product_divisor).
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The same element, small.
    fn reduce(self, a: Self::Vector) -> Self::Vector;

    /// The same element between 0 and p − 1, for P(a) < 1.
    fn canonical(self, a: Self::Vector) -> Self::Vector;

    /// The lanes of a canonical vector as integers.
    fn to_integers(self, a: Self::Vector) -> [u64; LANES];

    /// Lane i of vector k becomes lane k of vector i.
    fn transpose(self, rows: [Self::Vector; LANES]) -> [Self::Vector; LANES];
}

/// A loop over vectors: the unit that is compiled once for each kernel.
///
/// It is a type and not a closure because a closure would not be compiled with the instructions that the function
/// around it has enabled.
pub(super) trait Task<F: Field> {
    /// The result of the task.
    type Output;

    /// Does the work. Implementations are `#[inline(always)]`.
    fn run(self, field: F) -> Self::Output;
}

/// A loop over plain numbers that the compiler turns into vectors, for any kernel.
pub(crate) trait PlainLoop {
    /// Does the work. Implementations are `#[inline(always)]`.
    fn run(self);
}

/// A plain loop as a task of any field.
#[cfg(target_arch = "x86_64")]
pub(super) struct Plain<L>(pub(super) L);

#[cfg(target_arch = "x86_64")]
impl<F: Field, L: PlainLoop> Task<F> for Plain<L> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: F) {
        self.0.run();
    }
}

/// The double next to the integer, which below 2⁵³ is the integer itself.
#[expect(clippy::cast_precision_loss, reason = "rounding is the purpose")]
pub(super) const fn float(integer: u64) -> f64 {
    integer as f64
}

/// The number of least magnitude that is congruent to the residue modulo p < 2⁵³.
#[cfg(any(test, target_arch = "x86_64"))]
pub(super) const fn balanced(residue: u64, p: u64) -> f64 {
    if residue > p / 2 { -float(p - residue) } else { float(residue) }
}
