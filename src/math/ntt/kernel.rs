//! The kernels, and the choice among them.

use std::fmt;

use super::field::PlainLoop;
#[cfg(target_arch = "x86_64")]
use super::{
    avx2, avx512,
    field::{Field, Plain},
    prime::{PRIMES, Prime},
};

/// The instructions that transforms are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Doubles in vectors of 512 bits: AVX-512 F and DQ.
    Avx512,
    /// Doubles in vectors of 256 bits: AVX2 and FMA.
    Avx2,
    /// 64-bit integers, on any processor.
    Portable,
}

impl Kernel {
    /// All of them, the fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The fastest kernel that this processor has.
    #[must_use]
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|kernel| kernel.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this processor has the instructions.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Avx512::is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Avx2::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => false,
            Self::Portable => true,
        }
    }

    /// Runs the loop with the kernel's instructions enabled.
    pub(crate) fn run<L: PlainLoop>(self, plain: L) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => self.field(avx512::Avx512::new, &PRIMES[0]).run(Plain(plain)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => self.field(avx2::Avx2::new, &PRIMES[0]).run(Plain(plain)),
            _ => plain.run(),
        }
    }

    /// The fields of the kernel modulo the three primes.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn fields<F>(self, new: impl Fn(&'static Prime) -> Option<F>) -> [F; 3] {
        PRIMES.each_ref().map(|prime| self.field(&new, prime))
    }

    /// The field of the kernel modulo a prime.
    #[cfg(target_arch = "x86_64")]
    fn field<F>(self, new: impl Fn(&'static Prime) -> Option<F>, prime: &'static Prime) -> F {
        new(prime).unwrap_or_else(|| panic!("this processor has no {self}"))
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2",
            Self::Portable => "portable",
        })
    }
}
