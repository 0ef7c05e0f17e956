//! A limb is a digit in base 10^18: eighteen decimal digits in a word. Products of limbs are divided by the base without a
//! division.

/// Decimal digits in a limb.
pub const LIMB_DIGITS: usize = 18;

/// The base: every limb is below it.
pub const BASE: u64 = 10_u64.pow(18);

/// Bytes of a limb in the stored form.
pub const LIMB_BYTES: usize = size_of::<u64>();

/// ⌊2^123/B⌋, below 2^64.
const RECIPROCAL: u64 = low_word((1 << 123) / BASE as u128);

/// ⌊2^64/B⌋ and the remainder.
const WORD_QUOTIENT: u64 = low_word((1 << 64) / BASE as u128);
const WORD_REMAINDER: u64 = low_word((1 << 64) % BASE as u128);

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

/// The decimal digits of a limb without leading zeros; 0 has one.
pub(super) fn digit_count(limb: u64) -> usize {
    limb.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// x divided by B = 10^18, and the remainder, for x < 2^123.
///
/// The quotient is estimated as ⌊⌊x/2^59⌋·⌊2^123/B⌋/2^64⌋. The inner floors take from x/B less than 2^59/B < 0.58 and
/// less than ⌊x/2^59⌋/2^64 < 1, the outer one less than 1: the estimate is at most 2 too small and never too large. So
/// the remainder by it is below 3B < 2^62, and its low 64 bits are all of it.
#[inline]
pub(super) const fn quotient_by_base(x: u128) -> (u64, u64) {
    debug_assert!(x >> 123 == 0);
    let quotient = low_word((low_word(x >> 59) as u128 * RECIPROCAL as u128) >> 64);
    let remainder = low_word(x).wrapping_sub(quotient.wrapping_mul(BASE));
    let excess = (remainder >= BASE) as u64 + (remainder >= 2 * BASE) as u64;
    (quotient + excess, remainder - excess * BASE)
}

/// x divided by B = 10^18, and the remainder, for any x: with x = h·2^64 + l and 2^64 = 18·B + r it is
/// 18·h + (h·r + l)/B, where h·r + l < 2^64·(r + 1) < 2^123.
#[inline]
pub(super) fn column_by_base(x: u128) -> (u128, u64) {
    let (high, low) = (low_word(x >> 64), low_word(x));
    let (quotient, remainder) = quotient_by_base(wide(high, WORD_REMAINDER) + u128::from(low));
    (wide(high, WORD_QUOTIENT) + u128::from(quotient), remainder)
}

/// The product of two words.
#[inline]
pub(super) const fn wide(a: u64, b: u64) -> u128 {
    a as u128 * b as u128
}

/// The lower 64 bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "cutting off is the purpose")]
pub(super) const fn low_word(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_exact_next_to_multiples_of_the_base() {
        for quotient in [0, 1, 2, BASE - 1, BASE, BASE + 1, (1 << 63) - 1] {
            for remainder in [0, 1, BASE - 1] {
                let x = wide(quotient, BASE) + u128::from(remainder);
                assert_eq!(quotient_by_base(x), (quotient, remainder));
                assert_eq!(column_by_base(x), (u128::from(quotient), remainder));
            }
        }
        let base = u128::from(BASE);
        assert_eq!(column_by_base(u128::MAX), (u128::MAX / base, low_word(u128::MAX % base)));
    }
}
