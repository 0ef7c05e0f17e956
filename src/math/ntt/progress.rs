//! How far a product is.
//!
//! Work is measured in points: a point modulo one prime is 1, whatever the length, for the passes over all of a
//! transform are few beside what is done on its blocks. What is so long that it would be silent for more than a
//! few tens of milliseconds is done in pieces one after the other, each of which the threads share, and each is told.

/// Points, or coefficients, of a piece: enough for many threads, and some 20 ms for one with vectors.
pub(super) const PIECE: usize = 1 << 19;

/// What is told on the caller's thread, and never from two at a time.
pub(super) struct Progress<'a> {
    done: usize,
    work: usize,
    tell: &'a mut dyn FnMut(f64),
}

impl<'a> Progress<'a> {
    /// Of so much work nothing is done.
    pub(super) fn new(work: usize, tell: &'a mut dyn FnMut(f64)) -> Self {
        Self { done: 0, work, tell }
    }

    /// So much is done, and the part of the whole is told: from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "below 2⁵³")]
    pub(super) fn advance(&mut self, work: usize) {
        self.done += work;
        (self.tell)(self.done as f64 / self.work as f64);
    }
}
