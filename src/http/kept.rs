//! The bytes of immutable answers, sent again to the same request without parsing it.

use std::hash::{Hash, Hasher};

use axum::body::Bytes;
use moka::sync::Cache;

use super::reply::{Form, Lifetime, Reply};

/// What all that is kept may take, in bytes.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// About what it takes to keep an answer beside its bytes and those of its request.
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

/// Answers to be sent again.
pub(super) struct Kept(Cache<Asked, Reply>);

impl Kept {
    /// None yet.
    pub(super) fn new() -> Self {
        let weight = |asked: &Asked, reply: &Reply| {
            u32::try_from(asked.text.len() + reply.bytes() + OVERHEAD_BYTES).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(KEPT_BYTES).weigher(weight).build())
    }

    /// The answer to this very request.
    pub(super) fn get(&self, asked: &Asked) -> Option<Reply> {
        self.0.get(asked)
    }

    /// Keeps an answer, if it can never change.
    pub(super) fn keep(&self, asked: &Asked, reply: &Reply) {
        if reply.lifetime == Lifetime::Immutable {
            // A body may be a slice of a buffer that is much larger.
            let text = Bytes::copy_from_slice(&asked.text);
            self.0.insert(Asked { text, ..*asked }, reply.clone());
        }
    }
}
