//! A block of digits of π is proven by its hash, which is known beforehand.

/// The first 16 bytes of the SHA-256 of the stored form of each block, made by `scripts/make-pi-fingerprints`.
static FINGERPRINTS: &[u8] = include_bytes!("fingerprints.bin");

/// The fingerprint of a block below [`BLOCKS`](super::BLOCKS): the first 16 bytes of the SHA-256 of its stored form.
///
/// A block that has it is the one on whose digits two computations agreed, by two formulas and two libraries: other bytes have
/// it by accident with a chance of 2^−128, and to craft some that do takes as many trials. It does not prove more than that
/// agreement. In particular it says nothing of how the digits at hand came about, and nothing of digits behind the last block.
#[must_use]
pub fn fingerprint(number: usize) -> Option<&'static [u8; 16]> {
    FINGERPRINTS.as_chunks().0.get(number)
}
