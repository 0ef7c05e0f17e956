//! The permits for values that are streamed: one for each value, however many clients read it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::gate::{Full, Permit, SHARE_BYTES, Shared};
use crate::evaluator::Question;

/// The permits of all values that are streamed at present.
#[derive(Default)]
pub(super) struct Values(Mutex<HashMap<Copy, Arc<Shared>>>);

/// A value, and the address of its copy: after an eviction from memory there may be a second copy.
type Copy = (Question, usize);

impl Values {
    /// Returns the permit that all streams of the value at an address share: `permit` for the first of them, or if it fits
    /// in the share of a connection. Time: linear in the values that are streamed, of which the budget admits some hundreds.
    pub(super) fn share(&self, question: Question, address: usize, permit: Permit) -> Result<Arc<Permit>, Full> {
        if permit.bytes() <= SHARE_BYTES {
            return Ok(Arc::new(permit));
        }
        let shared = {
            // A panic leaves no inconsistent state: each change is one operation of the map.
            let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            values.retain(|_, shared| shared.is_held());
            Arc::clone(values.entry((question, address)).or_default())
        };
        shared.permit(|| Ok(permit))
    }
}
