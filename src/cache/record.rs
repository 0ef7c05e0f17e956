//! Entries and marks, as a store gets and gives them.

use std::hash::{BuildHasher, RandomState};

/// Values above this size use a connection and a writer of their own, so that they do not delay small ones.
pub(super) const LARGE_BYTES: usize = 64 * 1024;

/// The eviction class of an entry. Cheap entries have a part of each tier to themselves, so that no number of them
/// evicts another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// The store never evicts it.
    Pinned,
    /// It took long to evaluate. Newer entries of this kind evict it.
    Dear,
    /// It is too large for the store, and is kept in memory alone.
    Local,
    /// Its evaluation takes less time than reading it does, and there may be billions of its kind. They evict each
    /// other alone.
    Cheap,
}

/// An entry as the store gets it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) retention: Retention,
}

impl Record {
    /// The approximate bytes of memory that it takes while it is queued, and no fewer than it takes on the wire.
    pub(super) fn cost(&self) -> usize {
        const OVERHEAD: usize = 128;
        OVERHEAD + 2 * self.name.len() + self.bytes.len()
    }
}

/// A height on one of the ladders, which are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Height {
    /// The number of the ladder.
    pub ladder: usize,
    /// The mark that reaches it.
    pub mark: u32,
}

/// The mark as one read of the store saw it.
///
/// The first process that raises a mark in a store without one draws a *generation*, a random number, and each mark is raised
/// under one. A mark that is raised under another generation than the store's vouches for nothing. So a raise that was
/// decided before the store was emptied, and arrives after that, does not vouch for rungs that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MarkSnapshot {
    /// The generation of the store; `None` before the first mark.
    pub(super) generation: Option<u64>,
    /// The mark under this generation.
    pub(super) mark: Option<u32>,
    /// Whether something else is in its place, so that no mark can be raised.
    pub(super) is_taken: bool,
}

/// Draws a generation, of 53 bits.
pub(super) fn new_generation() -> u64 {
    RandomState::new().hash_one(0) >> 11
}

/// The result of one read: the marks of the ladders that were asked for, unless their server of a cluster is away, and for
/// each name its bytes if the entry was there.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) marks: Vec<Option<MarkSnapshot>>,
    pub(super) values: Vec<Option<Vec<u8>>>,
}
