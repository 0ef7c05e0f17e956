//! The progress of a product.
//!
//! Work is measured in points: a point modulo one prime is 1, whatever the length, for the passes over all of a
//! transform are few beside those over its blocks. Work that would be silent for more than a few tens of milliseconds
//! is done in pieces one after the other, each of which the threads share, and each is reported.

/// Points, or coefficients, of a piece: enough for many threads, and some 20 ms for one with vectors.
pub(super) const PIECE: usize = 1 << 19;

/// Reports on the caller's thread, and never from two at a time.
pub(super) struct Progress<'a> {
    done: usize,
    work: usize,
    tell: &'a mut dyn FnMut(f64),
}

impl<'a> Progress<'a> {
    /// None of `work` points is done.
    pub(super) fn new(work: usize, tell: &'a mut dyn FnMut(f64)) -> Self {
        Self { done: 0, work, tell }
    }

    /// Adds `work` points, and reports the part that is done, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
    pub(super) fn advance(&mut self, work: usize) {
        self.done += work;
        (self.tell)(self.done as f64 / self.work as f64);
    }
}
