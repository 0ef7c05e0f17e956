//! Limbs as the input of a transform.

use super::field::LANES;

/// Limbs in vectors of eight, with zeros after the last one.
#[derive(Clone, Copy)]
pub(super) struct PaddedLimbs<'a> {
    whole: &'a [[u64; LANES]],
    /// The limbs that fill no vector, padded.
    rest: [u64; LANES],
}

/// Eight limbs of nothing.
static ZEROS: [u64; LANES] = [0; LANES];

impl<'a> PaddedLimbs<'a> {
    /// The limbs, padded.
    pub(super) fn new(limbs: &'a [u64]) -> Self {
        let (whole, tail) = limbs.as_chunks();
        let mut rest = ZEROS;
        rest[..tail.len()].copy_from_slice(tail);
        Self { whole, rest }
    }

    /// The vectors in which there may be anything but zeros.
    pub(super) fn vectors(&self) -> usize {
        self.whole.len() + 1
    }

    /// Limbs 8·`index` to 8·`index` + 7.
    #[inline(always)]
    pub(super) fn vector(&self, index: usize) -> &[u64; LANES] {
        match self.whole.get(index) {
            Some(vector) => vector,
            None if index == self.whole.len() => &self.rest,
            None => &ZEROS,
        }
    }
}
