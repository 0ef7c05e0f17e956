//! Digits of π in a row, off the blocks that hold them.

use std::{cmp::Ordering, ops::Range, sync::Arc};

use super::{BLOCK_DIGITS, Count, block::Block};

/// A place among the digits of π: `count` of them from digit `from` on, where digit 0 is the 3 before the point. Spans are in
/// the order of their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    from: usize,
    count: usize,
}

impl Span {
    /// `None` for no digit, and beyond [`Count::MAX`].
    #[must_use]
    pub fn new(from: usize, count: usize) -> Option<Self> {
        Count::new(from.checked_add(count)?).filter(|_| count >= 1).map(|_| Self { from, count })
    }

    /// The first of the digits.
    #[must_use]
    pub fn from(self) -> usize {
        self.from
    }

    /// The number of digits, 1 at least.
    #[must_use]
    pub fn count(self) -> usize {
        self.count
    }

    /// The digit behind the last.
    #[must_use]
    pub fn end(self) -> usize {
        self.from + self.count
    }

    /// The numbers of the blocks that hold the digits; the 3 is in none.
    #[must_use]
    pub fn blocks(self) -> Range<usize> {
        (self.from.max(1) - 1) / BLOCK_DIGITS..(self.end() - 1).div_ceil(BLOCK_DIGITS)
    }
}

impl Ord for Span {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.end(), self.from).cmp(&(other.end(), other.from))
    }
}

impl PartialOrd for Span {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The digits of a span, by the blocks that hold them.
#[derive(Clone, Debug)]
pub struct Row {
    span: Span,
    blocks: Vec<Arc<Block>>,
}

/// Digits of one piece of a row that is streamed: 64 KiB of text.
const PIECE_DIGITS: usize = 64 * 1024;

impl Row {
    /// The digits of a span, from the [blocks](Span::blocks) of it, in order. `None` unless they are as many.
    #[must_use]
    pub fn new(span: Span, blocks: Vec<Arc<Block>>) -> Option<Self> {
        (blocks.len() == span.blocks().len()).then_some(Self { span, blocks })
    }

    /// The span of the digits.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// All digits. Time and memory: linear in their number.
    #[must_use]
    pub fn digits(&self) -> String {
        self.text_of(self.span)
    }

    /// The digits in pieces of 64 KiB: piece `at` of them, `None` after the last. Rows of any length are sent in bounded
    /// memory.
    #[must_use]
    pub fn chunk(&self, at: usize) -> Option<String> {
        let from = self.span.from + at.checked_mul(PIECE_DIGITS)?;
        let count = self.span.end().checked_sub(from)?.min(PIECE_DIGITS);
        Span::new(from, count).map(|piece| self.text_of(piece))
    }

    /// The digits of a span within this one.
    fn text_of(&self, part: Span) -> String {
        let mut text = Vec::with_capacity(part.count);
        if part.from == 0 {
            text.push(b'3');
        }
        // Decimals are counted from the first behind the point.
        let decimals = part.from.max(1) - 1..part.end() - 1;
        for number in part.blocks() {
            let start = number * BLOCK_DIGITS;
            let within = decimals.start.max(start) - start..decimals.end.min(start + BLOCK_DIGITS) - start;
            self.blocks[number - self.span.blocks().start].write_digits(within, &mut text);
        }
        String::from_utf8(text).expect("digits are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::{super::evaluate, *};
    use crate::Kernel;

    fn span(from: usize, count: usize) -> Span {
        Span::new(from, count).unwrap()
    }

    #[test]
    fn a_span_is_bounded_and_in_the_order_of_its_end() {
        assert_eq!(Span::new(0, 0), None);
        assert_eq!(Span::new(1, usize::MAX), None);
        assert_eq!(Span::new(0, Count::MAX.get()).map(Span::end), Some(Count::MAX.get()));
        assert_eq!(Span::new(1, Count::MAX.get()), None);
        assert!(span(5, 1) < span(0, 7) && span(0, 7) < span(1, 6));
    }

    #[test]
    fn a_span_wants_the_blocks_of_its_digits() {
        assert_eq!(span(0, 1).blocks().len(), 0, "the 3 is the definition");
        assert_eq!(span(0, 2).blocks(), 0..1);
        assert_eq!(span(0, BLOCK_DIGITS + 1).blocks(), 0..1);
        assert_eq!(span(0, BLOCK_DIGITS + 2).blocks(), 0..2);
        assert_eq!(span(BLOCK_DIGITS, 1).blocks(), 0..1);
        assert_eq!(span(BLOCK_DIGITS + 1, 1).blocks(), 1..2);
        assert_eq!(span(BLOCK_DIGITS, 2).blocks(), 0..2);
        assert_eq!(Span::new(100_000_000 - 1, 1).unwrap().blocks(), 2_712..2_713);
    }

    #[test]
    fn every_row_is_a_part_of_the_whole() {
        let pi = evaluate(Count::of_blocks(4).unwrap(), Kernel::best(), &mut |_| ());
        let mut whole = Vec::new();
        pi.write(0..pi.count(), &mut whole);
        let whole = String::from_utf8(whole).unwrap();
        let places = [0, 1, 2, 17, 18, 19, BLOCK_DIGITS, BLOCK_DIGITS + 1, 2 * BLOCK_DIGITS, 3 * BLOCK_DIGITS + 5];
        for from in places {
            for count in [1, 2, 18, 19, 1_000, BLOCK_DIGITS, BLOCK_DIGITS - 1, PIECE_DIGITS + 1, 2 * PIECE_DIGITS] {
                let Some(span) = Span::new(from, count).filter(|span| span.end() <= pi.count()) else { continue };
                let blocks = span.blocks().map(|number| Arc::new(pi.block(number).unwrap())).collect();
                let row = Row::new(span, blocks).unwrap();
                assert!(row.digits() == whole[from..from + count], "{span:?}");
                let pieces: Vec<String> = (0..).map_while(|at| row.chunk(at)).collect();
                assert!(pieces.concat() == row.digits() && pieces.len() == count.div_ceil(PIECE_DIGITS), "{span:?}");
            }
        }
        assert!(Row::new(span(0, 2), Vec::new()).is_none());
        assert_eq!(Row::new(span(0, 1), Vec::new()).unwrap().digits(), "3");
    }
}
