//! The response cache: the bytes of immutable responses, which are sent again to an equal request without parsing it.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use axum::body::Bytes;
use foldhash::quality::RandomState;
use moka::sync::Cache;

use super::reply::{Form, Lifetime, Reply};
use crate::telemetry::Account;

/// The capacity of the response cache, in bytes.
pub(super) const CAPACITY_BYTES: usize = 64 * 1024 * 1024;

/// The largest entry. Beyond it a hit saves little beside sending the response, and one entry would evict thousands.
const ENTRY_BYTES: usize = 1024 * 1024;

/// The approximate overhead of an entry beside the bytes of its response and its request.
const OVERHEAD_BYTES: usize = 300;

/// The key of an entry: everything in a request that decides the bytes of its response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) form: Form,
    /// The query of the URL, or the body.
    pub(super) text: Bytes,
    /// Whether the text is a body.
    pub(super) is_post: bool,
}

/// Only the text is hashed: requests of equal text rarely differ in their form.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// The time to live of an entry. The store never sees requests that are answered here, so that an LRU store would evict the
/// most popular entries. Entries expire, so that each is looked up again.
const TIME_TO_LIVE: Duration = Duration::from_secs(10);

/// The number of hashes of recent requests, which take 128 KiB.
const RECENT: usize = 16 * 1024;

/// Responses by their requests.
pub(super) struct ResponseCache {
    responses: Cache<Key, Reply, RandomState>,
    /// The hash of the last request in each slot. Most requests never come again: a response is inserted when its
    /// request has had an immutable response before.
    recent: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl ResponseCache {
    /// Creates an empty cache.
    pub(super) fn new() -> Self {
        let weight = |key: &Key, reply: &Reply| u32::try_from(bytes(key, reply)).unwrap_or(u32::MAX);
        let responses = Cache::builder().max_capacity(CAPACITY_BYTES as u64).weigher(weight).time_to_live(TIME_TO_LIVE);
        Self {
            responses: responses.build_with_hasher(RandomState::default()),
            recent: (0..RECENT).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::default(),
        }
    }

    /// The response to an equal request.
    pub(super) fn get(&self, key: &Key) -> Option<Reply> {
        self.responses.get(key)
    }

    /// Inserts a response, if it is immutable, not too large, and its request came before. Other entries are evicted
    /// before this returns, so that the bound holds at all times.
    pub(super) fn insert(&self, key: &Key, reply: &Reply) {
        let may_stay = reply.lifetime == Lifetime::Immutable && bytes(key, reply) <= ENTRY_BYTES;
        if may_stay && self.is_repeated(key) {
            // A body may be a slice of a buffer that is much larger.
            let text = Bytes::copy_from_slice(&key.text);
            let reply = Reply { account: Account::RESPONSE_CACHE, ..reply.clone() };
            self.responses.insert(Key { text, ..*key }, reply);
            self.responses.run_pending_tasks();
        }
    }

    /// Remembers a request, and returns whether it came before. A later request in the same slot makes it forgotten.
    fn is_repeated(&self, key: &Key) -> bool {
        let hash = self.hasher.hash_one(key);
        let slot = usize::try_from(hash % RECENT as u64).unwrap_or(0);
        self.recent[slot].swap(hash, Relaxed) == hash
    }
}

/// The size of an entry.
fn bytes(key: &Key, reply: &Reply) -> usize {
    key.text.len() + reply.bytes() + OVERHEAD_BYTES
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
        let cache = ResponseCache::new();
        let form = Form { media: Media::Json, coding: Coding::Identity, tells_cost: false };
        let is_kept_after_inserting = |number: usize, bytes: usize| {
            let content = Content::new(vec![vec![0; bytes].into()]);
            let reply = Reply {
                status: StatusCode::OK,
                form,
                lifetime: Lifetime::Immutable,
                account: Account::RESPONSE_CACHE,
                content,
            };
            let key = Key { form, text: format!("{number:09}").into(), is_post: true };
            (0..2).for_each(|_| cache.insert(&key, &reply));
            cache.get(&key).is_some()
        };
        let largest = ENTRY_BYTES - OVERHEAD_BYTES - 9;
        assert!(!is_kept_after_inserting(0, largest + 1));
        for number in 1..100 {
            assert_eq!(is_kept_after_inserting(number, largest), number <= 64, "{number}");
            assert!(cache.responses.iter().count() <= 64, "after {number}");
        }
    }
}
