//! Rows of digits of π, as they are stored.

use std::ops::Range;

use super::super::{
    digits,
    limb::{self, LIMB_BYTES, LIMB_DIGITS},
};

/// Limbs of a block.
const BLOCK_LIMBS: usize = 2_048;

/// Digits of a block.
pub const BLOCK_DIGITS: usize = BLOCK_LIMBS * LIMB_DIGITS;

/// Bytes of the stored form of a block: 16 KiB.
pub const BLOCK_BYTES: usize = BLOCK_LIMBS * LIMB_BYTES;

/// Blocks at most: they hold 10⁸ digits, and the rest of the last block.
pub const BLOCKS: usize = 100_000_000_usize.div_ceil(BLOCK_DIGITS);

/// 36,864 digits of π in a row: block b holds digits 36,864·b + 1 to 36,864·(b + 1), the 3 being digit 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The last limb first.
    limbs: Vec<u64>,
}

impl Block {
    /// A block of the limbs behind the point, of which the last one comes first.
    pub(super) fn of(limbs: &[u64], number: usize) -> Option<Self> {
        let end = limbs.len().checked_sub(number.checked_mul(BLOCK_LIMBS)?)?;
        Some(Self { limbs: limbs[end.checked_sub(BLOCK_LIMBS)?..end].to_vec() })
    }

    /// Reads the stored form. Total and canonical: `None` unless there are exactly [`BLOCK_BYTES`] and every limb is below
    /// [`BASE`](limb::BASE), so that each row of digits has one form and each form at most one row.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut limbs = limb::from_bytes(bytes, BLOCK_LIMBS)?;
        limbs.reverse();
        Some(Self { limbs })
    }

    /// Appends the stored form: the limbs in the order in which their digits are read, eighteen digits each, in 8 bytes,
    /// little-endian. (A prefix of it is a prefix of the digits.)
    pub fn write_bytes(&self, bytes: &mut Vec<u8>) {
        bytes.reserve(BLOCK_BYTES);
        bytes.extend(self.limbs.iter().rev().flat_map(|limb| limb.to_le_bytes()));
    }

    /// Appends the digits of a range within the block.
    ///
    /// # Panics
    /// If the range goes beyond [`BLOCK_DIGITS`].
    pub fn write_digits(&self, range: Range<usize>, text: &mut Vec<u8>) {
        digits::write_part(&self.limbs, range, text);
    }
}
