//! Parts of the loops that divide and carry.

#![expect(clippy::inline_always, reason = "only what is inlined into a loop is compiled for its kernel")]

/// 3·2⁵¹: a number below 2⁵¹ in magnitude that is added to it is rounded to an integer, in the low bits. Taken away again it
/// leaves that integer. With a word below 2⁵¹ in its low bits, it leaves that word as a double.
pub(super) const INTEGERS: f64 = 6_755_399_441_055_744.0;

/// The integer nearest to `x`, for |x| < 2⁵¹: as a double and as a word, in which a negative one wraps around.
#[inline(always)]
pub(super) fn nearest(x: f64) -> (f64, u64) {
    let shifted = x + INTEGERS;
    (shifted - INTEGERS, shifted.to_bits().wrapping_sub(INTEGERS.to_bits()))
}

/// ⌊sum/`BASE`⌋ for a sum below three times the base.
#[inline(always)]
pub(super) fn multiples<const BASE: u64>(sum: u64) -> u64 {
    u64::from(sum >= BASE) + u64::from(sum >= 2 * BASE)
}

/// Carries on from digits of at least `BASE`, and below twice that less 1, to the next ones, and beyond the last.
#[cold]
pub(super) fn ripple<const BASE: u64>(digits: &mut [u64]) -> u64 {
    digits.iter_mut().fold(0, |carry, digit| {
        let sum = *digit + carry;
        let carry = u64::from(sum >= BASE);
        *digit = sum - carry * BASE;
        carry
    })
}
