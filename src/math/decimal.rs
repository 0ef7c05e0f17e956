//! Natural numbers of any size, kept in base 10^18.
//!
//! Eighteen digits are the most that fit a word of 64 bits. A number is printed limb by limb: the conversion from
//! binary, which is most of the work of a library that computes in binary, does not exist here.

use std::{fmt, ops::Range};

pub use super::limb::{BASE, LIMB_BYTES, LIMB_DIGITS};
use super::{digits, limb, linear::without_zeros, pages, parallel::Parallel};

/// Limbs that are printed into one piece of a streamed number: 64 KiB of text.
const CHUNK_LIMBS: usize = 64 * 1024 / LIMB_DIGITS;

/// A natural number: limbs below [`BASE`], least significant first, the top one not 0. Zero has no limbs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decimal {
    limbs: Vec<u64>,
}

impl Decimal {
    /// Wraps limbs that are below [`BASE`], dropping zeros at the top.
    pub(super) fn from_limbs(limbs: Vec<u64>) -> Self {
        debug_assert!(limbs.iter().all(|&limb| limb < BASE));
        Self { limbs: without_zeros(limbs) }
    }

    /// Reads the stored form of a number that is known to have exactly `limbs` limbs. Total and canonical: `None`
    /// unless the length is exact, every limb is below [`BASE`] and the top one is not 0, so that each number has one
    /// form and each form at most one number.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], limbs: usize) -> Option<Self> {
        let limbs = limb::from_bytes(bytes, limbs)?;
        (limbs.last() != Some(&0)).then_some(Self { limbs })
    }

    /// Appends the stored form: the limbs, least significant first, each in 8 bytes, little-endian.
    pub fn write_bytes(&self, bytes: &mut Vec<u8>) {
        bytes.reserve(self.limbs.len() * LIMB_BYTES);
        bytes.extend(self.limbs.iter().flat_map(|limb| limb.to_le_bytes()));
    }

    /// The limbs, least significant first.
    #[must_use]
    pub fn limbs(&self) -> &[u64] {
        &self.limbs
    }

    /// The number of decimal digits; 0 has one.
    #[must_use]
    pub fn digit_count(&self) -> usize {
        match self.limbs.split_last() {
            None => 1,
            Some((&top, below)) => below.len() * LIMB_DIGITS + limb::digit_count(top),
        }
    }

    /// The first `digits` digits, or all when there are fewer. Time and memory: linear in the result.
    #[must_use]
    pub fn leading(&self, digits: usize) -> String {
        // The top limb may hold a single digit: one limb more than the digits would fill is always enough.
        let limbs = (digits.div_ceil(LIMB_DIGITS) + 1).min(self.limbs.len());
        let mut text = self.text_of(self.limbs.len() - limbs..self.limbs.len());
        text.truncate(digits);
        text
    }

    /// The last `digits` digits with their leading zeros, or all when there are fewer. Time and memory: linear in
    /// the result.
    #[must_use]
    pub fn trailing(&self, digits: usize) -> String {
        let digits = digits.min(self.digit_count());
        let mut text = self.text_of(0..digits.div_ceil(LIMB_DIGITS).min(self.limbs.len()));
        text.split_off(text.len() - digits)
    }

    /// All digits from the first to the last, in pieces of at most 64 KiB: piece `at` of them, `None` after the last.
    /// A number of any length is sent in bounded memory.
    #[must_use]
    pub fn chunk(&self, at: usize) -> Option<String> {
        let chunks = self.limbs.len().div_ceil(CHUNK_LIMBS).max(1);
        let low = chunks.checked_sub(at + 1)? * CHUNK_LIMBS;
        Some(self.text_of(low..self.limbs.len().min(low + CHUNK_LIMBS)))
    }

    /// All digits, in text of their exact length. Time: one pass over the limbs; inside of a rayon pool its threads share it.
    #[must_use]
    pub fn digits(&self) -> String {
        self.text_of(0..self.limbs.len())
    }

    /// The digits of a range of limbs. The top limb of the number has no leading zeros; every other has all eighteen.
    fn text_of(&self, range: Range<usize>) -> String {
        let mut limbs = &self.limbs[range.clone()];
        let mut top = digits::Top::default();
        if range.end == self.limbs.len() {
            let limb;
            (limb, limbs) = limbs.split_last().unwrap_or((&0, &[]));
            top = digits::Top::new(*limb);
        }
        // Zeroed memory comes from the system without being touched.
        let mut text = pages::zeros(top.digits().len() + limbs.len() * LIMB_DIGITS);
        let (first, rest) = text.split_at_mut(top.digits().len());
        first.copy_from_slice(top.digits());
        digits::write(limbs, rest.as_chunks_mut().0, Parallel::in_this_pool());
        String::from_utf8(text).expect("digits are ASCII")
    }
}

impl From<u64> for Decimal {
    fn from(value: u64) -> Self {
        Self::from_limbs(vec![value % BASE, value / BASE])
    }
}

/// All digits, without separators.
impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..).map_while(|at| self.chunk(at)).try_for_each(|chunk| out.write_str(&chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        let limbs = text.as_bytes().rchunks(LIMB_DIGITS);
        Decimal::from_limbs(limbs.map(|limb| std::str::from_utf8(limb).unwrap().parse().unwrap()).collect())
    }

    #[test]
    fn prints_what_it_holds() {
        let rows = [
            ("0", "no limbs at all"),
            ("7", "one digit"),
            ("999999999999999999", "the largest limb"),
            ("1000000000000000000", "the first of two limbs; the lower one is all zeros"),
            ("1000000000000000000000000000000000007", "zeros inside a limb and a limb of zeros"),
        ];
        for (text, why) in rows {
            assert_eq!(decimal(text).to_string(), text, "{why}");
            assert_eq!(decimal(text).digit_count(), text.len(), "{why}");
        }
    }

    #[test]
    fn the_stored_form_is_canonical() {
        let mut bytes = Vec::new();
        decimal("5000000000000000000").write_bytes(&mut bytes);
        assert_eq!(Decimal::from_bytes(&bytes, 2), Some(decimal("5000000000000000000")));
        assert_eq!(Decimal::from_bytes(&[], 0), Some(Decimal::default()));

        let limb = |value: u64| value.to_le_bytes().to_vec();
        let refused = [
            (bytes.clone(), 1, "longer than the number"),
            (bytes[..15].to_vec(), 2, "cut off"),
            ([&bytes[..], &[0]].concat(), 2, "trailing bytes"),
            ([limb(0), limb(0)].concat(), 2, "a top limb of zero"),
            ([limb(BASE), limb(1)].concat(), 2, "a limb of 10^18"),
            (limb(u64::MAX), 1, "a limb beyond the base"),
            (limb(0), 1, "zero written with a limb"),
        ];
        for (bytes, limbs, why) in refused {
            assert_eq!(Decimal::from_bytes(&bytes, limbs), None, "{why}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_parts_of_the_whole(text in "[1-9][0-9]{0,80}", digits in 0_usize..100) {
            let number = decimal(&text);
            let kept = digits.min(text.len());
            prop_assert_eq!(number.leading(digits), &text[..kept]);
            prop_assert_eq!(number.trailing(digits), &text[text.len() - kept..]);
        }

        #[test]
        fn chunks_join_to_the_whole(limbs in 0_usize..3 * CHUNK_LIMBS) {
            let number = Decimal::from_limbs(vec![42; limbs]);
            let chunks: Vec<String> = (0..).map_while(|at| number.chunk(at)).collect();
            prop_assert!(chunks.iter().all(|chunk| chunk.len() <= 64 * 1024));
            // The top limb prints as "42", every other as "000000000000000042".
            let all = "000000000000000042".repeat(limbs);
            let expected = if limbs == 0 { "0" } else { &all[16..] };
            prop_assert_eq!(chunks.concat(), expected);
        }

        #[test]
        fn decoding_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..64), limbs in 0_usize..9) {
            if let Some(number) = Decimal::from_bytes(&bytes, limbs) {
                let mut again = Vec::new();
                number.write_bytes(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
