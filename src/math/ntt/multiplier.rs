//! The interface of what multiplies.

use crate::parallel::Parallel;

/// Products of limbs with one kernel. Roots and buffers are kept from product to product.
///
/// The limbs of all factors are least significant first, and each below 10¹⁸; no factor is empty. The results have no
/// leading zeros. `progress` is called with the part of the product that is done, by [`super::progress::Progress`].
pub(crate) trait Multiplier: Send {
    /// a·(a + 2b) and a² + b². Their memory may be that of pairs before, up to twice as long as they are.
    fn doubling(&mut self, pair: [Vec<u64>; 2], progress: &mut dyn FnMut(f64)) -> [Vec<u64>; 2];

    /// a·(a + 2b).
    fn even(&mut self, pair: [Vec<u64>; 2], progress: &mut dyn FnMut(f64)) -> Vec<u64>;

    /// a² + b².
    fn odd(&mut self, pair: [Vec<u64>; 2], progress: &mut dyn FnMut(f64)) -> Vec<u64>;

    /// a·b, neither more than twice as long as the other.
    fn product(&mut self, a: &[u64], b: &[u64], progress: &mut dyn FnMut(f64)) -> Vec<u64>;

    /// a².
    fn square(&mut self, a: &[u64], progress: &mut dyn FnMut(f64)) -> Vec<u64>;

    /// q₁·q₂ and q₂·t₁ + p₁·t₂ of the factors q₁, q₂, t₁, p₁, t₂, from one transform of each. No factor is longer than two
    /// thirds of the longest of the three products.
    fn sum(&mut self, factors: [&[u64]; 5], progress: &mut dyn FnMut(f64)) -> [Vec<u64>; 2];

    /// Shares the work with these threads from now on.
    fn share(&mut self, threads: Parallel);

    /// Frees what not all products need, and gives the bytes of the rest.
    fn shrink(&mut self) -> usize;
}
