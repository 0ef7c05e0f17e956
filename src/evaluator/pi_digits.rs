//! Digits of π, evaluated and proven block by block.

use sha2::{Digest, Sha256};

use crate::math::{
    Kernel,
    pi_digits::{self, BLOCK_BYTES, BLOCK_DIGITS, Block, Count, Digits, fingerprint},
};

/// At least the first `count` digits of π, proven: `None` if they failed their proof, which only a fault of the machine or of
/// this program explains, or if there are more than can be proven.
///
/// `progress` is called as by [`pi_digits::evaluate`]. The proof takes some hundredths of the time.
#[must_use]
pub fn pi_digits(count: usize, progress: &mut dyn FnMut(f64)) -> Option<Digits> {
    // Whole blocks, since those are what can be proven.
    let blocks = count.saturating_sub(1).div_ceil(BLOCK_DIGITS).max(1);
    let digits = pi_digits::evaluate(Count::of_blocks(blocks)?, Kernel::best(), progress);
    (0..blocks).all(|number| digits.block(number).is_some_and(|block| proves(number, &block))).then_some(digits)
}

/// Whether a block is the one of this number, by the hash of its stored form.
fn proves(number: usize, block: &Block) -> bool {
    let mut bytes = Vec::with_capacity(BLOCK_BYTES);
    block.write_bytes(&mut bytes);
    let hash = Sha256::digest(&bytes);
    fingerprint(number).is_some_and(|fingerprint| hash.starts_with(fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_proven_by_its_own_fingerprint_alone() {
        let digits = pi_digits(2 * BLOCK_DIGITS, &mut |_| ()).expect("digits that are right");
        let [first, second] = [0, 1].map(|number| digits.block(number).expect("two blocks"));
        assert!(proves(0, &first) && proves(1, &second) && !proves(0, &second) && !proves(1, &first));
        let mut bytes = Vec::new();
        first.write_bytes(&mut bytes);
        bytes[BLOCK_BYTES / 2] ^= 1;
        assert!(!proves(0, &Block::from_bytes(&bytes).expect("limbs that may be")));
    }
}
