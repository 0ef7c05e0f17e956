//! Decimal digits of limbs, at the speed of memory.
//!
//! A limb is split into 2 + 8 + 8 digits. Eight digits fit a word, one a byte, and are taken apart in all its lanes at
//! once, three times in halves: 8 → 4 + 4 → 2 + 2 + 2 + 2 → 1 + 1 + … (P. Khuong, "How to print integers really fast",
//! 2017). There is no branch and no table, so that the compiler turns a block of limbs into vectors.

#![expect(clippy::inline_always, reason = "only what is inlined into a loop is compiled for its kernel")]

use std::ops::Range;

use super::{
    carries::nearest,
    limb::{LIMB_DIGITS, digit_count},
    ntt::{Kernel, PlainLoop},
    pages,
    parallel::Parallel,
};

/// ASCII zeros.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Limbs whose digits are not worth a second thread: some 20 µs of work.
const PARALLEL_LIMBS: usize = 1 << 13;

/// Limbs at a time: enough that the compiler makes a loop of vectors of them, and not as many copies of its body; and for
/// what is left of them.
const BLOCK: usize = 64;
const SHORT_BLOCK: usize = 8;

/// The digits of a limb.
type Place = [u8; LIMB_DIGITS];

/// Writes the digits of the limbs, the last limb first, eighteen each.
pub(super) fn write(limbs: &[u64], places: &mut [Place], threads: Parallel) {
    if limbs.len() >= PARALLEL_LIMBS && threads.is_enabled() {
        let (low, high) = limbs.split_at(limbs.len() / 2);
        let (first, second) = places.split_at_mut(high.len());
        threads.join(true, || write(high, first, threads), || write(low, second, threads));
    } else {
        let (limbs, places) = write_blocks::<BLOCK>(limbs, places);
        let (limbs, places) = write_blocks::<SHORT_BLOCK>(limbs, places);
        for (place, &limb) in places.iter_mut().zip(limbs.iter().rev()) {
            *place = eighteen(limb);
        }
    }
}

/// Writes the digits of whole blocks, and gives the limbs that are left with their places.
fn write_blocks<'a, const BLOCK: usize>(limbs: &'a [u64], places: &'a mut [Place]) -> (&'a [u64], &'a mut [Place]) {
    let (rest, blocks) = limbs.as_rchunks::<BLOCK>();
    let (block_places, rest_places) = places.split_at_mut(blocks.len() * BLOCK);
    if !blocks.is_empty() {
        Kernel::best().run(Blocks { blocks, places: block_places.as_chunks_mut().0 });
    }
    (rest, rest_places)
}

/// Appends a range of the digits of the limbs, the last limb first, eighteen each. Inside of a rayon pool its threads share
/// it.
pub(super) fn write_part(limbs: &[u64], range: Range<usize>, text: &mut Vec<u8>) {
    let first = range.start / LIMB_DIGITS;
    let end = range.end.div_ceil(LIMB_DIGITS).max(first);
    let limbs = &limbs[limbs.len() - end..limbs.len() - first];
    let (start, length) = (text.len(), limbs.len() * LIMB_DIGITS);
    if text.capacity() == 0 {
        // Zeroed memory comes from the system without being touched.
        *text = pages::zeros(length);
    } else {
        text.resize(start + length, 0);
    }
    write(limbs, text[start..].as_chunks_mut().0, Parallel::in_this_pool());
    // The digits of the first limb before the range, and those of the last one behind it.
    let before = range.start - first * LIMB_DIGITS;
    text.copy_within(start + before.., start);
    text.truncate(start + range.len());
}

/// The digits of whole blocks, the last block first: [`eighteen`], lane by lane.
struct Blocks<'a, const BLOCK: usize> {
    blocks: &'a [[u64; BLOCK]],
    places: &'a mut [[Place; BLOCK]],
}

impl<const BLOCK: usize> PlainLoop for Blocks<'_, BLOCK> {
    #[inline(always)]
    fn run(self) {
        let mut parts = [[0; BLOCK]; 3];
        for (block, places) in self.blocks.iter().rev().zip(self.places) {
            let [top, middle, low] = &mut parts;
            for (i, &limb) in block.iter().enumerate() {
                let (upper, lower) = split(limb);
                let first = ((upper >> 8) * 90_071_993) >> 45;
                top[i] = two(first);
                middle[i] = eight(upper - first * EIGHT);
                low[i] = eight(lower);
            }
            for (i, place) in places.iter_mut().rev().enumerate() {
                place[..2].copy_from_slice(&top[i].to_le_bytes()[..2]);
                place[2..10].copy_from_slice(&middle[i].to_le_bytes());
                place[10..].copy_from_slice(&low[i].to_le_bytes());
            }
        }
    }
}

/// 10^8.
const EIGHT: u64 = 100_000_000;

/// A limb divided by 10^8, and the remainder, where there is no wide product: in doubles.
///
/// The estimate limb·10^−8 < 2^34 is wrong by less than 2^−17: the conversion, the constant and the product by 2^−53 of
/// it each. Less 0.5001 it is rounded to the quotient or 1 less, and the remainder shows which.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn split(limb: u64) -> (u64, u64) {
    let (_, quotient) = nearest(limb.cast_signed() as f64 * 1e-8 - 0.5001);
    let remainder = limb.wrapping_sub(quotient.wrapping_mul(EIGHT));
    let excess = u64::from(remainder >= EIGHT);
    (quotient.wrapping_add(excess), remainder - excess * EIGHT)
}

/// The digits of a number's top limb, without leading zeros.
#[derive(Default)]
pub(super) struct Top {
    padded: [u8; LIMB_DIGITS],
    length: usize,
}

impl Top {
    pub(super) fn new(limb: u64) -> Self {
        Self { padded: eighteen(limb), length: digit_count(limb) }
    }

    /// The digits; none by default.
    pub(super) fn digits(&self) -> &[u8] {
        &self.padded[LIMB_DIGITS - self.length..]
    }
}

/// The eighteen digits of a limb.
#[inline]
fn eighteen(limb: u64) -> Place {
    let (upper, low) = (limb / EIGHT, limb % EIGHT);
    let mut place = [0; LIMB_DIGITS];
    place[..2].copy_from_slice(&two(upper / EIGHT).to_le_bytes()[..2]);
    place[2..10].copy_from_slice(&eight(upper % EIGHT).to_le_bytes());
    place[10..].copy_from_slice(&eight(low).to_le_bytes());
    place
}

/// The digits of a number below 10^8, the first one in the lowest byte.
///
/// In lanes of 32 bits a number x < 10^4 has ⌊x/100⌋ = ⌊x·10486/2^20⌋, in lanes of 16 bits one below 100 has
/// ⌊x/10⌋ = ⌊x·103/2^10⌋, and below 10^8 ⌊x/10^4⌋ = ⌊x·109951163/2^40⌋ (tested for all x); no product leaves its lane.
#[inline(always)]
fn eight(x: u64) -> u64 {
    let upper = (x * 109_951_163) >> 40;
    let fours = upper | (x - upper * 10_000) << 32;
    let upper = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = upper | (fours - upper * 100) << 16;
    let upper = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    (upper | (twos - upper * 10) << 8) + ZEROS
}

/// The digits of a number below 100, in the two lowest bytes.
#[inline(always)]
fn two(x: u64) -> u64 {
    let upper = (x * 103) >> 10;
    (upper | (x - upper * 10) << 8) + ZEROS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_quotients_are_exact() {
        for x in 0..100 {
            assert_eq!(two(x).to_le_bytes()[..2], *format!("{x:02}").as_bytes());
        }
        for x in 0..10_000 {
            assert_eq!(eight(x * 10_001).to_le_bytes(), *format!("{:08}", x * 10_001).as_bytes());
        }
        assert!((0..EIGHT).all(|x| (x * 109_951_163) >> 40 == x / 10_000));
        assert!((0..10 * EIGHT).all(|x| (((x * 13) >> 8) * 90_071_993) >> 45 == x * 13 / EIGHT));
    }

    #[test]
    fn limbs_are_split_exactly_next_to_multiples() {
        for quotient in (0..10 * EIGHT).step_by(9_999).chain([100 * EIGHT - 1]) {
            for remainder in [0, 1, EIGHT - 1] {
                assert_eq!(split(quotient * EIGHT + remainder), (quotient, remainder));
            }
        }
    }

    #[test]
    fn limbs_follow_each_other_from_the_top() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for count in [0, 1, SHORT_BLOCK, BLOCK - 1, BLOCK, 3 * BLOCK + SHORT_BLOCK + 5, PARALLEL_LIMBS + 1] {
            let limbs: Vec<u64> =
                (0..count as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_u64.pow(18)).collect();
            let expected: Vec<String> = limbs.iter().rev().map(|limb| format!("{limb:018}")).collect();
            let mut text = vec![[0; LIMB_DIGITS]; count];
            pool.install(|| write(&limbs, &mut text, Parallel::in_this_pool()));
            assert_eq!(text.as_flattened(), expected.concat().as_bytes());
        }
    }
}
