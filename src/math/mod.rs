//! The numbers: pure functions, which know of nothing but numbers.
//!
//! - [`limb`]: the digits in base 10^18;
//! - [`decimal`]: integers of any size in base 10^18, so that nothing is ever converted from binary;
//! - [`digits`]: their decimal digits, as text;
//! - [`multiply`]: their products, short and long;
//! - [`ntt`]: products by number-theoretic transforms, with kernels for the processor's vectors;
//! - [`parallel`]: the threads of the pool that the caller runs in;
//! - [`index`]: the bounded n of F(n), and the length of F(n) before it is known;
//! - [`fib`]: F(n) by fast doubling;
//! - [`rung`]: pairs of neighbours (F(128r), F(128r+1)), from which any F(m) near by follows in linear time;
//! - [`residue`]: the proof of a value modulo a secret prime;
//! - [`double_double`]: 106-bit floating point;
//! - [`pi`]: √(6·Σ 1/i²), correctly rounded.

pub mod decimal;
mod digits;
mod double_double;
pub mod fib;
mod index;
mod limb;
mod multiply;
mod ntt;
mod parallel;
pub mod pi;
pub mod residue;
pub mod rung;

pub use ntt::Kernel;
