//! A limb is a digit in base 10^18: eighteen decimal digits in a word.

/// Decimal digits in a limb.
pub const LIMB_DIGITS: usize = 18;

/// The base: every limb is below it.
pub const BASE: u64 = 10_u64.pow(18);

/// Bytes of a limb in the stored form.
pub const LIMB_BYTES: usize = size_of::<u64>();

/// Reads limbs off their stored form, each in 8 bytes, little-endian. Total: `None` unless there are exactly `count` limbs,
/// each below [`BASE`].
pub(super) fn from_bytes(bytes: &[u8], count: usize) -> Option<Vec<u64>> {
    let (words, rest) = bytes.as_chunks::<LIMB_BYTES>();
    if words.len() != count || !rest.is_empty() {
        return None;
    }
    let limbs: Vec<u64> = words.iter().map(|&word| u64::from_le_bytes(word)).collect();
    limbs.iter().all(|&limb| limb < BASE).then_some(limbs)
}
