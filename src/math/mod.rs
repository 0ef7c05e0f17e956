//! The numbers: pure functions, which know of nothing but numbers.
//!
//! - [`limb`]: the digits in base 10^18;
//! - [`decimal`]: integers of any size in base 10^18, so that nothing is ever converted from binary;
//! - [`digits`]: their decimal digits, as text;
//! - [`start`]: the first Fibonacci numbers, off a table;
//! - [`columns`]: the doubling of pairs of them by schoolbook in vectors;
//! - [`carries`]: parts of the loops that divide and carry;
//! - [`linear`]: sums, differences, and what else takes linear time;
//! - [`schoolbook`]: short products and quotients, as by hand;
//! - [`ntt`]: products by number-theoretic transforms, with kernels for the processor's vectors;
//! - [`pages`]: the memory of long buffers;
//! - [`parallel`]: the threads of the pool that the caller runs in;
//! - [`products`]: products of any lengths;
//! - [`division`]: reciprocals and quotients of long numbers;
//! - [`root`]: reciprocal square roots of words;
//! - [`index`]: the bounded n of F(n), and the length of F(n) before it is known;
//! - [`fib`]: F(n) by fast doubling;
//! - [`rung`]: pairs of neighbours (F(128r), F(128r+1)), from which any F(m) near by follows in linear time;
//! - [`residue`]: the proof of a value modulo a secret prime;
//! - [`double_double`]: 106-bit floating point;
//! - [`pi`]: √(6·Σ 1/i²), correctly rounded;
//! - [`pi_digits`]: the decimal digits of π, by Chudnovsky's series.

mod carries;
mod columns;
pub mod decimal;
mod digits;
mod division;
mod double_double;
pub mod fib;
mod index;
mod limb;
mod linear;
mod ntt;
mod pages;
mod parallel;
pub mod pi;
pub mod pi_digits;
mod products;
pub mod residue;
mod root;
pub mod rung;
mod schoolbook;
mod start;

pub use ntt::Kernel;

/// The memory that this room may hold between evaluations, in bytes. docs/operating.md adds the rooms up.
pub const MEMORY: [(&str, usize); 1] = [("buffers that are kept between evaluations", ntt::KEPT_BYTES)];
