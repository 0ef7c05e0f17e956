//! The bytes of immutable answers, sent again to the same request without parsing it.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use axum::body::Bytes;
use moka::sync::Cache;

use super::reply::{Form, Lifetime, Reply};
use crate::telemetry::Account;

/// The capacity for all kept answers, in bytes.
pub(super) const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// The largest entry that is kept. Beyond it the lookup that is saved is nothing to sending the answer, and one entry would
/// take the place of thousands.
const ENTRY_BYTES: usize = 1024 * 1024;

/// Approximate overhead of a kept answer beside its bytes and those of its request.
const OVERHEAD_BYTES: usize = 300;

/// A request: everything that its answer follows from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) form: Form,
    /// The query of the URL, or the body.
    pub(super) text: Bytes,
    /// Whether it is a body.
    pub(super) is_post: bool,
}

/// The text tells apart all but a few.
impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// The lifetime of a kept answer. The cache does not hear of requests that are answered from here, and a store that
/// evicts the least recently used would lose the most wanted entries; so they are looked up now and then.
const LIFE: Duration = Duration::from_secs(10);

/// The number of recent requests known by their hash, in 128 KiB.
const MET: usize = 16 * 1024;

/// Answers to be sent again.
pub(super) struct Kept {
    answers: Cache<Asked, Reply>,
    /// The hash of the last request in each place. Most requests never come again, and are not worth keeping: an answer
    /// is kept when its request has had one before that could be kept.
    met: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Kept {
    /// None yet.
    pub(super) fn new() -> Self {
        let weight = |asked: &Asked, reply: &Reply| u32::try_from(bytes(asked, reply)).unwrap_or(u32::MAX);
        let answers = Cache::builder().max_capacity(KEPT_BYTES as u64).weigher(weight).time_to_live(LIFE).build();
        Self { answers, met: (0..MET).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::new() }
    }

    /// The answer to this very request.
    pub(super) fn get(&self, asked: &Asked) -> Option<Reply> {
        self.answers.get(asked)
    }

    /// Keeps an answer, if it can never change, is not too large, and was asked for before. Others make room for it before
    /// this returns, so that the bound holds at all times.
    pub(super) fn keep(&self, asked: &Asked, reply: &Reply) {
        let may_stay = reply.lifetime == Lifetime::Immutable && bytes(asked, reply) <= ENTRY_BYTES;
        if may_stay && self.has_met(asked) {
            // A body may be a slice of a buffer that is much larger.
            let text = Bytes::copy_from_slice(&asked.text);
            let reply = Reply { account: Account::RESPONSE_CACHE, ..reply.clone() };
            self.answers.insert(Asked { text, ..*asked }, reply);
            self.answers.run_pending_tasks();
        }
    }

    /// Whether the request came before, from now on. One that took its place meanwhile makes it new again.
    fn has_met(&self, asked: &Asked) -> bool {
        let hash = self.hasher.hash_one(asked);
        let place = usize::try_from(hash % MET as u64).unwrap_or(0);
        self.met[place].swap(hash, Relaxed) == hash
    }
}

/// The size of a kept answer.
fn bytes(asked: &Asked, reply: &Reply) -> usize {
    asked.text.len() + reply.bytes() + OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;
    use crate::http::{
        negotiation::{Coding, Media},
        reply::Content,
    };

    #[test]
    fn the_bound_holds_after_each_answer_and_none_is_too_large() {
        let kept = Kept::new();
        let form = Form { media: Media::Json, coding: Coding::Identity, tells_cost: false };
        let keep = |number: usize, bytes: usize| {
            let content = Content::new(vec![vec![0; bytes].into()]);
            let reply = Reply {
                status: StatusCode::OK,
                form,
                lifetime: Lifetime::Immutable,
                account: Account::RESPONSE_CACHE,
                content,
            };
            let asked = Asked { form, text: format!("{number:09}").into(), is_post: true };
            (0..2).for_each(|_| kept.keep(&asked, &reply));
            kept.get(&asked).is_some()
        };
        let largest = ENTRY_BYTES - OVERHEAD_BYTES - 9;
        assert!(!keep(0, largest + 1));
        for number in 1..100 {
            assert_eq!(keep(number, largest), number <= 64, "{number}");
            assert!(kept.answers.iter().count() <= 64, "after {number}");
        }
    }
}
